"""From KEY=VALUE to checked configs. The only file that knows Hydra.

Everything is composed and checked before anything runs, so that all mistakes, of every job
of a sweep, are said at once. A single run then goes straight on; a sweep is handed to
Hydra, whose launchers know clusters.
"""

import functools
import itertools
import json
import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import MarkedYAMLError

from thinkus import config as types
from thinkus.config import StageConfig
from thinkus.errors import ConfigError, did_you_mean
from thinkus.help import groups as groups_of
from thinkus.identity import run_name
from thinkus.paths import CONF, expanded, group_options, without_home
from thinkus.schema import dotted

HYDRA_VERSION = "1.3"


class Job(NamedTuple):
    """One run that was asked for."""

    words: tuple[str, ...]
    config: StageConfig
    name: str
    yaml: str


def schema_of(stage: str) -> type[StageConfig]:
    schemas: dict[str, type[StageConfig]] = {
        "prepare": types.PrepareConfig,
        "annotate": types.AnnotateConfig,
        "sft": types.SftConfig,
        "simulate": types.SimulateConfig,
        "judge": types.JudgeConfig,
        "report": types.ReportConfig,
    }
    return schemas[stage]


def jobs(stage: str, words: Sequence[str], *, sweep: bool) -> list[Job]:
    """Every job that the words ask for, checked; all mistakes at once."""
    found: list[Job] = []
    with initialize_config_dir(version_base=HYDRA_VERSION, config_dir=str(CONF)):
        choices, mistakes = _parsed(stage, words, sweep=sweep)
        for one in itertools.product(*choices):
            try:
                found.append(_job(stage, one))
            except ConfigError as error:
                mistakes += error.mistakes
            except (ValueError, HydraException, OmegaConfBaseException) as error:
                mistakes.append(f"{' '.join(one)}: {str(error).splitlines()[0]}")
    if mistakes:
        raise ConfigError(dict.fromkeys(mistakes))  # in order, each once: jobs share most of theirs
    parts = Counter((job.name, getattr(job.config, "shard", None)) for job in found)
    if shared := [name for (name, _), count in parts.items() if count > 1]:
        raise ConfigError(
            [f"{shared[0]}: is the name of several jobs of this sweep; sweep something else, or use no -m"]
        )
    return found


def job_of(stage: str, words: Sequence[str], name: str, yaml: str) -> Job:
    """The job that was composed before, from its text."""
    return Job(tuple(words), checked(stage, DictConfig(OmegaConf.create(yaml)), []), name, yaml)


def sweep(stage: str, jobs: Sequence[Job], run: Callable[[Job], None]) -> None:
    """Hand a sweep to Hydra's launcher, which calls `run` for each job, maybe on another machine."""
    # Text alone: it travels, and a job that waits in a queue runs what was checked here.
    checked_here = [(job.words, job.name, job.yaml) for job in jobs]

    def task(_: DictConfig) -> None:
        words, name, yaml = checked_here[HydraConfig.get().job.num]
        run(job_of(stage, words, name, yaml))

    swept = []
    for words in zip(*(job.words for job in jobs), strict=True):
        values = dict.fromkeys(word.partition("=")[2] for word in words)
        swept.append(f"{words[0].partition('=')[0]}={','.join(values)}")
    sweeps = expanded(jobs[0].config.root) / ".sweeps"
    folder = sweeps / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    argv = [
        f"thinkus {stage}",
        "--multirun",  # before the overrides: Hydra 1.3 cannot take a flag between them
        f"hydra.job.name={stage}",
        f"hydra.sweep.dir={json.dumps(str(folder), ensure_ascii=False)}",
        "hydra.output_subdir=null",
        "hydra/job_logging=none",
        "hydra/hydra_logging=none",
        *swept,
    ]
    try:
        with _replaced_argv(argv):
            hydra.main(version_base=HYDRA_VERSION, config_path=str(CONF), config_name=stage)(task)()
    finally:
        # Hydra notes the sweep there, with full paths; the runs say all that is worth keeping.
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):
            sweeps.rmdir()


def _parsed(stage: str, words: Sequence[str], *, sweep: bool) -> tuple[list[list[str]], list[str]]:
    """For each word the values that it sweeps over, one for most; and what is wrong with the others."""
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    choices, mistakes = [], []
    for word in map(_quoted, words):
        try:
            override = parser.parse_overrides([word])[0]
            if not override.key_or_group:
                raise HydraException(word)
            is_sweep = override.is_sweep_override()
            values = list(override.sweep_string_iterator()) if is_sweep else []
            if parts := re.fullmatch(r"shard=all/([1-9]\d{0,3})", word):
                is_sweep, values = True, [f"{part + 1}/{parts[1]}" for part in range(int(parts[1]))]
        except (HydraException, IndexError):
            mistakes.append(_no_override(stage, word))
            continue
        if is_sweep and not values:
            mistakes.append(f"{word}: matches nothing to sweep over")
        elif "oc.env" in word:
            mistakes.append(
                f"{word}: a config must not read the environment, it is written into the run; say the value"
            )
        elif override.package is not None or override.key_or_group.startswith("hydra"):
            mistakes.append(f"{word}: speaks to Hydra itself, which thinkus sets up alone; take it away")
        elif not is_sweep:
            choices.append([word])
        elif sweep:
            choices.append([f"{override.get_key_element()}={value}" for value in values])
        else:
            mistakes.append(f"{word}: several values are a sweep: add -m")
    return choices, mistakes


def _quoted(word: str) -> str:
    """Spare people the quotes that Hydra wants around ~, letters beyond ASCII, and spaces."""
    match = re.fullmatch(r"([+~]{0,2}[\w./-]+)=([^\[\]{}()'\"=,$\\]+)", word)
    if match is None or not re.search(r"[^\w./:%+@?|-]|[^\x00-\x7f]", match[2]):
        return word
    return f'{match[1]}="{match[2].strip()}"'


def _no_override(stage: str, word: str) -> str:
    if "=" in word.strip("="):
        return f"{word!r}: cannot be read; what has symbols in it wants quotes of both kinds: 'key=\"a, b\"'"
    flag = did_you_mean(word.lstrip("-\u2013\u2014"), ["show", "dry-run", "redo", "help", "multirun"])
    if flag:
        return f"{word!r}: is not KEY=VALUE{flag.replace('mean ', 'mean --')}"
    for group, options in groups_of(stage).items():
        if word in options:
            return f"{word!r}: is not KEY=VALUE; did you mean {group}={word}?"
    return f"{word!r}: is not KEY=VALUE, with no space around the equals sign"


def _job(stage: str, words: Sequence[str]) -> Job:
    """Compose and check one job's words."""
    asked = tuple(words)
    usual_groups = _choices(stage, _composed(CONF, stage, ()))
    parser = OverridesParser.create()
    overrides = {word: parser.parse_override(word) for word in words}
    mistakes: list[str] = []
    wrong = set()

    def composed(words: Sequence[str]) -> DictConfig:
        try:
            return _composed(CONF, stage, tuple(words))
        except ConfigError as error:
            raise ConfigError([*mistakes, *error.mistakes]) from None

    for word, override in overrides.items():
        group = override.key_or_group
        if group in usual_groups and (line := _wrong_option(group, override.value())):
            mistakes.append(line)
            wrong.add(word)
    chosen = [word for word, o in overrides.items() if o.key_or_group in usual_groups and word not in wrong]
    with_groups = composed(chosen)
    if "annotator" in usual_groups and with_groups.data.annotator:
        # The one that goes with this data is the usual one; another, or an experiment, is named.
        usual_groups["annotator"] = with_groups.data.annotator
        if not {"annotator", "experiment"} & {o.key_or_group for o in overrides.values()}:
            words = [*words, f"annotator={usual_groups['annotator']}"]
            with_groups = composed([*chosen, words[-1]])
    if "eval" in usual_groups and not {"eval", "eval.name"} & {o.key_or_group for o in overrides.values()}:
        # What is tried on is what was trained on, also where that has a name of one's own.
        named = [o.value() for o in overrides.values() if o.key_or_group == "data.name"]
        words = [*words, *(f"eval.name={name}" for name in named[-1:])]
    known = _keys(with_groups)
    for word, override in overrides.items():
        key = override.key_or_group
        if key not in usual_groups and key not in known:
            hint = did_you_mean(key, [*known, *usual_groups])
            mistakes.append(f"{key}: {stage} has no such key{hint} (`thinkus {stage} --show` prints all)")
            wrong.add(word)
    whole = composed([word for word in words if word not in wrong])
    groups = _choices(stage, whole)
    config = checked(stage, whole, mistakes)
    own = [f"{group}={choice or 'null'}" for group, choice in groups.items() if group != "experiment"]
    usual = checked(stage, composed(own), [])
    name = run_name(config, usual, groups, usual_groups)
    return Job(asked, config, name, _yaml(config))


def _yaml(config: StageConfig) -> str:
    """The config as a run keeps it: complete, and without a person's home directory."""
    composed = OmegaConf.create(config.model_dump())
    for key, value in dotted(config.model_dump()).items():
        if isinstance(value, str):
            OmegaConf.update(composed, key, without_home(value))
    return OmegaConf.to_yaml(composed)


def _keys_of_other_stages(stage: str) -> set[str]:
    own = set(schema_of(stage).model_fields)
    return {key for schema in StageConfig.__subclasses__() for key in schema.model_fields} - own


def _wrong_option(group: str, chosen: object) -> str | None:
    """Of experiments there may be several, of which the last has the last word."""
    options = group_options(group)
    several = chosen if isinstance(chosen, list) and group == "experiment" else [chosen]
    wrong = [str(option) for option in several if option is not None and option not in options]
    if not wrong:
        return None
    listed = ", ".join(options) or "none yet"
    return f"{group}: there is no {wrong[0]!r}; options: {listed}{did_you_mean(wrong[0], options)}"


@functools.cache
def _composed(_conf: Path, stage: str, words: tuple[str, ...]) -> DictConfig:
    """Slow, and asked for again: jobs of a sweep, or several commands, share most. `_conf` is where the files are."""
    try:
        composed = compose(stage, list(words), return_hydra_config=True)
        # An experiment speaks to several stages, and each hears what is meant for it.
        OmegaConf.set_struct(composed, False)
        for key in _keys_of_other_stages(stage) & set(map(str, composed)):
            del composed[key]
        return composed
    except (HydraException, OmegaConfBaseException) as error:
        first = str(error).strip().splitlines()[0]
        raise ConfigError([f"{' '.join(words) or stage}: {first}"]) from None
    except MarkedYAMLError as error:
        where = (
            f"{error.problem_mark.name}, line {error.problem_mark.line + 1}" if error.problem_mark else CONF
        )
        raise ConfigError([f"{where}: is no YAML ({error.problem}); mend that line"]) from None


def checked(stage: str, composed: DictConfig, mistakes: list[str]) -> StageConfig:
    """The typed config, or every mistake by its dotted key, added to those known already."""
    values = {key: composed[key] for key in composed if key != "hydra"}
    try:
        plain = OmegaConf.to_container(OmegaConf.create(values), resolve=True, throw_on_missing=True)
        config = schema_of(stage).model_validate(plain)
    except OmegaConfBaseException as error:
        raise ConfigError([*mistakes, str(error).splitlines()[0]]) from None
    except ValidationError as error:
        raise ConfigError([*mistakes, *_lines(error, _keys(composed))]) from None
    if mistakes:
        raise ConfigError(mistakes)
    return config


def _lines(error: ValidationError, known: Mapping[str, object]) -> list[str]:
    """One line a key; the branches of a union are alternatives of the same key."""
    wanted: dict[str, list[str]] = {}
    values: dict[str, object] = {}
    for one in error.errors(include_url=False):
        # A union adds its branch to the place: only what stands in the config is a key.
        place = [str(part) for part in one["loc"]]
        while len(place) > 1 and ".".join(place) not in known and one["type"] != "missing":
            place.pop() if ".".join(place[:-1]) in known else place.pop(-2)
        key = ".".join(place)
        message = one["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
        message = message.replace("should ", "must ", 1)
        if one["type"] == "extra_forbidden":
            message = "is no key of this config; take it away"
        elif one["type"] == "missing":
            message = "is missing"
        elif one["type"] == "model_type":
            message = f"must hold keys of its own, as in --show: {key}={{...}}"
        elif one["type"] != "value_error":  # those may be about a secret, and say what is needed
            values[key] = one["input"]
        wanted.setdefault(key, []).append(message)
    shown = {key: f" (got {'null' if value is None else repr(value)[:80]})" for key, value in values.items()}
    return [
        f"{key}: {' or '.join(messages).replace('or must ', 'or ')}{shown.get(key, '')}"
        for key, messages in wanted.items()
    ]


def _choices(stage: str, composed: DictConfig) -> dict[str, str | None]:
    """Of the stage's own groups; `optional` ones are there so that an experiment may speak of them to others."""
    choices = composed.hydra.runtime.choices
    return {group: option for group, option in choices.items() if group in groups_of(stage)}


def _keys(composed: DictConfig) -> dict[str, object]:
    """Every dotted key, of branches and of leaves."""
    plain = OmegaConf.to_container(composed, resolve=False)
    keys: dict[str, object] = {}

    def walk(node: object, above: str) -> None:
        if isinstance(node, dict):
            for key, value in node.items():
                if above or key != "hydra":
                    keys[above + str(key)] = value
                    walk(value, f"{above}{key}.")

    walk(plain, "")
    return keys


@contextmanager
def _replaced_argv(argv: list[str]) -> Iterator[None]:
    """hydra.main reads sys.argv, and swallows our errors unless it is told to pass them on."""
    saved, saved_full_error = sys.argv, os.environ.get("HYDRA_FULL_ERROR")
    sys.argv = argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = saved
        os.environ.pop("HYDRA_FULL_ERROR")
        if saved_full_error is not None:
            os.environ["HYDRA_FULL_ERROR"] = saved_full_error

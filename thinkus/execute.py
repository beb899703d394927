"""From a checked config to a finished run: skip, resume, refuse or begin, then finish."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from thinkus import __version__, belongings, facts, prompts, stages
from thinkus.belongings import MANIFEST, Kind, entries
from thinkus.claims import Claim, RunHeld
from thinkus.config import StageConfig
from thinkus.console import say
from thinkus.errors import RunRefused, ThinkusError
from thinkus.identity import identity_of, made_from
from thinkus.paths import expanded, without_home
from thinkus.runs import (
    RUN_SCHEMA,
    Input,
    InputFacts,
    Manifest,
    claimed,
    is_finished,
    load_manifest,
    make_writable,
    now,
)
from thinkus.shards import Shard, check_parts, drop_parts, join, unfinished_parts


class Done(NamedTuple):
    """How a run ended, for the last line and for a sweep's table."""

    directory: Path
    how: str


def run_directory(stage: str, config: StageConfig, name: str) -> Path:
    return expanded(config.root) / stage / name


class Outlook(NamedTuple):
    """What carrying a run out would meet."""

    directory: Path
    """Of the run, or of its part."""
    identity: str
    is_done: bool


class Task(NamedTuple):
    """All that carrying one run out takes."""

    stage: str
    config: StageConfig
    yaml: str
    directory: Path
    inputs: Mapping[str, Input]
    fresh: Manifest
    redo: bool


def execute(stage: str, config: StageConfig, name: str, config_yaml: str, *, redo: bool) -> Done:
    """Carry a stage out, once: what is done already is not done again."""
    directory = run_directory(stage, config, name)
    work = stages.load(stage)
    if not (directory / MANIFEST).exists():
        make_writable(directory.parent)
    inputs = work.inputs(config, directory.parent.parent)
    fresh = _manifest(stage, name, config, inputs, work.prompts(config))
    for role, read in inputs.items():
        say(f"{stage}: {role} is {read.read} ({read.description})")
    task = Task(stage, config, config_yaml, directory, inputs, fresh, redo)
    shard = getattr(config, "shard", None)
    return _whole(task) if shard is None else _part(task, Shard.parse(shard))


def _whole(task: Task) -> Done:
    if not task.redo and not (task.directory / MANIFEST).exists():
        check_parts(task.directory, None, task.fresh)
    if _is_outdated(task.stage, task.directory, task.fresh):
        task = task._replace(redo=True)
    made = _carried_out(task, task.directory)
    return Done(task.directory, "is done" if made else "is already done")


def _is_outdated(stage: str, directory: Path, fresh: Manifest) -> bool:
    """What a stage that only reads had made of something else is no result to be kept."""
    there = load_manifest(directory) if getattr(stages.load(stage), "ONLY_READS", False) else None
    return there is not None and there.identity != fresh.identity


def _refuse_redo_of_a_part(directory: Path, *, redo: bool) -> None:
    if redo and (directory / MANIFEST).exists():
        raise RunRefused(
            f"{directory}: --redo with shard= would replace the whole by a part; --redo without shard="
        )


def _part(task: Task, shard: Shard) -> Done:
    _refuse_redo_of_a_part(task.directory, redo=task.redo)
    if is_finished(task.directory, task.fresh):
        if entries(task.directory, Kind.PART):  # a kill came between the join and this
            with suppress(RunHeld), Claim.take(task.directory):
                drop_parts(task.directory)
        return Done(task.directory, "is already done")
    check_parts(task.directory, shard, task.fresh)
    part = shard.directory(task.directory)
    _carried_out(task, part)
    if missing := unfinished_parts(task.directory, shard):
        return Done(part, f"is done, waits for parts {', '.join(map(str, missing))} of {shard.total}")
    try:
        with claimed(task.directory, task.fresh, task.yaml, redo=False) as whole:
            if whole is not None:
                check_parts(task.directory, shard, task.fresh)
                join(whole, shard)
                drop_parts(task.directory)
    except RunHeld:
        return Done(part, "is done, another process is joining the parts")
    return Done(task.directory, "is done")


def _carried_out(task: Task, target: Path) -> bool:
    """Let the stage fill a run directory; False when its result is there."""
    work = stages.load(task.stage)
    with claimed(target, task.fresh, task.yaml, redo=task.redo) as run:
        if run is None:
            return False
        say(f"{task.stage}: {'goes on in' if run.is_resumed else 'writes'} {target}")
        work.run(task.config, run)
        there = work.inputs(task.config, task.directory.parent.parent)
        for role, read in task.inputs.items():
            if role not in there or there[role].identity != read.identity:
                belongings.clear(target)
                raise ThinkusError(
                    f"{role}: {read.read} was changed while it was read; the same command begins anew"
                )
        run.finish()
    return True


def outlook(stage: str, config: StageConfig, name: str, *, redo: bool) -> Outlook:
    """Whether all that a run reads is there, before it waits in a queue."""
    directory = run_directory(stage, config, name)
    work = stages.load(stage)
    inputs = work.inputs(config, directory.parent.parent)
    fresh = _manifest(stage, name, config, inputs, work.prompts(config))
    make_writable(directory.parent)
    if getattr(config, "shard", None) is None:
        redo = redo or _is_outdated(stage, directory, fresh)
        if redo:
            belongings.refuse_to_clear(directory)
        elif not (directory / MANIFEST).exists():
            check_parts(directory, None, fresh)
        return Outlook(directory.absolute(), fresh.identity, not redo and is_finished(directory, fresh))
    shard = Shard.parse(config.shard)  # type: ignore[attr-defined]
    _refuse_redo_of_a_part(directory, redo=redo)
    check_parts(directory, shard, fresh)
    part = shard.directory(directory)
    waits_for_others = is_finished(part, fresh) and bool(unfinished_parts(directory, shard))
    return Outlook(part.absolute(), fresh.identity, waits_for_others or is_finished(directory, fresh))


def previewed(stage: str, config: StageConfig, name: str, config_yaml: str, count: int) -> None:
    """Let a stage show the first of what it reads or makes; what it asks for is not asked for again."""
    directory = run_directory(stage, config, name)
    work: Any = stages.load(stage)
    if hasattr(work, "look"):  # at what it would read; nothing is made
        work.look(config, directory.parent.parent, count)
        return
    inputs = work.inputs(config, directory.parent.parent)
    fresh = _manifest(stage, name, config, inputs, work.prompts(config))
    if is_finished(directory, fresh):
        work.show_finished(directory, count)
        return
    check_parts(directory, None, fresh)
    with claimed(directory, fresh, config_yaml, redo=False) as run:
        if run is not None:
            work.preview(config, run, count)


def plan(stage: str, config: StageConfig, name: str) -> list[str]:
    """What `execute` would do, without a write."""
    directory = run_directory(stage, config, name)
    work = stages.load(stage)
    inputs = work.inputs(config, directory.parent.parent)
    fresh = _manifest(stage, name, config, inputs, work.prompts(config))
    reads = [f"reads {read.read} ({read.description})" for read in inputs.values()]
    outdated = _is_outdated(stage, directory, fresh)
    outlook = f"writes {directory} anew" if outdated else _outlook(directory, fresh)
    return [*reads, *work.plan(config, directory.parent.parent), outlook]


def _outlook(directory: Path, fresh: Manifest) -> str:
    existing = next(folder for folder in (directory, *directory.absolute().parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return f"would be refused: root: cannot write into {directory}; choose another with root=DIR"
    try:
        if is_finished(directory, fresh):
            return f"nothing to do: {directory} is already done"
    except RunRefused as error:
        return f"would be refused: {error}"
    return f"{'goes on in' if (directory / MANIFEST).exists() else 'writes'} {directory}"


def _manifest(
    stage: str, name: str, config: StageConfig, inputs: Mapping[str, Input], used: Sequence[str]
) -> Manifest:
    digests = {prompt: prompts.load(prompt).digest for prompt in used}
    parts = made_from(config, {role: read.identity for role, read in inputs.items()}, digests)
    return Manifest(
        schema=RUN_SCHEMA,
        thinkus=__version__,
        stage=stage,
        name=name,
        status="started",
        identity=identity_of(parts),
        made_from=parts,
        inputs={role: InputFacts(without_home(read.read), read.identity) for role, read in inputs.items()},
        prompts=digests,
        seed=config.seed,
        git_commit=facts.git_commit(),
        packages=facts.packages(),
        hardware=facts.hardware(),
        started=now(),
    )

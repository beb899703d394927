"""From a checked config to a finished run: skip, resume, refuse or begin, then finish."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from thinkus import __version__, facts, prompts, stages
from thinkus.config import StageConfig
from thinkus.errors import RunRefused
from thinkus.identity import identity_of, made_from
from thinkus.paths import without_home
from thinkus.runs import (
    MANIFEST,
    RUN_SCHEMA,
    Input,
    InputFacts,
    Manifest,
    claimed,
    is_finished,
    make_writable,
    now,
)
from thinkus.shards import Shard, check_count, join, unfinished_parts


class Done(NamedTuple):
    """How a run ended, for the last line and for a sweep's table."""

    directory: Path
    how: str


def run_directory(stage: str, config: StageConfig, name: str) -> Path:
    return Path(config.root).expanduser() / stage / name


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
    whole = directory / MANIFEST
    shard = Shard.parse(text) if (text := getattr(config, "shard", None)) else None
    if not redo and not whole.exists():
        check_count(directory, shard)
    target = shard.directory(directory) if shard and not whole.exists() else directory
    with claimed(target, fresh, config_yaml, redo=redo) as run:
        if run is not None:
            say(f"{stage}: {'goes on in' if run.is_resumed else 'writes'} {target}")
            work.run(config, run)
            run.finish()
    if shard and target != directory and (missing := unfinished_parts(directory, shard)):
        return Done(target, f"waits for parts {', '.join(map(str, missing))} of {shard.total}")
    if shard and target != directory:
        with claimed(directory, fresh, config_yaml, redo=False) as joined:
            if joined is not None:
                join(joined)
    return Done(directory, "is already done" if run is None else "is done")


def plan(stage: str, config: StageConfig, name: str) -> list[str]:
    """What `execute` would do, without a write."""
    directory = run_directory(stage, config, name)
    work = stages.load(stage)
    inputs = work.inputs(config, directory.parent.parent)
    fresh = _manifest(stage, name, config, inputs, work.prompts(config))
    reads = [f"reads {read.read} ({read.description})" for read in inputs.values()]
    return [*reads, *work.plan(config, directory.parent.parent), _outlook(directory, fresh)]


def _outlook(directory: Path, fresh: Manifest) -> str:
    try:
        if is_finished(directory, fresh):
            return f"nothing to do: {directory} is already done"
    except RunRefused as error:
        return f"would be refused: {error}"
    return f"{'goes on in' if (directory / MANIFEST).exists() else 'writes'} {directory}"


def say(line: str) -> None:
    """Progress goes to stderr, so that stdout holds results alone."""
    print(line, file=sys.stderr, flush=True)


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

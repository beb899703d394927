"""A list of thinkus commands, a line each, as a script has them: read and checked before the first of them runs."""

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from thinkus import compose
from thinkus.config import StageConfig
from thinkus.errors import ConfigError, ThinkusError
from thinkus.execute import run_directory
from thinkus.runs import STAGES, status

SWEEP = ("-m", "--multirun")


class Errand(NamedTuple):
    """One run that a command asks for."""

    stage: str
    config: StageConfig
    directory: Path
    is_done: bool


def read(lines: Iterable[str]) -> list[Errand]:
    """Every run that is asked for, each once; all mistakes of all lines at once."""
    found: dict[Path, Errand] = {}
    mistakes: list[str] = []
    for number, line in enumerate(lines, 1):
        try:
            for errand in _errands(line):
                found.setdefault(errand.directory, errand)
        except ThinkusError as error:
            mistakes += [f"line {number}: {one}" for one in str(error).splitlines()]
    if mistakes:
        raise ConfigError(mistakes)
    return list(found.values())


def _errands(line: str) -> list[Errand]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise ThinkusError(f"cannot be read ({error}): {line.strip()[:80]}") from None
    if not words:
        return []
    if len(words) < 2 or Path(words[0]).name != "thinkus" or words[1] not in STAGES:
        raise ThinkusError(f"is no `thinkus STAGE KEY=VALUE...`: {line.strip()[:80]}")
    stage, said = words[1], [word for word in words[2:] if word not in SWEEP]
    jobs = compose.jobs(stage, said, sweep=len(said) < len(words) - 2)
    return [_errand(stage, job) for job in jobs]


def _errand(stage: str, job: compose.Job) -> Errand:
    directory = run_directory(stage, job.config, job.name)
    return Errand(stage, job.config, directory, directory.is_dir() and status(directory) == "done")

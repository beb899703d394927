"""What in a run directory is whose: results, what was paid for, traces of writers, and strangers.

`--redo` removes results and only results. A file that is none of ours is never touched.
"""

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from pathlib import Path

from thinkus.claims import STALE_AFTER_S, holder
from thinkus.errors import RunRefused
from thinkus.files import UNFINISHED

MANIFEST = "run.json"
HUMAN = "human.json"
"""What people said of a run's results."""
SHEET = "human-sheet.csv"
SHEET_PAGE = "human-sheet.html"
REPORT = "report.md"
FIGURES_CSV = "figures.csv"
DIFFERENCES_CSV = "differences.csv"
PAGE = "index.html"
CHECKPOINTS = "checkpoints"
TRAINING = "training"
"""Samples and logs, made anew each time; what is dear of a training lies in its checkpoints."""
RESULTS = (
    MANIFEST,
    "config.yaml",
    "records.jsonl",
    "failures.jsonl",
    "metrics.jsonl",
    REPORT,
    FIGURES_CSV,
    DIFFERENCES_CSV,
    PAGE,
    "model",
    CHECKPOINTS,
    TRAINING,
    "tensorboard",
    "wandb",
)
PASSING = (TRAINING, CHECKPOINTS)
"""Worth something until the run is done, and nothing after that."""
PAID_FOR = (
    "completions.sqlite",
    "completions.sqlite-wal",
    "completions.sqlite-shm",
    "completions.sqlite-journal",
    HUMAN,
    SHEET,
    SHEET_PAGE,
)
"""In money, or in the time of people who rated."""
SCRATCH = "passed"
PART = re.compile(r"part-(\d{4})-of-(\d{4})")
_TRACE = re.compile(r"claim-\d{1,9}\.json|\.(clock|claim|writable)-[0-9a-f]{32}|vllm-\w+-\d+\.log")
_LEFTOVER = re.compile(
    rf"({'|'.join(map(re.escape, (*RESULTS, SCRATCH)))})(\.[0-9a-f]{{32}})?{re.escape(UNFINISHED)}"
)


class Kind(Enum):
    RESULT = auto()
    PAID_FOR = auto()
    TRACE = auto()
    """Of a writer: its claim, a probe that a kill left behind, or the log of a server."""
    LEFTOVER = auto()
    """Of a writer that was killed: half a file."""
    PART = auto()
    """A shard's own run directory."""
    STRANGER = auto()


def kind_of(entry: Path) -> Kind:
    name = entry.name
    if entry.is_symlink() and name not in ("model", CHECKPOINTS):
        return Kind.STRANGER
    if _TRACE.fullmatch(name):
        return Kind.TRACE
    if name in PAID_FOR:
        return Kind.PAID_FOR
    if _LEFTOVER.fullmatch(name) and entry.is_file():
        return Kind.LEFTOVER
    if name in RESULTS:
        return Kind.RESULT
    if PART.fullmatch(name) and entry.is_dir():
        return Kind.PART
    return Kind.STRANGER


def entries(directory: Path, *kinds: Kind) -> list[Path]:
    """What lies in a directory, of these kinds; nothing where there is no directory."""
    return (
        sorted(entry for entry in directory.iterdir() if kind_of(entry) in kinds)
        if directory.is_dir()
        else []
    )


def is_bare(directory: Path) -> bool:
    """Whether a run ended before it made anything that could be lost."""
    made = entries(directory, Kind.RESULT, Kind.PAID_FOR, Kind.PART, Kind.STRANGER)
    return all(entry.name in (MANIFEST, "config.yaml", TRAINING) for entry in made)


def refuse_to_clear(directory: Path) -> None:
    """Say, before anything is removed, why it must not be."""
    results = entries(directory, Kind.RESULT)
    if results and not (directory / MANIFEST).exists():
        raise RunRefused(
            f"{directory}: holds {results[0].name} but no {MANIFEST}, so it may not be ours; move it away"
        )
    for part in (directory, *entries(directory, Kind.PART)):
        if strangers := entries(part, Kind.STRANGER):
            raise RunRefused(
                f"{strangers[0]}: is not of thinkus's making, so --redo leaves it all; move it away"
            )
        if part != directory and (owner := holder(part)):
            raise RunRefused(f"{part}: is being written by {owner}; stop that process first")


def clear(directory: Path) -> None:
    """Remove what a run derived, the manifest last: until then it says that the run is not done."""
    for entry in _to_remove(directory):
        _remove(entry)
    for part in entries(directory, Kind.PART):
        if not any(part.iterdir()):
            part.rmdir()


def passing(directory: Path) -> list[Path]:
    return [directory / name for name in PASSING if (directory / name).exists()]


def remove_passing(directory: Path) -> None:
    for folder in passing(directory):
        _remove(folder)


def remove_leftovers(directory: Path) -> None:
    """Of writers that were killed; a probe that is young may be some other process's, at work just now."""
    young = time.time() - STALE_AFTER_S
    for entry in entries(directory, Kind.LEFTOVER, Kind.TRACE):
        with suppress(FileNotFoundError):
            is_old_probe = entry.name.startswith(".") and entry.stat().st_mtime < young
            if is_old_probe or kind_of(entry) is Kind.LEFTOVER:
                entry.unlink()


def _to_remove(directory: Path) -> Iterator[Path]:
    for entry in entries(directory, Kind.RESULT, Kind.LEFTOVER):
        if entry.name != MANIFEST:
            yield entry
    for part in entries(directory, Kind.PART):
        yield from entries(part, Kind.RESULT, Kind.LEFTOVER, Kind.TRACE)


def _remove(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        for inner in entry.iterdir():
            _remove(inner)
        entry.rmdir()
    else:
        entry.unlink(missing_ok=True)

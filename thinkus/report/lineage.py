"""From a run back to those that it was made from, as far as they are still there."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from thinkus.errors import RunRefused
from thinkus.paths import expanded
from thinkus.runs import Manifest, input_identity, load_manifest


class Found(NamedTuple):
    """A finished run, where it lies now."""

    directory: Path
    manifest: Manifest


def behind(run: Found, role: str) -> Found | None:
    """What it read, if that very result is still there: where it lay, or beside the run, where all was moved."""
    facts = run.manifest.inputs.get(role)
    if facts is None:
        return None
    read = expanded(facts.read)
    beside = run.directory.parent.parent / read.parent.name / read.name
    for place in dict.fromkeys((read, beside)):
        with suppress(RunRefused, OSError):
            manifest = load_manifest(place)
            if manifest and manifest.status == "done" and _is_that(manifest, facts.identity):
                return Found(place, manifest)
    return None


def ancestors(runs: Iterable[Found]) -> list[Found]:
    """All runs behind these, each once, the nearest first."""
    known: dict[tuple[str, str, str], Found] = {}
    waiting = list(runs)
    while waiting:
        found = [one for run in waiting for one in _all_behind(run) if _key(one) not in known]
        waiting = list({_key(one): one for one in found}.values())
        known |= {_key(one): one for one in waiting}
    return list(known.values())


def _all_behind(run: Found) -> Iterator[Found]:
    for role in run.manifest.inputs:
        if (one := behind(run, role)) is not None:
            yield one


def _is_that(manifest: Manifest, identity: str) -> bool:
    """Weights are told by how they were made: to read them for this would take minutes."""
    own = input_identity(manifest)
    return own == identity if "records.jsonl" in manifest.files else own[:32] == identity[:32]


def _key(run: Found) -> tuple[str, str, str]:
    return run.manifest.stage, run.manifest.name, input_identity(run.manifest)

"""From a run back to those that it was made from, as far as they are still there."""

from collections.abc import Iterable, Iterator

from thinkus.judging.origin import Found, behind
from thinkus.runs import input_identity


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


def _key(run: Found) -> tuple[str, str, str]:
    return run.manifest.stage, run.manifest.name, input_identity(run.manifest)

"""Telling whether a person stops or goes on: from likelihoods of the end to a decision, and how good it is."""

from collections.abc import Sequence
from typing import NamedTuple


class Quality(NamedTuple):
    """Of finding the ends."""

    precision: float
    recall: float
    f1: float
    positions: int
    ends: int


Judged = tuple[bool, float]
"""Whether it was the end, and how likely that seemed."""


def quality(judged: Sequence[Judged], threshold: float) -> Quality:
    called = [(was, likely >= threshold) for was, likely in judged]
    hits = sum(was and says for was, says in called)
    ends, said = sum(was for was, _ in called), sum(says for _, says in called)
    precision, recall = hits / said if said else 0.0, hits / ends if ends else 0.0
    f1 = 2 * hits / (ends + said) if ends + said else 0.0
    return Quality(precision, recall, f1, len(judged), ends)


def best_threshold(judged: Sequence[Judged]) -> float:
    """The one with the best F1, in the middle of the gap that it stands in; of equals the highest."""
    ordered = sorted(judged, key=lambda one: -one[1])
    ends = sum(was for was, _ in ordered)
    best_f1, threshold, hits = 0.0, 0.5, 0
    for called, (was, likely) in enumerate(ordered, 1):
        hits += was
        below = ordered[called][1] if called < len(ordered) else 0.0
        f1 = 2 * hits / (ends + called)
        if (below < likely or called == len(ordered)) and f1 > best_f1:
            best_f1, threshold = f1, (likely + below) / 2
    return threshold

"""What one method has over another on the same conversations, and whether chance would have done as much."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from thinkus.scoring.bootstrap import (
    NOISE,
    NORMAL,
    RESAMPLES,
    Estimate,
    Figure,
    Floats,
    Sums,
    estimate,
    value_of,
)

ALPHA = 0.05
POWER = 0.8
SEEN = NORMAL.inv_cdf(1 - ALPHA / 2) + NORMAL.inv_cdf(POWER)
"""Standard errors that a true difference must measure, to be called one (two-sided) as often as POWER says."""
EXACT = 12
"""Conversations in which two methods differ, up to which every way of swapping is gone through."""
_BLOCK = 256


class Paired(NamedTuple):
    """A figure of one method less that of another, whose conversations are drawn together."""

    one: Figure
    other: Figure

    @property
    def conversations(self) -> int:
        if self.one.conversations != self.other.conversations:
            raise ValueError(f"{self.one.conversations} conversations against {self.other.conversations}")
        return self.one.conversations

    @property
    def telling(self) -> int:
        return min(self.one.telling, self.other.telling)

    def under(self, weights: Floats) -> Floats:
        return self.one.under(weights) - self.other.under(weights)

    def left_out(self) -> Floats:
        return self.one.left_out() - self.other.left_out()


class Difference(NamedTuple):
    estimate: Estimate
    p: float | None
    """How often two methods that are the same would differ as much.

    None where there is no difference to be had, and for figures that are not the same function of sums.
    """
    smallest: float | None
    """The smallest true difference that would have been called one, at 5 %, four times in five."""


def difference(one: Figure, other: Figure, seed: int, resamples: int = RESAMPLES) -> Difference:
    """The two in the same figure, over the same conversations in the same order."""
    found = estimate(Paired(one, other), seed, resamples)
    p = None
    if isinstance(one, Sums) and isinstance(other, Sums) and one.of is other.of:
        p = swapped_p(one, other, seed, resamples)
    return Difference(found, p, None if found.error is None else SEEN * found.error)


def swapped_p(one: Sums, other: Sums, seed: int, swaps: int = RESAMPLES) -> float | None:
    """Were the methods the same, either could as well have had the other's conversations.

    A way of swapping that leaves no figure speaks against a difference, as one that is as large does.
    """
    observed = value_of(Paired(one, other))
    if observed is None:
        return None
    differing = (one.rows != other.rows).any(axis=1)
    alike = one.rows[~differing].sum(axis=0)
    mine, theirs = one.rows[differing], other.rows[differing]
    is_exact = len(mine) <= EXACT
    as_large = tried = 0
    for swapped in _every_way(len(mine)) if is_exact else _ways(len(mine), seed, swaps):
        kept = 1 - swapped
        here, there = kept @ mine + swapped @ theirs, swapped @ mine + kept @ theirs
        found = one.of(alike + here) - one.of(alike + there)
        tried += len(found)
        as_large += len(found) - int((np.abs(found) < abs(observed) - NOISE).sum())
    # The way things are is one of all; among those drawn it is counted as one more.
    return as_large / tried if is_exact else (as_large + 1) / (tried + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected, so that one of the family is called a difference by chance no more often than a single one."""
    corrected, so_far = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = so_far
    return corrected


def _every_way(conversations: int) -> Iterator[Floats]:
    numbers = np.arange(2**conversations)
    yield (numbers[:, None] >> np.arange(conversations) & 1).astype(float)


def _ways(conversations: int, seed: int, count: int) -> Iterator[Floats]:
    """1 for a conversation that is swapped."""
    generator = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        yield generator.integers(0, 2, (rows, conversations), dtype=np.int8).astype(float)

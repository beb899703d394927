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
    draws,
    estimated,
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
    return differences([(one, other)], seed, resamples)[0]


def differences(
    pairs: Sequence[tuple[Figure, Figure]], seed: int, resamples: int = RESAMPLES
) -> list[Difference]:
    """All over as many conversations: from the same resamples, and the same ways of swapping."""
    if len(sizes := {Paired(*pair).conversations for pair in pairs}) > 1:
        raise ValueError(f"differences over {' and '.join(map(str, sorted(sizes)))} conversations")
    figures = {id(figure): figure for pair in pairs for figure in pair}
    drawn = dict(zip(figures, draws(list(figures.values()), seed, resamples), strict=True))
    found = [estimated(Paired(*pair), drawn[id(pair[0])] - drawn[id(pair[1])]) for pair in pairs]
    swapped = {
        at: _Swapped(one, other)
        for at, (one, other) in enumerate(pairs)
        if isinstance(one, Sums) and isinstance(other, Sums) and one.of is other.of
    }
    _swap(list(swapped.values()), seed, resamples)
    return [
        Difference(
            one, swapped[at].p if at in swapped else None, None if one.error is None else SEEN * one.error
        )
        for at, one in enumerate(found)
    ]


def swapped_p(one: Sums, other: Sums, seed: int, swaps: int = RESAMPLES) -> float | None:
    """Were the methods the same, either could as well have had the other's conversations.

    A way of swapping that leaves no figure speaks against a difference, as one that is as large does.
    """
    swapped = _Swapped(one, other)
    _swap([swapped], seed, swaps)
    return swapped.p


class _Swapped:
    """Two methods whose conversations change places: how often they are then as far apart as they are."""

    def __init__(self, one: Sums, other: Sums) -> None:
        self.one, self.other = one, other
        self._observed = value_of(Paired(one, other))
        self._here, self._there = one.rows.sum(axis=0), other.rows.sum(axis=0)
        self._as_large = self._tried = 0
        self._differing = (one.rows != other.rows).any(axis=1)
        self.is_exact = self._differing.sum() <= EXACT

    def go_through(self) -> None:
        """Every way of swapping conversations in which the two differ."""
        moves = (self.other.rows - self.one.rows)[self._differing]
        self.count(_every_way(len(moves)) @ moves)

    def count(self, moved: Floats) -> None:
        """What ways of swapping bring to the sums of the one, and take from those of the other."""
        found = self.one.of(self._here + moved) - self.one.of(self._there - moved)
        self._tried += len(found)
        self._as_large += len(found) - int((np.abs(found) < abs(self._observed or 0) - NOISE).sum())

    @property
    def p(self) -> float | None:
        if self._observed is None:
            return None
        # The way things are is one of all; among those drawn it is counted as one more.
        one_more = not self.is_exact
        return (self._as_large + one_more) / (self._tried + one_more)


def _swap(all_: Sequence[_Swapped], seed: int, swaps: int) -> None:
    for one in all_:
        if one.is_exact:
            one.go_through()
    drawn = [one for one in all_ if not one.is_exact]
    sides = {id(side): side for one in drawn for side in (one.one, one.other)}
    for swapped in _ways(drawn[0].one.conversations, seed, swaps) if drawn else ():
        sums = {key: swapped @ side.rows for key, side in sides.items()}
        for one in drawn:
            one.count(sums[id(one.other)] - sums[id(one.one)])


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected, so that one of the family is called a difference by chance no more often than a single one."""
    corrected, so_far = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        so_far = max(so_far, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = so_far
    return corrected


def _every_way(conversations: int) -> Floats:
    numbers = np.arange(2**conversations)
    swapped: Floats = (numbers[:, None] >> np.arange(conversations) & 1).astype(float)
    return swapped


def _ways(conversations: int, seed: int, count: int) -> Iterator[Floats]:
    """1 for a conversation that is swapped."""
    generator = np.random.default_rng(seed)
    for start in range(0, count, _BLOCK):
        rows = min(_BLOCK, count - start)
        yield generator.integers(0, 2, (rows, conversations), dtype=np.int8).astype(float)

"""95 % intervals by a bootstrap over conversations: the turns of one conversation are no independent witnesses.

A resample is a weight for each conversation, how often it was drawn. A figure that is made of sums over
conversations is computed for many resamples by one matrix product, and without each conversation in turn
by one subtraction.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from statistics import NormalDist
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
RESAMPLES = 9_999
LEVELS = (0.025, 0.975)
FEWEST = 10
"""Conversations that a figure must be made of for BCa: skewness is not to be had from fewer."""
DEFINED = 0.95
"""Of the resamples must have the figure, else what is left of them tells too little of all."""
_BLOCK = 256
NOISE = 1e-12
"""Sums of the same numbers in another order differ by less."""
NORMAL = NormalDist()


class Figure(Protocol):
    """A number that conversations come to; nan where there is none."""

    @property
    def conversations(self) -> int: ...

    @property
    def telling(self) -> int:
        """How many of them it is made of."""
        ...

    def under(self, weights: Floats, /) -> Floats:
        """For each row of weights, of which there is one for each conversation."""
        ...

    def left_out(self) -> Floats:
        """Without each of the conversations."""
        ...


class Sums(NamedTuple):
    """A figure that is a function of sums over conversations."""

    rows: Floats
    """What each conversation brings to each sum."""
    of: Callable[[Floats], Floats]
    """From rows of sums to as many values."""

    @property
    def conversations(self) -> int:
        return len(self.rows)

    @property
    def telling(self) -> int:
        return int(self.rows.any(axis=1).sum())

    def among(self, conversations: Sequence[int]) -> "Sums":
        """Of some of them, by their places: the same function of sums, whoever's the others are."""
        return Sums(self.rows[list(conversations)], self.of)

    def under(self, weights: Floats) -> Floats:
        return self.of(weights @ self.rows)

    def left_out(self) -> Floats:
        return self.of(self.rows.sum(axis=0) - self.rows)


class OverPairs(NamedTuple):
    """The mean of something over all pairs of different conversations.

    A conversation that was drawn twice makes no pair with itself: that would be as no two conversations are.
    """

    matrix: Floats
    """Symmetric, and 0 where one is held against itself or against one that is not there."""
    present: Floats
    """1 for a conversation that takes part, else 0."""

    @property
    def conversations(self) -> int:
        return len(self.present)

    @property
    def telling(self) -> int:
        return int(self.present.sum())

    def under(self, weights: Floats) -> Floats:
        held = weights * self.present
        pairs = held.sum(axis=1) ** 2 - (held**2).sum(axis=1)
        return divided(np.einsum("ri,ri->r", held @ self.matrix, held), pairs)

    def left_out(self) -> Floats:
        others = self.present.sum() - self.present
        return divided(self.matrix.sum() - 2 * self.matrix.sum(axis=1), others * (others - 1))


class Remembered:
    """A figure that is dear, and asked for under the same weights again: in a table, and in differences from others."""

    def __init__(self, made: Callable[[], Figure]) -> None:
        figure = made()
        self.conversations, self.telling = figure.conversations, figure.telling
        self._made, self._left_out = made, figure.left_out()
        self._known: dict[bytes, Floats] = {}

    def under(self, weights: Floats) -> Floats:
        key = blake2b(weights.tobytes()).digest()
        if key not in self._known:
            self._known[key] = self._made().under(weights)
        return self._known[key]

    def left_out(self) -> Floats:
        return self._left_out


class Interval(NamedTuple):
    low: float
    high: float
    method: Literal["bca", "percentile"]
    """Bias-corrected and accelerated; or, where that is undefined, as the resamples lie."""


class Estimate(NamedTuple):
    value: float | None
    """None where there is nothing to make it of."""
    interval: Interval | None
    """None where fewer than two conversations, or too few resamples, have the figure."""
    error: float | None
    """The standard error, as the resamples have it."""
    undefined: int = 0
    """Resamples without the figure; the interval is by percentile then, over the others."""


def estimates(figures: Mapping[str, Figure], seed: int, resamples: int = RESAMPLES) -> dict[str, Estimate]:
    """All from the same resamples, so that what is said of one goes with what is said of another."""
    sizes = {figure.conversations for figure in figures.values()}
    if len(sizes) > 1:
        raise ValueError(f"figures of different conversations: {', '.join(map(str, sorted(sizes)))} of them")
    drawn = draws(list(figures.values()), seed, resamples)
    return {name: estimated(figure, own) for (name, figure), own in zip(figures.items(), drawn, strict=True)}


def draws(figures: Sequence[Figure], seed: int, resamples: int) -> list[Floats]:
    """What each comes to in each of the same resamples."""
    conversations = max((figure.conversations for figure in figures), default=0)
    blocks: list[list[Floats]] = [[] for _ in figures]
    for weights in resampled(conversations, seed, resamples):
        for figure, own in zip(figures, blocks, strict=True):
            own.append(figure.under(weights))
    return [np.concatenate(own) for own in blocks]


def estimate(figure: Figure, seed: int, resamples: int = RESAMPLES) -> Estimate:
    return estimates({"": figure}, seed, resamples)[""]


def value_of(figure: Figure) -> float | None:
    value = float(figure.under(np.ones((1, figure.conversations)))[0])
    return None if math.isnan(value) else value


def resampled(conversations: int, seed: int, resamples: int) -> Iterator[Floats]:
    """How often each was drawn, a row a resample; in blocks, for all at once would take gigabytes."""
    if not conversations:
        raise ValueError("no conversations to draw from")
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _BLOCK):
        rows = min(_BLOCK, resamples - start)
        drawn = generator.integers(0, conversations, (rows, conversations))
        drawn += conversations * np.arange(rows)[:, None]
        times = np.bincount(drawn.ravel(), minlength=drawn.size)
        yield times.reshape(drawn.shape).astype(np.float64)


def divided(one: Floats, other: Floats) -> Floats:
    """What divides by nothing is no number."""
    quotient = np.full(np.broadcast_shapes(one.shape, other.shape), np.nan)
    np.divide(one, other, out=quotient, where=other > 0)
    return quotient


def estimated(figure: Figure, drawn: Floats) -> Estimate:
    """From what it comes to in the resamples."""
    value, defined = value_of(figure), drawn[~np.isnan(drawn)]
    undefined = len(drawn) - len(defined)
    if value is None or figure.telling < 2 or len(defined) < max(2, DEFINED * len(drawn)):
        return Estimate(value, None, None, undefined)
    levels = None
    if not undefined and figure.telling >= FEWEST:
        levels = _bca_levels(value, defined, figure.left_out())
    low, high = np.quantile(defined, levels or LEVELS)
    interval = Interval(float(low), float(high), "bca" if levels else "percentile")
    return Estimate(value, interval, float(defined.std(ddof=1)), undefined)


def _bca_levels(value: float, drawn: Floats, left_out: Floats) -> tuple[float, float] | None:
    """Where in the resamples the interval ends, for their bias and for an error that grows with the figure."""
    below = (np.count_nonzero(drawn < value) + np.count_nonzero(drawn <= value)) / (2 * len(drawn))
    apart = left_out.mean() - left_out
    if not 0 < below < 1 or not np.ptp(apart) > NOISE * max(1, abs(value)):
        return None
    bias = NORMAL.inv_cdf(below)
    acceleration = float((apart**3).sum() / (6 * (apart**2).sum() ** 1.5))
    low, high = (_moved(bias, bias + NORMAL.inv_cdf(level), acceleration) for level in LEVELS)
    return (low, high) if low is not None and high is not None else None


def _moved(bias: float, z: float, acceleration: float) -> float | None:
    shrunk = 1 - acceleration * z
    return NORMAL.cdf(bias + z / shrunk) if shrunk > 0 else None

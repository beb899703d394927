"""The win rate with the difference in length held at zero: what is left of it if longer is not better."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from thinkus.scoring.bootstrap import Floats, Sums, divided

Unfit = Literal["one outcome", "one length", "lengths apart", "length decides"]
"""Nobody ever won, or ever lost; all differ by the same; one is always the longer; no text wins against its length."""
_STEPS = 50
_STILL = 1e-10


class Decided(NamedTuple):
    """A duel that was won, lost or tied, and how long the two texts are, in words."""

    score: float
    """1, 0 for a tie, -1; halves where both orders count on their own."""
    candidate: int
    baseline: int


class Fit(NamedTuple):
    intercept: float
    slope: float
    """The log-odds of a win rise by this when the candidate becomes e times as long."""


def held_at_zero(conversations: Sequence[Sequence[Decided]]) -> Sums | Unfit:
    """r_w where both are of one length, by a logistic curve over the logarithm of how much longer the candidate is.

    A tie is half a win and half a loss, so that a curve that length does not bend gives r_w itself. The
    logarithm, for ten words more are much to five and little to five hundred. For a resample the curve is
    moved by one of Newton's steps from that of all, which takes sums over conversations alone.
    """
    longer = np.array([_longer(one) for own in conversations for one in own])
    won = np.array([(1 + one.score) / 2 for own in conversations for one in own])
    if unfit := _unfit(longer, won):
        return unfit
    curve = fit(longer, won)
    chance = _chance(curve, longer)
    design, spread, missed = _design(longer), chance * (1 - chance), won - chance
    rows = np.column_stack([design * missed[:, None], spread, spread * longer, spread * longer**2])
    ends = np.cumsum([len(own) for own in conversations])[:-1]
    summed = np.array([part.sum(axis=0) for part in np.split(rows, ends)])
    return Sums(summed, lambda sums: np.tanh((curve.intercept + _step(sums)) / 2))


def fit(longer: Floats, won: Floats) -> Fit:
    """By Newton's method; `held_at_zero` has seen to it that there is a curve to be found."""
    design, found = _design(longer), np.zeros(2)
    for _ in range(_STEPS):
        chance = _chance(found, longer)
        information = (design * (chance * (1 - chance))[:, None]).T @ design
        step = np.linalg.solve(information, design.T @ (won - chance))
        found += step
        if np.abs(step).max() < _STILL:
            break
    return Fit(float(found[0]), float(found[1]))


def _longer(one: Decided) -> float:
    return math.log((one.candidate + 1) / (one.baseline + 1))


def _unfit(longer: Floats, won: Floats) -> Unfit | None:
    winning, losing = longer[won > 0], longer[won < 1]
    if not len(winning) or not len(losing):
        return "one outcome"
    if not np.ptp(longer):
        return "one length"
    if longer.min() > 0 or longer.max() < 0:
        return "lengths apart"
    if losing.max() <= winning.min() or winning.max() <= losing.min():
        return "length decides"
    return None


def _design(longer: Floats) -> Floats:
    return np.column_stack([np.ones_like(longer), longer])


def _chance(curve: Sequence[float] | Floats, longer: Floats) -> Floats:
    """Of a win."""
    return (1 + np.tanh((curve[0] + curve[1] * longer) / 2)) / 2


def _step(sums: Floats) -> Floats:
    """Newton's, of the intercept: from the sums of the score (2) and of the information (3)."""
    score, score_x, all_, all_x, all_xx = sums.T
    return divided(all_xx * score - all_x * score_x, all_ * all_xx - all_x**2)

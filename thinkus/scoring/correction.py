"""The win rate as people would have it, from a judge of all duels and people of some."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from thinkus.scoring.bootstrap import Floats, Sums, divided
from thinkus.scoring.wins import Verdict

SCORES: dict[Verdict, float] = {"win": 1, "tie": 0, "loss": -1, "invalid": 0}
"""r_w is the mean of these. What a judge said unreadably is put right by people as any other error."""


class Ruled(NamedTuple):
    judge: float
    """The score of its verdict."""
    person: float | None = None
    """Of those who labelled it the mean; None where nobody did."""
    settled: bool = False
    """By a failure: no judge was asked, so there is no error, and nobody is shown it."""


def corrected_win_rate(conversations: Sequence[Sequence[Ruled]]) -> Sums:
    """The judge's mean over all, and the mean of (person - judge) over the labelled ones added.

    That is right on average whatever the judge's errors are, so long as the labelled ones were drawn at random
    from all that were judged; the other way, to invert the confusion of judge and person, holds only where
    errors hang on nothing but the person's verdict, and magnifies chance as the judge gets worse. The interval
    draws conversations with their labels, and so carries the uncertainty of both parts.
    """
    rows = [[_row(one) for one in own] for own in conversations]
    return Sums(np.array([np.sum(own, axis=0) if own else np.zeros(5) for own in rows]), _corrected)


def _row(one: Ruled) -> tuple[float, ...]:
    if one.person is None or one.settled:
        return one.judge, 1, not one.settled, 0, 0
    return one.judge, 1, 1, one.person - one.judge, 1


def _corrected(sums: Floats) -> Floats:
    judged, duels, asked, error, labelled = sums.T
    return np.clip(divided(judged + asked * divided(error, labelled), duels), -1, 1)

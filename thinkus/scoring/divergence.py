"""How far two sets of scores lie apart: Cramér-von Mises for ratings, Wasserstein for numbers of turns."""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal, get_args

Level = Literal["extremely_poor", "poor", "average", "good", "excellent"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""From the worst to the best; the place is the score."""


def histogram(levels: Iterable[Level]) -> dict[Level, int]:
    """Every level has its place, also one that nobody gave."""
    counts = Counter(levels)
    if unknown := counts.keys() - set(LEVELS):
        raise ValueError(f"no levels: {', '.join(sorted(unknown))}")
    return {level: counts[level] for level in LEVELS}


def level_divergence(golden: Sequence[Level], predicted: Sequence[Level]) -> float | None:
    return cramer_von_mises(
        [LEVELS.index(level) for level in golden], [LEVELS.index(level) for level in predicted]
    )


def cramer_von_mises(golden: Sequence[float], predicted: Sequence[float]) -> float | None:
    """The paper's D(F0||F1), summed over the golden scores: the two do not change places freely.

    Scores equal to x count half in F(x). The sum is taken in whole numbers, so that the result does not hang
    on their order or on the machine. None where there is nothing on one of the sides.
    """
    if not golden or not predicted:
        return None
    ordered_golden, ordered_predicted = sorted(golden), sorted(predicted)
    n0, n1 = len(golden), len(predicted)
    total = 0
    for score, times in Counter(golden).items():
        # 2 N F(x) is how many lie below x, and how many do not lie above.
        below0 = bisect_left(ordered_golden, score) + bisect_right(ordered_golden, score)
        below1 = bisect_left(ordered_predicted, score) + bisect_right(ordered_predicted, score)
        total += times * (below0 * n1 - below1 * n0) ** 2
    # alpha^2 * total / (2 N0 N1)^2, shortened.
    return math.sqrt(3 * total / (n0 * n1**2 * (4 * n0**2 - 1)))


def wasserstein(one: Sequence[float], other: Sequence[float]) -> float | None:
    """How far, on average, values must be moved to make the one sample the other (the 1-Wasserstein distance).

    It is in the values' own unit. The samples may differ in size.
    """
    if not one or not other:
        return None
    ordered_one, ordered_other = sorted(one), sorted(other)
    n1, n2 = len(one), len(other)
    moved = math.fsum(
        abs(bisect_right(ordered_one, left) * n2 - bisect_right(ordered_other, left) * n1) * (right - left)
        for left, right in pairwise(sorted({*one, *other}))
    )
    return moved / (n1 * n2)

"""The curve beside statsmodels' (0.15.0, a binomial GLM of shares), its resamples beside curves fitted anew."""

import numpy as np
import pytest

from thinkus.scoring.bootstrap import Sums, estimate, resampled, value_of
from thinkus.scoring.length import Decided, fit, held_at_zero

DECIDED = [
    Decided(*one)
    for one in (
        (1, 12, 5), (1, 9, 9), (0, 4, 6), (-1, 3, 8), (1, 30, 12), (1, 15, 20), (0, 7, 7), (1, 5, 6), (-1, 10, 4),
        (1, 18, 11), (0, 2, 0), (-1, 6, 13),
    )
]  # fmt: skip


def judged(conversations: int, quality: float, liking: float, seed: int = 1) -> list[list[Decided]]:
    """By a judge that likes what is longer, of a candidate that is mostly longer."""
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(conversations):
        own = []
        for _ in range(generator.integers(1, 6)):
            baseline = int(generator.integers(5, 40))
            candidate = int(baseline * generator.uniform(0.7, 2.5))
            odds = quality + liking * np.log((candidate + 1) / (baseline + 1))
            won = generator.random() < 1 / (1 + np.exp(-odds))
            own.append(Decided(1 if won else -1, candidate, baseline))
        found.append(own)
    return found


def raw(conversations: list[list[Decided]]) -> float:
    return float(np.mean([one.score for own in conversations for one in own]))


def fitted(found: object) -> Sums:
    assert isinstance(found, Sums)
    return found


def test_the_curve_is_that_of_statsmodels() -> None:
    longer = np.log([(one.candidate + 1) / (one.baseline + 1) for one in DECIDED])
    won = np.array([(1 + one.score) / 2 for one in DECIDED])
    assert fit(longer, won) == pytest.approx((0.41511079325679195, 0.9832392868403343), rel=1e-9)
    assert value_of(fitted(held_at_zero([[one] for one in DECIDED]))) == pytest.approx(0.2046254314636196)


def test_a_judge_that_likes_length_alone_has_nothing_left_at_zero() -> None:
    conversations = judged(400, quality=0, liking=3)
    found = estimate(fitted(held_at_zero(conversations)), 1, 999)
    assert raw(conversations) > 0.3
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high


def test_a_better_candidate_stays_better() -> None:
    found = estimate(fitted(held_at_zero(judged(400, quality=1, liking=3))), 1, 999)
    assert found.interval is not None
    assert found.interval.low < np.tanh(0.5) < found.interval.high


def test_where_length_does_not_count_it_is_the_win_rate() -> None:
    """Ties halved; each length has the same of each."""
    conversations = [[Decided(score, length, 9) for length in (4, 9, 20)] for score in (1, 1, 0, -1, 0.5)]
    assert value_of(fitted(held_at_zero(conversations))) == pytest.approx(raw(conversations)) == 0.3


def test_from_the_other_side_it_is_the_opposite() -> None:
    conversations = judged(30, quality=1, liking=1)
    turned = [[Decided(-one.score, one.baseline, one.candidate) for one in own] for own in conversations]
    here, there = (value_of(fitted(held_at_zero(side))) for side in (conversations, turned))
    assert here == pytest.approx(-(there or 0))


def test_resamples_are_near_to_curves_fitted_anew() -> None:
    conversations = judged(200, quality=0.5, liking=2)
    figure = fitted(held_at_zero(conversations))
    anew = []
    (weights,) = resampled(200, 3, 100)
    for row in weights:
        drawn = [one for place, times in enumerate(row) for one in conversations[place] * int(times)]
        anew.append(value_of(fitted(held_at_zero([drawn]))))
    near = figure.under(weights)
    assert near == pytest.approx(np.array(anew), abs=0.02)
    assert np.std(near) == pytest.approx(np.std(np.array(anew, dtype=float)), rel=0.03)


def test_a_curve_that_is_nearly_a_step_is_found() -> None:
    """Two in the middle keep it from being one."""
    longer = np.array([-3.0] * 50 + [3.0] * 50 + [1e-5, -1e-5])
    won = np.array([0.0] * 50 + [1.0] * 50 + [0.0, 1.0])
    curve = fit(longer, won)
    missed = won - 1 / (1 + np.exp(-(curve.intercept + curve.slope * longer)))
    assert curve.slope > 5
    assert (missed.sum(), missed @ longer) == pytest.approx((0, 0), abs=1e-6)


@pytest.mark.parametrize(
    ("decided", "why"),
    [
        ([(1, 5, 9), (1, 9, 5)], "one outcome"),
        ([], "one outcome"),
        ([(1, 5, 5), (-1, 9, 9), (1, 2, 2)], "one length"),
        ([(1, 9, 5), (-1, 8, 7), (1, 7, 6), (-1, 9, 6)], "lengths apart"),
        ([(1, 5, 9), (-1, 7, 8), (1, 6, 7), (-1, 6, 9)], "lengths apart"),
        ([(1, 9, 5), (-1, 5, 9), (0, 6, 6)], "length decides"),
        ([(1, 9, 5), (1, 8, 7), (-1, 5, 9), (-1, 6, 7)], "length decides"),
        ([(-1, 9, 5), (-1, 8, 7), (1, 5, 9), (0, 6, 6)], "length decides"),
    ],
)
def test_where_there_is_no_curve_it_says_why(decided: list[tuple[float, int, int]], why: str) -> None:
    assert held_at_zero([[Decided(*one)] for one in decided]) == why


def test_conversations_without_a_duel_have_their_place() -> None:
    conversations = [[], *([one] for one in DECIDED), []]
    figure = fitted(held_at_zero(conversations))
    assert (figure.conversations, figure.telling) == (14, 12)

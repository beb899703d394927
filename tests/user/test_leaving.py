"""How good a finder of ends is, counted by hand; and the best threshold against all that there are."""

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thinkus.user.leaving import Judged, best_threshold, quality

# As models give them: in single precision; few enough for ties.
likely = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.floats(0, 1, width=32))
judgements = st.lists(st.tuples(st.booleans(), likely), max_size=12)
SOME: list[Judged] = [(True, 0.9), (False, 0.8), (True, 0.6), (False, 0.4), (True, 0.2)]


def f1(judged: list[Judged], threshold: float) -> Fraction:
    """Exactly, from the four kinds of outcome."""
    hits = sum(was and seemed >= threshold for was, seemed in judged)
    missed = sum(was and seemed < threshold for was, seemed in judged)
    alarms = sum(not was and seemed >= threshold for was, seemed in judged)
    return Fraction(2 * hits, 2 * hits + missed + alarms) if hits else Fraction(0)


@pytest.mark.parametrize(
    ("threshold", "precision", "recall", "by_hand"),
    [
        (0.95, 0.0, 0.0, 0.0),
        (0.9, 1.0, 1 / 3, 1 / 2),
        (0.7, 1 / 2, 1 / 3, 2 / 5),
        (0.5, 2 / 3, 2 / 3, 2 / 3),
        (0.0, 3 / 5, 1.0, 3 / 4),
    ],
)
def test_quality_is_what_one_counts_by_hand(
    threshold: float, precision: float, recall: float, by_hand: float
) -> None:
    found = quality(SOME, threshold)
    assert (found.precision, found.recall, found.f1) == pytest.approx((precision, recall, by_hand))
    assert (found.positions, found.ends) == (5, 3)


@given(judgements, st.floats(0, 1))
def test_quality_is_that_of_the_four_kinds_of_outcome(judged: list[Judged], threshold: float) -> None:
    found = quality(judged, threshold)
    assert found.f1 == pytest.approx(float(f1(judged, threshold)))
    if found.precision and found.recall:
        assert found.f1 == pytest.approx(2 / (1 / found.precision + 1 / found.recall))


def test_nothing_to_judge_has_no_quality_and_does_not_fail() -> None:
    assert quality([], 0.5) == (0.0, 0.0, 0.0, 0, 0)
    assert quality([(False, 0.9)], 0.5) == (0.0, 0.0, 0.0, 1, 0)
    assert best_threshold([]) == 0.5
    assert best_threshold([(False, 0.9), (False, 0.1)]) == 0.5, "where nobody leaves there is none to choose"


@given(judgements)
@example([(True, 0.0)])
def test_no_threshold_is_better_than_the_best(judged: list[Judged]) -> None:
    chosen = f1(judged, best_threshold(judged))
    assert chosen == max((f1(judged, at) for _, at in judged), default=Fraction(0))


@given(judgements)
def test_of_equals_the_highest_is_taken(judged: list[Judged]) -> None:
    threshold = best_threshold(judged)
    best = f1(judged, threshold)
    if best:
        above = [at for _, at in judged if f1(judged, at) == best]
        assert threshold <= max(above)
        assert sum(at >= threshold for _, at in judged) == sum(at >= max(above) for _, at in judged)


def test_the_threshold_stands_in_the_middle_of_its_gap() -> None:
    assert best_threshold([(True, 0.9), (True, 0.75), (False, 0.25)]) == 0.5
    assert best_threshold([(True, 1.0), (False, 0.5)]) == 0.75
    assert best_threshold([(False, 0.5), (True, 0.5)]) == 0.25, "with nothing below, half way to 0"


def test_the_same_likelihood_is_never_told_apart() -> None:
    judged = [(True, 0.5), (False, 0.5), (False, 0.5), (True, 0.25)]
    for order in (judged, judged[::-1]):
        assert best_threshold(order) == 0.125
        assert quality(order, 0.5).f1 == pytest.approx(2 / 5)

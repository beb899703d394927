"""Cramér-von Mises by the paper's formula and Wasserstein by its definition, in fractions and by hand."""

from collections.abc import Sequence
from fractions import Fraction
from math import isclose, lcm, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.divergence import (
    LEVELS,
    Level,
    cramer_von_mises,
    histogram,
    level_divergence,
    wasserstein,
)

few = st.integers(1, 5)
samples = st.lists(few, min_size=1, max_size=12)
levels = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=12)


def share_below(sample: Sequence[int], score: int) -> Fraction:
    """Equation 5, term by term."""
    terms = [
        Fraction(1) if own < score else Fraction(1, 2) if own == score else Fraction(0) for own in sample
    ]
    return sum(terms, Fraction(0)) / len(sample)


def squared(golden: Sequence[int], predicted: Sequence[int]) -> Fraction:
    """Equation 4, term by term, squared so that it is a fraction."""
    n0 = len(golden)
    gaps = [(share_below(golden, score) - share_below(predicted, score)) ** 2 for score in golden]
    return Fraction(12 * n0, 4 * n0**2 - 1) * sum(gaps, Fraction(0))


@pytest.mark.parametrize("golden_size", [1, 2, 3, 10, 2_678])
@pytest.mark.parametrize("predicted", [[-1], [-3, -2, -1], [9_999] * 7])
def test_scores_that_lie_apart_without_ties_diverge_by_one(golden_size: int, predicted: list[int]) -> None:
    assert cramer_von_mises(range(golden_size), predicted) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("size", [1, 2, 5, 500, 2_678])
def test_one_level_against_another_diverges_by_what_ties_leave(size: int) -> None:
    expected = sqrt(3 * size**2 / (4 * size**2 - 1))
    for other in ("good", "extremely_poor"):
        all_average: list[Level] = ["average"] * size
        predicted: list[Level] = [other] * size
        assert level_divergence(all_average, predicted) == pytest.approx(expected, abs=1e-15)


def test_worked_by_hand_with_ties() -> None:
    # F0(1) = 1/3, F0(2) = 5/6; F1(1) = 1/6, F1(2) = 2/3: three gaps of 1/6. alpha^2 = 36/35.
    assert cramer_von_mises([1, 1, 2], [1, 2, 2]) == pytest.approx(sqrt(36 / 35 * 3 / 36))


def test_worked_by_hand_with_samples_of_two_sizes() -> None:
    # F0(1) = 1/4, F0(3) = 3/4; F1(1) = 0, F1(3) = 2/3: gaps of 1/4 and 1/12. alpha^2 = 24/15.
    assert cramer_von_mises([1, 3], [2, 2, 4]) == pytest.approx(sqrt(24 / 15 * (9 / 144 + 1 / 144)))
    # F0(2) = 1/3, F0(4) = 5/6; F1(2) = 1/2, F1(4) = 1: three gaps of 1/6. So the sides are not alike.
    assert cramer_von_mises([2, 2, 4], [1, 3]) == pytest.approx(sqrt(36 / 35 * 3 / 36))


def test_where_one_side_is_empty_nothing_is_compared() -> None:
    assert cramer_von_mises([], [1]) is cramer_von_mises([1], []) is None
    assert wasserstein([], [1]) is wasserstein([1], []) is None


@given(samples, samples)
def test_the_divergence_is_the_papers_formula(golden: list[int], predicted: list[int]) -> None:
    found = cramer_von_mises(golden, predicted)
    assert found is not None
    assert isclose(found, sqrt(squared(golden, predicted)), rel_tol=1e-14)
    assert 0 <= found <= 1


@given(samples, st.integers(1, 3), st.randoms(use_true_random=False))
def test_equal_samples_do_not_diverge(golden: list[int], times: int, chance: Random) -> None:
    predicted = golden * times
    chance.shuffle(predicted)
    assert cramer_von_mises(golden, predicted) == 0


@given(samples, samples)
def test_only_the_order_of_the_scores_counts(golden: list[int], predicted: list[int]) -> None:
    found = cramer_von_mises(golden, predicted)
    stretched = [score**3 for score in golden], [score**3 for score in predicted]
    mirrored = [-score for score in golden], [-score for score in predicted]
    backwards = golden[::-1], predicted[::-1]
    assert {cramer_von_mises(*other) for other in (stretched, mirrored, backwards)} == {found}


@given(levels, levels)
def test_levels_diverge_as_their_places_do(golden: list[Level], predicted: list[Level]) -> None:
    places = [[LEVELS.index(level) for level in side] for side in (golden, predicted)]
    assert level_divergence(golden, predicted) == cramer_von_mises(*places)


def test_levels_go_from_the_worst_to_the_best() -> None:
    assert LEVELS == ("extremely_poor", "poor", "average", "good", "excellent")


def test_a_histogram_has_a_place_for_each_level() -> None:
    assert histogram(["good", "poor", "good"]) == {
        "extremely_poor": 0,
        "poor": 1,
        "average": 0,
        "good": 2,
        "excellent": 0,
    }
    assert list(histogram([])) == list(LEVELS)


def test_a_histogram_takes_no_other_level() -> None:
    with pytest.raises(ValueError, match="no levels: Good, okay"):
        histogram(["good", "okay", "Good"])  # type: ignore[list-item]


def test_wasserstein_worked_by_hand() -> None:
    assert wasserstein([4, 1, 2], [2, 2, 2]) == 1, "1 goes up by 1, 4 goes down by 2, 2 stays: 3 moves of 3"
    # 1 1 1 3 3 3 beside 2 2 2 2 5 5: moved by 1, 1, 1, 1, 2, 2.
    assert wasserstein([1, 3], [2, 5, 2]) == pytest.approx(8 / 6)
    assert wasserstein([3], [10]) == 7


@given(samples, samples)
def test_wasserstein_moves_each_value_to_its_place(one: list[int], other: list[int]) -> None:
    found, size = wasserstein(one, other), lcm(len(one), len(other))
    long_one = sorted(one * (size // len(one)))
    long_other = sorted(other * (size // len(other)))
    assert found is not None
    moves = sum(abs(here - there) for here, there in zip(long_one, long_other, strict=True))
    assert found == pytest.approx(moves / size)
    assert found == wasserstein(other, one)
    assert abs(sum(one) / len(one) - sum(other) / len(other)) <= found + 1e-12


@given(samples, samples, samples, st.integers(-9, 9))
def test_wasserstein_is_a_distance(one: list[int], other: list[int], third: list[int], shift: int) -> None:
    here, there, across = wasserstein(one, other), wasserstein(other, third), wasserstein(one, third)
    assert here is not None
    assert there is not None
    assert across is not None
    assert across <= here + there + 1e-12
    assert wasserstein(one, one[::-1] * 2) == 0
    assert wasserstein([value + shift for value in one], [value + shift for value in other]) == here
    assert wasserstein(one, [value + shift for value in one]) == pytest.approx(abs(shift))

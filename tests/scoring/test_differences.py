"""Swaps beside every swap gone through by hand, Holm's correction beside statsmodels', differences with a known end."""

from itertools import product

import numpy as np
import pytest

from thinkus.scoring.bootstrap import Figure, Floats, OverPairs, Sums, estimate, value_of
from thinkus.scoring.differences import SEEN, Paired, difference, differences, holm, swapped_p
from thinkus.scoring.figures import first_turn_diversity, quantile, quotient, rate

SEED = 5


def duels(conversations: int, seed: int, wins: float = 0.4) -> Sums:
    generator = np.random.default_rng(seed)
    turns = generator.integers(1, 8, size=conversations)
    return Sums(generator.multinomial(turns, [wins, 0.8 - wins, 0.2]).astype(float), rate)


def by_every_swap(one: Floats, other: Floats) -> float:
    """One by one, each a figure of the rows as they would then stand."""
    found = []
    for swaps in product([False, True], repeat=len(one)):
        swapped = np.array(swaps)[:, None]
        sides = np.where(swapped, other, one), np.where(swapped, one, other)
        mine, theirs = (rate(side.sum(axis=0, keepdims=True))[0] for side in sides)
        found.append(abs(mine - theirs))
    return float(np.mean([size >= found[0] - 1e-9 for size in found]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("conversations", [1, 5, 9])
def test_with_few_conversations_p_is_that_of_every_swap(conversations: int, seed: int) -> None:
    one, other = duels(conversations, seed, 0.6), duels(conversations, 100 + seed)
    assert swapped_p(one, other, SEED) == by_every_swap(one.rows, other.rows)


def test_what_differs_only_in_how_sums_are_rounded_is_as_large() -> None:
    """Tenths: swapped whole it is as large as it was, whatever the order in which they are added."""
    tenths = np.array([[0.1, 1], [0.2, 1], [0.7, 1], [0.4, 1], [0.3, 1]])
    one, other = Sums(tenths, quotient), Sums(tenths - [0.1, 0], quotient)
    assert swapped_p(one, other, SEED) == 2 / 2**5


def test_conversations_in_which_both_are_alike_are_not_swapped() -> None:
    one, other, alike = duels(9, 1, 0.6), duels(9, 2), duels(60, 3)
    first, second = (Sums(np.vstack([side.rows, alike.rows]), rate) for side in (one, other))
    p = swapped_p(first, second, SEED)
    assert p is not None
    assert (p * 2**9).is_integer(), "gone through one by one"


def test_with_many_p_is_near_that_of_every_swap_and_never_0() -> None:
    one, other = duels(14, 1, 0.5), duels(14, 2, 0.3)
    assert swapped_p(one, other, SEED, 9_999) == pytest.approx(by_every_swap(one.rows, other.rows), abs=0.015)
    best, worst = (Sums(np.tile(row, (50, 1)), rate) for row in ([1.0, 0, 0], [0, 1.0, 0]))
    assert swapped_p(best, worst, SEED, 999) == 1 / 1000


def test_a_method_has_nothing_over_itself() -> None:
    one = duels(40, 1)
    found = difference(one, one, SEED, 500)
    assert (found.estimate.value, found.p, found.smallest) == (0, 1, 0)
    assert found.estimate.interval is not None
    assert found.estimate.interval[:2] == (0, 0)


def test_both_methods_have_the_same_resamples() -> None:
    """Who wins one turn more in every conversation is ahead by as much in every resample."""
    turns = np.random.default_rng(1).normal(size=40)
    lower, higher = (Sums(np.column_stack([turns + more, np.ones(40)]), quotient) for more in (0, 0.25))
    found = difference(higher, lower, SEED, 500).estimate
    assert found.interval is not None
    assert found.interval[:2] == pytest.approx((0.25, 0.25))
    apart = estimate(higher, SEED, 500).interval
    assert apart is not None
    assert apart.high - apart.low > 0.3


def test_from_the_other_side_it_is_the_opposite() -> None:
    one, other = duels(40, 1, 0.5), duels(40, 2, 0.3)
    here, there = difference(one, other, SEED, 999), difference(other, one, SEED, 999)
    assert here.estimate.value == -(there.estimate.value or 0)
    assert here.smallest == pytest.approx(there.smallest)
    assert here.p == there.p
    assert here.p is not None
    assert here.p < 0.01


def test_the_smallest_difference_is_seen_four_times_in_five() -> None:
    assert pytest.approx(2.8016, abs=1e-4) == SEEN
    values = np.random.default_rng(2).normal(size=(400, 2))
    one, other = (Sums(np.column_stack([side, np.ones(400)]), quotient) for side in values.T)
    smallest = difference(one, other, SEED, 2000).smallest
    assert smallest == pytest.approx(SEEN * np.sqrt(2 / 400), rel=0.1)
    generator = np.random.default_rng(3)
    seen = 0
    for _ in range(300):
        apart = generator.normal(size=400) - generator.normal(size=400) + (smallest or 0)
        seen += abs(apart.mean()) > 1.96 * apart.std() / 20
    assert 0.73 < seen / 300 < 0.87


def test_figures_over_the_values_of_two_methods_are_made_of_both_and_parted() -> None:
    generator = np.random.default_rng(1)
    short, long = (generator.integers(1, most, size=(30, 3)).tolist() for most in (10, 30))
    both = quantile(short + long, 0.5)
    one, other = both.among(range(30)), both.among(range(30, 60))
    assert value_of(one) == np.median(short)
    assert value_of(other) == np.median(long)
    assert difference(one, other, SEED, 200).p == 1 / 201


def test_figures_that_are_no_same_function_of_sums_have_an_interval_and_no_p() -> None:
    apart = quantile([[1], [2, 9]] * 6, 0.5), quantile([[4], [5, 7]] * 6, 0.5)
    pairs = first_turn_diversity([["a"], ["b", "a"], ["c"]] * 5), first_turn_diversity([["a"]] * 15)
    for one, other in (apart, pairs):
        found = difference(one, other, SEED, 200)
        assert found.p is None
        assert found.estimate.interval is not None
    assert isinstance(pairs[0], OverPairs)


def test_where_one_has_no_figure_there_is_no_difference() -> None:
    nothing = Sums(np.zeros((20, 3)), rate)
    found = difference(duels(20, 1), nothing, SEED, 100)
    assert (found.estimate.value, found.estimate.interval, found.p, found.smallest) == (None,) * 4


def test_methods_are_paired_over_as_many_conversations() -> None:
    with pytest.raises(ValueError, match="20 conversations against 21"):
        difference(duels(20, 1), duels(21, 1), SEED, 100)


def test_without_each_conversation_both_are_without_it() -> None:
    paired = Paired(duels(12, 1), duels(12, 2))
    assert paired.left_out() == pytest.approx(paired.under(1 - np.eye(12)))


def test_a_swap_that_leaves_no_figure_counts_against_a_difference() -> None:
    """Swapped whole, or not at all, each has what it had; else one of the two has nothing decided."""
    one, other = (
        Sums(np.array(rows, dtype=float), rate) for rows in ([[1, 0, 0], [0, 0, 0]], [[0, 0, 0], [0, 1, 0]])
    )
    assert swapped_p(one, other, SEED) == 1


def test_holms_correction_is_that_of_statsmodels() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005, 0.2]) == pytest.approx([0.04, 0.09, 0.09, 0.025, 0.2])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


def test_many_differences_are_each_what_it_is_alone() -> None:
    """Of few and many that differ, of figures that several share, and of such as cannot be swapped."""
    ones = [duels(20, seed) for seed in range(3)]
    near = Sums(np.vstack([ones[0].rows[:15], ones[1].rows[15:]]), rate)
    quartiles = [
        quantile(np.random.default_rng(seed).integers(1, 9, (20, 3)).tolist(), 0.5) for seed in (1, 2)
    ]
    pairs: list[tuple[Figure, Figure]] = [
        (ones[0], ones[1]),
        (ones[2], ones[0]),
        (ones[0], near),
        (quartiles[0], quartiles[1]),
        (ones[0], ones[0]),
    ]
    assert differences(pairs, SEED, 300) == [difference(*pair, SEED, 300) for pair in pairs]
    with pytest.raises(ValueError, match="over 20 and 21 conversations"):
        differences([*pairs, (duels(21, 1), duels(21, 2))], SEED, 300)

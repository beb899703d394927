"""Intervals beside scipy's, resample by resample; sums beside figures computed from what was drawn."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

from thinkus.scoring import bootstrap
from thinkus.scoring.bootstrap import (
    Estimate,
    Figure,
    Floats,
    OverPairs,
    Remembered,
    Sums,
    divided,
    estimate,
    estimates,
    resampled,
    value_of,
)
from thinkus.scoring.figures import quotient, rate

SEED = 7
SKEWED = np.random.default_rng(1).lognormal(size=(25, 2)).round(2)
DUELS = np.random.default_rng(2).integers(0, 4, size=(30, 3)).astype(float)


def alike(conversations: int, seed: int = 3) -> OverPairs:
    matrix = np.random.default_rng(seed).random((conversations, conversations))
    matrix += matrix.T
    present = np.ones(conversations)
    present[2] = 0
    matrix[2] = matrix[:, 2] = 0
    np.fill_diagonal(matrix, 0)
    return OverPairs(matrix, present)


def of_scipy(rows: Floats, of: Any, method: str, resamples: int) -> tuple[float, float]:
    """Which conversations were drawn is what it resamples."""

    def statistic(drawn: Any, axis: int) -> Any:
        return of(rows[drawn].sum(axis=-2).reshape(-1, rows.shape[1])).reshape(drawn.shape[:-1])

    found = stats.bootstrap(
        (np.arange(len(rows)),),
        statistic,
        n_resamples=resamples,
        method=method,
        vectorized=True,
        rng=np.random.default_rng(SEED),
    )
    return found.confidence_interval.low, found.confidence_interval.high


@pytest.mark.parametrize(("rows", "of"), [(SKEWED, quotient), (DUELS, rate)], ids=["a mean", "r_w"])
def test_intervals_are_those_of_scipy(rows: Floats, of: Any) -> None:
    found = estimate(Sums(rows, of), SEED, 999)
    assert found.interval is not None
    assert found.interval.method == "bca"
    assert found.interval[:2] == pytest.approx(of_scipy(rows, of, "BCa", 999), rel=1e-12)
    assert found.value == pytest.approx(of(rows.sum(axis=0, keepdims=True))[0], rel=1e-12)


def test_with_few_conversations_the_interval_is_scipys_by_percentile() -> None:
    few = SKEWED[: bootstrap.FEWEST - 1]
    found = estimate(Sums(few, quotient), SEED, 999)
    assert found.interval is not None
    assert found.interval.method == "percentile"
    assert found.interval[:2] == pytest.approx(of_scipy(few, quotient, "percentile", 999), rel=1e-12)


def test_conversations_that_bring_nothing_do_not_make_it_many() -> None:
    padded = np.vstack([SKEWED[: bootstrap.FEWEST - 1], np.zeros((20, 2))])
    interval = estimate(Sums(padded, quotient), SEED, 999).interval
    assert interval is not None
    assert interval.method == "percentile"


def test_a_resample_is_as_many_conversations_as_there_are() -> None:
    blocks = list(resampled(40, SEED, 600))
    drawn = np.vstack(blocks)
    assert len(blocks) > 1, "the seams are looked at too"
    assert drawn.shape == (600, 40)
    assert (drawn.sum(axis=1) == 40).all()
    assert drawn.mean(axis=0) == pytest.approx(1, abs=0.2)
    assert len(np.unique(drawn, axis=0)) == 600


def test_a_seed_has_its_own_resamples() -> None:
    one, same, other = (np.vstack(list(resampled(40, seed, 10))) for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


def test_figures_asked_together_are_as_asked_alone() -> None:
    both: dict[str, Figure] = {"mean": Sums(SKEWED, quotient), "pairs": alike(len(SKEWED))}
    together = estimates(both, SEED, 400)
    assert together == {name: estimate(figure, SEED, 400) for name, figure in both.items()}


def test_figures_of_different_conversations_have_no_resamples_in_common() -> None:
    with pytest.raises(ValueError, match="25, 30 of them"):
        estimates({"one": Sums(SKEWED, quotient), "other": Sums(DUELS, rate)}, SEED)
    with pytest.raises(ValueError, match="no conversations"):
        estimate(Sums(np.zeros((0, 3)), rate), SEED)


def test_a_mean_over_pairs_is_that_of_all_pairs_of_different_conversations() -> None:
    figure = alike(8)
    weights = np.array([[2, 0, 3, 1, 1, 0, 1, 0], [1] * 8, [8] + [0] * 7], dtype=float)
    for row, found in zip(weights, figure.under(weights), strict=True):
        drawn = [place for place in np.repeat(np.arange(8), row.astype(int)) if figure.present[place]]
        pairs = [figure.matrix[one, other] for one in drawn for other in drawn if one != other]
        assert (np.isnan(found) and not pairs) or found == pytest.approx(np.mean(pairs))


@pytest.mark.parametrize("figure", [alike(8), Sums(DUELS, rate)], ids=["pairs", "sums"])
def test_without_each_conversation_it_is_as_if_that_had_not_been(figure: Any) -> None:
    weights = 1 - np.eye(figure.conversations)
    assert figure.left_out() == pytest.approx(figure.under(weights))


@pytest.mark.parametrize("conversations", [3, 50])
def test_what_never_varies_has_an_interval_of_no_width_by_percentile(conversations: int) -> None:
    found = estimate(Sums(np.tile([0.7, 7.0], (conversations, 1)), quotient), SEED, 200)
    assert found.interval is not None
    assert found.interval.method == "percentile"
    assert found.interval[:2] == pytest.approx((0.1, 0.1))
    assert found.error == pytest.approx(0)


def test_where_all_resamples_lie_on_one_side_it_is_by_percentile() -> None:
    """Roots add up to the same only if they are the same ones, so no resample is as near to the whole as the whole."""
    roots = np.sqrt(np.arange(1.0, 21))[:, None]
    whole = Sums(roots, lambda sums: sums[:, 0])
    near = Sums(roots, lambda sums: -np.abs(sums[:, 0] - (value_of(whole) or 0)))
    found = estimate(near, SEED, 200)
    assert found.interval is not None
    assert found.value == 0 > found.interval.high
    assert found.interval.method == "percentile"


def test_one_conversation_says_nothing_of_how_much_they_vary() -> None:
    assert estimate(Sums(DUELS[:1], rate), SEED, 200) == Estimate(rate(DUELS[:1])[0], None, None, 0)


@pytest.mark.parametrize(("deciding", "missed", "has_interval"), [(5, 1 / 150, True), (2, 1 / 7, False)])
def test_resamples_without_the_figure_are_left_out_and_counted(
    deciding: int, missed: float, has_interval: bool
) -> None:
    """Few of a hundred conversations have a turn that is no tie; those that lack them all are another population."""
    rows = np.zeros((100, 3))
    rows[:deciding, 0], rows[0, 1], rows[:, 2] = 1, 0.5, 1
    found = estimate(Sums(rows, lambda sums: divided(sums[:, 0] - sums[:, 1], sums[:, 0])), SEED, 2000)
    assert found.value == pytest.approx(1 - 0.5 / deciding)
    assert found.undefined == pytest.approx(2000 * missed, rel=0.4)
    assert (found.interval is not None) == has_interval
    if found.interval:
        assert found.interval.method == "percentile"


def test_where_nothing_was_decided_there_is_neither_figure_nor_interval() -> None:
    assert estimate(Sums(np.zeros((20, 3)), rate), SEED, 50) == Estimate(None, None, None, 50)


def test_the_standard_error_of_a_mean_is_the_textbooks() -> None:
    values = np.random.default_rng(5).normal(size=200)
    figure = Sums(np.column_stack([values, np.ones(200)]), quotient)
    assert estimate(figure, SEED, 4000).error == pytest.approx(values.std() / np.sqrt(200), rel=0.04)
    (weights,) = resampled(200, SEED, 5)
    assert estimate(figure, SEED, 5).error == pytest.approx(np.std(figure.under(weights), ddof=1))


def test_what_is_remembered_is_what_it_would_be_and_is_made_once_for_the_same_weights() -> None:
    made = []

    def make() -> Figure:
        made.append(alike(30))
        return made[-1]

    figure = Remembered(make)
    assert estimate(figure, SEED, 999) == estimate(alike(30), SEED, 999)
    once = len(made)
    assert estimate(figure, SEED, 999) == estimate(figure, SEED, 999)
    assert len(made) == once
    assert estimate(figure, SEED + 1, 999) == estimate(alike(30), SEED + 1, 999)
    assert len(made) > once


def test_of_some_conversations_a_figure_is_what_it_is_of_them_alone() -> None:
    whole = Sums(DUELS, rate)
    some = whole.among([4, 2, 9])
    assert some.of is whole.of
    assert value_of(some) == value_of(Sums(DUELS[[4, 2, 9]], rate))

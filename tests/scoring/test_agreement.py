"""Kappas beside statsmodels', alpha beside krippendorff's, and small tables by hand."""

import krippendorff
import numpy as np
import pytest
from statsmodels.stats import inter_rater

from thinkus.scoring.agreement import (
    Item,
    base_rate,
    cohens_kappa,
    fleiss_kappa,
    ordinal_alpha,
    raw_agreement,
)
from thinkus.scoring.bootstrap import estimate, value_of

WTL = ("w", "t", "l")
ONE = "wwwwltwlwtwlwwtlwwtl"
OTHER = "wwtwltwwwtlltwtlwlwl"
LEVELS = tuple("12345")


def rated(*raters: str) -> list[list[Item]]:
    """An item a conversation."""
    return [[tuple(None if one == "*" else one for one in item)] for item in zip(*raters, strict=True)]


def given(raters: int, labels: str, seed: int, missing: float = 0.0) -> list[str]:
    """By raters who see the same, each with some chance of their own; * is a label that is missing."""
    chance = np.random.default_rng(seed)
    seen = chance.integers(len(labels), size=80)
    told = np.where(chance.random((raters, 80)) < 0.6, seen, chance.integers(len(labels), size=(raters, 80)))
    lost = chance.random((raters, 80)) < missing
    return [
        "".join(np.where(gone, "*", np.array(list(labels))[own]))
        for own, gone in zip(told, lost, strict=True)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_kappas_are_those_of_statsmodels(seed: int) -> None:
    three = given(3, "wtl", seed)
    table = [[item.count(label) for label in WTL] for item in zip(*three, strict=True)]
    theirs = inter_rater.fleiss_kappa(np.array(table))
    assert value_of(fleiss_kappa(rated(*three), WTL)) == pytest.approx(theirs)
    one, other = three[:2]
    square = [[sum(pair == (a, b) for pair in zip(one, other, strict=True)) for b in WTL] for a in WTL]
    theirs = inter_rater.cohens_kappa(np.array(square), return_results=False)
    assert value_of(cohens_kappa(rated(one, other), WTL)) == pytest.approx(theirs)


@pytest.mark.parametrize("seed", range(5))
def test_ordinal_alpha_is_that_of_krippendorff(seed: int) -> None:
    levels = given(3, "12345", seed, missing=0.2)
    numbers = np.array([[np.nan if one == "*" else float(one) for one in own] for own in levels])
    theirs = krippendorff.alpha(numbers, level_of_measurement="ordinal", value_domain=[1, 2, 3, 4, 5])
    assert value_of(ordinal_alpha(rated(*levels), LEVELS)) == pytest.approx(theirs)


def test_cohens_kappa_is_that_by_hand() -> None:
    """Of 50 grants both say yes to 20 and no to 15: agreed 0.7, by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5."""
    both = rated("y" * 25 + "n" * 25, "y" * 20 + "n" * 5 + "y" * 10 + "n" * 15)
    assert value_of(cohens_kappa(both, ("y", "n"))) == pytest.approx(0.4)


def test_alpha_minds_how_far_apart_levels_are() -> None:
    near, far = (
        value_of(ordinal_alpha(rated("1122334455", other), LEVELS)) for other in ("1122334454", "1122334451")
    )
    assert near is not None
    assert far is not None
    assert far < near < 1


@pytest.mark.parametrize("measure", [cohens_kappa, fleiss_kappa])
def test_items_that_one_left_out_do_not_count_for_kappa(measure: object) -> None:
    assert callable(measure)
    longer = measure(rated(ONE + "w*", OTHER + "*l"), WTL)
    assert value_of(longer) == value_of(measure(rated(ONE, OTHER), WTL))


@pytest.mark.parametrize("measure", [cohens_kappa, fleiss_kappa, ordinal_alpha, raw_agreement])
def test_those_who_always_agree_have_1(measure: object) -> None:
    assert callable(measure)
    assert value_of(measure(rated(ONE, ONE), WTL)) == pytest.approx(1)


@pytest.mark.parametrize("measure", [cohens_kappa, fleiss_kappa, ordinal_alpha])
def test_where_chance_alone_has_all_agree_there_is_nothing_beyond_it(measure: object) -> None:
    assert callable(measure)
    assert value_of(measure(rated("www", "www"), WTL)) is None
    assert value_of(measure(rated("***", "www"), WTL)) is None


def test_who_labels_blindly_agrees_no_more_than_by_chance() -> None:
    blind = rated("wl" * 30, "wwll" * 15)
    assert value_of(raw_agreement(blind, WTL)) == 0.5
    assert value_of(cohens_kappa(blind, WTL)) == 0


def test_raw_agreement_is_over_the_pairs_of_each_item() -> None:
    # Agreeing pairs: 1 of 3, 1 of 1, none of 1; the last has one label.
    assert value_of(raw_agreement(rated("wttw", "w*l*", "tt**"), WTL)) == pytest.approx((1 / 3 + 1 + 0) / 3)


def test_base_rates_are_of_what_a_rater_labelled() -> None:
    both = rated("wwl*", "tttw")
    assert value_of(base_rate(both, 0, "w")) == pytest.approx(2 / 3)
    assert value_of(base_rate(both, 1, "w")) == 0.25


def test_how_items_are_grouped_changes_the_interval_and_not_the_figure() -> None:
    alone = rated(ONE * 5, OTHER * 5)
    together = [[item for items in alone[start : start + 5] for item in items] for start in range(0, 100, 5)]
    for measure in (cohens_kappa, fleiss_kappa, raw_agreement):
        assert value_of(measure(alone, WTL)) == pytest.approx(value_of(measure(together, WTL)))
    by_item, by_conversation = (
        estimate(cohens_kappa(one, WTL), 1, 500).interval for one in (alone, together)
    )
    assert by_item is not None
    assert by_conversation is not None
    assert by_item.method == by_conversation.method == "bca"
    assert by_item != by_conversation


def test_an_unknown_label_is_refused() -> None:
    for measure in (fleiss_kappa, ordinal_alpha, raw_agreement):
        with pytest.raises(ValueError, match="no labels: x"):
            measure(rated("wx", "ww"), WTL)
    with pytest.raises(ValueError, match="not in tuple"):
        cohens_kappa(rated("wx", "ww"), WTL)

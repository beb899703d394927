"""By hand; and a judge whose errors are known, whose rate is wrong, and right once it is corrected."""

import numpy as np
import pytest

from thinkus.scoring.bootstrap import Estimate, Sums, estimate, value_of
from thinkus.scoring.correction import Ruled, corrected_win_rate
from thinkus.scoring.figures import mean

BY_HAND = [
    [Ruled(1, person=1), Ruled(1), Ruled(-1, settled=True)],
    [Ruled(1, person=-1), Ruled(0), Ruled(1)],
    [Ruled(1)],
]


def test_the_correction_is_that_by_hand() -> None:
    """Judged 4 in 7; off by -2 in two of those labelled, which goes for the six that were judged."""
    assert value_of(corrected_win_rate(BY_HAND)) == pytest.approx((4 + 6 * (-2 / 2)) / 7)


def test_what_people_think_of_a_settled_duel_is_not_asked() -> None:
    labelled = [[*BY_HAND[0][:2], Ruled(-1, person=1, settled=True)], *BY_HAND[1:]]
    assert value_of(corrected_win_rate(labelled)) == value_of(corrected_win_rate(BY_HAND))


def test_where_people_label_all_it_is_their_own_rate() -> None:
    all_labelled = [[Ruled(1, 0.5), Ruled(-1, 1)], [Ruled(0, -1)], []]
    assert value_of(corrected_win_rate(all_labelled)) == pytest.approx((0.5 + 1 - 1) / 3)


def test_without_labels_there_is_no_corrected_rate() -> None:
    assert estimate(corrected_win_rate([[Ruled(1)]] * 20), 1, 50) == Estimate(None, None, None, 50)


def test_it_is_no_more_than_all() -> None:
    assert value_of(corrected_win_rate([[Ruled(1)] * 9, [Ruled(-1, person=1)]])) == 1


def planted(seed: int, labels: int, partial: bool) -> tuple[list[list[Ruled]], float]:
    """Of a judge that calls half of what people call a loss a win; with the rate as people would have it."""
    generator = np.random.default_rng(seed)
    persons = [
        generator.choice([1, 0, -1], size=generator.integers(1, 20), p=[0.4, 0.1, 0.5]) for _ in range(150)
    ]
    judge = [np.where((own == -1) & (generator.random(len(own)) < 0.5), 1, own) for own in persons]
    whole = sum(map(len, persons))
    chosen = np.isin(np.arange(whole), generator.choice(whole, labels, replace=False))
    shown = iter(chosen if partial else np.ones(whole, dtype=bool))
    found = [
        [
            Ruled(float(said), float(person) if next(shown) else None)
            for said, person in zip(*both, strict=True)
        ]
        for both in zip(judge, persons, strict=True)
    ]
    return found, -0.1


def test_a_judge_with_known_errors_is_put_right() -> None:
    conversations, truth = planted(seed=1, labels=200, partial=True)
    found = estimate(corrected_win_rate(conversations), 1, 999).interval
    judged = [one.judge for own in conversations for one in own]
    assert np.mean(judged) > 0.3
    assert found is not None
    assert found.low < truth < found.high < 0.3


def covers(figure: Sums, truth: float, seed: int) -> bool:
    found = estimate(figure, seed, 199).interval
    assert found is not None
    return found.low <= truth <= found.high


def test_in_most_studies_the_truth_is_covered_where_the_judge_alone_never_does() -> None:
    corrected, alone = 0, 0
    for seed in range(60):
        conversations, truth = planted(seed, labels=150, partial=True)
        corrected += covers(corrected_win_rate(conversations), truth, seed)
        alone += covers(mean([[one.judge for one in own] for own in conversations]), truth, seed)
    assert alone == 0
    assert corrected >= 52, "57 are 95 %, and fewer than 52 come three times in a thousand"


def test_fewer_labels_make_a_wider_interval() -> None:
    """As wide as the labels have it, for the judge's own part is the same."""
    few, many, whole = (
        estimate(corrected_win_rate(planted(1, labels, partial)[0]), 1, 999).error or 0
        for labels, partial in ((100, True), (400, True), (0, False))
    )
    assert few > 1.6 * many > 1.6 * whole

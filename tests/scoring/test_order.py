"""Judges whose leaning is known, and counts by hand."""

from random import Random

import pytest

from thinkus.scoring.bootstrap import estimate, value_of
from thinkus.scoring.order import first_place, self_agreement, surviving
from thinkus.scoring.wins import Duel, Verdict

ALWAYS_FIRST = Duel(("win", "loss"))
"""With the candidate first it wins, and with the baseline first it loses."""
BY_HAND = [
    [Duel(("win", "win")), Duel(("win", "loss")), Duel(("tie", "win"))],
    [Duel(("loss", "win")), Duel(("tie", "tie")), Duel(("invalid", "win"))],
    [Duel(candidate_failed=True), Duel(("win",))],
]


def test_shares_are_those_by_hand() -> None:
    assert value_of(surviving(BY_HAND)) == 2 / 5
    # Named first: of win, win the one; of win, loss both; of tie, win (baseline first) none; of loss, win none.
    assert value_of(first_place(BY_HAND)) == 3 / 7


def test_what_one_order_alone_says_tells_nothing_of_places() -> None:
    assert value_of(first_place([[Duel(("win",))] * 3])) is None
    assert value_of(surviving([[Duel(("win",))] * 3, [Duel(("invalid", "tie"))]])) is None


def test_a_judge_that_always_prefers_the_first_place_is_seen() -> None:
    duels = [[ALWAYS_FIRST] * turns for turns in range(1, 20)]
    assert value_of(first_place(duels)) == 1
    assert value_of(surviving(duels)) == 0


def test_a_better_candidate_is_no_preference_for_a_place() -> None:
    duels = [[Duel(("win", "win"))] * turns for turns in range(1, 20)]
    assert value_of(first_place(duels)) == 0.5
    assert value_of(surviving(duels)) == 1


def test_a_judge_that_flips_coins_has_no_place_and_turns_half_the_time() -> None:
    chance = Random(3)
    sides: list[Verdict] = ["win", "loss"]
    duels = [[Duel((chance.choice(sides), chance.choice(sides))) for _ in range(5)] for _ in range(300)]
    for found in (estimate(first_place(duels), 1, 999), estimate(surviving(duels), 1, 999)):
        assert found.interval is not None
        assert found.interval.low < 0.5 < found.interval.high
        assert found.interval.high - found.interval.low < 0.06


def test_a_slight_leaning_is_told_from_none_by_its_interval() -> None:
    duels = [[ALWAYS_FIRST, *[Duel(("win", "win"))] * 4]] * 40 + [[Duel(("loss", "loss"))] * 5] * 40
    found = estimate(first_place(duels), 1, 999)
    assert found.value == pytest.approx(0.55)
    assert found.interval is not None
    assert found.interval.low > 0.5


def test_self_agreement_is_over_pairs_of_answers_and_questions_count_alike() -> None:
    asked: list[list[list[Verdict]]] = [
        [["win", "win", "win"], ["win", "loss", "win"]],
        [["tie", "invalid"], ["loss"], []],
    ]
    assert value_of(self_agreement(asked)) == pytest.approx((1 + 1 / 3 + 0) / 3)
    assert value_of(self_agreement([[["win"]]])) is None

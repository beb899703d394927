"""The paper's own rates from the paper's own counts; failures, orders and unreadable verdicts counted by hand."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.wins import Counts, Duel, Verdict, fold

PUBLISHED = {
    "Utterance SFT": ((8791, 5862, 362, 0.1951), (2066, 1278, 37, 0.2331)),
    "Prompt Thinking": ((8674, 5426, 915, 0.2163), (2175, 1093, 113, 0.3200)),
    "ThinkingUS on Instruct": ((9259, 5450, 306, 0.2537), (2267, 1080, 34, 0.3511)),
    "ThinkingUS on Base": ((9931, 4791, 293, 0.3423), (2472, 889, 20, 0.4682)),
    "Qwen3-8B Utterance SFT": ((10769, 3949, 297, 0.4542), (2459, 904, 18, 0.4599)),
    "Qwen3-8B ThinkingUS": ((11304, 3432, 279, 0.5243), (2628, 729, 24, 0.5617)),
    "Qwen3-4B Utterance SFT": ((10815, 3894, 306, 0.4609), (2468, 885, 28, 0.4682)),
    "Qwen3-4B ThinkingUS": ((11333, 3436, 246, 0.5259), (2636, 723, 22, 0.5658)),
}
"""On LMSYS and on WildChat: wins, losses, ties, r_w."""
ROWS = [
    pytest.param(*row, turns, id=f"{method} {turns}")
    for method, both in PUBLISHED.items()
    for row, turns in zip(both, (15_015, 3_381), strict=True)
]
ONE_OF_EACH = [
    Duel(("win", "win")),
    Duel(("win", "loss")),
    Duel(("tie", "win")),
    Duel(("invalid", "win")),
    Duel(candidate_failed=True),
    Duel(baseline_failed=True),
    Duel(candidate_failed=True, baseline_failed=True),
]
OPPOSITE: dict[Verdict, Verdict] = {"win": "loss", "loss": "win", "tie": "tie", "invalid": "invalid"}

verdicts = st.sampled_from(list(OPPOSITE))
failed = st.sampled_from([(True, False), (False, True), (True, True)]).map(lambda who: Duel((), *who))
duels = st.lists(st.one_of(st.tuples(verdicts, verdicts).map(Duel), st.tuples(verdicts).map(Duel), failed))


def from_the_other_side(duel: Duel) -> Duel:
    turned = tuple(OPPOSITE[verdict] for verdict in duel.verdicts)
    return Duel(turned, duel.baseline_failed, duel.candidate_failed)


@pytest.mark.parametrize(("wins", "losses", "ties", "published", "turns"), ROWS)
def test_the_published_rates_come_out_of_their_own_counts(
    wins: int, losses: int, ties: int, published: float, turns: int
) -> None:
    counts = Counts(wins, losses, ties)
    assert counts.rate is not None
    assert round(counts.rate, 4) == published
    assert wins + losses + ties == turns


@pytest.mark.parametrize(("wins", "losses", "ties", "published", "turns"), ROWS)
def test_the_published_rates_come_out_of_verdicts_judged_once(
    wins: int, losses: int, ties: int, published: float, turns: int
) -> None:
    once = [Duel(("win",))] * wins + [Duel(("loss",))] * losses + [Duel(("tie",))] * ties
    counted = fold(once)
    assert counted.strict == counted.lenient == Counts(wins, losses, ties)
    assert round(counted.strict.rate or 0, 4) == published


def test_each_kind_of_duel_is_counted_as_by_hand() -> None:
    counted = fold(ONE_OF_EACH)
    failures = {"invalid": 1, "candidate_failed": 1, "baseline_failed": 1, "both_failed": 1}
    assert counted.strict == Counts(wins=1 + 1, losses=1, ties=2 + 1, **failures)
    assert counted.lenient == Counts(wins=1 + 0.5 + 0.5 + 1, losses=0.5 + 1, ties=0.5 + 1, **failures)
    assert counted.turned == 2
    assert counted.strict.rate == (2 - 1) / 6
    assert counted.lenient.rate == (3 - 1.5) / 6


def test_without_the_failed_ones_only_what_was_judged_is_left() -> None:
    counted, judged = fold(ONE_OF_EACH), fold(duel for duel in ONE_OF_EACH if duel.verdicts)
    assert counted.strict.without_failed.rate == judged.strict.rate == 1 / 3
    assert counted.lenient.without_failed.rate == judged.lenient.rate == (2 - 0.5) / 3


def test_who_fails_at_every_turn_loses_every_turn() -> None:
    strict = fold([Duel(candidate_failed=True)] * 3).strict
    assert strict.rate == -1
    assert strict.without_failed.rate is None, "nothing is left to judge by"


def test_where_nothing_could_be_read_there_is_no_rate() -> None:
    counted = fold([Duel(("invalid", "loss")), Duel(("invalid",))])
    assert counted.strict == counted.lenient == Counts(0, 0, 0, invalid=2)
    assert (counted.strict.rate, counted.turned) == (None, 0)
    assert fold([]).lenient.rate is None


@pytest.mark.parametrize("duel", [Duel(), Duel(("win",), candidate_failed=True), Duel(("win",) * 3)])
def test_a_duel_that_nobody_settled_is_refused(duel: Duel) -> None:
    with pytest.raises(ValueError, match="neither judged"):
        fold([duel])


@given(duels)
def test_from_the_other_side_wins_are_losses(some: list[Duel]) -> None:
    here, there = fold(some), fold(map(from_the_other_side, some))
    for own, other in ((here.strict, there.strict), (here.lenient, there.lenient)):
        assert (own.wins, own.losses, own.ties, own.invalid) == (
            other.losses,
            other.wins,
            other.ties,
            other.invalid,
        )
        assert (own.rate is None) == (other.rate is None)
        assert own.rate is None or own.rate == -(other.rate or 0)


@given(duels)
def test_both_counts_are_of_all_the_duels(some: list[Duel]) -> None:
    counted = fold(some)
    for counts in (counted.strict, counted.lenient):
        assert counts.wins + counts.losses + counts.ties + counts.invalid == len(some)
        assert counts.rate is None or -1 <= counts.rate <= 1
        assert counts.without_failed.rate is None or -1 <= counts.without_failed.rate <= 1
    assert counted.lenient.ties <= counted.strict.ties
    assert (counted.strict == counted.lenient) == (counted.turned == 0)


@given(duels, st.randoms(use_true_random=False))
def test_neither_the_order_of_duels_nor_that_of_the_two_texts_counts(
    some: list[Duel], chance: Random
) -> None:
    turned_round = [duel._replace(verdicts=duel.verdicts[::-1]) for duel in some]
    chance.shuffle(turned_round)
    assert fold(turned_round) == fold(some)

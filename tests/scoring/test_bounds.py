"""By hand, and the bounds beside what any reading of the unreadable would give."""

import pytest

from thinkus.scoring.bounds import Bounds, bounds
from thinkus.scoring.wins import Counts, Duel, Verdict, fold


def test_bounds_are_those_by_hand() -> None:
    assert bounds(Counts(5, 2, 1, invalid=2)) == Bounds(lowest=0.1, highest=0.5)


def test_where_all_could_be_read_there_is_one_rate() -> None:
    counts = Counts(5, 2, 1)
    assert set(bounds(counts)) == {counts.rate}


def test_where_nothing_could_be_read_anything_is_possible() -> None:
    assert bounds(Counts(0, 0, 0, invalid=3)) == Bounds(-1, 1)
    assert bounds(Counts(0, 0, 0)) == Bounds(None, None)


@pytest.mark.parametrize("hidden", ["win", "loss", "tie"])
def test_whatever_a_verdict_hid_the_rate_lies_within(hidden: Verdict) -> None:
    read = [Duel(("win",)), Duel(("tie",)), Duel(("win", "loss")), Duel(candidate_failed=True)]
    lowest, highest = bounds(fold([*read, Duel(("invalid", "win"))]).strict)
    found = fold([*read, Duel((hidden,))]).strict.rate
    assert lowest is not None
    assert highest is not None
    assert found is not None
    assert lowest <= found <= highest
    assert found in (lowest, highest) or hidden == "tie"

"""Disclosure by hand: goals first, then dialogues, and nothing dropped without a word."""

from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.goals import Disclosure, Revealed, disclosure

readable: st.SearchStrategy[Revealed] = st.sampled_from([1, 0, -1])
dialogues = st.lists(st.lists(st.one_of(st.none(), readable), max_size=5), max_size=8)


def test_the_mean_is_over_goals_and_then_over_dialogues() -> None:
    found = disclosure([[1, 1, 1, -1], [0]])
    assert found.mean == (2 / 4 + 0) / 2, "and not 2/5, which is the mean over all goals"
    assert (found.dialogues, found.goals) == (2, 5)


def test_a_dialogue_without_goals_is_not_applicable_and_no_zero() -> None:
    assert disclosure([[1], [], []]) == Disclosure(1, 1, not_applicable=2, unjudged=0, goals=1, invalid=0)


def test_what_could_not_be_read_is_counted_and_not_in_the_mean() -> None:
    found = disclosure([[1, None, 0], [None, None], [-1]])
    assert found == Disclosure((1 / 2 - 1) / 2, 2, not_applicable=0, unjudged=1, goals=3, invalid=3)


def test_without_a_verdict_there_is_no_mean() -> None:
    assert disclosure([]).mean is None
    assert disclosure([[], [None]]) == Disclosure(None, 0, not_applicable=1, unjudged=1, goals=0, invalid=1)


@given(dialogues, st.randoms(use_true_random=False))
def test_every_dialogue_and_every_verdict_is_somewhere(
    some: list[list[Revealed | None]], chance: Random
) -> None:
    found = disclosure(some)
    assert found.dialogues + found.not_applicable + found.unjudged == len(some)
    assert found.goals + found.invalid == sum(map(len, some))
    assert found.mean is None or -1 <= found.mean <= 1
    for verdicts in some:
        chance.shuffle(verdicts)
    chance.shuffle(some)
    assert disclosure(some) == found


@given(
    st.integers(1, 4).flatmap(
        lambda many: st.lists(st.lists(readable, min_size=many, max_size=many), min_size=1)
    )
)
def test_with_equally_many_goals_each_it_is_the_plain_mean(some: list[list[Revealed]]) -> None:
    assert disclosure(some).mean == pytest.approx(fmean(verdict for verdicts in some for verdict in verdicts))

"""Endings counted by hand, and by the room that chooses the classifier's threshold."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.endings import Endings, endings
from thinkus.user.leaving import quality

conversations = st.lists(st.lists(st.booleans(), min_size=1, max_size=6), max_size=8)


def test_endings_are_what_one_counts_by_hand() -> None:
    found = endings([[False, False, True], [True, True, True], [False, False], [True]])
    assert found == Endings(
        positions=9,
        conversations=4,
        precision=3 / 5,
        recall=3 / 4,
        f1=2 * 3 / (5 + 4),
        premature=1 / 4,
        in_time=2 / 4,
        never=1 / 4,
    )


def test_who_never_leaves_finds_no_end() -> None:
    found = endings([[False], [False, False]])
    assert (found.precision, found.recall, found.f1) == (0, 0, 0)
    assert (found.premature, found.in_time, found.never) == (0, 0, 1)


def test_who_always_leaves_finds_every_end_and_is_too_early() -> None:
    found = endings([[True], [True, True], [True, True, True]])
    assert (found.precision, found.recall) == (3 / 6, 1)
    assert (found.premature, found.in_time, found.never) == (2 / 3, 1 / 3, 0)


def test_no_conversations_have_no_endings_and_do_not_fail() -> None:
    assert endings([]) == Endings(0, 0, 0, 0, 0, 0, 0, 0)


def test_a_conversation_without_a_reply_is_refused() -> None:
    with pytest.raises(ValueError, match="no position"):
        endings([[True], []])


@given(conversations)
def test_they_are_as_good_as_the_classifiers_own_measure_says(some: list[list[bool]]) -> None:
    found = endings(some)
    judged = [
        (place == len(leaves), float(leave)) for leaves in some for place, leave in enumerate(leaves, 1)
    ]
    assert (found.precision, found.recall, found.f1, found.positions, found.conversations) == quality(
        judged, 0.5
    )


@given(conversations.filter(bool), st.randoms(use_true_random=False))
def test_each_conversation_ends_too_early_in_time_or_never(some: list[list[bool]], chance: Random) -> None:
    found = endings(some)
    assert found.premature + found.in_time + found.never == pytest.approx(1)
    assert min(found) >= 0
    assert found.in_time <= found.recall <= found.in_time + found.premature + 1e-12
    chance.shuffle(some)
    assert endings(some) == found

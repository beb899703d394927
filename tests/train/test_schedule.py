"""The learning rate goes up in a line and down in half a cosine, whatever the share of the warm-up."""

from math import cos, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.train.schedule import share_of_lr

shares = st.floats(0, 1)


@pytest.mark.parametrize(
    ("progress", "expected"),
    [
        (0.0, 0.0),
        (0.05, 0.25),
        (0.1, 0.5),
        (0.2, 1.0),
        (0.4, 0.5 * (1 + cos(pi / 4))),
        (0.6, 0.5),
        (1.0, 0.0),
    ],
)
def test_it_goes_through_these_points(progress: float, expected: float) -> None:
    assert share_of_lr(progress, 0.2) == pytest.approx(expected, abs=1e-12)


@given(shares, shares, shares)
def test_it_rises_to_the_highest_and_then_falls(one: float, other: float, warmup: float) -> None:
    early, late = sorted((one, other))
    before, after = share_of_lr(early, warmup), share_of_lr(late, warmup)
    assert 0 <= before <= 1
    if late <= warmup:
        assert before <= after
    if early >= warmup:
        assert before >= after


def test_without_a_warmup_it_begins_at_the_highest() -> None:
    assert share_of_lr(0.0, 0.0) == 1.0
    assert share_of_lr(1.0, 0.0) == pytest.approx(0.0, abs=1e-12)


def test_all_of_it_may_be_warmup() -> None:
    assert [share_of_lr(progress, 1.0) for progress in (0.0, 0.5, 1.0)] == [0.0, 0.5, 1.0]


@given(st.floats(0.01, 0.99))
def test_it_does_not_jump_where_the_warmup_ends(warmup: float) -> None:
    assert share_of_lr(warmup, warmup) == 1.0
    assert share_of_lr(warmup * (1 - 1e-9), warmup) == pytest.approx(1.0)

"""How alike two texts are written: cases worked by hand, and what holds for any two."""

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.style import style

TEXTS = st.text(st.sampled_from("abAB .?!\n\u00e9\u4f60\U0001f600"), max_size=30)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # Grams, with ^ and $ for the ends: a, ^a, a$, ^a$ against b, ^b, b$, ^b$.
        ("a", "b", (0 + 1) / 2),
        # a, ^a, a$, ^a$ against a twice, ^a, aa, a$, ^aa, aa$: 2 + 1 + 1 of roots of 4 and 9.
        ("a", "aa", (4 / sqrt(4 * 9) + 1 / 2) / 2),
        # a, b, ^a, ab, b$, ^ab, ab$ against b, a, ^b, ba, a$, ^ba, ba$: the two characters alone are shared.
        ("ab", "ba", (2 / 7 + 1) / 2),
        # 7 grams against 10 (a, b, !, ^a, ab, b!, !$, ^ab, ab!, b!$), of which a, b, ^a, ab, ^ab are shared.
        ("ab", "ab!", (5 / sqrt(7 * 10) + 2 / 3) / 2),
        # Case counts: b, b$ are shared, and nothing else of 7 and 7.
        ("ab", "Ab", (2 / 7 + 1) / 2),
    ],
)
def test_by_hand(one: str, other: str, expected: float) -> None:
    assert style(one, other) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("one", "other"), [("a  b", "a b"), ("a\n\t b", "a b"), (" a b\n", "a b"), ("", " \n")]
)
def test_white_space_is_one_space_however_much_there_is(one: str, other: str) -> None:
    assert style(one, other) == 1.0
    assert style("ab", "a b") < 1.0


@given(TEXTS, TEXTS)
def test_it_is_the_same_from_both_sides_and_within_bounds(one: str, other: str) -> None:
    assert 0.0 <= style(one, other) == style(other, one) <= 1.0


@given(TEXTS)
def test_a_text_is_written_like_itself(text: str) -> None:
    assert style(text, text) == 1.0


@given(TEXTS, TEXTS)
def test_only_texts_that_are_the_same_to_the_eye_are_alike_in_all(one: str, other: str) -> None:
    """But for those whose grams are as often the same, which are longer than three characters."""
    if one.split() != other.split() and min(len(one), len(other)) <= 3:
        assert style(one, other) < 1.0


@given(TEXTS.filter(str.strip))
def test_saying_nothing_is_like_no_words(text: str) -> None:
    assert style("", text) == style(text, " ") == 0.0


@given(TEXTS.filter(str.strip), st.integers(2, 5))
def test_the_longer_the_less_alike(text: str, times: int) -> None:
    even = " ".join(text.split())
    assert style(even, even * times) > style(even, even * (times + 3))


def test_punctuation_and_case_tell_writers_apart_whatever_they_mean() -> None:
    hasty, formal = "hey can u fix this pls", "Could you please repair the following function?"
    assert style(hasty, "hi can u look at it pls") > 0.5 > style(hasty, formal)

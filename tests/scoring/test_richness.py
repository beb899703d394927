"""MATTR, HD-D and Yule's K, by hand and by their definitions."""

from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.richness import hd_d, mattr, yules_k

texts = st.lists(st.sampled_from("abcd"), min_size=1, max_size=9)


def test_mattr_worked_by_hand() -> None:
    # a b a: 2 different; b a c: 3; a c c: 2. So 7 of 3 windows of 3 words.
    assert mattr("abacc", window=3) == 7 / 9


def test_mattr_of_fifty() -> None:
    numbers = [str(number) for number in range(50)]
    assert mattr(numbers) == 1
    # The first window has 50, each of the five after it too: the word that comes is the one that went.
    assert mattr(numbers + numbers[:5]) == 1
    # First 0 .. 49, then 1 .. 49 and 49 again.
    assert mattr([*numbers, "49"]) == (50 + 49) / (2 * 50)
    assert mattr(["a"] * 60) == 1 / 50


def test_hd_d_worked_by_hand() -> None:
    # 2 of a a a b b c, in C(6,2) = 15 ways: without a C(3,2) = 3, without b C(4,2) = 6, without c C(5,2) = 10.
    # a is there in 12/15, b in 9/15, c in 5/15: together 26/15 different words of 2.
    assert hd_d("aaabbc", draws=2) == pytest.approx(26 / 15 / 2, abs=1e-15)


def test_hd_d_of_forty_two() -> None:
    assert hd_d([str(number) for number in range(42)]) == 1
    assert hd_d([str(number) for number in range(500)]) == pytest.approx(1, abs=1e-15), (
        "each is drawn in 42/500"
    )
    assert hd_d(["a"] * 500) == 1 / 42
    # 43 words, of which two are the same: all but one are drawn, so the pair is missed in no case, and each
    # of the 41 others in 1 of 43. 1 + 41 * 42/43 words are to be expected.
    assert hd_d([*map(str, range(42)), "41"]) == pytest.approx((1 + 41 * 42 / 43) / 42, abs=1e-15)
    # Twice 42: a word is missed in 1 of C(84,42) ways.
    assert hd_d(["a", "b"] * 42) == pytest.approx(2 * (1 - 1 / comb(84, 42)) / 42, abs=1e-15)


def test_yules_k_worked_by_hand() -> None:
    # a twice, b once: (4 + 1 - 3) / 9.
    assert yules_k("aab") == pytest.approx(10_000 * 2 / 9)
    assert yules_k("abc") == 0
    assert yules_k("aaaa") == 10_000 * 12 / 16


def test_a_text_that_is_too_short_is_not_measured() -> None:
    assert mattr(["a"] * 49) is hd_d(["a"] * 41) is yules_k([]) is None
    assert None not in (mattr(["a"] * 50), hd_d(["a"] * 42), yules_k(["a"]))


@given(texts, st.integers(1, 9))
def test_mattr_is_the_mean_over_all_windows(text: list[str], window: int) -> None:
    windows = [text[start : start + window] for start in range(len(text) - window + 1)]
    found = mattr(text, window)
    if not windows:
        assert found is None
        return
    shares = [Fraction(len(set(inside)), window) for inside in windows]
    assert found == float(sum(shares, Fraction(0)) / len(windows))
    assert found == mattr(text[::-1], window)


@given(texts, st.integers(1, 9))
def test_hd_d_is_the_mean_over_all_draws(text: Sequence[str], draws: int) -> None:
    ways = [len(set(drawn)) for drawn in combinations(text, draws)]
    found = hd_d(text, draws)
    assert found == (float(Fraction(sum(ways), len(ways) * draws)) if ways else None)
    assert found == hd_d(sorted(text), draws)


@given(texts)
def test_yules_k_counts_pairs_of_the_same_word(text: Sequence[str]) -> None:
    pairs = sum(one == other for one, other in combinations(text, 2))
    found = yules_k(text)
    assert found == pytest.approx(10_000 * 2 * pairs / len(text) ** 2)
    assert found == yules_k(text[::-1])

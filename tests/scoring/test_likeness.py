"""The measures of likeness by hand and by their definitions; the human and the simulated side by side."""

import time
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.scoring.likeness import (
    Lengths,
    Measured,
    Richness,
    Said,
    asks,
    first_turn_diversity,
    intent_repeated,
    lengths,
    measured,
    opens_politely,
    repeated,
    side_by_side,
)
from thinkus.scoring.words import content_words, words

turns = st.lists(st.sampled_from("abcde"), max_size=6)
FIFTY = " ".join(str(number) for number in range(50))


def by_definition(first_turns: Sequence[Sequence[str]]) -> Fraction:
    """Pair by pair."""
    pairs = list(combinations([set(turn) for turn in first_turns if turn], 2))
    return 1 - sum((Fraction(len(one & other), len(one | other)) for one, other in pairs), Fraction(0)) / len(
        pairs
    )


def test_first_turn_diversity_worked_by_hand() -> None:
    # 1 of 3 words shared, 2 of 3, 2 of 3: 5/9 on the mean.
    assert first_turn_diversity(["ab", "bc", "abc"]) == pytest.approx(4 / 9)
    assert first_turn_diversity(["ab", "cd"]) == 1
    assert first_turn_diversity(["ab", "ba", "aabb"]) == 0, "how often and in which order does not count"
    assert first_turn_diversity(["ab", "", "a"]) == 1 / 2, "who says nothing is not alike to anybody"


def test_one_first_turn_has_nothing_to_differ_from() -> None:
    assert (
        first_turn_diversity([]) is first_turn_diversity(["ab"]) is first_turn_diversity(["ab", ""]) is None
    )


@given(st.lists(turns, min_size=2, max_size=8).filter(lambda some: sum(map(bool, some)) > 1), st.randoms())
def test_first_turn_diversity_is_that_of_all_pairs(some: list[list[str]], chance: Random) -> None:
    found = first_turn_diversity(some)
    assert found is not None
    assert found == pytest.approx(float(by_definition(some)), abs=1e-15)
    assert 0 <= found <= 1
    chance.shuffle(some)
    assert first_turn_diversity(some) == found


def test_a_whole_test_set_of_first_turns_is_compared_in_a_moment() -> None:
    """Each shares 20 words with all the others, and has 20 of its own: 20 of 60 with each."""
    common = [f"common{number}" for number in range(20)]
    first_turns = [common + [f"own{place}-{number}" for number in range(20)] for place in range(2_678)]
    before = time.process_time()
    assert first_turn_diversity(first_turns) == pytest.approx(2 / 3, abs=1e-15)
    assert time.process_time() - before < 2, "pair by pair it takes several times as long as this may"


def test_the_share_of_the_intent_that_a_turn_repeats() -> None:
    intent = content_words("Plan a trip to Rome for my parents.")
    assert intent_repeated(intent, words("Rome, for my parents! Rome, please.")) == 2 / 4
    assert intent_repeated(intent, words("to a for my")) == 0, (
        "words that hold sentences together say nothing"
    )


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("How so?", True),
        ("Why? I see.", True),
        ('She asked "why?" twice', True),
        ("(really?!)", True),
        ("\u4e3a\u4ec0\u4e48\uff1f", True),
        ("how do I do that", False),
        ("see https://example.org/?q=1 please", False),
        ("", False),
    ],
)
def test_a_question_is_what_is_marked_as_one(text: str, is_one: bool) -> None:
    assert asks(text) is is_one


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Please, shorter.", True),
        ("THANK YOU so much", True),
        ("I'd appreciate it", True),
        ("I\u2019d appreciate it", True),
        ("Can you please help", True),
        ("Can you help", False),
        ("shorter, please", False),
        ("Thank", False),
        ("Hitherto unknown", False),
        ("", False),
    ],
)
def test_a_courtesy_opens_the_turn(text: str, is_one: bool) -> None:
    assert opens_politely(words(text)) is is_one


def test_repetition_worked_by_hand() -> None:
    # Of the second turn's bcd and cde the first one was said; of the fourth's abc, bcd and cde all.
    assert repeated(["abcd", "bcde", "xyz", "abcde"]) == [1 / 2, 0, 3 / 3]
    assert repeated(["abcd", "c", "cd", "dc"]) == [1, 1, 0], (
        "a turn of one or two words is a phrase as a whole"
    )
    assert repeated(["aaaa"]) == repeated([]) == [], "within a turn one may say what one likes"


@given(st.lists(turns.filter(bool), max_size=6))
def test_what_is_said_again_at_the_end_is_all_repetition(some: list[list[str]]) -> None:
    shares = repeated(some)
    assert len(shares) == max(0, len(some) - 1)
    assert all(0 <= share <= 1 for share in shares)
    assert all(repeated([*some, turn])[-1] == 1 for turn in some)
    assert not any(repeated([*some, ["new"], ["newer", *"xyz"]])[len(some) :]), "nor is what is new ever any"


def test_lengths_are_in_words() -> None:
    assert lengths([1, 2, 3, 4, 10]) == Lengths(4, 2, 3, 4)
    assert lengths([7]) == Lengths(7, 7, 7, 7)
    assert lengths([]) is None


def _said(intent: str, turns: tuple[str, ...]) -> Measured:
    return measured(Said(intent, turns))


HUMAN = [
    _said("plan a trip", ("plan it?", "trip", "plan it now ok")),
    _said("", ("hi there", FIFTY)),
    _said("bake bread", ("", "bake")),
]
SIMULATED = [
    _said("plan a trip", (FIFTY, FIFTY)),
    _said("", ("hello", f"{FIFTY} 0 0")),
    _said("bake bread", ("Could you bake bread?",)),
]


def test_side_by_side_each_measure_is_of_the_one_side() -> None:
    human, simulated = side_by_side(HUMAN, SIMULATED)
    assert (human.turns, simulated.turns) == (6, 5), "an empty turn is none"
    assert human.lengths == lengths([2, 1, 4, 2, 50, 1])
    assert human.questions == 1 / 6
    assert human.courtesy == 1 / 6
    assert (simulated.questions, simulated.courtesy) == (1 / 5, 2 / 5)
    # 1/2 for each of three turns, 1/2 for "bake"; the conversation without an intent is not in it.
    assert human.intent_decomposition == 1 / 2
    assert simulated.intent_decomposition == pytest.approx((0 + 0 + 1) / 3)
    # The person says no phrase again; of the simulated ones the first says all of its turn again, the second nothing.
    assert human.repetition == 0
    assert simulated.repetition == (1 + 0) / 2


def test_an_empty_first_turn_does_not_make_the_second_the_first() -> None:
    human, _ = side_by_side(HUMAN, SIMULATED)
    assert human.first_turn_diversity == 1
    shifted = [_said("", ("", "hi there")), _said("", ("hi there",)), _said("", ("so what",))]
    assert side_by_side(shifted, shifted)[0].first_turn_diversity == 1


def test_richness_is_over_conversations_in_which_both_said_enough() -> None:
    human, simulated = side_by_side(HUMAN, SIMULATED)
    # Only in the second: 52 words of the person, 53 simulated ones, of which 0 stands three times.
    assert human.mattr == Richness(1, 1)
    # "hello 0 .. 48" has 50, "0 .. 49" and "1 .. 49 0" too, "2 .. 49 0 0" 49.
    assert simulated.mattr == Richness((50 + 50 + 50 + 49) / (4 * 50), 1)
    assert human.hd_d.conversations == simulated.hd_d.conversations == 1
    # Of 52 words "hi there 0 .. 49" says none twice; of 53 "hello 0 .. 49 0 0" says 0 three times: (9 - 3) / 53^2.
    assert human.yules_k == Richness(0, 1)
    assert simulated.yules_k.conversations == 1
    assert simulated.yules_k.mean == pytest.approx(10_000 * 6 / 53**2)


@pytest.mark.parametrize(
    ("count", "is_enough"), [(0, False), (1, False), (41, False), (42, True), (43, True)]
)
def test_yules_k_takes_as_many_words_as_are_drawn_for_the_other(count: int, is_enough: bool) -> None:
    found = _said("", (" ".join(["bread"] * count),))
    assert (found.yules_k is not None) == (found.hd_d is not None) == is_enough
    if is_enough:
        assert found.yules_k == pytest.approx(10_000 * (count * count - count) / count**2)


def test_a_person_beside_themselves_is_the_same() -> None:
    one, other = side_by_side(HUMAN, HUMAN)
    assert one == other


def test_nobody_is_measured_as_nothing() -> None:
    one, other = side_by_side([], [])
    assert one == other
    assert one.turns == 0
    assert {value for value in one[1:] if not isinstance(value, Richness)} == {None}
    assert one.mattr == one.hd_d == one.yules_k == Richness(None, 0)


def test_other_conversations_are_refused() -> None:
    with pytest.raises(ValueError, match="3 conversations of people, 2 simulated"):
        side_by_side(HUMAN, SIMULATED[:2])

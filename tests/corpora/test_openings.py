from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from thinkus.corpora.openings import NGRAM_WORDS, Openings
from thinkus.corpora.words import word_hashes

turns = st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), max_size=12)


def overused(texts: list[str], limit: int, members: list[int] | None = None) -> list[int]:
    openings = Openings()
    for text in texts:
        openings.add(word_hashes(text))
    return openings.overused(limit, list(range(len(texts))) if members is None else members)


def ngrams(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[place : place + NGRAM_WORDS]) for place in range(len(words) - NGRAM_WORDS + 1)}


@given(turns, st.integers(1, 3))
def test_it_finds_what_counting_one_by_one_finds(texts: list[str], limit: int) -> None:
    counts = Counter(ngram for text in texts for ngram in ngrams(text))
    by_hand = [
        index for index, text in enumerate(texts) if any(counts[ngram] > limit for ngram in ngrams(text))
    ]
    assert overused(texts, limit) == by_hand


def test_a_template_goes_and_the_rest_stays() -> None:
    texts = [f"you are now going to act as the famous {name}" for name in ("poet", "king", "cook")]
    assert overused([*texts, "what is it that you are now going to do about it"], 2) == [0, 1, 2]


def test_a_turn_that_repeats_itself_is_not_many_turns() -> None:
    assert overused(["la " * 500], 5) == []


def test_only_members_are_counted() -> None:
    texts = ["one two three four five six seven eight"] * 4
    assert overused(texts, 2, [0, 1, 3]) == [0, 1, 3]
    assert overused(texts, 2, [0, 1]) == []

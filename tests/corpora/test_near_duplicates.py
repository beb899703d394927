"""Clusters against brute force: what is near is together, and only for that reason."""

import random
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.corpora import near_duplicates
from thinkus.corpora.near_duplicates import NearDuplicates
from thinkus.corpora.words import word_hashes

THRESHOLD = 0.6


def clusters(texts: list[str], threshold: float = THRESHOLD) -> list[int]:
    found = NearDuplicates(threshold)
    for text in texts:
        found.add(word_hashes(text))
    return found.clusters()


def partition(texts: list[str], labels: list[int]) -> set[frozenset[str]]:
    groups: dict[int, set[str]] = {}
    for text, label in zip(texts, labels, strict=True):
        groups.setdefault(label, set()).add(text)
    return {frozenset(group) for group in groups.values()}


def jaccard(one: str, other: str) -> float:
    def shingles(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 3]) for i in range(len(words) - 2)} or {(*words, str(len(words)))}

    a, b = shingles(one), shingles(other)
    return len(a & b) / len(a | b)


def family(seed: int) -> list[str]:
    """Texts of which some are edits of others, at every distance."""
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(60)]
    texts = [" ".join(draw.choices(vocabulary, k=draw.randint(1, 30))) for _ in range(12)]
    for _ in range(25):
        words = draw.choice(texts).split()
        for _ in range(draw.randint(1, 4)):
            words[draw.randrange(len(words))] = draw.choice(vocabulary)
        texts.append(" ".join(words))
    return sorted(set(texts))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_near_texts_are_connected_and_nothing_else_is(seed: int) -> None:
    texts = family(seed)
    labels = clusters(texts)
    linked = {text: {text} for text in texts}
    for one, other in combinations(range(len(texts)), 2):
        near = jaccard(texts[one], texts[other])
        if near >= 0.8:  # at the threshold itself banding may miss one in some hundreds
            assert labels[one] == labels[other], (texts[one], texts[other])
        if near >= THRESHOLD and linked[texts[one]] is not linked[texts[other]]:
            linked[texts[one]] |= linked[texts[other]]
            for text in linked[texts[other]]:
                linked[text] = linked[texts[one]]
    for one, other in combinations(range(len(texts)), 2):
        if labels[one] == labels[other]:
            assert texts[other] in linked[texts[one]]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.randoms(use_true_random=False))
def test_order_and_batches_do_not_matter(seed: int, shuffler: random.Random) -> None:
    texts = family(seed)
    expected = partition(texts, clusters(texts))
    shuffled = list(texts)
    shuffler.shuffle(shuffled)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "BATCH_WORDS", 50)
        assert partition(shuffled, clusters(shuffled)) == expected


def test_short_texts_match_only_themselves() -> None:
    texts = ["hi", "hi there", "Hi!", "there hi", "", "?", "ok", "hi hi", "hi 1", "👍", "👍 "]
    assert clusters(texts) == [0, 1, 0, 3, 4, 5, 6, 7, 8, 9, 9]


def test_scripts_without_spaces_have_words_too() -> None:
    text = "明天我要去超市参加收银员的面试请告诉我他们可能会问什么问题以及应该怎么回答"
    assert clusters([text, text.replace("超", "书")]) == [0, 0]
    assert clusters([text, "我没有经验怎么办"]) == [0, 1]


def test_a_crowd_with_one_template_takes_no_quadratic_time() -> None:
    template = " ".join(f"t{number}" for number in range(40))
    texts = [f"{template} {' '.join(f'x{number}y{place}' for place in range(15))}" for number in range(3000)]
    found = NearDuplicates(0.9)
    compared = 0
    original = found._near_to

    def counted(centre: int, others: Sequence[int]) -> list[bool]:
        nonlocal compared
        compared += len(others)
        return original(centre, others)

    found._near_to = counted  # type: ignore[method-assign]
    for text in texts:
        found.add(word_hashes(text))
    assert found.clusters() == list(range(3000))
    each_with_each = 3000 * 2999 / 2
    assert compared < near_duplicates.PERMUTATIONS // 10 * each_with_each / 10


def test_twins_in_a_crowd_are_found_all_the_same() -> None:
    draw = random.Random(0)
    template = [f"t{number}" for number in range(60)]
    crowd = [template + [f"x{draw.randrange(10**9)}" for _ in range(12)] for _ in range(600)]
    twins = []
    for words in crowd[:60]:
        twin = list(words)
        twin[65] = "other"
        twins.append(twin)
    labels = clusters([" ".join(words) for words in crowd + twins], 0.85)
    assert all(labels[index] == labels[600 + index] for index in range(60))


def test_nothing_has_no_clusters() -> None:
    assert clusters([]) == []


@pytest.mark.parametrize(("threshold", "rows"), [(0.95, 10), (0.75, 5), (0.5, 3), (0.3, 2)])
def test_bands_fit_the_threshold(threshold: float, rows: int) -> None:
    """So that at the threshold itself at most one pair in a thousand is missed."""
    assert near_duplicates.rows_of_a_band(threshold) == rows


def test_a_chain_is_one_cluster() -> None:
    draw = random.Random(0)
    for _ in range(100):
        words = [f"w{draw.randrange(10**6)}" for _ in range(60)]
        middle, other = list(words), list(words)
        for edited, place in ((middle, 20), (other, 20), (other, 40)):
            edited[place] = f"x{place}"
        assert len(set(clusters([" ".join(text) for text in (words, middle, other)], 0.85))) == 1

"""How alike to a person somebody sounds, measured without a model: the human and the simulated side by side."""

import re
from collections.abc import Iterable, Sequence
from statistics import fmean, quantiles
from typing import NamedTuple

import msgspec
import numpy as np

from thinkus.scoring.richness import DRAWS, hd_d, mattr, yules_k
from thinkus.scoring.words import content_words, words

GRAM = 3
# A mark at the end of something; one within a link is none.
_QUESTION = re.compile(r"[?\uff1f\u061f](?=[\"'\u201d\u2019)\]*_!?\uff1f]*(?:\s|$))")
COURTESIES = tuple(
    tuple(opener.split())
    for opener in (
        "please", "kindly", "thanks", "thank you", "many thanks", "sorry", "apologies", "my apologies", "excuse me",
        "pardon", "could you", "would you", "can you please", "will you please", "may i", "might i", "i appreciate",
        "i would appreciate", "i'd appreciate", "i would be grateful", "i'd be grateful", "hi", "hello", "hey",
        "greetings", "good morning", "good afternoon", "good evening", "good day", "dear",
    )
)  # fmt: skip
"""How polite English messages begin."""


class Said(NamedTuple):
    """By one person in one conversation."""

    intent: str
    """What the person wants, as the simulator was told."""
    turns: tuple[str, ...]
    """Empty where nothing was said or what was said could not be read, so that the first stays the first."""


class Lengths(NamedTuple):
    """Of turns, in words."""

    mean: float
    lower_quartile: float
    median: float
    upper_quartile: float


class Richness(NamedTuple):
    mean: float | None
    conversations: int
    """Those in which both said enough for it."""


class Likeness(NamedTuple):
    """None where there is nothing to measure. Shares are of all turns, except where said."""

    turns: int
    """That hold a word; the others say nothing and are left out everywhere."""
    lengths: Lengths | None
    first_turn_diversity: float | None
    intent_decomposition: float | None
    mattr: Richness
    hd_d: Richness
    yules_k: Richness
    questions: float | None
    courtesy: float | None
    """Turns that open with a courtesy."""
    repetition: float | None


class Measured(msgspec.Struct, frozen=True):
    """What one person said in one conversation, in numbers: all that the measures below are made of."""

    first: tuple[str, ...]
    """The different words of the first turn, in the alphabet's order."""
    words: tuple[int, ...]
    """Of each turn that holds one; so are the lists that follow."""
    questions: tuple[bool, ...]
    courtesy: tuple[bool, ...]
    intent: tuple[float, ...]
    """None at all where the intent has no content words."""
    repetition: tuple[float, ...]
    """Of each turn but the first."""
    mattr: float | None
    hd_d: float | None
    yules_k: float | None


def measured(said: Said) -> Measured:
    texts = [text for text in said.turns if text.strip()]
    turns = [words(text) for text in texts]
    intent = content_words(said.intent)
    every = [word for turn in turns for word in turn]
    return Measured(
        first=tuple(sorted({*words(said.turns[0])})) if said.turns else (),
        words=tuple(map(len, turns)),
        questions=tuple(map(asks, texts)),
        courtesy=tuple(map(opens_politely, turns)),
        intent=tuple(intent_repeated(intent, turn) for turn in turns) if intent else (),
        repetition=tuple(repeated(turns)),
        mattr=mattr(every),
        hd_d=hd_d(every),
        yules_k=yules_k(every) if len(every) >= DRAWS else None,
    )


def side_by_side(human: Sequence[Measured], simulated: Sequence[Measured]) -> tuple[Likeness, Likeness]:
    """The same conversations in the same order.

    The richness of a vocabulary is taken per conversation, over those in which both said enough for it, so
    that the two means are over the same ones.
    """
    if len(human) != len(simulated):
        raise ValueError(f"{len(human)} conversations of people, {len(simulated)} simulated ones")
    richness = [_means_of_both(human, simulated, measure) for measure in ("mattr", "hd_d", "yules_k")]
    return (
        _likeness(human, *(own for own, _ in richness)),
        _likeness(simulated, *(own for _, own in richness)),
    )


def _means_of_both(
    human: Sequence[Measured], simulated: Sequence[Measured], measure: str
) -> tuple[Richness, Richness]:
    pairs = [
        (getattr(one, measure), getattr(other, measure)) for one, other in zip(human, simulated, strict=True)
    ]
    both = [(one, other) for one, other in pairs if one is not None and other is not None]
    one, other = _mean(one for one, _ in both), _mean(other for _, other in both)
    return Richness(one, len(both)), Richness(other, len(both))


def _likeness(people: Sequence[Measured], mattr: Richness, hd_d: Richness, yules_k: Richness) -> Likeness:
    counts = [count for person in people for count in person.words]
    return Likeness(
        turns=len(counts),
        lengths=lengths(counts),
        first_turn_diversity=first_turn_diversity([person.first for person in people]),
        intent_decomposition=_mean(share for person in people for share in person.intent),
        mattr=mattr,
        hd_d=hd_d,
        yules_k=yules_k,
        questions=_mean(is_one for person in people for is_one in person.questions),
        courtesy=_mean(is_one for person in people for is_one in person.courtesy),
        repetition=_mean(share for person in people for share in person.repetition),
    )


def lengths(counts: Sequence[int]) -> Lengths | None:
    if not counts:
        return None
    # Twice, for quartiles of a single value are not defined; this way they are the value.
    quartiles = quantiles(counts if len(counts) > 1 else [*counts, *counts], n=4, method="inclusive")
    return Lengths(fmean(counts), *quartiles)


def first_turn_diversity(first_turns: Sequence[Sequence[str]]) -> float | None:
    """1 - the mean Jaccard similarity of their sets of words, over all pairs.

    For each turn the lists of the turns that hold its words are counted together, which gives what it shares with
    all the others at once. What is added up are whole numbers, by size of the union, so that
    neither the order nor the machine shows in the result.
    """
    vocabularies = [set(turn) for turn in first_turns if turn]
    count = len(vocabularies)
    if count < 2:
        return None
    holders: dict[str, list[int]] = {}
    for place, vocabulary in enumerate(vocabularies):
        for word in vocabulary:
            holders.setdefault(word, []).append(place)
    lists = {word: np.array(places, dtype=np.intp) for word, places in holders.items()}
    sizes = np.array([len(vocabulary) for vocabulary in vocabularies])
    shared_by_union = np.zeros(2 * sizes.max() + 1)
    for place, vocabulary in enumerate(vocabularies):
        shared = np.bincount(np.concatenate([lists[word] for word in vocabulary]), minlength=count)
        shared[place] = 0
        union = sizes + sizes[place] - shared
        shared_by_union += np.bincount(union, weights=shared, minlength=len(shared_by_union))
    similarity = sum(float(shared) / union for union, shared in enumerate(shared_by_union) if shared)
    return 1 - similarity / (count * (count - 1))


def intent_repeated(intent: set[str], turn: Sequence[str]) -> float:
    """The share of the intent's content words that stand in the turn."""
    return len(intent.intersection(turn)) / len(intent)


def asks(text: str) -> bool:
    """A question is what is marked as one: who leaves the mark out is not understood."""
    return _QUESTION.search(text) is not None


def opens_politely(turn: Sequence[str]) -> bool:
    return any(tuple(turn[: len(opener)]) == opener for opener in COURTESIES)


def repeated(turns: Sequence[Sequence[str]]) -> list[float]:
    """For each turn after the first, the share of its phrases that the person has said before.

    A phrase is three words in a row; a shorter turn is one as a whole.
    """
    said: set[tuple[str, ...]] = set()
    shares: list[float] = []
    for turn in turns:
        own = _phrases(turn, min(GRAM, len(turn)))
        if said:
            shares.append(len(own & said) / len(own))
        said.update(*(_phrases(turn, size) for size in range(1, GRAM + 1)))
    return shares


def _phrases(turn: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(turn[start : start + size]) for start in range(len(turn) - size + 1)}


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return fmean(numbers) if numbers else None

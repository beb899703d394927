"""Openings that too many conversations share: prompts of some program, not words of a person.

A conversation goes when any 7-gram of its first user turn stands in more first turns than a
limit allows (the rule of a published filter; see docs on data).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from thinkus.corpora.words import Hashes, mixed

NGRAM_WORDS = 7


class Openings:
    """The 7-grams of first turns, as 4 bytes each."""

    def __init__(self) -> None:
        self._ngrams: list[npt.NDArray[np.uint32]] = []

    def add(self, words: Hashes) -> None:
        ngrams = np.zeros(max(0, len(words) - NGRAM_WORDS + 1), dtype=np.uint64)
        for place in range(NGRAM_WORDS):
            ngrams = mixed(ngrams + words[place : place + len(ngrams)])
        # A turn that repeats itself counts once: the limit is about how many turns share a phrase.
        self._ngrams.append(np.unique((ngrams >> np.uint64(32)).astype(np.uint32)))

    def overused(self, limit: int, members: Sequence[int]) -> list[int]:
        """Of these turns the ones of which a 7-gram stands in more than `limit` of them."""
        if not members:
            return []
        ngrams = np.concatenate([self._ngrams[member] for member in members])
        owners = np.repeat(np.array(members, dtype=np.int64), [len(self._ngrams[m]) for m in members])
        values, counts = np.unique(ngrams, return_counts=True)
        return sorted(set(owners[np.isin(ngrams, values[counts > limit])].tolist()))

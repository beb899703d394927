"""Openings that too many conversations share: prompts of some program, not words of a person.

A conversation goes when any 7-gram of its first user turn stands in more first turns than a
limit allows (the rule of a published filter; see docs on data).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from thinkus.corpora.words import Hashes, mixed

NGRAM_WORDS = 7
BATCH_WORDS = 100_000
_PLACES = mixed(np.arange(1, NGRAM_WORDS + 1, dtype=np.uint64))
"""What the word at each place is multiplied with, so that order counts."""


class Openings:
    """The 7-grams of first turns, as 4 bytes each."""

    def __init__(self) -> None:
        self._waiting: list[Hashes] = []
        self._waiting_words = 0
        self._ngrams: list[npt.NDArray[np.uint32]] = []
        self._counts: list[int] = []
        """How many 7-grams each turn has."""

    def add(self, words: Hashes) -> None:
        self._waiting.append(words)
        self._waiting_words += len(words)
        if self._waiting_words >= BATCH_WORDS:
            self._hash_waiting()

    def overused(self, limit: int, members: Sequence[int]) -> list[int]:
        """Of these turns the ones of which a 7-gram stands in more than `limit` of them."""
        self._hash_waiting()
        is_member = np.zeros(len(self._counts), dtype=np.bool_)
        is_member[list(members)] = True
        owners = np.repeat(np.arange(len(self._counts), dtype=np.uint32), self._counts)
        ngrams = np.concatenate([*self._ngrams, np.empty(0, dtype=np.uint32)])
        ngrams, owners = ngrams[is_member[owners]], owners[is_member[owners]]
        values, counts = np.unique(ngrams, return_counts=True)
        often = np.isin(ngrams, values[counts > limit])
        # A turn that repeats itself counts once: the limit is about how many turns share a phrase.
        pairs = np.unique(ngrams[often].astype(np.uint64) << np.uint64(32) | owners[often])
        _, counts = np.unique(pairs >> np.uint64(32), return_counts=True)
        shared = np.repeat(counts > limit, counts)
        return sorted(set(pairs[shared].astype(np.uint32).tolist()))

    def _hash_waiting(self) -> None:
        """The 7-grams of all the turns that wait, in one sweep of array operations."""
        lengths = [max(0, len(words) - NGRAM_WORDS + 1) for words in self._waiting]
        ngrams = np.zeros(sum(lengths), dtype=np.uint64)
        for place in range(NGRAM_WORDS):
            parts = [words[place : place + n] for words, n in zip(self._waiting, lengths, strict=True)]
            if parts:
                ngrams += np.concatenate(parts) * _PLACES[place]
        self._ngrams.append((mixed(ngrams) >> np.uint64(32)).astype(np.uint32))
        self._counts += lengths
        self._waiting, self._waiting_words = [], 0

"""Which texts say nearly the same: Jaccard over word 3-grams, of a million texts in minutes.

MinHash with banding proposes pairs, the exact Jaccard of their shingles decides. Clusters are
what such pairs connect, so a chain of small edits is one cluster even where its ends differ:
right for a split that must not leak. They do not depend on the order of the texts. Where hundreds
share a template and little else, a pair just above the threshold may be missed; none far above it.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from thinkus.corpora.words import Hashes, mixed

Shingles = npt.NDArray[np.uint32]

SHINGLE_WORDS = 3
PERMUTATIONS = 160
FEWEST_MISSED = 0.001
# Thousands may share a template but little else. In so large a bucket comparing each with each would
# be quadratic, so it is given up when that many centres in a row found nobody near.
CROWD = 256
FRUITLESS_CENTRES = 16
BATCH_WORDS = 100_000


def rows_of_a_band(threshold: float) -> int:
    """As many rows as still miss at most one pair in a thousand at the threshold itself.

    Fewer rows propose more pairs in vain, more rows miss pairs: at 0.75 five rows in 32 bands miss one in
    5,000 (and at 0.85 one in a hundred million).
    """
    for rows in range(10, 1, -1):
        if (1 - threshold**rows) ** (PERMUTATIONS // rows) <= FEWEST_MISSED:
            return rows
    return 1


class _Batch(NamedTuple):
    """Texts that were hashed together."""

    ends: npt.NDArray[np.int64]
    """Where each text's shingles end."""
    shingles: Shingles
    """Of all texts, each sorted and without repetition."""


class NearDuplicates:
    """Texts, of which only hashes are kept: about 300 bytes each and 4 more a word."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._rows = rows_of_a_band(threshold)
        self._band_count = PERMUTATIONS // self._rows
        self._waiting: list[Hashes] = []
        self._waiting_words = 0
        self._batches: list[_Batch] = []
        self._firsts: list[int] = []
        """The index of each batch's first text."""
        self._count = 0
        self._bands: list[Hashes] = []
        self._keys: list[Hashes] = []
        """A hash of each text, to put texts in an order that is theirs and not the corpus's."""
        draw = np.random.default_rng(0).integers
        self._multipliers = draw(1, 2**63, PERMUTATIONS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
        self._offsets = draw(0, 2**63, PERMUTATIONS, dtype=np.uint64)

    def add(self, words: Hashes) -> None:
        """A text, by its words' hashes."""
        if len(words) < SHINGLE_WORDS:  # the whole text is its one shingle
            words = np.concatenate([words, np.full(SHINGLE_WORDS - len(words), len(words), dtype=np.uint64)])
        self._waiting.append(words)
        self._waiting_words += len(words)
        if self._waiting_words >= BATCH_WORDS:
            self._hash_waiting()

    def clusters(self) -> list[int]:
        """For each text the index of the first one in its cluster."""
        self._hash_waiting()
        parent = list(range(self._count))
        if self._count:
            bands, keys = np.concatenate(self._bands), np.concatenate(self._keys)
            for band in range(self._band_count):
                # Another order in each band, so that in a crowd others are the centres.
                for bucket in _buckets(bands[:, band], mixed(keys + np.uint64(band))):
                    self._join(bucket, parent)
        return [_root(parent, index) for index in range(self._count)]

    def _join(self, bucket: list[int], parent: list[int]) -> None:
        """Connect what is near in a bucket; each with each, but for crowds."""
        is_crowd, fruitless = len(bucket) > CROWD, 0
        while len(bucket) > 1 and not (is_crowd and fruitless == FRUITLESS_CENTRES):
            centre, *bucket = bucket
            own = _root(parent, centre)
            others = [other for other in bucket if _root(parent, other) != own]
            near = [
                other for other, is_near in zip(others, self._near_to(centre, others), strict=True) if is_near
            ]
            for other in near:
                one, two = _root(parent, centre), _root(parent, other)
                parent[max(one, two)] = min(one, two)
            fruitless = 0 if near else fruitless + 1
            if is_crowd:  # whoever is connected is no further centre
                joined = _root(parent, centre)
                bucket = [other for other in bucket if _root(parent, other) != joined]

    def _near_to(self, centre: int, others: Sequence[int]) -> list[bool]:
        """Whether each of the others is near to the centre, by the exact Jaccard of their shingles."""
        if not others:
            return []
        own, parts = self._shingles_of(centre), [self._shingles_of(other) for other in others]
        lengths = np.array([len(part) for part in parts])
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        theirs = np.concatenate(parts)
        is_shared = own[np.minimum(np.searchsorted(own, theirs), len(own) - 1)] == theirs
        shared = np.add.reduceat(is_shared, starts, dtype=np.int64)
        near: list[bool] = (shared >= self.threshold * (lengths + len(own) - shared)).tolist()
        return near

    def _shingles_of(self, index: int) -> Shingles:
        at = bisect_right(self._firsts, index) - 1
        ends, shingles = self._batches[at]
        place = index - self._firsts[at]
        return shingles[ends[place - 1] if place else 0 : ends[place]]

    def _hash_waiting(self) -> None:
        """Shingles, bands and keys of the texts that wait, all in one sweep of array operations."""
        if not self._waiting:
            return
        lengths = np.array([len(words) for words in self._waiting]) - (SHINGLE_WORDS - 1)
        first, second, third = (
            np.concatenate([words[at : len(words) - 2 + at] for words in self._waiting]) for at in range(3)
        )
        shingles = mixed(mixed(mixed(first) + second) + third)
        owners = np.repeat(np.arange(len(lengths), dtype=np.uint64), lengths)
        own = np.sort(owners << np.uint64(32) | shingles >> np.uint64(32))
        own = own[np.concatenate([[True], own[1:] != own[:-1]])]
        ends = np.cumsum(np.bincount((own >> np.uint64(32)).astype(np.int64), minlength=len(lengths)))
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])

        bands = np.zeros((len(lengths), self._band_count), dtype=np.uint64)
        for column in range(self._band_count * self._rows):
            permuted = (shingles * self._multipliers[column] + self._offsets[column]) >> np.uint64(32)
            band = column // self._rows
            bands[:, band] = mixed(bands[:, band] + np.minimum.reduceat(permuted, starts))
        self._firsts.append(self._count)
        self._batches.append(_Batch(ends, own.astype(np.uint32)))
        self._bands.append(bands)
        self._keys.append(mixed(np.add.reduceat(shingles, starts)))
        self._count += len(lengths)
        self._waiting, self._waiting_words = [], 0


def _buckets(hashes: Hashes, keys: Hashes) -> Iterator[list[int]]:
    """The texts that share a hash, two or more together, each bucket in the order of its texts' keys."""
    order = np.lexsort((keys, hashes))
    ordered = hashes[order]
    edges = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    starts, ends = np.concatenate([[0], edges]), np.concatenate([edges, [len(order)]])
    several = ends - starts > 1
    for start, end in zip(starts[several], ends[several], strict=True):
        yield order[start:end].tolist()


def _root(parent: list[int], member: int) -> int:
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member

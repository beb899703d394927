"""Samples that begin alike, laid out so that what they share is computed once.

The token ids of some samples become a trie, written depth first. One integer a token is the
whole mask: token q sees token k where `k <= q < until[k]`, and `until[k]` is where k's subtree
ends. Where a token stands in its own sample is its depth. What is to be predicted is a list of
its own, (row, target, weight), so that a fork needs no care: several rows may have several
targets. Nothing but numpy, and nothing about models.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


class Sequel(NamedTuple):
    """One sample as a model sees it: a beginning that is given, and its end, which is to be learnt."""

    ids: Ids
    targets: int
    """How many of the last tokens are to be learnt."""
    weight: float = 1.0
    """Of each of them."""


class Forest(NamedTuple):
    ids: Ids
    positions: Ids
    """Where each token stands in the samples that it belongs to."""
    until: Ids
    trees: Ids
    """Where each tree begins, and the end of the last: no token sees into another tree."""
    rows: Ids
    """Which token predicts each target."""
    targets: Ids
    weights: NDArray[np.float64]

    @property
    def size(self) -> int:
        return len(self.ids)


_zero, _none = np.zeros(1, np.int32), np.empty(0, np.int32)
IDLE = Forest(_zero, _zero, _zero + 1, np.array([0, 1], np.int32), _none, _none, np.empty(0))
"""Something to compute where there is nothing to learn, so that a rank does not fall out of step."""


def plant(groups: Sequence[Sequence[Sequel]]) -> Forest:
    """A tree for each group, one after the other; a group of one is a path. Without groups: one idle token."""
    if not groups:
        return IDLE
    trees = [_tree(group) for group in groups]
    ends = np.cumsum([0, *(tree.size for tree in trees)])

    placed = list(zip(trees, ends.tolist(), strict=False))
    return Forest(
        np.concatenate([tree.ids for tree in trees]),
        np.concatenate([tree.positions for tree in trees]),
        np.concatenate([tree.until + start for tree, start in placed]),
        ends.astype(np.int32),
        np.concatenate([tree.rows + start for tree, start in placed]),
        np.concatenate([tree.targets for tree in trees]),
        np.concatenate([tree.weights for tree in trees]),
    )


def shared(one: Ids, other: Ids) -> int:
    """How many tokens two samples have in common, from the first on."""
    shorter = min(len(one), len(other))
    differ = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(differ[0]) if len(differ) else shorter


def _tree(group: Sequence[Sequel]) -> Forest:
    # In the order of their ids, so that whatever begins alike stands side by side: each sample then
    # adds what it does not share with the one before it, and the trie comes out depth first.
    ordered = sorted(group, key=lambda sequel: sequel.ids.astype(">i4").tobytes())
    longest = max(len(sequel.ids) for sequel in ordered)
    path = np.empty(longest, np.int32)  # the tokens of the sample at hand, by where they stand in the trie
    ids: list[Ids] = []
    positions: list[Ids] = []
    rows: list[Ids] = []
    until = np.empty(sum(len(sequel.ids) for sequel in ordered), np.int32)
    size = depth = 0
    before = ordered[0].ids[:0]
    for sequel in ordered:
        common = shared(before, sequel.ids)
        until[path[common:depth]] = size  # what the sample leaves is complete
        depth = len(sequel.ids)
        new = depth - common
        path[common:depth] = np.arange(size, size + new)
        ids.append(sequel.ids[common:])
        positions.append(np.arange(common, depth, dtype=np.int32))
        size += new
        rows.append(path[depth - sequel.targets - 1 : depth - 1].copy())
        before = sequel.ids
    until[path[:depth]] = size
    return Forest(
        np.concatenate(ids),
        np.concatenate(positions),
        until[:size],
        np.array([0, size], np.int32),
        np.concatenate(rows),
        np.concatenate([sequel.ids[len(sequel.ids) - sequel.targets :] for sequel in ordered]),
        np.concatenate([np.full(sequel.targets, sequel.weight) for sequel in ordered]),
    )

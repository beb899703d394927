"""Which samples make which optimizer step, and which rank computes which of them.

A pure function of the samples' lengths, the seed and a few numbers: whoever knows these knows
every step, so a resumed run only has to know its step's number, and no rank asks another. The
steps are the same however many ranks there are; only how they are laid out differs.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import ceil
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Layout = Literal["tree", "flat"]
Order = Literal["conversation", "sample"]


class Samples(NamedTuple):
    """What a plan knows of the samples; those of a conversation stand together, in the order of its turns."""

    conversation: NDArray[np.int32]
    length: NDArray[np.int32]
    shared: NDArray[np.int32]
    """How many tokens each shares with the one before it; 0 for the first of a conversation."""
    targets: NDArray[np.int32]
    weight: NDArray[np.float64]
    """Of all its targets together."""


class Pack(NamedTuple):
    """What a rank computes at once: some trees, one after the other. One without trees keeps the ranks in step."""

    groups: tuple[tuple[int, ...], ...] = ()
    """The samples of each tree."""
    tokens: int = 0
    """At most: samples whose beginning was cut may share more than is known here."""
    targets: int = 0


class Step(NamedTuple):
    samples: NDArray[np.int64]
    weight: float
    """Of all targets of the step, on all ranks: what the summed loss is divided by."""
    ranks: list[list[Pack]]
    """For each rank its packs; equally many for all."""

    def rows(self, pack: int) -> int:
        """How many targets the fullest rank has in its pack of that number."""
        return max(packs[pack].targets for packs in self.ranks)


class Plan:
    """A sequence of steps, each made when it is asked for."""

    def __init__(
        self,
        samples: Samples,
        *,
        seed: int,
        epochs: int,
        global_batch: int,
        order: Order,
        layout: Layout,
        ranks: int,
        max_tokens: int,
    ) -> None:
        self.samples = samples
        self._seed, self._order, self._layout = seed, order, layout
        self._batch, self._ranks, self._max_tokens = global_batch, ranks, max_tokens
        self.drawn = epochs * len(samples.length)
        _, self._starts = np.unique(samples.conversation, return_index=True)
        self._epoch = lru_cache(maxsize=2)(self._shuffled)

    def __len__(self) -> int:
        return ceil(self.drawn / self._batch)

    def __getitem__(self, number: int) -> Step:
        if not 0 <= number < len(self):
            raise IndexError(number)
        chosen = self.chosen(number)
        weight = float(self.samples.weight[chosen].sum())
        return Step(chosen, weight, self.laid_out(chosen))

    def chosen(self, number: int) -> NDArray[np.int64]:
        """The samples of a step. Epochs follow each other without a gap: every step but the last is full."""
        start, end = number * self._batch, min((number + 1) * self._batch, self.drawn)
        a_pass = len(self.samples.length)
        return np.concatenate(
            [
                self._epoch(epoch)[max(start - epoch * a_pass, 0) : end - epoch * a_pass]
                for epoch in range(start // a_pass, (end - 1) // a_pass + 1)
            ]
        )

    def ends_of_epochs(self) -> set[int]:
        """How many steps are done when an epoch is over, or a little more."""
        a_pass = len(self.samples.length)
        return {ceil(end / self._batch) for end in range(a_pass, self.drawn + 1, a_pass)}

    def laid_out(self, chosen: Iterable[int]) -> list[list[Pack]]:
        """Any samples as packs for the ranks: of a step, or to be evaluated."""
        return _dealt(self._units(chosen), self._ranks, self._max_tokens)

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        drawn = np.random.default_rng([self._seed, epoch])
        if self._order == "sample":
            return drawn.permutation(len(self.samples.length))
        ends = np.append(self._starts[1:], len(self.samples.length))
        return np.concatenate(
            [np.arange(self._starts[one], ends[one]) for one in drawn.permutation(len(self._starts))]
        )

    def _units(self, chosen: Iterable[int]) -> list[Pack]:
        """Trees as large as they may be; a conversation that fits in none is spread over several."""
        if self._layout == "flat":
            return [self._pack(int(one), None) for one in chosen]
        units: list[Pack] = []
        before: int | None = None
        for one in sorted(map(int, chosen)):
            is_kin = (
                before is not None and self.samples.conversation[before] == self.samples.conversation[one]
            )
            larger = self._pack(one, units[-1]) if is_kin else None
            if larger is not None and larger.tokens <= self._max_tokens:
                units[-1] = larger
            else:
                units.append(self._pack(one, None))
            before = one
        return units

    def _pack(self, one: int, tree: Pack | None) -> Pack:
        """A tree with one more sample of its conversation: what it shares with the last one is there already."""
        length, targets = int(self.samples.length[one]), int(self.samples.targets[one])
        if tree is None:
            return Pack(((one,),), length, targets)
        (group,) = tree.groups
        last = group[-1]
        common = length if last == one else int(self.samples.shared[last + 1 : one + 1].min())
        return Pack(((*group, one),), tree.tokens + length - common, tree.targets + targets)


def _dealt(units: Sequence[Pack], ranks: int, max_tokens: int) -> list[list[Pack]]:
    """Units gathered into packs that fit, equally many for each rank and about equally full."""
    largest_first = sorted(units, key=lambda unit: -unit.tokens)
    limit = max([max_tokens, *(unit.tokens for unit in units)])
    bins = max(1, ceil(sum(unit.tokens for unit in units) / limit / ranks)) * ranks
    packs = _filled(largest_first, bins)
    while max(pack.tokens for pack in packs) > limit:
        bins += ranks
        packs = _filled(largest_first, bins)
    fullest_first = sorted(packs, key=lambda pack: -pack.tokens)
    dealt: list[list[Pack]] = [[] for _ in range(ranks)]
    for at, some in enumerate(_rows(fullest_first, ranks)):
        # To and fro, so that no rank gets the fuller pack each time.
        for rank, pack in enumerate(some if at % 2 == 0 else reversed(some)):
            dealt[rank].append(pack)
    return dealt


def _filled(units: Iterable[Pack], bins: int) -> list[Pack]:
    """Each unit goes where there is least so far."""
    packs = [Pack()] * bins
    emptiest = [(0, at) for at in range(bins)]
    for unit in units:
        _, at = heapq.heappop(emptiest)
        pack = packs[at]
        packs[at] = Pack((*pack.groups, *unit.groups), pack.tokens + unit.tokens, pack.targets + unit.targets)
        heapq.heappush(emptiest, (packs[at].tokens, at))
    return packs


def _rows(packs: Sequence[Pack], width: int) -> Iterator[Sequence[Pack]]:
    for start in range(0, len(packs), width):
        yield packs[start : start + width]

"""Samples as token ids, in files that every rank maps into its memory.

The samples of a conversation share most of their words, so each run of tokens is written once,
and a sample is a few spans of it.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from thinkus.train.forest import Forest, Ids, Sequel, plant, shared
from thinkus.train.plan import Pack, Samples

_ARRAYS = ("tokens", "spans", "first_span", *(f"sample_{name}" for name in Samples._fields))


class Row(NamedTuple):
    """One sample, to be shelved; the samples of a conversation come one after the other."""

    conversation: str
    pieces: tuple[tuple[int, ...], ...]
    """What is given."""
    target: tuple[int, ...]
    weight: float
    """Of all of its targets together."""


class Shelf:
    def __init__(self, folder: Path) -> None:
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        self._tokens, self._spans, self._first_span = (arrays[name] for name in _ARRAYS[:3])
        self.samples = Samples(*(np.asarray(arrays[f"sample_{name}"]) for name in Samples._fields))
        self._names: list[str] = json.loads((folder / "conversations.json").read_bytes())

    def __len__(self) -> int:
        return len(self.samples.length)

    def sequel(self, number: int) -> Sequel:
        spans = self._spans[self._first_span[number] : self._first_span[number + 1]]
        ids = np.concatenate([self._tokens[start:end] for start, end in spans])
        targets = int(self.samples.targets[number])
        return Sequel(ids, targets, float(self.samples.weight[number]) / targets)

    def forest(self, pack: Pack) -> Forest:
        return plant([[self.sequel(one) for one in group] for group in pack.groups])

    def conversations(self, chosen: Iterable[int]) -> list[str]:
        """The ids of those that samples are from."""
        numbers = dict.fromkeys(int(self.samples.conversation[one]) for one in chosen)
        return [self._names[number] for number in numbers]


def shelve(rows: Iterable[Row], folder: Path) -> None:
    tokens: list[int] = []
    written: list[Ids] = []
    flushed = 0
    spans: list[tuple[int, int]] = []
    first_span = [0]
    facts: list[tuple[int, int, int, int, float]] = []
    names: list[str] = []
    places: dict[tuple[int, ...], int] = {}
    before: Ids = np.empty(0, np.int32)
    for row in rows:
        if not names or names[-1] != row.conversation:
            names.append(row.conversation)
            written.append(np.array(tokens, np.int32))
            flushed += len(tokens)
            tokens, places, before = [], {}, before[:0]
        own: list[tuple[int, int]] = []
        for piece in (*row.pieces, row.target):
            if piece not in places:
                places[piece] = flushed + len(tokens)
                tokens += piece
            start = places[piece]
            if own and own[-1][1] == start:
                own[-1] = (own[-1][0], start + len(piece))
            else:
                own.append((start, start + len(piece)))
        spans += own
        first_span.append(len(spans))
        ids = np.array([one for piece in (*row.pieces, row.target) for one in piece], np.int32)
        facts.append((len(names) - 1, len(ids), shared(before, ids), len(row.target), row.weight))
        before = ids
    folder.mkdir(parents=True)
    arrays = {
        "tokens": np.concatenate([*written, np.array(tokens, np.int32)]),
        "spans": np.array(spans, np.int64).reshape(-1, 2),
        "first_span": np.array(first_span, np.int64),
    }
    columns: list[NDArray[np.generic]] = (
        [np.array(column) for column in zip(*facts, strict=True)] if facts else []
    )
    for name, column in zip(Samples._fields, columns or [np.empty(0)] * len(Samples._fields), strict=True):
        arrays[f"sample_{name}"] = column.astype(np.float64 if name == "weight" else np.int32)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "conversations.json").write_text(json.dumps(names))

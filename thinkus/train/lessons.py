"""From annotated conversations to shelves of samples: one to train on, one to test on, one for thresholds."""

import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from thinkus.records import Conversation
from thinkus.train.encode import Encoded, Encoder, LossNorm, rows
from thinkus.train.shelf import shelve
from thinkus.user.samples import CannotTeach, Teaching

HELD_OUT = 0.1
"""Of the training conversations, where a threshold is to be chosen."""
LOOKED_AT = 100
"""Samples, to see whether a server would read them as they are trained."""
SHELVES = ("train", "test", "held_out")


class Lessons(NamedTuple):
    teaching: Teaching
    encoder: Encoder
    loss_norm: LossNorm
    seed: int

    def of(self, conversation: Conversation) -> list[Encoded]:
        """None where the conversation lacks what is taught, which is noted."""
        try:
            samples = self.teaching.samples(conversation)
        except CannotTeach as lack:
            self.encoder.give_up(conversation.id, lack.kind, str(lack), "")
            return []
        return list(self.encoder.encoded(samples))

    def shelve(
        self, conversations: Iterable[Conversation], folder: Path, move: Callable[[], None]
    ) -> dict[str, Counter[str]]:
        """A shelf for each side; what each side holds, and what was lost on the way."""
        sides: dict[str, list[Encoded]] = {name: [] for name in SHELVES}
        counts = {name: Counter[str]() for name in SHELVES}
        for conversation in conversations:
            move()
            side = self._side(conversation)
            encoded = self.of(conversation)
            counts[side] += self.encoder.counts
            self.encoder.counts.clear()
            counts[side]["conversations"] += bool(encoded)
            sides[side] += encoded
        looked_at = sides["train"][:LOOKED_AT]
        otherwise = sum(not self.encoder.is_read_alike(one) for one in looked_at)
        counts["train"] += Counter(read_otherwise=otherwise)  # which leaves a zero out
        weights = self._weights(sides["train"])
        for name, encoded in sides.items():
            shelve(rows(encoded, self.loss_norm, weights), folder / name)
        return counts

    def _side(self, conversation: Conversation) -> str:
        if conversation.split == "test":
            return "test"
        # By its own id, so that it stays where it is whatever else there is.
        is_held_out = random.Random(f"{self.seed} {conversation.id}").random() < HELD_OUT
        return "held_out" if self.teaching.way == "ending" and is_held_out else "train"

    def _weights(self, encoded: Iterable[Encoded]) -> dict[str, float]:
        """Of each label, so that the rarer counts as much as the other."""
        if self.teaching.way != "ending":
            return {}
        labels = Counter(one.sample.target for one in encoded)
        return {label: labels.total() / len(labels) / count for label, count in labels.items()}

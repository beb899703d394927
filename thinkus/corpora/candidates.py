"""Conversations that passed the filters, judged against each other.

Of each only what that takes is kept in memory. Which of several twins stays does not depend
on the order of the rows: the one with the smallest id.
"""

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from thinkus.corpora.filters import normalised
from thinkus.corpora.near_duplicates import NearDuplicates
from thinkus.corpora.openings import Openings
from thinkus.corpora.words import word_hashes
from thinkus.records import Conversation

REASONS = ("exact_duplicate", "repeated_id", "shared_opening", "near_against", "near_duplicate")


class Removal(NamedTuple):
    reason: str
    detail: str


class Candidates:
    def __init__(self, near_duplicate: float, shared_opening: int | None) -> None:
        self.ids: list[str] = []
        self.owners: list[str | None] = []
        """Who they belong to, where the corpus says it: a split must not part them."""
        self._exact: list[bytes] = []
        self._near = NearDuplicates(near_duplicate)
        self._openings = Openings()
        self._shared_opening = shared_opening
        self._strangers = 0

    def add_stranger(self, conversation: Conversation) -> None:
        """One of another corpus, which none of ours may resemble; all of them come first."""
        self._near.add(word_hashes(conversation.user_text))
        self._strangers += 1

    def add(self, conversation: Conversation) -> None:
        self.ids.append(conversation.id)
        self.owners.append(conversation.meta.get("user") or conversation.meta.get("group"))
        text = normalised(conversation.messages).encode("utf-8", "surrogatepass")
        self._exact.append(hashlib.blake2b(text, digest_size=16).digest())
        said = [word_hashes(message.content) for message in conversation.messages if message.role == "user"]
        self._near.add(np.concatenate(said))
        if self._shared_opening is not None:
            self._openings.add(said[0])

    def removals(self) -> dict[int, Removal]:
        """Why each that must go must go; the others stay."""
        gone: dict[int, Removal] = {}

        def staying() -> list[int]:
            return [index for index in range(len(self.ids)) if index not in gone]

        for reason, labels in (("exact_duplicate", self._exact), ("repeated_id", self.ids)):
            gone |= self._all_but_one(reason, staying(), labels)
        if self._shared_opening is not None:
            for index in self._openings.overused(self._shared_opening, staying()):
                detail = f"a 7-gram of its first turn stands in more than {self._shared_opening} of them"
                gone[index] = Removal("shared_opening", detail)
        clusters = self._near.clusters()
        strange = set(clusters[: self._strangers])
        clusters = clusters[self._strangers :]
        for index in staying():
            if clusters[index] in strange:
                gone[index] = Removal("near_against", "is near to a conversation of the other corpus")
        return gone | self._all_but_one("near_duplicate", staying(), clusters)

    def _all_but_one(
        self, reason: str, members: Iterable[int], labels: Sequence[Hashable]
    ) -> dict[int, Removal]:
        """Of those with the same label all but the one with the smallest id."""
        best: dict[Hashable, int] = {}
        losers: list[int] = []
        for index in members:
            rival = best.setdefault(labels[index], index)
            if rival != index:
                # Of equal ids the content decides, so that the order of the rows does not.
                stays, goes = sorted((rival, index), key=lambda one: (self.ids[one], self._exact[one]))
                best[labels[index]] = stays
                losers.append(goes)
        return {goes: Removal(reason, f"of {self.ids[best[labels[goes]]]}, which stays") for goes in losers}

"""What a case is: words that were said in the same place by all, and what judges made of them."""

from typing import NamedTuple

import msgspec

from thinkus.report.rulings import Ruling


class Speaker(msgspec.Struct, frozen=True):
    """A run of simulate that was judged."""

    name: str
    """Without what all beside it have in common."""
    run: str


class Judge(msgspec.Struct, frozen=True):
    """A run of judge."""

    task: str
    name: str
    against: str
    protocol: str


class Spoken(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one of the speakers had to say at one turn."""

    by: int
    words: str = ""
    """None at all where they leave."""
    thought: str | None = None
    failed: str = ""
    """Why there is nothing."""
    rulings: tuple[Ruling, ...] = ()


class Replayed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A real conversation, with what others would have said in the person's place."""

    id: str
    corpus: str
    scenario: str
    motivation: str
    messages: tuple[tuple[str, str], ...]
    """By whom, and what."""
    thoughts: tuple[str | None, ...]
    """The person's, as they were reconstructed: one for each turn, and the one with which they left."""
    turns: tuple[tuple[Spoken, ...], ...]
    """One for each of the person's, and one after the last reply."""
    last: tuple[Ruling, ...] = ()
    """On the person's last thought."""


class Talk(msgspec.Struct, frozen=True, omit_defaults=True):
    """A live dialogue of one of the speakers."""

    by: int
    ended_by: str
    exchanges: tuple[tuple[str, str | None, str | None], ...]
    """Words, thought, reply."""
    why: str = ""
    rulings: tuple[Ruling, ...] = ()


class Live(msgspec.Struct, frozen=True, omit_defaults=True):
    """A scenario, and the dialogues that were held in it."""

    id: str
    corpus: str
    scenario: str
    motivation: str
    talks: tuple[Talk, ...]


class Cases(NamedTuple):
    speakers: list[Speaker]
    judges: list[Judge]
    shown: list[Replayed | Live]
    there_are: int
    """Conversations and scenarios, from which these were drawn."""
    gone: list[str]
    """What cannot be shown, in sentences."""

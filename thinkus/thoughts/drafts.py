"""What an annotator's answer says, before it is believed: the same type whatever protocol it came by."""

from typing import Literal

import msgspec

from thinkus.records import Conversation

Relation = Literal["opens", "follows", "extends"]
"""Of an utterance: the first, one that follows from the reply, one that goes on with the person's previous one."""


class Thought(msgspec.Struct, frozen=True):
    turn: int
    """The user's turn that it comes before, counted from 1."""
    text: str
    relation: Relation | None = None
    """None where the protocol does not say."""


class Draft(msgspec.Struct, frozen=True):
    scenario: str
    motivation: str
    thoughts: tuple[Thought, ...] = ()
    """In the order of the turns."""


class Invalid(Exception):
    """An answer that cannot be used: its class, which is counted, and what to tell the annotator."""

    def __init__(self, kind: str, complaint: str) -> None:
        super().__init__(complaint)
        self.kind = kind
        self.complaint = complaint


def user_messages(conversation: Conversation) -> list[int]:
    """The places in `messages` of the user's turns 1, 2, ..."""
    return [place for place, message in enumerate(conversation.messages) if message.role == "user"]


def thoughts_before(conversation: Conversation) -> dict[int, str]:
    """What was thought before a message, by its place in `messages`."""
    annotation = conversation.annotation
    if annotation is None:
        return {}
    first, *later = user_messages(conversation)
    thoughts = dict(zip(later, annotation.thoughts, strict=False))  # none where only scenarios were asked for
    return thoughts if annotation.first_thought is None else {first: annotation.first_thought, **thoughts}


def turns_with_thoughts(conversation: Conversation, *, first_thought: bool) -> range:
    """Which of the user's turns get a thought: those that follow a reply, and the first where it is wanted."""
    return range(1 if first_thought else 2, conversation.user_turns + 1)

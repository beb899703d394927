"""What flows between stages: a conversation, and what each stage adds to it.

A stage adds fields and never rewrites those of another, so a row can be followed from
the corpus to the table. `RECORD_SCHEMA` is part of every run's identity: raise it when
the meaning of a field changes.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from thinkus.errors import BadRecord

RECORD_SCHEMA = 1

T = TypeVar("T")

Role = Literal["system", "user", "assistant"]
Split = Literal["train", "test"]


class Message(msgspec.Struct, frozen=True):
    role: Role
    content: str


class HumanThought(msgspec.Struct, frozen=True):
    """What a real person said they were thinking, beside the message it belongs to."""

    message: int
    """Index into `messages`."""
    kind: Literal["reason", "reaction"]
    """A reason hangs on a user's message, a reaction on an assistant's."""
    content: str
    label: str | None


class Fulfilment(msgspec.Struct, frozen=True):
    """How far a conversation gave the person what they came for, as judged before their last thought was written."""

    reflection: str
    fulfilled: Literal["fully", "mostly", "partly", "barely", "not"]


class AnsweredBy(msgspec.Struct, frozen=True, omit_defaults=True):
    """Which model's answer a part of an annotation comes from; it can be another than was asked for."""

    purpose: str
    served_model: str
    at: str
    fingerprint: str | None = None
    attempts: int = 1
    """How often it was asked until the answer could be used."""


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reconstructed side of a conversation: what the person did not say."""

    scenario: str
    motivation: str
    thoughts: tuple[str, ...] = ()
    """One before each user utterance that follows a reply, in order."""
    relations: tuple[Literal["follows", "extends"], ...] = ()
    """Whether each of those utterances follows from the reply or extends the person's previous one, if it is said."""
    first_thought: str | None = None
    fulfilment: Fulfilment | None = None
    terminal_thought: str | None = None
    terminal_reason: str | None = None
    answered_by: tuple[AnsweredBy, ...] = ()


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    source: str
    """The corpus, by the name of its `data` option."""
    messages: tuple[Message, ...]
    split: Split | None = None
    human_thoughts: tuple[HumanThought, ...] = ()
    annotation: Annotation | None = None
    meta: dict[str, Any] = {}
    """What the corpus says beside the words: model, language, user, file and row."""

    @property
    def user_turns(self) -> int:
        return sum(message.role == "user" for message in self.messages)

    @property
    def user_text(self) -> str:
        return "\n".join(message.content for message in self.messages if message.role == "user")


class Failure(msgspec.Struct, frozen=True):
    """An item that did not make it: why, and the raw text, so that nothing is dropped silently."""

    item: str
    reason: str
    """A class that can be counted: the filter's name, or the kind of error."""
    detail: str
    raw: str


_encoder = msgspec.json.Encoder()


def to_line(record: msgspec.Struct) -> bytes:
    return _encoder.encode(record) + b"\n"


def read_records(path: Path, kind: type[T]) -> Iterator[T]:
    """The records of a JSONL file, one at a time; a bad line is named with its number."""
    decoder = msgspec.json.Decoder(kind)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise BadRecord(f"{path}, line {number}: {error}") from None


def read_conversations(path: Path) -> Iterator[Conversation]:
    return read_records(path, Conversation)

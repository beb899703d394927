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


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """The reconstructed side of a conversation: what the person did not say."""

    scenario: str
    motivation: str
    thoughts: tuple[str, ...] = ()
    """One before each user utterance that follows a reply, in order."""
    first_thought: str | None = None
    terminal_thought: str | None = None
    terminal_reason: str | None = None


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

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


class SpokenTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a simulated person thinks and says at one point of a conversation, and what it took."""

    turn: int
    """How many turns the person has had before; in a replayed conversation that of all its turns is the last,
    after which the real person had left."""
    utterance: str
    """Empty where they leave."""
    thought: str | None = None
    ended: bool = False
    """They leave here."""
    attempts: int = 1
    wrong: tuple[str, ...] = ()
    """What was wrong with the attempts that could not be read."""
    closed: int = 0
    """Of its two texts, those that would have gone on beyond max_tokens and were ended by guided decoding."""
    dropped: int = 0
    """Exchanges at the beginning that were left out, so that the rest fits the model's window."""
    served_model: str = ""
    at: str = ""
    input_tokens: int = 0
    """Of all attempts, as far as the server says."""
    output_tokens: int = 0


class Simulated(msgspec.Struct, frozen=True):
    """Who speaks, and how it was made to."""

    method: str
    model: str
    history: str
    """Whether the person is shown their own earlier thoughts."""
    decode: str
    sampling: dict[str, float]


class Simulation(msgspec.Struct, frozen=True):
    """What a simulated person says at the turns of a real conversation, each time from what was really said."""

    by: Simulated
    turns: tuple[SpokenTurn, ...]
    """Those that could be read; the others are failures."""


class Conversation(msgspec.Struct, frozen=True, omit_defaults=True):
    id: str
    source: str
    """The corpus, by the name of its `data` option."""
    messages: tuple[Message, ...]
    split: Split | None = None
    human_thoughts: tuple[HumanThought, ...] = ()
    annotation: Annotation | None = None
    simulation: Simulation | None = None
    meta: dict[str, Any] = {}
    """What the corpus says beside the words: model, language, user, file and row."""

    @property
    def user_turns(self) -> int:
        return sum(message.role == "user" for message in self.messages)

    @property
    def user_text(self) -> str:
        return "\n".join(message.content for message in self.messages if message.role == "user")


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """An assistant's."""

    content: str
    is_cut: bool = False
    """It went on until max_tokens; the person saw it as it is."""
    attempts: int = 1
    dropped: int = 0
    served_model: str = ""
    at: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class Exchange(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the person said, and what came back."""

    person: SpokenTurn
    reply: Reply | None = None
    leaving: float | None = None
    """How likely the classifier found it that the person leaves now."""


EndedBy = Literal[
    "simulator", "classifier", "max_turns", "person_failed", "assistant_failed", "classifier_failed", "chat"
]


class Dialogue(msgspec.Struct, frozen=True, omit_defaults=True):
    """A live conversation between a simulated person and an assistant."""

    id: str
    """Of the conversation whose scenario it has."""
    source: str
    scenario: str
    motivation: str
    by: Simulated
    assistant: str
    exchanges: tuple[Exchange, ...]
    ended_by: EndedBy
    why: str = ""
    """In words, where something failed."""
    began: str = ""
    ended: str = ""

    @property
    def messages(self) -> tuple[Message, ...]:
        """As the assistant saw it."""
        said: list[Message] = []
        for exchange in self.exchanges:
            if exchange.person.utterance:
                said.append(Message("user", exchange.person.utterance))
            if exchange.reply is not None:
                said.append(Message("assistant", exchange.reply.content))
        return tuple(said)


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

"""What every reader yields: a row that fits its schema, or one that does not."""

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from thinkus.records import Conversation, HumanThought, Message


class Row(NamedTuple):
    """One conversation of a corpus, before any filter has looked at it."""

    where: str
    """File name and row number (from 1): `train-00000-of-00006.parquet:17`."""
    conversation: Conversation
    language: str | None
    """As the corpus says it, in lower case (`english`); None where it does not."""
    flagged: bool
    """Whether the corpus's own moderation marks any message or the whole."""


class BadRow(NamedTuple):
    """A row that does not fit the schema: counted and kept, never dropped silently."""

    where: str
    problem: str
    raw: str


def make_row(
    where: str,
    source: str,
    messages: Sequence[Message],
    *,
    own_id: str | int | None,
    language: str | None = None,
    flagged: bool = False,
    human_thoughts: Sequence[HumanThought] = (),
    **meta: object,
) -> Row:
    """The one place where a row gets its id and its meta, so that all corpora agree on both."""
    said = language.lower() if language else None
    known = {key: value for key, value in meta.items() if value is not None}
    if said is not None:
        known["language"] = said
    known["row"] = where
    conversation = Conversation(
        id=_hash_id(source, messages) if own_id is None or own_id == "" else str(own_id),
        source=source,
        messages=tuple(messages),
        human_thoughts=tuple(human_thoughts),
        meta=known,
    )
    return Row(where, conversation, said, flagged)


def _hash_id(source: str, messages: Sequence[Message]) -> str:
    # By content, not by place: the id stays when rows are shuffled or files are cut otherwise.
    words = msgspec.json.encode([(message.role, message.content) for message in messages])
    return f"{source}-{hashlib.sha256(words).hexdigest()[:16]}"

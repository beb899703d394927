"""LMSYS-Chat-1M: a row a conversation, one moderation entry a message, no users and no times."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from thinkus.corpora.files import read_records
from thinkus.corpora.rows import BadRow, Row, make_row
from thinkus.records import Message


class Moderation(msgspec.Struct):
    flagged: bool | None = None


class Record(msgspec.Struct):
    conversation: tuple[Message, ...]
    conversation_id: str | int | None = None
    model: str | None = None
    language: str | None = None
    openai_moderation: tuple[Moderation | None, ...] | None = None


def read(files: Sequence[Path], *, source: str) -> Iterator[Row | BadRow]:
    for found in read_records(files, Record):
        yield found if isinstance(found, BadRow) else _row(*found, source)


def _row(where: str, record: Record, source: str) -> Row:
    return make_row(
        where,
        source,
        record.conversation,
        own_id=record.conversation_id,
        language=record.language,
        flagged=any(entry.flagged for entry in record.openai_moderation or () if entry),
        model=record.model,
    )

"""WildChat, 1M and 4.8M and the releases before them: like LMSYS, with times and traces of the user."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from thinkus.corpora.files import read_records
from thinkus.corpora.lmsys import Moderation
from thinkus.corpora.rows import BadRow, Row, make_row
from thinkus.records import Message, Role


class Turn(msgspec.Struct):
    role: Role
    content: str
    toxic: bool | None = None
    language: str | None = None
    hashed_ip: str | None = None


class Record(msgspec.Struct):
    conversation: tuple[Turn, ...]
    conversation_hash: str | None = None
    conversation_id: str | int | None = None
    model: str | None = None
    timestamp: str | int | float | None = None
    language: str | None = None
    openai_moderation: tuple[Moderation | None, ...] | None = None
    toxic: bool | None = None
    hashed_ip: str | None = None


def read(files: Sequence[Path], *, source: str) -> Iterator[Row | BadRow]:
    for found in read_records(files, Record):
        yield found if isinstance(found, BadRow) else _row(*found, source)


def _row(where: str, record: Record, source: str) -> Row:
    turns = record.conversation
    flagged = any(entry.flagged for entry in record.openai_moderation or () if entry)
    return make_row(
        where,
        source,
        [Message(turn.role, turn.content) for turn in turns],
        own_id=record.conversation_hash or record.conversation_id,
        language=record.language or next((turn.language for turn in turns if turn.language), None),
        flagged=flagged or bool(record.toxic) or any(turn.toxic for turn in turns),
        model=record.model,
        user=_user(record),
        timestamp=record.timestamp,
    )


def _user(record: Record) -> str | None:
    """Who this is, for a split that must not put one person on both sides.

    The address alone. A browser's name changes with each of its updates and the languages with
    the device, which would make two users of one person: a leak. Two people behind one
    address merely stay together. The country follows from the address and adds nothing.
    Hashed once more, so that a run does not carry what could be joined with other data.
    """
    address = record.hashed_ip or next(
        (turn.hashed_ip for turn in record.conversation if turn.hashed_ip), None
    )
    return hashlib.sha256(address.encode()).hexdigest()[:16] if address else None

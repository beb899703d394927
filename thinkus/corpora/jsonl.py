"""People's own conversations: a line each, `{"messages": [{"role": ..., "content": ...}], ...}`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from thinkus.corpora.files import read_records
from thinkus.corpora.rows import BadRow, Row, make_row
from thinkus.records import Message


class Record(msgspec.Struct):
    messages: tuple[Message, ...]
    id: str | int | None = None
    language: str | None = None
    user: str | int | None = None


def read(files: Sequence[Path], *, source: str) -> Iterator[Row | BadRow]:
    # Whole rows, because what we do not know is kept for whoever wrote it there.
    for found in read_records(files, dict[str, Any]):
        yield found if isinstance(found, BadRow) else _row(*found, source)


def _in_words(problem: str) -> str:
    """People write these rows by hand, so what is allowed is said."""
    return f"{problem} (a role is user, assistant or system)" if "role" in problem else problem


def _row(where: str, whole: dict[str, Any], source: str) -> Row | BadRow:
    try:
        record = msgspec.convert(whole, Record)
    except msgspec.ValidationError as error:
        return BadRow(where, _in_words(str(error)), msgspec.json.encode(whole).decode())
    return make_row(
        where,
        source,
        record.messages,
        own_id=record.id,
        language=record.language,
        user=None if record.user is None else str(record.user),
        extra={key: value for key, value in whole.items() if key not in Record.__struct_fields__} or None,
    )

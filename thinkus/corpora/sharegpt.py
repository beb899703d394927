"""ShareGPT: conversations that people shared, as one JSON list; long ones are cut into parts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from thinkus.corpora.files import read_records
from thinkus.corpora.rows import BadRow, Row, make_row
from thinkus.records import Message, Role

Speaker = Literal["human", "user", "gpt", "chatgpt", "bing", "bard", "system"]
ROLES: dict[Speaker, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
}


class Turn(msgspec.Struct, rename={"speaker": "from"}):
    speaker: Speaker
    value: str


class Record(msgspec.Struct):
    conversations: tuple[Turn, ...]
    id: str | int | None = None


def read(files: Sequence[Path], *, source: str) -> Iterator[Row | BadRow]:
    for found in read_records(files, Record):
        yield found if isinstance(found, BadRow) else _row(*found, source)


def _row(where: str, record: Record, source: str) -> Row:
    own_id = None if record.id is None else str(record.id)
    return make_row(
        where,
        source,
        [Message(ROLES[turn.speaker], turn.value) for turn in record.conversations],
        own_id=own_id,
        # Parts of one conversation (`QWJhYvA_0`, `QWJhYvA_17`): a split must keep them together.
        group=own_id.rpartition("_")[0] or own_id if own_id else None,
    )

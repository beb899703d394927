"""Annotations without what they annotate, for corpora that may not be passed on.

Whoever has the corpus makes the same conversations with `prepare` and joins the two by id. A hash of
every message makes sure that a thought stands only beside the very words it was written for.
"""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec.structs import replace

from thinkus import __version__
from thinkus.console import say
from thinkus.corpora.words import Hashes, word_hashes
from thinkus.errors import ThinkusError
from thinkus.files import writing
from thinkus.records import RECORD_SCHEMA, Annotation, Conversation, Failure, read_conversations

SCHEMA = 1
LONGEST_QUOTE_WORDS = 11
"""More words in a row of the conversation would pass its text on."""
EXAMPLES = 3
ROWS_AT_ONCE = 1000
HASH_BYTES = 32
_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("messages", pa.list_(pa.binary(HASH_BYTES)), nullable=False),
        pa.field("annotation", pa.string(), nullable=False),
    ],
    metadata={
        "thinkus": __version__,
        "thinkus.annotations": str(SCHEMA),
        "thinkus.records": str(RECORD_SCHEMA),
    },
)
# A run of words is the sum of its words' numbers, each times the factor of its place.
_FACTORS = np.random.default_rng(0).integers(2**64, size=LONGEST_QUOTE_WORDS + 1, dtype=np.uint64)


class _Packed(NamedTuple):
    id: str
    source: str
    messages: list[bytes]
    annotation: str


def pack(records: Path, file: Path) -> int:
    """Write the annotations of a run's records; returns how many. Those that quote at length stay behind."""
    packed, quoting = 0, list[str]()
    rows = _rows(records, quoting)
    with (
        writing(file) as whole,
        pq.ParquetWriter(
            whole, _SCHEMA, compression="zstd", use_dictionary=["source"], write_statistics=False
        ) as parquet,
    ):
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            packed += len(batch)
            columns = [
                pa.array(column, kind)
                for column, kind in zip(zip(*batch, strict=True), _SCHEMA.types, strict=True)
            ]
            parquet.write_batch(pa.record_batch(columns, _SCHEMA))
        if not packed and not quoting:
            raise ThinkusError(
                f"{records}: holds no annotation, so there is nothing to share; name an annotate run"
            )
    if quoting:
        some = ", ".join(quoting[:EXAMPLES]) + (", ..." if len(quoting) > EXAMPLES else "")
        say(
            f"overlay: left out {len(quoting):,} annotations that quote more than {LONGEST_QUOTE_WORDS} words "
            f"of their conversation in a row ({some})"
        )
    return packed


def _rows(records: Path, quoting: list[str]) -> Iterator[_Packed]:
    for conversation in read_conversations(records):
        if conversation.annotation is None:
            continue
        if _quotes(conversation.annotation, conversation):
            quoting.append(conversation.id)
        else:
            text = msgspec.json.encode(conversation.annotation).decode()
            yield _Packed(conversation.id, conversation.source, _hashes(conversation), text)


def _hashes(conversation: Conversation) -> list[bytes]:
    """Of each message in this conversation alone: else one dictionary of what people say would fit them all."""
    # Itself a hash, so that its length is fixed: no id can run on into what is said.
    whose = hashlib.sha256(f"thinkus.annotations\n{conversation.id}".encode()).digest()
    return [
        hashlib.sha256(whose + f"{message.role}\n{message.content}".encode()).digest()
        for message in conversation.messages
    ]


def _quotes(annotation: Annotation, conversation: Conversation) -> bool:
    theirs = _runs("\n".join(message.content for message in conversation.messages))
    own = np.concatenate([_runs(text) for text in _texts(msgspec.to_builtins(annotation))])
    return bool(np.isin(own, theirs).any())


def _texts(value: object) -> Iterator[str]:
    """Every text in it, whatever fields annotations come to have."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for entry in value.values():
            yield from _texts(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)


def _runs(text: str) -> Hashes:
    """A number for every run of words that is too long to quote."""
    words = word_hashes(text)
    if len(words) < len(_FACTORS):
        return words[:0]
    runs: Hashes = np.lib.stride_tricks.sliding_window_view(words, len(_FACTORS)) @ _FACTORS
    return runs


def unpack(file: Path, records: Path) -> Iterator[Conversation | Failure]:
    """Each conversation of the copy that the file annotates, in the copy's order, or why it cannot be; then
    what the copy lacks. Conversations that the file does not name are passed over."""
    with closing(sqlite3.connect("")) as shelf:  # on disk, and gone with the connection: memory stays flat
        _shelve(file, shelf)
        for conversation in read_conversations(records):
            found = shelf.execute(
                "select messages, annotation from packed where id = ?", (conversation.id,)
            ).fetchone()
            if found is not None:
                shelf.execute("update packed set is_here = 1 where id = ?", (conversation.id,))
                messages, annotation = found
                yield _joined(conversation, messages, annotation, file)
        missing = shelf.execute("select id, source, annotation from packed where not is_here order by place")
        for name, source, annotation in missing:
            detail = f"is annotated, but the copy has no such conversation of {source}"
            yield Failure(name, "not_here", detail, annotation)


def _joined(conversation: Conversation, theirs: bytes, annotation: str, file: Path) -> Conversation | Failure:
    ours = b"".join(_hashes(conversation))
    if ours != theirs:
        return Failure(conversation.id, "text_differs", _difference(conversation, ours, theirs), annotation)
    try:
        return replace(conversation, annotation=msgspec.json.decode(annotation, type=Annotation))
    except msgspec.DecodeError as error:
        raise ThinkusError(
            f"{file}: the annotation of {conversation.id} cannot be read ({error}); pack it again"
        ) from None


def _difference(conversation: Conversation, ours: bytes, theirs: bytes) -> str:
    messages = conversation.messages
    for at, message in enumerate(messages):
        part = slice(at * HASH_BYTES, (at + 1) * HASH_BYTES)
        if at * HASH_BYTES >= len(theirs):
            return f"message {at + 1} of {len(messages)} ({message.role}) is not in what was annotated"
        if ours[part] != theirs[part]:
            return f"message {at + 1} of {len(messages)} ({message.role}) has another text than was annotated"
    return f"ends after message {len(messages)}; {len(theirs) // HASH_BYTES} were annotated"


def _shelve(file: Path, shelf: sqlite3.Connection) -> None:
    shelf.execute("pragma journal_mode = off")
    shelf.execute(
        "create table packed (place integer primary key, id text unique, source text, messages blob, "
        "annotation text, is_here integer default 0)"
    )
    try:
        with pq.ParquetFile(file, pre_buffer=False) as parquet:  # else it takes the whole file into memory
            _check(parquet.schema_arrow, file)
            for batch in parquet.iter_batches(ROWS_AT_ONCE):
                columns = (column.to_pylist() for column in batch)
                shelf.executemany(
                    "insert into packed (id, source, messages, annotation) values (?, ?, ?, ?)",
                    (
                        (name, source, b"".join(messages), annotation)
                        for name, source, messages, annotation in zip(*columns, strict=True)
                    ),
                )
    except sqlite3.IntegrityError:
        raise ThinkusError(f"{file}: annotates a conversation twice; pack it again") from None
    except (OSError, pa.ArrowException) as error:
        raise ThinkusError(f"{file}: cannot be read as shared annotations ({error}); pack it again") from None


def _check(schema: pa.Schema, file: Path) -> None:
    told = schema.metadata or {}
    if b"thinkus.annotations" not in told:
        raise ThinkusError(f"{file}: holds no annotations to share; `thinkus share` packs such files")
    versions = [told.get(key, b"none").decode() for key in (b"thinkus.annotations", b"thinkus.records")]
    if versions != [str(SCHEMA), str(RECORD_SCHEMA)] or not schema.equals(_SCHEMA):
        raise ThinkusError(
            f"{file}: was written in schema {'/'.join(versions)} by another version of thinkus, "
            f"this one reads {SCHEMA}/{RECORD_SCHEMA}"
        )

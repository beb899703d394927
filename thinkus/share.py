"""Stored completions as one Parquet file, so that others can replay a run for nothing.

What was asked stays behind: a key is enough to find an answer again, and prompts hold the
corpus's text, which often may not be passed on.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from thinkus import __version__
from thinkus.claims import Claim
from thinkus.errors import ThinkusError
from thinkus.files import writing
from thinkus.llm.models import stores_of
from thinkus.llm.store import FACTS, NAME, SCHEMA, opened, opened_for_reading, transaction
from thinkus.runs import make_writable

ROWS_AT_ONCE = 1000
_NUMBERS = ("input_tokens", "cached_tokens", "output_tokens")
_COLUMNS = ("key", "identity", "purpose", "item", *FACTS)
_SCHEMA = pa.schema(
    [
        (name, pa.binary() if name == "key" else pa.int64() if name in _NUMBERS else pa.string())
        for name in _COLUMNS
    ],
    metadata={"thinkus": __version__, "thinkus.completions": str(SCHEMA)},
)


def pack(run: Path, file: Path) -> int:
    """Write what the run's models answered; returns how many answers that is."""
    stores = list(stores_of(run))
    if not stores:
        raise ThinkusError(
            f"{run}: holds no {NAME}, so there is nothing to share; is it a run that asked a model?"
        )
    answers = 0
    with writing(file) as whole, pq.ParquetWriter(whole, _SCHEMA, compression="zstd") as parquet:
        for rows in _read(stores):
            answers += len(rows)
            columns = [
                pa.array(column, kind)
                for column, kind in zip(zip(*rows, strict=True), _SCHEMA.types, strict=True)
            ]
            parquet.write_batch(pa.record_batch(columns, _SCHEMA))
    return answers


def _read(stores: Sequence[Path]) -> Iterator[list[tuple[object, ...]]]:
    """Each answer once: what a part was paid for can stand in the whole's store, too."""
    seen: set[object] = set()
    for path in stores:
        with closing(opened_for_reading(path)) as store:
            cursor = store.execute(f"select {', '.join(_COLUMNS)} from completions order by key")
            while rows := cursor.fetchmany(ROWS_AT_ONCE):
                if fresh := [row for row in rows if row[0] not in seen]:
                    seen.update(row[0] for row in fresh)
                    yield fresh


def is_text_free(file: Path) -> bool:
    """Whether it holds annotations without their text, and not completions."""
    try:
        return b"thinkus.annotations" in (pq.read_schema(file).metadata or {})
    except (OSError, pa.ArrowException):
        return False  # what it is then, its reader says


def unpack(file: Path, run: Path) -> tuple[int, int]:
    """Add a file's answers to a run, which need not have begun; returns how many are new, and how many came."""
    came = new = 0
    if not file.is_file():
        raise ThinkusError(f"{file}: there is no such file")
    try:
        with pq.ParquetFile(file, pre_buffer=False) as parquet:  # else it takes the whole file into memory
            _check(parquet.schema_arrow, file)
            make_writable(run)
            with Claim.take(run), closing(opened(run / NAME)) as store:
                for batch in parquet.iter_batches(ROWS_AT_ONCE):
                    came += batch.num_rows
                    new += _add(store, batch)
                store.execute("pragma journal_mode = delete")
    except (OSError, pa.ArrowException) as error:
        raise ThinkusError(f"{file}: cannot be read as shared completions ({error}); pack it again") from None
    return new, came


def _add(store: sqlite3.Connection, batch: pa.RecordBatch) -> int:
    slots = ", ".join("?" * len(_COLUMNS))
    statement = f"insert or ignore into completions (request, {', '.join(_COLUMNS)}) values ('', {slots})"
    with transaction(store):
        return store.executemany(
            statement, zip(*(column.to_pylist() for column in batch), strict=True)
        ).rowcount


def _check(schema: pa.Schema, file: Path) -> None:
    version = (schema.metadata or {}).get(b"thinkus.completions")
    if version is None:
        raise ThinkusError(f"{file}: holds no completions; `thinkus share pack` writes such files")
    if version != str(SCHEMA).encode() or not schema.equals(_SCHEMA):
        raise ThinkusError(
            f"{file}: was written in schema {version.decode()} by another version of thinkus, this one reads {SCHEMA}"
        )

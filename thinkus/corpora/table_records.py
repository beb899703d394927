"""Records out of tables (parquet, and the Arrow files of `datasets`): only the fields that are asked for.

A moderation entry has dozens of fields, of which one is needed. To make Python objects of the
others would cost several times what the words do.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from thinkus.corpora.rows import BadRow
from thinkus.errors import ThinkusError

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

ROWS_AT_ONCE = 512
BUFFER_BYTES = 1 << 20


class Wanted(NamedTuple):
    required: bool
    inside: "Shape | None"
    """Of a struct, or of a list of structs; None where all of it is wanted."""


Shape = dict[str, Wanted]


def parquet_records(file: Path, name: str, kind: type[T]) -> Iterator[tuple[str, T] | BadRow]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    shape = _shape(msgspec.inspect.type_info(kind))
    try:
        # A buffer, because without one a column of a whole row group is read at once.
        table = pq.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(file, "parquet file", error) from None
    fields = list(table.schema_arrow)
    _check_columns(file, fields, shape)
    paths = [table.schema.column(leaf).path for leaf in range(len(table.schema))]
    columns = [path for path, wanted in zip(paths, _leaves(fields, shape), strict=True) if wanted]
    row = 1
    for group in range(table.num_row_groups):
        last = row + table.metadata.row_group(group).num_rows
        try:
            for batch in table.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns):
                yield from _records(batch, shape, kind, name, row)
                row += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            # Row by row, so that the share of bad rows is the true one.
            for lost in range(row, last):
                yield BadRow(f"{name}:{lost}", f"its part of the file is damaged: {_one_line(error)}", "")
        row = last


def arrow_records(file: Path, name: str, kind: type[T]) -> Iterator[tuple[str, T] | BadRow]:
    import pyarrow as pa

    shape = _shape(msgspec.inspect.type_info(kind))
    row = 1
    try:
        # Not mapped into memory: the pages of a whole corpus would count as ours.
        with pa.OSFile(str(file)) as source, pa.ipc.open_stream(source) as batches:
            _check_columns(file, batches.schema, shape)
            for batch in batches:
                _check_lengths(batch)
                for start in range(0, batch.num_rows, ROWS_AT_ONCE):
                    part = batch.slice(start, ROWS_AT_ONCE)
                    yield from _records(part, shape, kind, name, row)
                    row += part.num_rows
    except (pa.ArrowException, OSError) as error:
        # Not a bad row: nobody knows how many rows are missing, so no share of them can be told.
        raise _unreadable(file, f"Arrow stream, from row {row} on", error) from None


def _check_lengths(batch: "pa.RecordBatch") -> None:
    """Damaged lengths would end the process; text that is not UTF-8 is the matter of its own row."""
    import pyarrow as pa

    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise


def _records(
    batch: "pa.RecordBatch", shape: Shape | None, kind: type[T], name: str, first_row: int
) -> Iterator[tuple[str, T] | BadRow]:
    for row, values in enumerate(_values(batch.to_struct_array(), shape), first_row):
        where = f"{name}:{row}"
        try:
            yield where, msgspec.convert(values, kind)
        except msgspec.ValidationError as error:
            problem = str(error).replace("got `bytes`", "got text that is not UTF-8")
            yield BadRow(where, problem, repr(values))


def _values(array: "pa.Array", shape: Shape | None) -> list[Any]:
    """An array as Python values, of structs only the fields in `shape`.

    Not `to_pylist`, which makes objects of every field of an Arrow file, and gives a whole batch up
    for one text that is not UTF-8.
    """
    import pyarrow as pa
    import pyarrow.types as is_

    if is_.is_list(array.type) or is_.is_large_list(array.type):
        offsets = array.offsets.to_pylist()
        inner = _values(array.values.slice(offsets[0], offsets[-1] - offsets[0]), shape)
        starts = [offset - offsets[0] for offset in offsets]
        values: list[Any] = [inner[start:end] for start, end in pairwise(starts)]
    elif is_.is_struct(array.type):
        names = [field.name for field in array.type if shape is None or field.name in shape]
        columns = [_values(array.field(name), shape[name].inside if shape else None) for name in names]
        values = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        values = values if names else [{} for _ in range(len(array))]
    elif is_.is_timestamp(array.type):
        # In microseconds, because Python's own times hold no nanoseconds.
        times = array.cast(pa.timestamp("us", array.type.tz), safe=False).to_pylist()
        return [None if time is None else time.isoformat() for time in times]
    else:
        return _leaf_values(array)
    if array.null_count:
        values = [
            value if valid else None
            for value, valid in zip(values, array.is_valid().to_pylist(), strict=True)
        ]
    return values


def _leaf_values(array: "pa.Array") -> list[Any]:
    try:
        return list(array.to_pylist())
    except UnicodeDecodeError:
        return [_text_or_bytes(value) for value in array]


def _text_or_bytes(value: "pa.Scalar") -> str | bytes | None:
    """Text as bytes where it is not UTF-8, so that only its own row does not fit the schema."""
    try:
        text: str | None = value.as_py()
    except UnicodeDecodeError:
        return bytes(value.as_buffer())
    return text


def _shape(kind: msgspec.inspect.Type) -> Shape | None:
    """The fields that a record type names: it says once what is read and what is checked."""
    if isinstance(kind, msgspec.inspect.StructType):
        return {field.encode_name: Wanted(field.required, _shape(field.type)) for field in kind.fields}
    if isinstance(kind, msgspec.inspect.ListType | msgspec.inspect.VarTupleType):
        return _shape(kind.item_type)
    if isinstance(kind, msgspec.inspect.UnionType):
        return next((shape for member in kind.types if (shape := _shape(member)) is not None), None)
    return None


def _children(kind: "pa.DataType") -> list["pa.Field"]:
    """The fields of a struct, or of what a list holds."""
    import pyarrow.types as is_

    while hasattr(kind, "value_type"):
        kind = kind.value_type
    if is_.is_map(kind):
        return [kind.key_field, kind.item_field]
    return list(kind) if is_.is_struct(kind) else []


def _leaves(fields: Iterable["pa.Field"], shape: Shape | None, above: bool = True) -> Iterator[bool]:
    """Whether each leaf is wanted, in the depth-first order in which parquet numbers its columns."""
    for field in fields:
        wanted = above and (shape is None or field.name in shape)
        if children := _children(field.type):
            yield from _leaves(children, shape[field.name].inside if shape and wanted else None, wanted)
        else:
            yield wanted


def _check_columns(file: Path, fields: Iterable["pa.Field"], shape: Shape | None) -> None:
    if missing := list(_missing(fields, shape)):
        present = ", ".join(field.name for field in fields)
        raise ThinkusError(
            f"{file}: has no column {' and no '.join(missing)}, only {present}; is it what data= names?"
        )


def _missing(fields: Iterable["pa.Field"], shape: Shape | None, above: str = "") -> Iterator[str]:
    present = {field.name: field for field in fields}
    for name, wanted in (shape or {}).items():
        if name not in present:
            if wanted.required:
                yield above + name
        elif wanted.inside is not None:
            yield from _missing(_children(present[name].type), wanted.inside, f"{above}{name}.")


def _unreadable(file: Path, kind: str, error: Exception) -> ThinkusError:
    return ThinkusError(f"{file}: not a complete {kind} ({_one_line(error)}); fetch it again")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]

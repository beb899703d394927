"""From what a person names (a file, a folder, a glob) to the records in it, one at a time."""

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from thinkus.corpora.json_records import json_records
from thinkus.corpora.rows import BadRow
from thinkus.corpora.table_records import arrow_records, parquet_records
from thinkus.errors import ThinkusError
from thinkus.paths import expanded

T = TypeVar("T")

FORMATS = {
    ".parquet": parquet_records,
    ".arrow": arrow_records,
    ".jsonl": json_records,
    ".jsonl.gz": json_records,
    ".json": json_records,
}
READABLE = ", ".join(FORMATS)
BOOKKEEPING = frozenset({"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"})
"""What `datasets` writes beside the data."""


def find_files(path: str) -> list[Path]:
    """The data files behind `data.path`, sorted, so that a corpus is read in the same order everywhere."""
    named = expanded(path)
    if named.is_file():
        _known_format(named)
        return [named]
    if named.is_dir():
        found = [file for file in named.rglob("*") if not _hidden(file.relative_to(named))]
    else:
        # Not Path.glob, which takes no absolute pattern.
        found = [Path(match) for match in glob.glob(str(named), recursive=True)]  # noqa: PTH207
    files = sorted(file for file in found if _is_data(file))
    if not files:
        if not named.exists() and not glob.has_magic(str(named)):
            why = "does not exist"
        elif not found:
            why = "is an empty folder" if named.is_dir() else "matches no file"
        else:
            why = f"holds nothing to read, only {', '.join(sorted({file.suffix or file.name for file in found})[:5])}"
        raise ThinkusError(f"data.path={path}: {why}; give a file, folder or glob of {READABLE}")
    formats = sorted({_known_format(file).removesuffix(".gz") for file in files})
    if len(formats) > 1:
        # Most often the same data twice; to read all of it would double every row.
        raise ThinkusError(
            f"data.path={path}: holds {' and '.join(formats)} files; choose one kind, such as "
            f"data.path='{named if named.is_dir() else named.parent}/**/*{formats[0]}'"
        )
    for file in files:
        if not file.exists():
            raise ThinkusError(f"{file}: a link to a file that is gone; fetch the data again")
    return files


def read_records(files: Sequence[Path], kind: type[T]) -> Iterator[tuple[str, T] | BadRow]:
    """Where each record stands, and the record as `kind`: only the fields that `kind` names are read."""
    for file, name in zip(files, short_names(files), strict=True):
        read = FORMATS[_known_format(file)]
        try:
            file.open("rb").close()  # where it cannot be opened, all formats say so alike
            yield from read(file, name, kind)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or error
            raise ThinkusError(f"{file}: cannot be read ({why}); fetch it again or leave it out") from None


def _format(file: Path) -> str | None:
    return next((suffix for suffix in FORMATS if file.name.lower().endswith(suffix)), None)


def _known_format(file: Path) -> str:
    if (suffix := _format(file)) is None:
        raise ThinkusError(f"{file}: cannot read this kind of file; known are {READABLE}")
    return suffix


def _is_data(file: Path) -> bool:
    # `cache-*.arrow` is what `datasets` derived from the data: to read it too would double rows.
    derived = file.name in BOOKKEEPING or (file.name.startswith("cache-") and file.suffix == ".arrow")
    return _format(file) is not None and not derived and not file.is_dir()


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def short_names(files: Sequence[Path]) -> list[str]:
    """File names, with as many folders as it takes to tell them apart, and never a home directory."""
    if len({file.name for file in files}) == len(files):
        return [file.name for file in files]
    shared = os.path.commonpath([file.parent for file in files])
    return [file.relative_to(shared).as_posix() for file in files]

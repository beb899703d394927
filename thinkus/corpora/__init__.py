"""The outside's data: found, identified, read; every format through one door."""

import importlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from thinkus import paths
from thinkus.config import Data
from thinkus.corpora.files import find_files, short_names
from thinkus.corpora.rows import BadRow, Row
from thinkus.errors import ThinkusError
from thinkus.files import sha256_of
from thinkus.identity import identity_of
from thinkus.runs import Input

ESTIMATE_BYTES = 1 << 22


def read(data: Data) -> Iterator[Row | BadRow]:
    """Every row of a corpus, one at a time."""
    reader = importlib.import_module(f"thinkus.corpora.{'lmsys' if data.format == 'sample' else data.format}")
    return cast("Iterator[Row | BadRow]", reader.read(files_of(data), source=data.name))


def as_said(data: Data) -> str:
    """The corpus as the words of a command name it: one with a name of its own is an option's, renamed."""
    is_option = data.name in paths.group_options("data")
    return f"data={data.name}" if is_option else f"data={data.format} data.name={data.name}"


def identify(data: Data) -> Input:
    """A corpus by its content: the same files elsewhere are the same corpus, an edited one is not."""
    files = files_of(data)
    identity = identity_of(
        {"format": data.format, **dict(zip(short_names(files), map(sha256_of, files), strict=True))}
    )
    size = sum(file.stat().st_size for file in files)
    newest = datetime.fromtimestamp(max(file.stat().st_mtime for file in files), UTC)
    count = "1 file" if len(files) == 1 else f"{len(files):,} files"
    shown = f"{size / 1e6:,.1f} MB" if size >= 1e5 else f"{size:,} bytes"
    description = f"{count}, {shown}, of {newest:%Y-%m-%d}"
    return Input(data.name, identity, description)


def files_of(data: Data) -> list[Path]:
    if data.format == "sample" and data.path is None:
        return [paths.SAMPLE / "conversations.jsonl"]
    if data.path is not None:
        return find_files(data.path)
    if data.hub is None:
        about = f" (about this corpus: {data.page})" if data.page else ""
        raise ThinkusError(f"data.path: {data.name} wants a file, a folder or a glob: data.path=FILE{about}")
    folder = hub_cache(data.hub)
    if folder is None:
        raise ThinkusError(
            f"data: {data.name} is not on this machine; accept its terms at {data.page} and then "
            f"`hf download {data.hub} --repo-type dataset`, or give data.path=; "
            "to try without it: data=sample"
        )
    return find_files(str(folder))


def count_rows(data: Data) -> int | None:
    """How many rows there are: known of tables, estimated of lines, unknown of the rest."""
    total = 0.0
    for file in files_of(data):
        if file.suffix == ".parquet":
            import pyarrow.parquet as pq

            try:
                total += pq.read_metadata(file).num_rows
            except (OSError, ValueError):
                return None  # whoever reads it will say what is wrong
        elif file.suffix == ".jsonl":
            with file.open("rb") as lines:
                head = lines.read(ESTIMATE_BYTES)
            total += head.count(b"\n") * max(1.0, file.stat().st_size / max(1, len(head)))
        else:
            return None
    return round(total)


def hub_cache(hub: str) -> Path | None:
    """The newest copy of a data set in the Hugging Face caches, found without importing anything of theirs.

    `hf download` leaves the files as published, `datasets.load_dataset` leaves Arrow files in another place
    and under a name of its own making.
    """
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    downloads = Path(os.environ.get("HF_HUB_CACHE", home / "hub")).expanduser()
    loaded = Path(os.environ.get("HF_DATASETS_CACHE", home / "datasets")).expanduser()
    found = list((downloads / f"datasets--{hub.replace('/', '--')}" / "snapshots").glob("*"))
    if not found and loaded.is_dir():
        named = [folder for folder in loaded.iterdir() if _bare(folder.name) == _bare(hub)]
        found = [file.parent for folder in named for file in folder.rglob("dataset_info.json")]
    return max(found, key=lambda folder: folder.stat().st_mtime, default=None)


def _bare(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())

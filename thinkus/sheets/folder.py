"""A sheet in the directory of the run that it was drawn from: handed out once, and what came back kept there."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from thinkus.belongings import HUMAN, SHEET, SHEET_PAGE
from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.files import write_whole
from thinkus.paths import expanded
from thinkus.sheets.page import page_of
from thinkus.sheets.sheet import Sheet
from thinkus.sheets.table import ITEM, rows_of, table_of


class Returned(NamedTuple):
    files: Sequence[Path]
    """One for each who rated."""
    drawn: int
    """Items on the sheet."""


def hand_out(stage: str, sheet: Sheet, directory: Path, count: int) -> None:
    for drawn in (SHEET, SHEET_PAGE):
        if (directory / drawn).exists():
            raise ThinkusError(
                f"--human-sheet: {directory / drawn} is there already, and ratings may be in it; move it away first"
            )
    if len(sheet.items) < count:
        say(f"{stage}: of the {count:,} that were asked for there are {len(sheet.items):,}")
    page, table = write(sheet, directory)
    say(
        f"{stage}: {page} (for a browser) and {table} (the same for a spreadsheet); "
        "what people filled in is read back with human=FILE"
    )


def write(sheet: Sheet, directory: Path) -> tuple[Path, Path]:
    """The same items as a page to click and as a table for a spreadsheet program."""
    page, table = directory / SHEET_PAGE, directory / SHEET
    write_whole(page, page_of(sheet).encode())
    write_whole(table, table_of(sheet).encode("utf-8-sig"))  # the mark tells those programs what it is
    return page, table


def returned(human: str | Sequence[str] | None, directory: Path) -> Returned:
    """What `human=` names; two files that are called alike are likely one rater's, and nobody could tell them apart."""
    drawn = directory / SHEET
    if not drawn.is_file():
        raise ThinkusError(f"human: no sheet was drawn from {directory}; draw one with --human-sheet N")
    files: dict[str, Path] = {}
    for file in map(expanded, [human] if isinstance(human, str) else human or []):
        called = re.sub(r" ?\(\d+\)$", "", file.stem)  # as browsers call what they save once more
        if (other := files.setdefault(called, file)) is not file:
            raise ThinkusError(
                f"human: {other} and {file} are called alike; leave one out if one person filled in both, "
                "else call each by its rater"
            )
    return Returned(list(files.values()), sum(bool(row[ITEM]) for _, row in rows_of(drawn)))


def keep(report: msgspec.Struct, directory: Path) -> None:
    write_whole(directory / HUMAN, msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")

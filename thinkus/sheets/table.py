"""A sheet as a table: written for any spreadsheet program, and read as any of them saves it."""

import csv
import io
from collections.abc import Container, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from thinkus.errors import ThinkusError
from thinkus.sheets.sheet import NOTE, SPEAKERS, Item, Question, Sheet
from thinkus.terminal import plain

ITEM = "item"
SO_FAR = "conversation so far"
MOST_CHARACTERS = 2000
"""In a cell; the page shows all."""


class Filled(NamedTuple):
    """What somebody said of an item."""

    item: str
    answers: dict[str, int]
    """As they are counted; none where they left them out."""
    note: str


def table_of(sheet: Sheet) -> str:
    rows = io.StringIO()
    table = csv.writer(rows)
    first = sheet.items[0]
    texts = [text.column for text in first.before], [text.column for text in first.after]
    asked = (f"{name}: {question.text}{question.hint}" for name, question in sheet.questions.items())
    table.writerow([ITEM, *texts[0], SO_FAR, *texts[1], *asked, NOTE])
    for item in sheet.items:
        table.writerow([item.id, *_cells(item), *[""] * (len(sheet.questions) + 1)])
    return rows.getvalue()


def _cells(item: Item) -> Iterator[str]:
    yield from (_cell(text.words) for text in item.before)
    so_far = " / ".join(f"{SPEAKERS[message.role]}: {message.content}" for message in item.history)
    yield _cell(so_far, is_end=True)
    yield from (_cell(text.words) for text in item.after)


def _cell(text: str, *, is_end: bool = False) -> str:
    """On one line, so that rows are lines; and never a formula, which a spreadsheet program would carry out."""
    text = " ".join(plain(text).split())
    if len(text) > MOST_CHARACTERS:
        text = f"... {text[-MOST_CHARACTERS:]}" if is_end else f"{text[:MOST_CHARACTERS]} ..."
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def read(file: Path, questions: Mapping[str, Question], drawn: Container[str]) -> Iterator[Filled]:
    """Each item in the file, answered or not; of a sheet with these."""
    lines: dict[str, int] = {}
    for line, row in rows_of(file, questions):
        where, item = f"{file}, line {line}", row.pop(ITEM)
        said = {column: text for column, text in row.items() if text}
        if not item and not said:
            continue
        if item not in drawn:
            raise ThinkusError(
                f"{where}: there is no item {item!r} on the sheet; is it another run's, or an older one "
                "(of another seed, another count or other texts)?"
            )
        if (first := lines.setdefault(item, line)) != line:
            raise ThinkusError(f"{where}: item {item} stands in line {first} already; keep one of them")
        note = said.pop(NOTE, "")
        answers = {name: _answer(name, questions[name], text, where) for name, text in said.items()}
        yield Filled(item, answers, note)


def _answer(name: str, question: Question, text: str, where: str) -> int:
    counted = {answer.lower(): value for answer, value in question.answers.items()}
    if text.lower() not in counted:
        raise ThinkusError(
            f"{where}: {name} is {text!r}; write one of {', '.join(question.answers)}, or nothing"
        )
    return counted[text.lower()]


def rows_of(file: Path, names: Iterable[str] = ()) -> Iterator[tuple[int, dict[str, str]]]:
    """Our columns of each row, with its line: of what a page saves, or any spreadsheet program makes of a table."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ThinkusError(f"{file}: cannot be read ({(error.strerror or str(error)).lower()})") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:  # what some programs still write; our own columns are the same in it
        text = content.decode("cp1252", "replace")
    header = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=header.count))
    line = 1
    try:
        columns = [cell.partition(":")[0].strip().lower() for cell in next(rows, [])]
        if missing := {ITEM, *names}.difference(columns):
            raise ThinkusError(f"{file}, line 1: has no column {', '.join(sorted(missing))}; is it a sheet?")
        wanted = {column: columns.index(column) for column in (ITEM, *names, NOTE) if column in columns}
        line = rows.line_num + 1
        for row in rows:
            cells = dict(enumerate(row))
            yield line, {column: cells.get(at, "").strip() for column, at in wanted.items()}
            line = rows.line_num + 1
    except csv.Error as error:
        raise ThinkusError(f"{file}, line {line}: is no table ({error}); save it as CSV again") from None

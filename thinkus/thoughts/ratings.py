"""What people made of a sheet: their answers, no longer blind, and what these come to.

The items are drawn again from the same conversations, so that a sheet need not say which are controls.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

import msgspec
from rich.console import Console
from rich.table import Table

from thinkus.errors import ThinkusError
from thinkus.records import Conversation
from thinkus.thoughts.sheet import KINDS, NOTE, QUESTIONS, Item, Kind, draw


class Measure(msgspec.Struct, frozen=True):
    mean: float | None
    ratings: int


class Agreement(msgspec.Struct, frozen=True):
    """Of two raters about the same item, over all such pairs."""

    pairs: int
    same: float
    """The share that gave the same answer."""
    apart: float
    """The mean absolute difference."""


class Answers(msgspec.Struct, frozen=True):
    question: str
    means: dict[Kind, Measure]
    agreement: Agreement | None


class Rating(msgspec.Struct, frozen=True):
    """What one rater said of one item, no longer blind: a mean can be followed to its rows."""

    rater: int
    """Index into `raters`."""
    item: str
    conversation: str
    place: int
    kind: Kind
    answers: dict[str, int]
    note: str


class Report(msgspec.Struct, frozen=True):
    items: int
    rated: int
    """Items with an answer from anybody."""
    raters: tuple[str, ...]
    """The names of their files."""
    answers: dict[str, Answers]
    ratings: tuple[Rating, ...]


def read_sheet(files: Sequence[Path], conversations: Sequence[Conversation], seed: int, count: int) -> Report:
    """What the raters said, each in a file of their own; who saw a control is drawn again."""
    items = {item.id: item for item in draw(conversations, count, seed)}
    ratings = [rating for rater, file in enumerate(files) for rating in _ratings(file, rater, items)]
    return Report(
        items=len(items),
        rated=len({rating.item for rating in ratings if rating.answers}),
        raters=tuple(file.name for file in files),
        answers={name: _answers(name, ratings) for name in QUESTIONS},
        ratings=tuple(ratings),
    )


def _ratings(file: Path, rater: int, items: Mapping[str, Item]) -> Iterator[Rating]:
    lines: dict[str, int] = {}
    for line, row in _rows(file):
        where, name = f"{file}, line {line}", row["item"]
        said = {column: text for column, text in row.items() if text and column != "item"}
        if not name and not said:
            continue
        if name not in items:
            raise ThinkusError(
                f"{where}: there is no item {name!r}; is it another sheet, or one of other "
                "conversations, another seed or another count?"
            )
        if (first := lines.setdefault(name, line)) != line:
            raise ThinkusError(f"{where}: item {name} stands in line {first} already; keep one of them")
        item, note = items[name], said.pop(NOTE, "")
        if said or note:
            answers = {column: _answer(column, text, where) for column, text in said.items()}
            yield Rating(rater, name, item.conversation.id, item.place, item.kind, answers, note)


def _answer(name: str, text: str, where: str) -> int:
    answers = QUESTIONS[name].answers
    if text.lower() not in answers:
        raise ThinkusError(f"{where}: {name} is {text!r}; write one of {', '.join(answers)}, or nothing")
    return answers[text.lower()]


def _rows(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
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
        if missing := {"item", *QUESTIONS}.difference(columns):
            raise ThinkusError(f"{file}, line 1: has no column {', '.join(sorted(missing))}; is it a sheet?")
        wanted = {column: columns.index(column) for column in ("item", *QUESTIONS, NOTE) if column in columns}
        line = rows.line_num + 1
        for row in rows:
            cells = dict(enumerate(row))
            yield line, {column: cells.get(at, "").strip() for column, at in wanted.items()}
            line = rows.line_num + 1
    except csv.Error as error:
        raise ThinkusError(f"{file}, line {line}: is no table ({error}); save it as CSV again") from None


def _answers(name: str, ratings: Sequence[Rating]) -> Answers:
    given: dict[Kind, list[int]] = {kind: [] for kind in KINDS}
    by_item: dict[str, list[int]] = {}
    for rating in ratings:
        if name in rating.answers:
            given[rating.kind].append(rating.answers[name])
            by_item.setdefault(rating.item, []).append(rating.answers[name])
    apart = [abs(one - other) for own in by_item.values() for one, other in combinations(own, 2)]
    return Answers(
        question=QUESTIONS[name].text,
        means={kind: Measure(fmean(own) if own else None, len(own)) for kind, own in given.items()},
        agreement=Agreement(len(apart), apart.count(0) / len(apart), fmean(apart)) if apart else None,
    )


def print_report(report: Report, console: Console) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("", "thoughts", "endings", "controls", "raters agree"):
        table.add_column(column, justify="right" if column else "left")
    for name, answers in report.answers.items():
        cells = [
            f"{measure.mean:.2f} (n={measure.ratings:,})" if measure.mean is not None else "-"
            for measure in (answers.means[kind] for kind in KINDS)
        ]
        both = answers.agreement
        agree = f"{both.same:.0%} of {both.pairs:,}, {both.apart:.2f} apart" if both else "-"
        table.add_row(name.replace("_", " "), *cells, agree)
    raters = f"{len(report.raters):,} rater{'s' if len(report.raters) > 1 else ''}"
    console.print(f"{report.rated:,} of {report.items:,} items rated by {raters}", highlight=False)
    console.print(table)
    console.print("1 to 5; gives away: yes 1, no 0; controls show a stranger's thought", style="dim")

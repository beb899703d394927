"""What people made of a sheet: their answers, no longer blind, and what these come to.

The items are drawn again from the same conversations, so that a sheet need not say which are controls.
"""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

import msgspec
from rich.console import Console
from rich.table import Table

from thinkus.records import Conversation
from thinkus.sheets.table import read
from thinkus.thoughts.sheet import KINDS, QUESTIONS, Kind, draw


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
    ratings = [
        Rating(rater, filled.item, item.conversation.id, item.place, item.kind, filled.answers, filled.note)
        for rater, file in enumerate(files)
        for filled in read(file, QUESTIONS, items)
        for item in [items[filled.item]]
        if filled.answers or filled.note
    ]
    return Report(
        items=len(items),
        rated=len({rating.item for rating in ratings if rating.answers}),
        raters=tuple(file.name for file in files),
        answers={name: _answers(name, ratings) for name in QUESTIONS},
        ratings=tuple(ratings),
    )


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

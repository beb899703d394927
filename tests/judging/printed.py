"""Finished runs as they are printed, line by line."""

import re
from collections.abc import Sequence
from io import StringIO
from itertools import takewhile
from typing import Any

from rich.console import Console
from rich.table import Table

from thinkus.judging.published import CAPTION
from thinkus.judging.tables import Judgement, tables


def judgement(
    rows: Sequence[Any],
    candidate: str = "ours",
    against: str | None = None,
    judge: str = "a judge",
    **facts: str,
) -> Judgement:
    return Judgement(candidate, judge, facts, against, rows)


def printed(task: str, *ones: Judgement) -> str:
    console = Console(width=200, file=StringIO(), highlight=False, markup=False)
    for told in tables(task, ones):
        console.print(told)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def above(task: str, *ones: Judgement) -> str | None:
    """What is said of all columns; a narrow table has it in several lines."""
    table = next(tables(task, ones))
    assert isinstance(table, Table)
    assert table.title is None or isinstance(table.title, str)
    return table.title


def lines(task: str, *ones: Judgement) -> list[list[str]]:
    """Cell by cell, without intervals and what is said of them; an empty one does not show."""
    text = re.sub(r"(?m) ~?\[[^\]\n]*, [^\]\n]*\](?=  |$)", "", printed(task, *ones))
    told = [line.strip() for line in text.splitlines() if line.strip() and "no intervals" not in line]
    return [re.split(r" {2,}", line) for line in told]


def figures(task: str, *ones: Judgement) -> dict[str, list[str]]:
    """By the name of their line; ours, without what others have published."""
    own = list(takewhile(lambda cells: cells[0] != CAPTION, lines(task, *ones)))
    found = {name: cells for name, *cells in own}
    assert len(found) == len(own), "no two lines have one name"
    return found

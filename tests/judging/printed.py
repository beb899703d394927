"""Finished runs as they are printed, line by line."""

import re
from collections.abc import Sequence
from io import StringIO
from itertools import takewhile
from typing import Any

from rich.console import Console

from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Lines
from thinkus.judging.published import CAPTION
from thinkus.judging.showing import print_whole
from thinkus.judging.tables import tables


def judgement(
    rows: Sequence[Any],
    candidate: str = "ours",
    against: str | None = None,
    judge: str = "a judge",
    **facts: str,
) -> Judgement:
    return Judgement("", candidate, judge, facts, against, rows)


def printed(task: str, *ones: Judgement) -> str:
    console = Console(width=200, file=StringIO(), highlight=False, markup=False)
    for told in tables([one._replace(task=task) for one in ones]):
        print_whole(told, console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def above(task: str, *ones: Judgement) -> str:
    """What is said of all columns; a narrow table has it in several lines."""
    table = next(tables([one._replace(task=task) for one in ones]))
    assert isinstance(table, Lines)
    return table.above


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

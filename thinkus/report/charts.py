"""What is drawn beside the tables: figures with their intervals, shares of a whole, distributions."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.published import CAPTION
from thinkus.judging.tables import told_apart
from thinkus.report.paper import OURS, THEIRS
from thinkus.report.paper import TITLE as BESIDE
from thinkus.report.sections import Section
from thinkus.scoring.likeness import Measured

BINS = 24
OUTER = (1.0, 99.0)
"""Percentiles between which a distribution is drawn; what lies beyond stands in the last bins."""


class Point(msgspec.Struct, frozen=True):
    name: str
    value: float
    printed: str
    interval: tuple[float, float] | None = None
    paper: float | None = None
    """What the paper has there."""


class Forest(msgspec.Struct, frozen=True, tag="forest", tag_field="kind"):
    """A figure of all, one below the other, each with its interval."""

    title: str
    points: tuple[Point, ...]
    reference: float | None = None
    """Where nothing would be the matter."""
    most: float | None = None
    """Beyond which there can be nothing."""


class Shares(msgspec.Struct, frozen=True, tag="shares", tag_field="kind"):
    """What a whole is made of, for each."""

    title: str
    parts: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]
    scale: str
    """The colours: of verdicts, of levels, of leaving."""


class Spread(msgspec.Struct, frozen=True, tag="spread", tag_field="kind"):
    """How a measure is distributed, of people and of those who play them."""

    title: str
    low: float
    high: float
    rows: tuple[tuple[str, float, tuple[float, ...]], ...]
    """By name: the median, and the share in each bin."""


FORESTS: Mapping[str, Sequence[tuple[str, str, float | None]]] = {
    "pairwise": (
        ("r_w", "r_w: above 0, closer to the person than whoever it is held against", 0.0),
        ("r_w, were both of one length", "r_w, were both of one length", 0.0),
        ("stood the swap", "Verdicts that stood the swap of the two, %", None),
        ("took the one shown first", "Verdicts for the one shown first, %: 50 if place is nothing", 50.0),
    ),
    "terminal": (("divergence", "Divergence of last thoughts from the people's: 0 is none", 0.0),),
    "online": (
        ("disclosure", "Disclosure: goals that the words reveal (1), conflict with (-1)", None),
        ("progression", "Progression: dialogues that get on with the goals", None),
        ("additional information", "Additional information: dialogues with something new in them", None),
    ),
    "ending": (
        ("F1", "F1 of leaving where the person left", None),
        ("turns, apart by", "Numbers of turns, apart from the people's by", 0.0),
    ),
}
SHARES: Mapping[str, Sequence[tuple[str, str, tuple[str, ...]]]] = {
    "pairwise": (("Verdicts", "verdicts", ("wins", "draws", "losses", "invalid")),),
    "terminal": (
        (
            "Last thoughts",
            "levels",
            ("excellent", "good", "average", "poor", "extremely poor", "no thought", "invalid"),
        ),
    ),
    "ending": (
        ("Where they leave", "leaving", ("leaves too early", "leaves with the person", "never leaves")),
    ),
}
CONTROLS = {
    "control: the real text ties itself": "Control: the real text ties itself, %",
    "control: it beats a stranger's": "Control: the real text beats a stranger's, %",
}
MEASURES: Mapping[str, Callable[[Measured], Sequence[float | None]]] = {
    "words a turn": lambda said: [count for count in said.words if count],
    "intent's words in a turn, %": lambda said: [100 * share for share in said.intent],
    "said before, %": lambda said: [100 * share for share in said.repetition],
    "MATTR-50": lambda said: [said.mattr],
    "HD-D-42": lambda said: [said.hd_d],
    "Yule's K": lambda said: [said.yules_k],
}


def charts(section: Section) -> Iterator[Forest | Shares]:
    """Of what its tables print, the figure that counts most first."""
    for lines in section.told:
        if isinstance(lines, Lines) and lines.title == BESIDE:
            yield _beside(lines)
        elif isinstance(lines, Lines) and lines.title != CAPTION:
            rows = {name.strip(): cells for name, cells in lines.rows}
            forests = list(_forests(section.task, lines.columns, rows))
            yield from forests[:1]
            for title, scale, parts in SHARES.get(section.task, ()):
                if any(part in rows for part in parts):
                    yield _shares(title, scale, parts, lines.columns, rows)
            yield from forests[1:]


def _forests(task: str, columns: Sequence[str], rows: Mapping[str, Sequence[Cell]]) -> Iterator[Forest]:
    for figure, title, reference in FORESTS.get(task, ()):
        points = tuple(_points(columns, rows.get(figure, ())))
        if len(points) > 1 or any(point.interval for point in points):
            yield Forest(title, points, reference)
    for control, title in CONTROLS.items():
        if points := tuple(_of_whole(columns, rows.get(control, ()))):
            yield Forest(title, points, 100.0, 100.0)


def _beside(lines: Lines) -> Forest:
    points = []
    for name, cells in lines.rows:
        theirs, here = (cells[lines.columns.index(whose)] for whose in (THEIRS, OURS))
        points += [
            msgspec.structs.replace(point, paper=_number(theirs.value)) for point in _points([name], [here])
        ]
    return Forest("Beside the paper: ours, and what it printed", tuple(points))


def spreads(judgements: Sequence[Judgement]) -> Iterator[tuple[str, list[Spread]]]:
    """How alike they sound: a set of distributions for each corpus, live and replayed apart."""
    groups: dict[tuple[object, ...], list[Judgement]] = {}
    for one in judgements:
        if one.task == "likeness" and one.rows:
            groups.setdefault((one.corpus, _is_live(one)), []).append(one)
    for (_, is_live), ones in groups.items():
        corpus = ones[0].corpus.name
        title = ", ".join(filter(None, (f"on {corpus}" if corpus else "", "live" if is_live else "")))
        names = told_apart([one.candidate for one in ones])
        said = {"people": [row.person for row in ones[0].rows]}
        said |= {names[one.candidate]: [row.candidate for row in one.rows] for one in ones}
        made = (_spread(measure, of, said) for measure, of in MEASURES.items())
        yield title, [one for one in made if one is not None]


def _is_live(one: Judgement) -> bool:
    return bool(one.facts.get("assistant"))


def _spread(
    measure: str, of: Callable[[Measured], Sequence[float | None]], said: Mapping[str, Sequence[Measured]]
) -> Spread | None:
    values = {
        name: np.array([value for one in every for value in of(one) if value is not None], dtype=float)
        for name, every in said.items()
    }
    pooled = np.concatenate(list(values.values()))
    if not pooled.size or pooled.min() == pooled.max():
        return None
    low, high = np.percentile(pooled, OUTER)
    if low == high:
        low, high = pooled.min(), pooled.max()
    rows = tuple((name, _median(own), _bins(own, low, high)) for name, own in values.items() if own.size)
    return Spread(measure, float(low), float(high), rows)


def _median(values: Any) -> float:
    return round(float(np.median(values)), 4)


def _bins(values: Any, low: float, high: float) -> tuple[float, ...]:
    counts, _ = np.histogram(np.clip(values, low, high), BINS, (low, high))
    return tuple(round(float(share), 4) for share in counts / values.size)


def _points(columns: Sequence[str], cells: Sequence[Cell]) -> Iterator[Point]:
    for name, cell in zip(columns, cells, strict=False):
        if (value := _number(cell.value)) is not None:
            ends = cell.interval and tuple(map(_number, cell.interval))
            low, high = ends or (None, None)
            interval = None if low is None or high is None else (low, high)
            yield Point(name, value, cell.printed, interval)


def _of_whole(columns: Sequence[str], cells: Sequence[Cell]) -> Iterator[Point]:
    for name, cell in zip(columns, cells, strict=False):
        if of := re.fullmatch(r"([\d,]+) of ([\d,]+)", cell.value):
            count, whole = (int(one.replace(",", "")) for one in of.groups())
            yield Point(name, round(100 * count / whole, 2), cell.value)


def _shares(
    title: str, scale: str, parts: Sequence[str], columns: Sequence[str], rows: Mapping[str, Sequence[Cell]]
) -> Shares:
    made = []
    for place, name in enumerate(columns):
        counts = [_number(rows[part][place].value) or 0.0 if part in rows else 0.0 for part in parts]
        if whole := sum(counts):
            made.append((name, tuple(round(count / whole, 4) for count in counts)))
    return Shares(title, tuple(parts), tuple(made), scale)


def _number(text: str) -> float | None:
    plain = text.replace(",", "").removesuffix("%")
    return float(plain) if re.fullmatch(r"-?\d+(\.\d+)?", plain) else None

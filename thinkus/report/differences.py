"""What one method has over another: on the same conversations, by the same judge, and whether chance would do."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from msgspec.structs import replace

from thinkus.judging import intervals
from thinkus.judging.intervals import FEWEST, SEED, Form, Sure
from thinkus.judging.judgement import Judgement
from thinkus.judging.online import BROKEN
from thinkus.scoring.bootstrap import Estimate, Interval, Sums
from thinkus.scoring.differences import Difference, difference, holm

HEADLINES = {
    "pairwise": ("r_w",),
    "terminal": ("divergence",),
    "online": ("disclosure", "progression", "additional information"),
    "ending": ("F1", "leaves too early", "never leaves", "turns, apart by"),
    "ending, live": ("turns, apart by", "never left: ended by max_turns"),
}
"""The figures of a task by which methods are held against each other; how people sound is a task of its own."""
SOUNDS = (
    "words a turn",
    "first-turn diversity",
    "intent's words in a turn",
    "MATTR-50",
    "HD-D-42",
    "Yule's K",
    "questions",
    "opened politely",
    "said before",
)
PEOPLE = "people"


class Compared(NamedTuple):
    """A figure of one, less that of the other."""

    figure: str
    one: str
    other: str
    conversations: int
    left_out: int
    """Conversations that only one of the two has."""
    difference: Difference
    form: Form
    p_holm: float | None = None
    """Corrected for all that were compared with it."""


def compared(judgements: Sequence[Judgement]) -> list[Compared]:
    """All that judgements of one task, of the same corpus, by the same judge say of each other: a family."""
    found = [one for one in _all(judgements) if one.difference.estimate.value is not None]
    tested = [one.difference.p for one in found if one.difference.p is not None]
    corrected = iter(holm(tested))
    return [one if one.difference.p is None else one._replace(p_holm=next(corrected)) for one in found]


def _all(judgements: Sequence[Judgement]) -> Iterator[Compared]:
    task = judgements[0].task
    if task == "likeness":
        for one in judgements:
            yield from _beside_people(one)
        return
    if task == "pairwise":
        yield from (_with_its_baseline(one) for one in judgements if len(_ids(one)) >= FEWEST)
    sides = [side for one in judgements for side in (one.sides if task == "online" else [one])]
    methods = {side.candidate: side for side in sides}
    for one, other in combinations(methods.values(), 2):
        if _conditions(one) == _conditions(other):
            yield from _between(one, other)


def _conditions(one: Judgement) -> tuple[object, ...]:
    """Under which its figures are like those of another."""
    return (
        one.is_live,
        one.against if one.task == "pairwise" else None,
        *(one.facts.get(fact) for fact in ("assistant", "ending", "max_turns") if one.is_live),
    )


def _between(one: Judgement, other: Judgement) -> Iterator[Compared]:
    both = _ids(one).keys() & _ids(other).keys()
    if len(both) < FEWEST:
        return
    left_out = len(_ids(one).keys() | _ids(other).keys()) - len(both)
    rows = [*_ordered(one, both, ""), *_ordered(other, both, "other ")]
    told = _sure(one, rows)
    key = "ending, live" if one.task == "ending" and one.is_live else one.task
    for name in HEADLINES[key]:
        if name in told and isinstance(figure := told[name].figure, Sums):
            found = difference(*figure.halves(), seed=SEED)
            yield Compared(name, one.candidate, other.candidate, len(both), left_out, found, told[name].form)


def _with_its_baseline(one: Judgement) -> Compared:
    """r_w is a difference already: were the two the same, either could have had the other's wins."""
    own = intervals.of_wins(one.rows)["r_w"]
    assert isinstance(own.figure, Sums)
    mirrored = Sums(own.figure.rows[:, [1, 0, 2]], own.figure.of)
    doubled = difference(own.figure, mirrored, SEED)
    return Compared("r_w", one.candidate, one.against or "", len(_ids(one)), 0, _halved(doubled), own.form)


def _halved(doubled: Difference) -> Difference:
    value, interval, error, undefined = doubled.estimate
    half = Estimate(
        None if value is None else value / 2,
        interval and Interval(interval.low / 2, interval.high / 2, interval.method),
        error and error / 2,
        undefined,
    )
    return Difference(half, doubled.p, doubled.smallest and doubled.smallest / 2)


def _beside_people(one: Judgement) -> Iterator[Compared]:
    if len(one.rows) < FEWEST:
        return
    people, candidate = intervals.of_sounds(one.rows)
    for name in SOUNDS:
        found = difference(candidate[name].figure, people[name].figure, SEED)
        yield Compared(name, one.candidate, PEOPLE, len(one.rows), 0, found, candidate[name].form)


def _sure(one: Judgement, rows: Sequence[Any]) -> Mapping[str, Sure]:
    if one.task == "pairwise":
        return intervals.of_wins(rows)
    if one.task == "terminal":
        return intervals.of_levels(rows)
    if one.task == "online":
        return intervals.of_dialogues(rows)
    return intervals.of_lateness(rows) if one.is_live else intervals.of_leaving(rows)


def _ids(one: Judgement) -> dict[str, list[Any]]:
    """The rows that count, by conversation."""
    held: dict[str, list[Any]] = {}
    for row in one.rows:
        is_broken = getattr(row, "state", "") == "broken" or getattr(row, "ended_by", None) in BROKEN
        if getattr(row, "control", None) is None and not is_broken:
            held.setdefault(row.conversation, []).append(row)
    return held


def _ordered(one: Judgement, ids: set[str], mark: str) -> Iterator[Any]:
    """In the same order for all; marked, for two methods are told apart by their conversations here."""
    held = _ids(one)
    for conversation in sorted(ids):
        for row in held[conversation]:
            yield replace(row, conversation=f"{mark}{conversation}")

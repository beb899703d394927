"""What one method has over another: on the same conversations, by the same judge, and whether chance would do."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, combinations
from typing import Any, NamedTuple

from msgspec.structs import replace

from thinkus.judging import intervals
from thinkus.judging.intervals import FEWEST, SEED, Form, Sure
from thinkus.judging.judgement import Judgement
from thinkus.scoring.bootstrap import Estimate, Figure, Interval, Sums
from thinkus.scoring.differences import Difference, differences, holm

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


class _Pair(NamedTuple):
    """Two figures over the same conversations in the same order."""

    figure: str
    one: str
    other: str
    left_out: int
    sides: tuple[Figure, Figure]
    form: Form
    is_mirrored: bool = False
    """The other is the one's own opposite, so that the difference is twice the figure."""


class _Method(NamedTuple):
    """A judgement among those that are laid beside it."""

    judgement: Judgement
    held: Mapping[str, Sequence[Any]]
    """The rows that count, by conversation."""
    start: int
    """Where its conversations begin among those of all methods."""

    @property
    def identity(self) -> str:
        return self.judgement.identity("candidate")

    @property
    def places(self) -> dict[str, int]:
        return {conversation: self.start + at for at, conversation in enumerate(self.held)}


class _Figures:
    """Of all methods together, so that those of each are the same function of sums."""

    def __init__(self, methods: Sequence[_Method]) -> None:
        self._told = _sure_of_all(methods)
        self._known: dict[tuple[object, ...], Sums] = {}

    def of(self, one: _Method, conversations: Sequence[str], name: str) -> Sums:
        """In their order; the same thing each time, so that it is drawn but once for all differences."""
        key = (one.start, name, *conversations)
        if key not in self._known:
            figure, places = self._told[name].figure, one.places
            assert isinstance(figure, Sums)
            self._known[key] = figure.among([places[conversation] for conversation in conversations])
        return self._known[key]

    def form(self, name: str) -> Form:
        return self._told[name].form


def compared(judgements: Sequence[Judgement]) -> list[Compared]:
    """All that judgements of one task, of the same corpus, by the same judge say of each other: a family."""
    pairs = list(_pairs(judgements))
    measured = _measured(pairs)
    corrected = iter(holm([one.p for one in measured if one.p is not None]))
    return [
        Compared(
            pair.figure,
            pair.one,
            pair.other,
            pair.sides[0].conversations,
            pair.left_out,
            found,
            pair.form,
            None if found.p is None else next(corrected),
        )
        for pair, found in zip(pairs, measured, strict=True)
    ]


def not_compared(judgements: Sequence[Judgement]) -> Iterator[str]:
    """What a reader could look for among the differences, and why it is not there."""
    task, methods = judgements[0].task, _methods(judgements)
    few = [one.judgement.candidate for one in methods if len(one.held) < FEWEST]
    if few and task in ("pairwise", "likeness"):
        yield f"{', '.join(few)}: fewer than {FEWEST} conversations, so no differences"
    if task in HEADLINES:
        once, again = _once(methods)
        for one, first in again:
            yield (
                f"{one.judgement.candidate}: the same run as {first.judgement.candidate}, judged once more; others "
                "are held against the first alone"
            )
        reasons = Counter(why for two in _others(once) if (why := _why_not(*two)))
        if reasons:
            told = "; ".join(f"{count:,} {why}" for why, count in reasons.items())
            yield f"pairs that are not held against each other: {told}"


def _measured(pairs: Sequence[_Pair]) -> list[Difference]:
    """From the same resamples wherever there are as many conversations."""
    by_size: dict[int, list[int]] = {}
    for at, pair in enumerate(pairs):
        by_size.setdefault(pair.sides[0].conversations, []).append(at)
    found: dict[int, Difference] = {}
    for places in by_size.values():
        found |= zip(places, differences([pairs[at].sides for at in places], SEED), strict=True)
    return [_halved(found[at]) if pair.is_mirrored else found[at] for at, pair in enumerate(pairs)]


def _pairs(judgements: Sequence[Judgement]) -> Iterator[_Pair]:
    task = judgements[0].task
    if task == "likeness":
        for judgement in judgements:
            yield from _beside_people(judgement)
    if task not in HEADLINES:
        return
    methods = _methods(judgements)
    figures = _Figures(methods)
    if task == "pairwise":
        yield from (_with_its_baseline(one, figures) for one in methods if len(one.held) >= FEWEST)
    for one, other in _others(_once(methods)[0]):
        if not _why_not(one, other):
            yield from _between(one, other, figures)


def _methods(judgements: Sequence[Judgement]) -> list[_Method]:
    is_online = judgements[0].task == "online"
    sides = [side for one in judgements for side in (one.sides if is_online else [one])]
    held = [side.held for side in sides]
    starts = accumulate(map(len, held), initial=0)
    return [_Method(*one) for one in zip(sides, held, starts, strict=False)]


def _once(methods: Sequence[_Method]) -> tuple[list[_Method], list[tuple[_Method, _Method]]]:
    """Each run once; and those that are there again, each with the first."""
    first: dict[tuple[object, ...], _Method] = {}
    again = []
    for one in methods:
        there = first.setdefault((one.identity, *one.judgement.conditions.values()), one)
        if there is not one:
            again.append((one, there))
    return list(first.values()), again


def _others(methods: Sequence[_Method]) -> Iterator[tuple[_Method, _Method]]:
    return ((one, other) for one, other in combinations(methods, 2) if one.identity != other.identity)


def _why_not(one: _Method, other: _Method) -> str:
    """Empty where they may be held against each other."""
    there = other.judgement.conditions
    for key, value in one.judgement.conditions.items():
        if there[key] != value:
            return f"with another {key}"
    return f"with fewer than {FEWEST} conversations in common" if len(_in_both(one, other)) < FEWEST else ""


def _in_both(one: _Method, other: _Method) -> list[str]:
    """In the order of the one, which is that of its table's intervals as well."""
    return [conversation for conversation in one.held if conversation in other.held]


def _between(one: _Method, other: _Method, figures: _Figures) -> Iterator[_Pair]:
    mine, theirs = one.judgement, other.judgement
    both = _in_both(one, other)
    left_out = len(one.held.keys() | other.held.keys()) - len(both)
    for name in HEADLINES["ending, live" if mine.task == "ending" and mine.is_live else mine.task]:
        label = f"{name} against {mine.against}" if mine.task == "pairwise" else name
        sides = figures.of(one, both, name), figures.of(other, both, name)
        yield _Pair(label, mine.candidate, theirs.candidate, left_out, sides, figures.form(name))


def _with_its_baseline(one: _Method, figures: _Figures) -> _Pair:
    """r_w is a difference already: were the two the same, either could have had the other's wins."""
    own = figures.of(one, list(one.held), "r_w")
    mirrored = Sums(own.rows[:, [1, 0, 2]], own.of)
    names = "r_w", one.judgement.candidate, one.judgement.against or ""
    return _Pair(*names, 0, (own, mirrored), figures.form("r_w"), is_mirrored=True)


def _halved(doubled: Difference) -> Difference:
    value, interval, error, undefined = doubled.estimate
    half = Estimate(
        None if value is None else value / 2,
        interval and Interval(interval.low / 2, interval.high / 2, interval.method),
        error and error / 2,
        undefined,
    )
    return Difference(half, doubled.p, doubled.smallest and doubled.smallest / 2)


def _beside_people(one: Judgement) -> Iterator[_Pair]:
    if len(one.rows) < FEWEST:
        return
    people, candidate = intervals.of_sounds(one.rows)
    for name in SOUNDS:
        sides = candidate[name].figure, people[name].figure
        yield _Pair(name, one.candidate, PEOPLE, 0, sides, candidate[name].form)


def _sure_of_all(methods: Sequence[_Method]) -> Mapping[str, Sure]:
    """A conversation of one method is another than the same of another."""
    one = methods[0].judgement
    rows = [
        replace(row, conversation=f"{at} {conversation}")
        for at, method in enumerate(methods)
        for conversation, own in method.held.items()
        for row in own
    ]
    if one.task == "pairwise":
        return intervals.of_wins(rows)
    if one.task == "terminal":
        return intervals.of_levels(rows)
    if one.task == "online":
        return intervals.of_dialogues(rows)
    return intervals.of_lateness(rows) if one.is_live else intervals.of_leaving(rows)

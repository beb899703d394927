"""People beside a judge: how far they agree with each other and with it, and its win rate as they would have it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from statistics import fmean
from typing import Literal, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from thinkus.judging.figures import UNDEFINED, decimals, number, percent
from thinkus.judging.intervals import FEWEST, SEED, Form
from thinkus.judging.labels import Label, verdict_of
from thinkus.judging.lines import Cell
from thinkus.judging.pairwise import JudgedTurn
from thinkus.scoring.agreement import VERDICTS, Rated, cohens_kappa, fleiss_kappa, raw_agreement
from thinkus.scoring.bootstrap import Estimate, Figure, estimates, value_of
from thinkus.scoring.correction import SCORES, Ruled, corrected_win_rate
from thinkus.scoring.figures import win_rate
from thinkus.scoring.wins import Verdict, fold
from thinkus.terminal import plain

ENOUGH = 100
"""Labelled pairs; of 10 to 50, 95 % intervals of a corrected rate hold the truth in 83 to 94 % of cases."""
JUDGE = "the judge"


class Measured(msgspec.Struct, frozen=True):
    """A figure, with its 95 % interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: Literal["bca", "percentile"] | None = None

    @classmethod
    def of(cls, estimate: Estimate) -> "Measured":
        return cls(estimate.value, *(estimate.interval or ()))

    def told(self, form: Form) -> str:
        if self.value is None or self.low is None or self.high is None:
            return UNDEFINED if self.value is None else form(self.value)
        ends = form(self.low), form(self.high)
        return Cell(form(self.value), ends, self.method == "percentile").printed


class Voice(msgspec.Struct, frozen=True):
    """How often somebody said what of the labelled pairs, as the candidate sees it."""

    who: str
    said: dict[Verdict, int]


class Agreement(msgspec.Struct, frozen=True):
    between: tuple[str, ...]
    pairs: int
    """That are held together: of two labels, or of a label and the judge's verdict."""
    same: Measured
    """How likely two labels of a pair are the same."""
    kappa: Measured
    """Beyond what chance would do: Cohen's, or Fleiss' of more than two people."""


class Report(msgspec.Struct, frozen=True):
    items: int
    labelled: int
    """By anybody."""
    conversations: int
    """That those are of."""
    raters: tuple[str, ...]
    """The names of their files."""
    copies: tuple[tuple[str, str], ...]
    """Files that say the same throughout."""
    voices: tuple[Voice, ...]
    agreement: tuple[Agreement, ...]
    judged: Measured
    """r_w, by the judge."""
    corrected: Measured
    """r_w, as people would have it."""
    labels: tuple[Label, ...]


class _Labelled(NamedTuple):
    people: tuple[Verdict | None, ...]
    """One for each rater."""
    judge: Verdict | None
    """None where it cannot be read."""


_Pairs = list[list[_Labelled]]
"""Of each conversation in which something was labelled."""


def report_of(
    labels: Sequence[Label], raters: Sequence[str], items: int, turns: Sequence[JudgedTurn]
) -> Report:
    """`turns` are all of the run, in their order, as all of them make its win rate."""
    pairs = _pairs(labels, len(raters))
    judged, corrected = _rates(labels, turns, sure=len(pairs) >= FEWEST)
    return Report(
        items=items,
        labelled=sum(map(len, pairs)),
        conversations=len(pairs),
        raters=tuple(raters),
        copies=tuple(_copies(labels, raters)),
        voices=tuple(_voices(labels, raters)),
        agreement=tuple(_agreements(pairs, raters)),
        judged=judged,
        corrected=corrected,
        labels=tuple(labels),
    )


def _pairs(labels: Sequence[Label], raters: int) -> _Pairs:
    held: dict[str, dict[int, _Labelled]] = {}
    for label in labels:
        if label.verdict is not None:
            judge = None if label.judge == "invalid" else label.judge
            of_conversation = held.setdefault(label.conversation, {})
            said = list(of_conversation.get(label.turn, _Labelled((None,) * raters, judge)).people)
            said[label.rater] = label.verdict
            of_conversation[label.turn] = _Labelled(tuple(said), judge)
    return [list(own.values()) for own in held.values()]


def _copies(labels: Sequence[Label], raters: Sequence[str]) -> Iterator[tuple[str, str]]:
    said = [
        {label.item: (label.verdict, label.note) for label in labels if label.rater == rater}
        for rater in range(len(raters))
    ]
    for one, other in combinations(range(len(raters)), 2):
        if said[one] == said[other]:
            yield raters[one], raters[other]


def _voices(labels: Sequence[Label], raters: Sequence[str]) -> Iterator[Voice]:
    for at, name in enumerate(raters):
        yield _voice(name, (label.verdict for label in labels if label.rater == at))
    yield _voice(JUDGE, {label.item: label.judge for label in labels if label.verdict}.values())


def _voice(who: str, said: Iterable[Verdict | None]) -> Voice:
    counts = Counter(said)
    return Voice(who, {verdict: counts[verdict] for verdict in SCORES})


def _agreements(pairs: _Pairs, raters: Sequence[str]) -> Iterator[Agreement]:
    if len(raters) > 1:
        kappa = cohens_kappa if len(raters) == 2 else fleiss_kappa
        yield _agreement(tuple(raters), [[one.people for one in own] for own in pairs], kappa)
    for at, name in enumerate(raters):
        yield _agreement((name, JUDGE), [[(one.people[at], one.judge) for one in own] for own in pairs])
    if len(raters) > 1:
        labels = [[(label, one.judge) for one in own for label in one.people] for own in pairs]
        yield _agreement((*raters, JUDGE), labels)


def _agreement(
    between: tuple[str, ...], rated: Rated, kappa: Callable[[Rated], Figure] = cohens_kappa
) -> Agreement:
    held = [own for items in rated if (own := [item for item in items if len(item) - item.count(None) > 1])]
    if not held:
        return Agreement(between, 0, Measured(None), Measured(None))
    found = _measured({"same": raw_agreement(held), "kappa": kappa(held)})
    return Agreement(between, sum(map(len, held)), found["same"], found["kappa"])


def _rates(labels: Sequence[Label], turns: Sequence[JudgedTurn], *, sure: bool) -> tuple[Measured, Measured]:
    """By the judge, and as people would have it."""
    people: dict[tuple[str, int], list[float]] = {}
    for label in labels:
        if label.verdict is not None:
            people.setdefault((label.conversation, label.turn), []).append(SCORES[label.verdict])
    held: dict[str, list[JudgedTurn]] = {}
    for turn in turns:
        held.setdefault(turn.conversation, []).append(turn)

    def ruled(turn: JudgedTurn) -> Ruled:
        said = people.get((turn.conversation, turn.turn))
        return Ruled(SCORES[verdict_of(turn)], fmean(said) if said else None, settled=not turn.verdicts)

    found = _measured(
        {
            "judge": win_rate([fold(turn.duel for turn in own).strict for own in held.values()]),
            "people": corrected_win_rate([[ruled(turn) for turn in own] for own in held.values()]),
        }
    )
    return found["judge"], found["people"] if sure else Measured(found["people"].value)


def _measured(figures: Mapping[str, Figure]) -> dict[str, Measured]:
    if any(figure.conversations < FEWEST for figure in figures.values()):
        return {name: Measured(value_of(figure)) for name, figure in figures.items()}
    return {name: Measured.of(found) for name, found in estimates(figures, SEED).items()}


# As it is printed ----------------------------------------------------------------------------


def print_report(report: Report, console: Console) -> None:
    people = f"{len(report.raters):,} {'people' if len(report.raters) > 1 else 'person'}"
    console.print(f"\n{report.labelled:,} of {report.items:,} pairs labelled by {people}")
    said = _table("closer to the person, in %", "labels", "candidate", "baseline", "neither")
    for voice in report.voices:
        labels = sum(voice.said[verdict] for verdict in VERDICTS)
        shares = (voice.said[verdict] / labels if labels else None for verdict in ("win", "loss", "tie"))
        said.add_row(_called(voice.who), number(labels), *map(percent, shares))
    agreed = _table("who agrees", "compared", "the same, in %", "kappa")
    for one in report.agreement:
        agreed.add_row(_between(one.between), number(one.pairs), one.same.told(percent), one.kappa.told(_two))
    rates = _table("win rate", "r_w")
    rates.add_row("by the judge", report.judged.told(decimals))
    rates.add_row("corrected, as people would have it", report.corrected.told(decimals))
    for told in (said, agreed, rates):
        console.print(told)
        console.print()
    for line in _to_be_known(report):
        console.print(line, style="dim")


def _table(title: str, *columns: str) -> Table:
    """Where the window is narrow names are folded, and no figure is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column(title, overflow="fold")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _two(value: float) -> str:
    return decimals(value, 2)


def _called(name: str) -> str:
    return plain(name).removesuffix(".csv")


def _between(names: Sequence[str]) -> str:
    *others, last = names
    if len(others) == 1:
        return f"{_called(others[0])} and {_called(last)}"
    return f"all people and {last}" if last == JUDGE else f"all {len(names):,} people"


def _to_be_known(report: Report) -> Iterator[str]:
    """What figures are, and when not to lean on them."""
    yield (
        "kappa: agreement beyond chance, 1 at most (Cohen's; of more than two people Fleiss', where all labelled)"
    )
    yield (
        "corrected: the judge's rate, moved by how far people are from it on the pairs they labelled; the interval "
        "is that of both"
    )
    if unread := report.voices[-1].said["invalid"]:
        yield f"{unread:,} of the labelled pairs have a verdict that cannot be read: it agrees with nobody's"
    if report.labelled < report.items:
        yield "pairs that nobody labelled are taken to be like the labelled ones"
    if report.conversations < FEWEST:
        yield f"labels of fewer than {FEWEST} conversations: no intervals"
    elif report.labelled < ENOUGH:
        yield (
            f"fewer than {ENOUGH} labelled pairs: the corrected interval is wide, and still turns out too narrow"
        )
    for one, other in report.copies:
        yield f"{plain(one)} and {plain(other)} say the same of every pair: is one a copy of the other?"

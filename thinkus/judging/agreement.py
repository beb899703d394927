"""How far judges agree: with themselves, asked again; and with each other, beyond what chance would have them agree."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import PurePath
from typing import Any, NamedTuple

from thinkus.judging.figures import MEASURES, Figures, decimals, number, percent
from thinkus.judging.intervals import Sure, with_intervals
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Column, Lines, lined_up
from thinkus.judging.online import Measure
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import NO_THOUGHT, RatedThought
from thinkus.scoring import order
from thinkus.scoring.agreement import (
    VERDICTS,
    Rated,
    base_rate,
    cohens_kappa,
    fleiss_kappa,
    ordinal_alpha,
    raw_agreement,
)
from thinkus.scoring.bootstrap import value_of
from thinkus.scoring.divergence import LEVELS

Item = tuple[Hashable, str | None]
"""What was asked about, and the answer; None where that cannot be read."""
Labels = dict[str, dict[Hashable, str | None]]
"""By conversation, and by what was asked about in it."""


class _Question(NamedTuple):
    name: str
    labels: Sequence[str]
    of: Callable[[Any], Iterator[Item]]
    """Of a row."""
    is_ordered: bool
    """One label is nearer to some than to others."""


def between_judges(judgements: Sequence[Judgement]) -> Iterator[Lines]:
    """Of one task: wherever more than one judged the same, a column for each candidate."""
    same: dict[tuple[str, ...], dict[str, Judgement]] = {}
    for one in judgements:
        # Asked in the same way once more it is no other judge.
        same.setdefault(_of_the_same(one), {}).setdefault(one.asked or one.judge, one)
    by_judges: dict[tuple[str, ...], list[list[Judgement]]] = {}
    for ones in same.values():
        if len(ones) > 1:
            named = sorted(_named_apart(list(ones.values())), key=lambda one: one.judge)
            by_judges.setdefault(tuple(one.judge for one in named), []).append(named)
    for held in by_judges.values():
        for question in _QUESTIONS.get(judgements[0].task, ()):
            columns = [_column(question, ones) for ones in held]
            names = Counter(column.name for column in columns)
            apart = [
                one._replace(name=f"{one.name} against {ones[0].against}") if names[one.name] > 1 else one
                for one, ones in zip(columns, held, strict=True)
            ]
            yield lined_up(f"how far judges agree: {question.name}", apart)


def _of_the_same(one: Judgement) -> tuple[str, ...]:
    """What judges must share to have been asked about the same, in as many orders, against the same goals."""
    read = (one.identity("candidate"), one.identity("baseline"), one.read.get("goals", ""))
    return (*read, one.corpus.identity, one.facts.get("protocol", ""))


def _named_apart(ones: Sequence[Judgement]) -> list[Judgement]:
    """A judge that was asked in two ways is two, called by their runs."""
    names = Counter(one.judge for one in ones)
    return [
        one._replace(judge=f"{one.judge}, {PurePath(one.run).name}") if names[one.judge] > 1 else one
        for one in ones
    ]


def with_itself(judgements: Sequence[Judgement]) -> Iterator[Lines]:
    """Of one task: how often a judge that was asked the same again says the same, answer by answer."""
    asked = [one for one in judgements if one.again]
    are_several = len({one.judge for one in asked}) > 1
    if asked:
        yield lined_up("asked again", [_again(one, names_it=are_several) for one in asked])


def _again(one: Judgement, *, names_it: bool) -> Column:
    given: dict[str, dict[Hashable, list[str | None]]] = {}
    for row in (*one.rows, *one.again):
        for item, answer in _answers(row):
            given.setdefault(row.conversation, {}).setdefault(item, []).append(answer)
    repeated = [[answers for answers in own.values() if len(answers) > 1] for own in given.values()]
    held = [own for own in repeated if own]
    figure = order.self_agreement(held)
    questions = sum(map(len, held))
    shown: Figures = [
        ("questions asked again", number(questions)),
        ("  times in all", ", ".join(map(str, sorted({len(one) for own in held for one in own})))),
        ("the same answer", percent(value_of(figure))),
    ]
    facts = [("judge", one.judge)] if names_it else []
    return Column(one.candidate, facts, with_intervals(shown, {"the same answer": Sure(figure, percent)}))


def _answers(row: Any) -> Iterator[Item]:
    """Single ones: of each order, where both are asked."""
    if isinstance(row, RatedThought):
        yield row.whose, row.level
    elif isinstance(row, JudgedTurn):
        yield from (((row.turn, row.control, one.first), one.closer) for one in row.verdicts)
    else:
        for place, one in enumerate(row.verdicts):
            yield (row.whose, place), None if one.score is None else str(one.score)


def _column(question: _Question, ones: Sequence[Judgement]) -> Column:
    rated = _rated([_labels(one, question) for one in ones])
    names, labels = [one.judge for one in ones], question.labels
    sure = {"the same answer": Sure(raw_agreement(rated, labels), percent)}
    if len(ones) > 2:
        sure["Fleiss' kappa"] = Sure(fleiss_kappa(rated, labels))
    for one, other in combinations(range(len(ones)), 2):
        told = f"Cohen's kappa, {names[one]} and {names[other]}" if len(ones) > 2 else "Cohen's kappa"
        two = [[(item[one], item[other]) for item in items] for items in rated]
        sure[told] = Sure(cohens_kappa(two, labels))
    if question.is_ordered:
        sure["ordinal alpha"] = Sure(ordinal_alpha(rated, labels))
    shown: Figures = [("asked about", number(sum(map(len, rated))))]
    for at, name in enumerate(names):
        rates = ", ".join(
            f"{label.replace('_', ' ')} {percent(value_of(base_rate(rated, at, label)))}" for label in labels
        )
        unread = sum(item[at] is None for items in rated for item in items)
        shown += [(f"{name} says", rates), (f"{name} cannot be read", number(unread) if unread else "")]
    for name, (figure, form) in sure.items():
        value = value_of(figure)
        shown.append((name, decimals(None) if value is None else form(value)))
    against = [("against", ones[0].against or "")]
    return Column(ones[0].candidate, against, with_intervals(shown, sure))


def _labels(one: Judgement, question: _Question) -> Labels:
    found: Labels = {}
    for row in one.rows:
        found.setdefault(row.conversation, {}).update(question.of(row))
    return found


def _rated(judges: Sequence[Labels]) -> Rated:
    """What all of them were asked about, item by item."""
    shared = [conversation for conversation in judges[0] if all(conversation in own for own in judges)]
    return [
        [
            tuple(own[conversation][item] for own in judges)
            for item in judges[0][conversation]
            if all(item in own[conversation] for own in judges)
        ]
        for conversation in shared
    ]


def _verdict(row: Any) -> Iterator[Item]:
    """Of a turn that somebody was asked about, as it counts."""
    if row.control is None and row.verdicts:
        yield row.turn, row.duel.counts_as


def _level(row: Any) -> Iterator[Item]:
    if row.wrong != NO_THOUGHT:
        yield row.whose, row.level


def _score(measure: Measure, row: Any) -> Iterator[Item]:
    for place, verdict in enumerate(row.verdicts):
        if verdict.measure == measure:
            yield (row.whose, place), None if verdict.score is None else str(verdict.score)


_QUESTIONS = {
    "pairwise": [_Question("closer to the person?", VERDICTS, _verdict, is_ordered=False)],
    "terminal": [_Question("last thoughts", LEVELS, _level, is_ordered=True)],
    "online": [
        _Question(name, ("-1", "0", "1"), partial(_score, measure), is_ordered=True)
        for measure, name in MEASURES.items()
    ],
}

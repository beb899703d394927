"""Finished runs of judge for a person at a terminal: one, or several of a task side by side."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import takewhile

from thinkus.judging import figures, intervals
from thinkus.judging.agreement import with_itself
from thinkus.judging.goals import NO_SCENARIO
from thinkus.judging.hindsight import NOT_ASKED
from thinkus.judging.intervals import FEW, FEWEST
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Column, Lines, lined_up
from thinkus.judging.published import CAPTION, PUBLISHED
from thinkus.judging.terminal import NO_THOUGHT
from thinkus.llm.engine import is_same_model

Told = Iterator[Lines | str]
PROXY = (
    "judged by a sentence encoder and by spelling: a cheap proxy for closeness in meaning and style, which knows "
    "neither scenario nor history, and to which being about as long as the real text is worth something"
)
UNLIKE = {
    "assistant or ending": "held with different assistants or endings, or with such as nobody knows any more",
    "list of goals": "held against different lists of goals",
}
"""Live dialogues."""


def tables(judgements: Sequence[Judgement]) -> Told:
    """Of one task. What all candidates' names have in common is left out: it would make the columns too wide."""
    task = judgements[0].task
    names = told_apart([one.candidate for one in judgements])
    named = [one._replace(candidate=names[one.candidate]) for one in judgements]
    yield from _TABLES[task](named)
    yield from with_itself(named)
    yield from _how_sure(named)
    for one in named:
        yield from _not_as_asked(one)
        for kin in one.kin:
            yield f"{one.candidate}: judge ({one.facts['judge.model']}) and {kin}: judges tend to like their own kind"


def _how_sure(judgements: Sequence[Judgement]) -> Told:
    """What the intervals are, and when not to lean on them."""
    counts = sorted({len(one.held) for one in judgements})
    if judgements[0].task == "goals":
        return
    if counts[0] < FEWEST:
        yield f"fewer than {FEWEST} conversations: no intervals"
    if counts[-1] >= FEWEST:
        told = " or ".join(f"{count:,}" for count in counts if count >= FEWEST)
        yield (
            f"[low, high]: 95 %, by a bootstrap over {told} conversations (BCa; ~ by percentile, where that is "
            "undefined)"
        )
    if any(FEWEST <= count < FEW for count in counts):
        yield f"of fewer than {FEW} conversations such intervals turn out too narrow"


def told_apart(names: Sequence[str]) -> dict[str, str]:
    """By what they do not share; what stands in brackets is kept as it is."""
    words = {name: re.split(r"([.-])(?![^(]*\))", name) for name in names}
    before, after = (
        sum(1 for _ in takewhile(lambda same: len(set(same)) == 1, zip(*split, strict=False)))
        for split in (words.values(), (one[::-1] for one in words.values()))
    )
    short = {name: "".join(one[before : len(one) - after]) for name, one in words.items()}
    return short if all(short.values()) else dict(zip(names, names, strict=True))


# One for each task ---------------------------------------------------------------------------


def _pairwise(judgements: Sequence[Judgement]) -> Told:
    yield lined_up(
        "closer to the person?",
        [one.column(figures.wins(one.rows), intervals.of_wins(one.rows)) for one in judgements],
    )
    yield from filter(None, (one.stamp for one in judgements))
    if any(turn.nearness for one in judgements for turn in one.rows):
        yield f"embedding: {PROXY}"


def _terminal(judgements: Sequence[Judgement]) -> Told:
    columns = []
    for one in judgements:
        person, candidate = (
            [row for row in one.rows if row.whose == whose] for whose in ("person", "candidate")
        )
        real = [row.level for row in person if row.level]
        columns.append(one._replace(candidate="people").column(figures.levels(person, None)))
        columns.append(one.column(figures.levels(candidate, real), intervals.of_levels(one.rows)))
    yield lined_up("last thoughts", columns)


def _goals(judgements: Sequence[Judgement]) -> Told:
    yield lined_up("atomic goals", [one.column(figures.goals(one.rows)) for one in judgements])


def _online(judgements: Sequence[Judgement]) -> Told:
    columns = []
    for one in judgements:
        for side in one.sides:
            columns.append(side.column(figures.dialogues(side.rows), intervals.of_dialogues(side.rows)))
    yield lined_up("live dialogues", columns)
    yield from _unlike(judgements)


def _ending(judgements: Sequence[Judgement]) -> Told:
    live = [one for one in judgements if one.is_live]
    replayed = [one for one in judgements if not one.is_live]
    if replayed:
        told = [
            one.column(figures.where_people_left(one.rows), intervals.of_leaving(one.rows))
            for one in replayed
        ]
        yield lined_up("leaving, after real replies", told)
        yield _published({"F1": "f1_of_ending"})
    if live:
        told = [
            one.column(figures.as_late_as_people(one.rows), intervals.of_lateness(one.rows)) for one in live
        ]
        yield lined_up("leaving, in live dialogues", told)
        yield from _unlike(live)


def _likeness(judgements: Sequence[Judgement]) -> Told:
    columns = []
    for one in judgements:
        sides = zip(figures.sounds(one.rows), intervals.of_sounds(one.rows), strict=True)
        for name, side in zip(("people", one.candidate), sides, strict=True):
            columns.append(one._replace(candidate=name).column(*side))
    yield lined_up("how it sounds", columns)
    measures = {
        "first-turn diversity": "first_turn_diversity",
        "intent's words in a turn": "intent_decomposition",
    }
    yield _published(measures)


def _hindsight(judgements: Sequence[Judgement]) -> Told:
    yield lined_up(
        "what comes later, nats a token",
        [one.column(figures.foretold(one.rows), intervals.of_foretelling(one.rows)) for one in judgements],
    )


_TABLES: dict[str, Callable[[Sequence[Judgement]], Told]] = {
    "pairwise": _pairwise,
    "terminal": _terminal,
    "goals": _goals,
    "online": _online,
    "ending": _ending,
    "likeness": _likeness,
    "hindsight": _hindsight,
}

# What they have in common --------------------------------------------------------------------


def _unlike(judgements: Sequence[Judgement]) -> Told:
    for key, unlike in UNLIKE.items():
        if len({one.conditions.get(key) for one in judgements}) > 1:
            yield f"{unlike}, so these columns cannot be compared"


def _published(measures: dict[str, str]) -> Lines:
    columns = [
        Column(name, (), [(measure, Cell(getattr(theirs, field))) for measure, field in measures.items()])
        for name, theirs in PUBLISHED.items()
    ]
    return lined_up(CAPTION, columns)


def _not_as_asked(one: Judgement) -> Iterator[str]:
    """Verdicts that cannot be read, and who gave them, where it is not who was asked."""
    if one.task in ("ending", "likeness"):
        return
    answers = [verdict for row in one.rows for verdict in getattr(row, "verdicts", (row,))]
    never_asked = ("", NO_THOUGHT, NO_SCENARIO, *NOT_ASKED)
    if kinds := Counter(answer.wrong for answer in answers if answer.wrong not in never_asked):
        told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
        yield f"{one.candidate}, {one.judge}: cannot be read: {told} (failures.jsonl has them)"
    asked = one.facts.get("judge.model", "")
    if others := _others(asked, (answer.served_model for answer in answers)):
        told = ", ".join(f"{name} ({count:,})" for name, count in others.most_common())
        yield f"{one.candidate}: {asked} was asked for, and this is what answered: {told}"


def _others(asked: str, served: Iterable[str]) -> Counter[str]:
    return Counter(name for name in served if asked and name and not is_same_model(asked, name))

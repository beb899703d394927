"""Finished runs of judge for a person at a terminal: one, or several of a task side by side."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, NamedTuple

from rich.table import Table

from thinkus.errors import RunRefused
from thinkus.judging import figures, intervals
from thinkus.judging.figures import Figures
from thinkus.judging.goals import NO_SCENARIO
from thinkus.judging.hindsight import NOT_ASKED
from thinkus.judging.intervals import FEW, FEWEST, with_intervals
from thinkus.judging.published import CAPTION, PUBLISHED
from thinkus.judging.terminal import NO_THOUGHT
from thinkus.llm.engine import is_same_model
from thinkus.paths import expanded
from thinkus.runs import Manifest, load_manifest

Told = Iterator[Table | str]
Columns = list[tuple[str, Figures]]
FACTS = ("against", "judge", "protocol", "assistant", "method", "decode", "ending", "max_turns")
"""What figures hang on: said once where it is the same for all."""
PROXY = (
    "judged by a sentence encoder and by spelling: a cheap proxy for closeness in meaning and style, which knows "
    "neither scenario nor history, and to which being about as long as the real text is worth something"
)


class Judgement(NamedTuple):
    """A finished run."""

    candidate: str
    judge: str
    facts: Mapping[str, str]
    """Some of FACTS; and `judge.model`, as it was asked for."""
    against: str | None
    rows: Sequence[Any]
    ties: float = 0.0
    """The share of controls that must tie, and that must win."""
    wins: float = 0.0

    @classmethod
    def of(cls, manifest: Manifest, rows: Sequence[Any], ties: float, wins: float) -> "Judgement":
        def name(role: str) -> str | None:
            facts = manifest.inputs.get(role)
            return facts.read.rpartition("/")[2] if facts else None

        made_from = manifest.made_from
        judge, model = str(made_from.get("judge.name") or ""), made_from.get("judge.model")
        facts = {"protocol": str(made_from.get("protocol") or ""), "judge.model": str(model or "")}
        candidate = name("candidate") or name("eval") or ""
        told = facts | _of_the_user(manifest)
        called = f"{judge} ({model})" if model else judge
        return cls(candidate, called, told, name("baseline"), rows, ties, wins)

    @property
    def as_facts(self) -> Figures:
        told = {"against": self.against or "", "judge": self.judge, **self.facts}
        return [(fact, told.get(fact, "")) for fact in FACTS]


def _of_the_user(manifest: Manifest) -> dict[str, str]:
    """As its run says, as long as that is there."""
    facts = manifest.inputs.get("candidate")
    with suppress(RunRefused):
        if facts and (run := load_manifest(expanded(facts.read))):
            keys = {"method.name": "method", "decode": "decode"}
            if run.made_from.get("mode") == "online":
                keys |= {"assistant.name": "assistant", "ending": "ending", "max_turns": "max_turns"}
            return {fact: str(run.made_from.get(key, "")) for key, fact in keys.items()}
    return {}


def tables(task: str, judgements: Sequence[Judgement]) -> Told:
    """What all candidates' names have in common is left out: it would make the columns too wide."""
    names = _told_apart([one.candidate for one in judgements])
    named = [one._replace(candidate=names[one.candidate]) for one in judgements]
    yield from _TABLES[task](named)
    yield from _how_sure(task, named)
    for one in named:
        yield from _not_as_asked(one, task)


def _how_sure(task: str, judgements: Sequence[Judgement]) -> Told:
    """What the intervals are, and when not to lean on them."""
    counts = sorted({len({row.conversation for row in one.rows}) for one in judgements})
    if task == "goals":
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


def _told_apart(names: Sequence[str]) -> dict[str, str]:
    words = {name: re.split(r"([.-])", name) for name in names}
    before, after = (
        sum(1 for _ in takewhile(lambda same: len(set(same)) == 1, zip(*split, strict=False)))
        for split in (words.values(), (one[::-1] for one in words.values()))
    )
    short = {name: "".join(one[before : len(one) - after]) for name, one in words.items()}
    return short if all(short.values()) else dict(zip(names, names, strict=True))


# One for each task ---------------------------------------------------------------------------


def _pairwise(judgements: Sequence[Judgement]) -> Told:
    yield _lined_up(
        "closer to the person?",
        [
            (
                one.candidate,
                one.as_facts + with_intervals(figures.wins(one.rows), intervals.of_wins(one.rows)),
            )
            for one in judgements
        ],
    )
    for one in judgements:
        if figures.Controls.of(one.rows).failed(one.ties, one.wins):
            yield (
                f"NOT TO BE TRUSTED: {one.candidate}, {one.judge}: this judge failed its controls (at least "
                f"{one.ties:.0%} of the real texts must tie themselves, and {one.wins:.0%} beat a stranger's)"
            )
    if any(turn.nearness for one in judgements for turn in one.rows):
        yield f"embedding: {PROXY}"


def _terminal(judgements: Sequence[Judgement]) -> Told:
    columns: Columns = []
    for one in judgements:
        person, candidate = (
            [row for row in one.rows if row.whose == whose] for whose in ("person", "candidate")
        )
        real = [row.level for row in person if row.level]
        columns.append(("people", one.as_facts + figures.levels(person, None)))
        sure = with_intervals(figures.levels(candidate, real), intervals.of_levels(one.rows))
        columns.append((one.candidate, one.as_facts + sure))
    yield _lined_up("last thoughts", columns)


def _goals(judgements: Sequence[Judgement]) -> Told:
    yield _lined_up(
        "atomic goals", [(one.candidate, one.as_facts + figures.goals(one.rows)) for one in judgements]
    )


def _online(judgements: Sequence[Judgement]) -> Told:
    columns: Columns = []
    for one in judgements:
        for whose, name in (("candidate", one.candidate), ("baseline", one.against or "")):
            rows = [row for row in one.rows if row.whose == whose]
            own = one if whose == "candidate" else one._replace(facts={**one.facts, "method": ""})
            if rows or whose == "candidate":
                sure = with_intervals(figures.dialogues(rows), intervals.of_dialogues(rows))
                columns.append((name, own.as_facts + sure))
    yield _lined_up("live dialogues", columns)
    conditions = {
        tuple(one.facts.get(fact) for fact in ("assistant", "ending", "max_turns")) for one in judgements
    }
    if len(conditions) > 1:
        yield "held with different assistants or endings, so these columns cannot be compared"


def _ending(judgements: Sequence[Judgement]) -> Told:
    live = [one for one in judgements if any(row.ended_by for row in one.rows)]
    replayed = [one for one in judgements if one not in live]
    if replayed:
        yield _lined_up(
            "leaving, after real replies",
            [
                (
                    one.candidate,
                    one.as_facts
                    + with_intervals(figures.where_people_left(one.rows), intervals.of_leaving(one.rows)),
                )
                for one in replayed
            ],
        )
        yield _published({"F1": "f1_of_ending"})
    if live:
        yield _lined_up(
            "leaving, in live dialogues",
            [
                (
                    one.candidate,
                    one.as_facts
                    + with_intervals(figures.as_late_as_people(one.rows), intervals.of_lateness(one.rows)),
                )
                for one in live
            ],
        )


def _likeness(judgements: Sequence[Judgement]) -> Told:
    columns: Columns = []
    for one in judgements:
        sides = zip(figures.sounds(one.rows), intervals.of_sounds(one.rows), strict=True)
        for name, (side, sure) in zip(("people", one.candidate), sides, strict=True):
            columns.append((name, one.as_facts + with_intervals(side, sure)))
    yield _lined_up("how it sounds", columns)
    measures = {
        "first-turn diversity": "first_turn_diversity",
        "intent's words in a turn": "intent_decomposition",
    }
    yield _published(measures)


def _hindsight(judgements: Sequence[Judgement]) -> Told:
    yield _lined_up(
        "what comes later, nats a token",
        [
            (
                one.candidate,
                one.as_facts + with_intervals(figures.foretold(one.rows), intervals.of_foretelling(one.rows)),
            )
            for one in judgements
        ],
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


def _lined_up(title: str, columns: Sequence[tuple[str, Figures]]) -> Table:
    """A line for each measure, a column for each of those measured; what is said of all is said once, above."""
    lines = list(zip(*(own for _, own in columns), strict=True))
    shared = [same[0] for same in lines if same[0][0] in FACTS and len(set(same)) == 1]
    above = "; ".join(" ".join(fact) for fact in shared if fact[1])
    table = Table(
        title=above or None,
        title_justify="left",
        title_style="dim",
        header_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
    )
    table.add_column(title, no_wrap=True)
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for same in lines:
        if same[0] not in shared and any(value for _, value in same):
            table.add_row(same[0][0], *(value for _, value in same))
    return table


def _published(measures: dict[str, str]) -> Table:
    columns = [
        (name, [(measure, getattr(theirs, field)) for measure, field in measures.items()])
        for name, theirs in PUBLISHED.items()
    ]
    return _lined_up(CAPTION, columns)


def _not_as_asked(one: Judgement, task: str) -> Iterator[str]:
    """Verdicts that cannot be read, and who gave them, where it is not who was asked."""
    if task in ("ending", "likeness"):
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

"""The figures of finished judge runs for a person at a terminal: of one, or of several of a task side by side."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

from rich.table import Table

from thinkus.judging.ending import Left
from thinkus.judging.goals import Goals
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.online import JudgedDialogue, Measure
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.published import CAPTION, PUBLISHED
from thinkus.judging.terminal import BEST_FIRST, NO_THOUGHT, RatedThought
from thinkus.runs import Manifest
from thinkus.scoring.divergence import histogram, level_divergence, wasserstein
from thinkus.scoring.endings import endings
from thinkus.scoring.goals import disclosure
from thinkus.scoring.likeness import Likeness, Richness, side_by_side
from thinkus.scoring.wins import fold

Told = Iterator[Table | str]
Figures = list[tuple[str, str]]
"""By name; of the same names in each column of a table, in the same order."""
FACTS = frozenset({"judge", "against", "assistant"})
"""What a figure hangs on."""
NAMES: dict[Measure, str] = {
    "disclosure": "disclosure",
    "progression": "progression",
    "additional": "additional information",
}
PROXY = (
    "judged by a sentence encoder and by spelling: a cheap proxy for closeness in meaning and style, which knows "
    "neither scenario nor history"
)


class Judgement(NamedTuple):
    """A finished run."""

    candidate: str
    judge: str
    made_from: Mapping[str, Any]
    against: str | None
    rows: Sequence[Any]

    @classmethod
    def of(cls, manifest: Manifest, rows: Sequence[Any]) -> "Judgement":
        def name(role: str) -> str | None:
            facts = manifest.inputs.get(role)
            return facts.read.rpartition("/")[2] if facts else None

        judge = str(manifest.made_from.get("judge.name") or "")
        model = manifest.made_from.get("judge.model")
        return cls(
            name("candidate") or name("eval") or "",
            f"{judge} ({model})" if model else judge,
            manifest.made_from,
            name("baseline"),
            rows,
        )


def tables(task: str, judgements: Sequence[Judgement]) -> Told:
    """What all candidates' names have in common is left out: it would fold the headings."""
    names = _told_apart([one.candidate for one in judgements])
    yield from _TABLES[task]([one._replace(candidate=names[one.candidate]) for one in judgements])


def _told_apart(names: Sequence[str]) -> dict[str, str]:
    words = {name: re.split(r"([.-])", name) for name in names}
    if len(words) == 1:
        return dict(zip(names, names, strict=True))
    before, after = (
        sum(1 for _ in takewhile(lambda same: len(set(same)) == 1, zip(*split, strict=False)))
        for split in (words.values(), (one[::-1] for one in words.values()))
    )
    short = {name: "".join(one[before : len(one) - after]) for name, one in words.items()}
    return short if all(short.values()) else dict(zip(names, names, strict=True))


# One for each task ---------------------------------------------------------------------------


def _pairwise(judgements: Sequence[Judgement]) -> Told:
    columns, notes = [], dict[str, None]()
    for one in judgements:
        turns: Sequence[JudgedTurn] = one.rows
        told = [("against", one.against or ""), ("judge", one.judge)]
        columns.append((one.candidate, told + _wins(turns)))
        notes |= dict.fromkeys(_unread(one, (verdict.wrong for turn in turns for verdict in turn.verdicts)))
        if any(turn.nearness for turn in turns):
            notes[f"{one.judge}: {PROXY}"] = None
    yield _lined_up("closer to the person?", columns)
    yield from notes


def _wins(turns: Sequence[JudgedTurn]) -> Figures:
    strict, lenient, turned = fold(turn.duel for turn in turns)
    twice = sum(len(turn.verdicts) > 1 for turn in turns)
    halves = ", ".join(_number(one) for one in (lenient.wins, lenient.losses, lenient.ties))
    return [
        ("wins", _number(strict.wins)),
        ("losses", _number(strict.losses)),
        ("draws", _number(strict.ties)),
        ("failed", _number(strict.candidate_failed + strict.both_failed)),
        ("failed, of those it is held against", _number(strict.baseline_failed + strict.both_failed)),
        ("invalid", _number(strict.invalid)),
        ("r_w", _decimals(strict.rate)),
        ("r_w without the failed", _decimals(strict.rate_without_failed)),
        ("turned with the order, so draws", f"{turned:,} ({_share(turned, twice)})" if twice else ""),
        ("as halves: wins, losses, draws", halves if twice else ""),
        ("as halves: r_w", _decimals(lenient.rate) if twice else ""),
    ]


def _terminal(judgements: Sequence[Judgement]) -> Told:
    columns, notes = [], dict[str, None]()
    for one in judgements:
        rows: Sequence[RatedThought] = one.rows
        real = [row.level for row in rows if row.whose == "person" and row.level]
        for whose, name in (("person", "people"), ("candidate", one.candidate)):
            own = [row for row in rows if row.whose == whose]
            rated = [row.level for row in own if row.level]
            missing = sum(row.wrong == NO_THOUGHT for row in own)
            levels = histogram(rated)
            figures = [
                ("judge", one.judge),
                *((level.replace("_", " "), _number(levels[level])) for level in BEST_FIRST),
                ("no thought", _number(missing)),
                ("invalid", _number(len(own) - len(rated) - missing)),
                ("divergence", _decimals(level_divergence(real, rated)) if whose == "candidate" else ""),
            ]
            columns.append((name, figures))
        notes |= dict.fromkeys(_unread(one, (row.wrong for row in rows if row.wrong != NO_THOUGHT)))
    yield _lined_up("last thoughts", columns)
    yield from notes


def _goals(judgements: Sequence[Judgement]) -> Told:
    columns = []
    for one in judgements:
        rows: Sequence[Goals] = one.rows
        listed = [row for row in rows if not row.wrong]
        goals = sum(len(row.goals) for row in listed)
        figures = [
            ("judge", one.judge),
            ("scenarios", _number(len(rows))),
            ("goals", _number(goals)),
            ("goals a scenario", f"{goals / len(listed):.1f}" if listed else ""),
            ("scenarios without any", _number(sum(not row.goals for row in listed))),
            ("invalid", _number(len(rows) - len(listed))),
        ]
        columns.append((one.candidate, figures))
    yield _lined_up("atomic goals", columns)


def _online(judgements: Sequence[Judgement]) -> Told:
    columns, notes = [], dict[str, None]()
    for one in judgements:
        for whose, name in (("candidate", one.candidate), ("baseline", one.against or "")):
            rows = [row for row in one.rows if row.whose == whose]
            if rows:
                columns.append((name, [("judge", one.judge), *_of_dialogues(rows)]))
        wrong = (verdict.wrong for row in one.rows for verdict in row.verdicts)
        notes |= dict.fromkeys(_unread(one, wrong))
    yield _lined_up("live dialogues", columns)
    if len({row.assistant for one in judgements for row in one.rows}) > 1:
        yield "held with different assistants, so these columns cannot be compared"
    yield from notes


def _of_dialogues(rows: Sequence[JudgedDialogue]) -> Figures:
    """Over goals, then over dialogues; who said nothing has disclosed nothing."""
    held = [row for row in rows if row.state != "broken"]
    figures = [
        ("assistant", ", ".join(sorted({row.assistant for row in rows}))),
        ("dialogues", _number(len(held))),
        ("broke off, left out", _number(len(rows) - len(held))),
        ("nothing said", _number(sum(row.state == "silent" for row in held))),
    ]
    for measure, name in NAMES.items():
        every = disclosure(row.scores(measure) for row in held)
        spoken = disclosure(row.scores(measure) for row in held if row.state != "silent")
        figures += [
            (name, _decimals(every.mean)),
            ("  where something was said", _decimals(spoken.mean)),
            ("  not applicable", _number(every.not_applicable)),
            ("  invalid", _number(every.invalid)),
        ]
    return figures


def _ending(judgements: Sequence[Judgement]) -> Told:
    replayed = [one for one in judgements if any(row.leaves for row in one.rows)]
    live = [one for one in judgements if any(row.ended_by for row in one.rows)]
    if replayed:
        yield _lined_up("leaving, after real replies", _by_candidate(replayed, _where_people_left))
        yield _published({"F1": "f1_of_ending"})
    if live:
        yield _lined_up("leaving, in live dialogues", _by_candidate(live, _as_late_as_people))


def _by_candidate(
    judgements: Sequence[Judgement], figures: Callable[[Sequence[Left]], Figures]
) -> list[tuple[str, Figures]]:
    return [(one.candidate, figures(one.rows)) for one in judgements]


def _where_people_left(rows: Sequence[Left]) -> Figures:
    found = endings(row.would_have_left for row in rows)
    # Who never leaves says at least one turn more than the person.
    turns = [
        row.would_have_left.index(True) + 1 if True in row.would_have_left else row.person_turns + 1
        for row in rows
    ]
    return [
        ("replies", _number(found.positions)),
        ("precision", _percent(found.precision)),
        ("recall", _percent(found.recall)),
        ("F1", _percent(found.f1)),
        ("leaves too early", _percent(found.premature)),
        ("leaves with the person", _percent(found.in_time)),
        ("never leaves", _percent(found.never)),
        ("turns, apart by", _decimals(wasserstein([row.person_turns for row in rows], turns), 2)),
        ("turns that failed", _number(sum(leaves is None for row in rows for leaves in row.leaves))),
    ]


def _as_late_as_people(rows: Sequence[Left]) -> Figures:
    whole = [row for row in rows if row.ended_by and not row.ended_by.endswith("_failed")]
    turns = [row.turns or 0 for row in whole]
    people = [row.person_turns for row in whole]
    early = sum(row.turns is not None and row.turns < row.person_turns for row in whole)
    never = sum(row.ended_by == "max_turns" for row in whole)
    return [
        ("dialogues", _number(len(whole))),
        ("broken off, left out", _number(len(rows) - len(whole))),
        ("turns", f"{sum(turns) / len(turns):.2f}" if turns else ""),
        ("turns of the people", f"{sum(people) / len(people):.2f}" if people else ""),
        ("turns, apart by", _decimals(wasserstein(people, turns), 2)),
        ("fewer turns than the person", _share(early, len(whole))),
        ("ended by max_turns alone", _share(never, len(whole))),
    ]


def _likeness(judgements: Sequence[Judgement]) -> Told:
    columns: list[tuple[str, Figures]] = []
    for one in judgements:
        rows: Sequence[MeasuredConversation] = one.rows
        sides = side_by_side([row.person for row in rows], [row.candidate for row in rows])
        columns += zip(("people", one.candidate), map(_as_figures, sides), strict=True)
    yield _lined_up("how it sounds", columns)
    yield _published(
        {
            "first-turn diversity": "first_turn_diversity",
            "intent's words in a turn": "intent_decomposition",
        }
    )


def _as_figures(like: Likeness) -> Figures:
    lengths = like.lengths
    quartiles = (lengths.lower_quartile, lengths.median, lengths.upper_quartile) if lengths else ("", "", "")
    return [
        ("turns", _number(like.turns)),
        ("words a turn", f"{lengths.mean:.1f}" if lengths else ""),
        *zip(("  lower quartile", "  median", "  upper quartile"), map(str, quartiles), strict=True),
        ("first-turn diversity", _percent(like.first_turn_diversity)),
        ("intent's words in a turn", _percent(like.intent_decomposition)),
        ("MATTR-50", _rich(like.mattr, 4)),
        ("HD-D-42", _rich(like.hd_d, 4)),
        ("Yule's K", _rich(like.yules_k, 1)),
        ("questions", _percent(like.questions)),
        ("opened politely", _percent(like.courtesy)),
        ("said before", _percent(like.repetition)),
    ]


_TABLES: dict[str, Callable[[Sequence[Judgement]], Told]] = {
    "pairwise": _pairwise,
    "terminal": _terminal,
    "goals": _goals,
    "online": _online,
    "ending": _ending,
    "likeness": _likeness,
}

# What they have in common --------------------------------------------------------------------


def _lined_up(title: str, columns: Sequence[tuple[str, Figures]]) -> Table:
    """A line for each measure, a column for each of those measured; what is said of all is said once, above."""
    lines = list(zip(*(figures for _, figures in columns), strict=True))
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
        table.add_column(name, justify="right", overflow="fold")
    for same in lines:
        if same[0] not in shared and any(value for _, value in same):
            table.add_row(same[0][0], *(value for _, value in same))
    return table


def _published(measures: dict[str, str]) -> Table:
    columns = [
        (name, [(measure, getattr(figures, field)) for measure, field in measures.items()])
        for name, figures in PUBLISHED.items()
    ]
    return _lined_up(CAPTION, columns)


def _unread(one: Judgement, wrong: Iterable[str]) -> Iterator[str]:
    """Why verdicts are invalid."""
    if kinds := Counter(filter(None, wrong)):
        told = ", ".join(f"{count:,} {kind.replace('_', ' ')}" for kind, count in kinds.most_common())
        yield f"{one.candidate}, {one.judge}: verdicts that cannot be read: {told} (failures.jsonl has them)"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def _decimals(value: float | None, digits: int = 4) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.1%}" if whole else ""


def _rich(value: Richness, digits: int) -> str:
    return _decimals(value.mean, digits)

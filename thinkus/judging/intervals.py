"""How sure the figures of a run are: 95 % intervals, by a bootstrap over its conversations."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from thinkus.judging.ending import Left
from thinkus.judging.figures import CONTRASTS, MEASURES, Figures, decided, decimals, percent
from thinkus.judging.hindsight import WeighedTurn
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.lines import Cell
from thinkus.judging.online import BROKEN, JudgedDialogue
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import RatedThought
from thinkus.scoring import figures, order
from thinkus.scoring.bootstrap import Figure, Remembered, estimates
from thinkus.scoring.length import held_at_zero
from thinkus.scoring.likeness import Measured
from thinkus.scoring.wins import fold

SEED = 0
FEWEST = 10
"""Conversations; of fewer, resamples are too much alike to tell anything."""
FEW = 60
"""Conversations; of fewer, intervals as these turn out too narrow."""
Form = Callable[[float], str]
ENDINGS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "premature": "leaves too early",
    "in_time": "leaves with the person",
    "never": "never leaves",
}


class Sure(NamedTuple):
    """A figure, and how its table prints it."""

    figure: Figure
    form: Form = decimals


def with_intervals(printed: Figures, sure: Mapping[str, Sure]) -> list[tuple[str, Cell]]:
    """Those figures that have one, with it."""
    if not sure or any(figure.conversations < FEWEST for figure, _ in sure.values()):
        return [(name, Cell(value)) for name, value in printed]
    found = estimates({name: one.figure for name, one in sure.items()}, SEED)
    told = []
    for name, value in printed:
        interval = found[name].interval if name in sure else None
        if interval is None:
            told.append((name, Cell(value)))
        else:
            ends = sure[name].form(interval.low), sure[name].form(interval.high)
            told.append((name, Cell(value, ends, interval.method == "percentile")))
    return told


def of_wins(rows: Sequence[JudgedTurn]) -> dict[str, Sure]:
    turns = [row for row in rows if row.control is None]
    held = [[turn.duel for turn in own] for own in _by_conversation(turns)]
    if not held:
        return {}
    folded = [fold(duels) for duels in held]
    sure = {
        "r_w": Sure(figures.win_rate([one.strict for one in folded])),
        "r_w without the failed": Sure(figures.win_rate([one.strict.without_failed for one in folded])),
    }
    at_zero = held_at_zero([decided(own) for own in _by_conversation(turns)])
    if not isinstance(at_zero, str):
        sure["r_w, were both of one length"] = Sure(at_zero)
    if any(len(turn.verdicts) > 1 for turn in turns):
        sure["as halves: r_w"] = Sure(figures.win_rate([one.lenient for one in folded]))
        sure["stood the swap"] = Sure(order.surviving(held), percent)
        sure["took the one shown first"] = Sure(order.first_place(held), percent)
    return sure


def of_levels(rows: Sequence[RatedThought]) -> dict[str, Sure]:
    """Of both sides; one thought of each in a conversation."""
    levels = [{row.whose: row.level for row in own} for own in _by_conversation(rows)]
    if not levels:
        return {}
    real, simulated = ([own.get(whose) for own in levels] for whose in ("person", "candidate"))
    return {"divergence": Sure(figures.divergence(real, simulated))}


def of_dialogues(rows: Sequence[JudgedDialogue]) -> dict[str, Sure]:
    held = [row for row in rows if row.state != "broken"]
    if not held:
        return {}
    sure = {}
    for measure, name in MEASURES.items():
        known = [
            [score for score in row.scores(measure) if score is not None]
            if measure == "additional" or row.goals is not None
            else []
            for row in held
        ]
        sure[name] = Sure(figures.mean([[sum(own) / len(own)] if own else [] for own in known]))
    return sure


def of_foretelling(rows: Sequence[WeighedTurn]) -> dict[str, Sure]:
    if not rows:
        return {}
    held = [[row for row in own if row.is_weighed] for own in _by_conversation(rows)]
    return {
        name: Sure(
            figures.ratio(
                [(sum(row.nats(contrast) for row in own), sum(row.tokens for row in own)) for own in held]
            )
        )
        for name, contrast in CONTRASTS.items()
    }


def of_leaving(rows: Sequence[Left]) -> dict[str, Sure]:
    if not rows:
        return {}
    found = figures.ending([row.would_have_left for row in rows])
    sure = {name: Sure(found[key], percent) for key, name in ENDINGS.items()}
    people = [row.person_turns for row in rows]
    return sure | {
        "turns, apart by": Sure(figures.distance(people, [row.turns_until_left for row in rows]), _two)
    }


def of_lateness(rows: Sequence[Left]) -> dict[str, Sure]:
    held = [row for row in rows if row.ended_by not in BROKEN]
    if not held:
        return {}
    turns, people = [row.turns or 0 for row in held], [row.person_turns for row in held]
    early = [[float(here < there)] for here, there in zip(turns, people, strict=True)]

    def ended(by: str) -> Sure:
        return Sure(figures.mean([[float(row.ended_by == by)] for row in held]), _share)

    return {
        "turns": Sure(figures.mean([[one] for one in turns]), _two),
        "turns of the people": Sure(figures.mean([[one] for one in people]), _two),
        "turns, apart by": Sure(figures.distance(people, turns), _two),
        "fewer turns than the person": Sure(figures.mean(early), _share),
        "never left: ended by max_turns": ended("max_turns"),
        "could not go on": ended("person_failed"),
    }


def of_sounds(rows: Sequence[MeasuredConversation]) -> tuple[dict[str, Sure], dict[str, Sure]]:
    """Of the people, and of the candidate; the richness over conversations in which both said enough for it."""
    people, others = [row.person for row in rows], [row.candidate for row in rows]
    return _of_sound(people, others), _of_sound(others, people)


def _of_sound(own: Sequence[Measured], beside: Sequence[Measured]) -> dict[str, Sure]:
    if not own:
        return {}

    def richness(measure: str, form: Form) -> Sure:
        pairs = (
            (getattr(one, measure), getattr(other, measure)) for one, other in zip(own, beside, strict=True)
        )
        return Sure(figures.mean([[] if None in pair else [pair[0]] for pair in pairs]), form)

    words = [one.words for one in own]
    quartiles = {
        name: Sure(figures.quantile(words, level), _short)
        for name, level in (("  lower quartile", 0.25), ("  median", 0.5), ("  upper quartile", 0.75))
    }
    return {
        "words a turn": Sure(figures.mean(words), _one),
        **(quartiles if any(words) else {}),
        "first-turn diversity": Sure(_diversity(tuple(one.first for one in own)), percent),
        "intent's words in a turn": Sure(figures.mean([one.intent for one in own]), percent),
        "MATTR-50": richness("mattr", decimals),
        "HD-D-42": richness("hd_d", decimals),
        "Yule's K": richness("yules_k", _one),
        "questions": Sure(figures.mean([one.questions for one in own]), percent),
        "opened politely": Sure(figures.mean([one.courtesy for one in own]), percent),
        "said before": Sure(figures.mean([one.repetition for one in own]), percent),
    }


@lru_cache(maxsize=64)
def _diversity(first_turns: tuple[tuple[str, ...], ...]) -> Figure:
    """Of people it is asked for beside each candidate, and of a candidate in two places."""
    return Remembered(partial(_pairs, first_turns))


_pairs = lru_cache(maxsize=1)(figures.first_turn_diversity)
"""Only the last, for it is large."""


def _by_conversation(rows: Iterable[Any]) -> list[list[Any]]:
    held: dict[str, list[Any]] = {}
    for row in rows:
        held.setdefault(row.conversation, []).append(row)
    return list(held.values())


def _one(value: float) -> str:
    return f"{value:z.1f}"


def _two(value: float) -> str:
    return f"{value:z.2f}"


def _short(value: float) -> str:
    return f"{value:.4g}"


def _share(value: float) -> str:
    return f"{value:z.1%}"

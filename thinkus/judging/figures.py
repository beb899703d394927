"""What a run of judge comes to, task by task: from its rows to named figures, as they are printed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from thinkus.judging.ending import Left
from thinkus.judging.goals import Goals
from thinkus.judging.hindsight import NOT_ASKED, Shown, WeighedTurn
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.online import BROKEN, JudgedDialogue, Measure
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import BEST_FIRST, NO_THOUGHT, RatedThought
from thinkus.scoring import order
from thinkus.scoring.bootstrap import value_of
from thinkus.scoring.bounds import bounds
from thinkus.scoring.divergence import Level, histogram, level_divergence, wasserstein
from thinkus.scoring.endings import endings
from thinkus.scoring.goals import disclosure
from thinkus.scoring.length import Decided, held_at_zero
from thinkus.scoring.likeness import Likeness, Richness, side_by_side
from thinkus.scoring.wins import Counts, Verdict, fold

Figures = list[tuple[str, str]]
"""By name; an empty one says that it does not apply."""
UNDEFINED = "-"
"""A figure that there is nothing to make of."""
MEASURES: dict[Measure, str] = {
    "disclosure": "disclosure",
    "progression": "progression",
    "additional": "additional information",
}

CONTRASTS: dict[str, Mapping[Shown, int]] = {
    "with their own thoughts": {"own": 1},
    "without thoughts": {"none": 1},
    "with a stranger's": {"stranger": 1},
    "own - without": {"own": 1, "none": -1},
    "own - a stranger's": {"own": 1, "stranger": -1},
}


class Controls(NamedTuple):
    """Of a judge, on turns whose verdict is known beforehand."""

    ties: int
    itself: int
    """Turns at which the real text stood against itself; a tie in every verdict is what should come."""
    wins: int
    stranger: int
    """At which it stood against somebody else's; a win in every verdict is."""

    @classmethod
    def of(cls, turns: Sequence[JudgedTurn]) -> "Controls":
        found = {"itself": [0, 0], "stranger": [0, 0]}
        for turn in turns:
            if turn.control is not None:
                wanted = "tie" if turn.control == "itself" else "win"
                found[turn.control][0] += set(turn.duel.verdicts) == {wanted}
                found[turn.control][1] += 1
        return cls(*found["itself"], *found["stranger"])

    def failed(self, ties: float, wins: float) -> bool:
        return self.ties < ties * self.itself or self.wins < wins * self.stranger


def wins(rows: Sequence[JudgedTurn]) -> Figures:
    controls, turns = Controls.of(rows), [row for row in rows if row.control is None]
    duels = [turn.duel for turn in turns]
    strict, lenient, turned = fold(duels)
    in_both = any(len(turn.verdicts) > 1 for turn in turns)
    halves = ", ".join(number(one) for one in (lenient.wins, lenient.losses, lenient.ties))
    shortened = sum(any(verdict.dropped for verdict in turn.verdicts) for turn in turns)
    return [
        ("conversations", _conversations(turns)),
        ("turns", number(len(turns))),
        ("wins", number(strict.wins)),
        ("losses", number(strict.losses)),
        ("draws", number(strict.ties)),
        ("  the same words", number(sum(turn.same for turn in turns))),
        ("failed", number(strict.candidate_failed + strict.both_failed)),
        ("failed, of those it is held against", number(strict.baseline_failed + strict.both_failed)),
        ("invalid", number(strict.invalid)),
        ("r_w", decimals(strict.rate)),
        ("r_w without the failed", decimals(strict.without_failed.rate)),
        ("r_w, were the invalid lost, won", _at_worst(strict) if strict.invalid else ""),
        ("r_w, were both of one length", _of_one_length(turns)),
        ("turned with the order, so draws", number(turned) if in_both else ""),
        ("stood the swap", percent(value_of(order.surviving([duels]))) if in_both else ""),
        ("took the one shown first", percent(value_of(order.first_place([duels]))) if in_both else ""),
        ("as halves: wins, losses, draws", halves if in_both else ""),
        ("as halves: r_w", decimals(lenient.rate) if in_both else ""),
        ("with a shortened history", number(shortened) if shortened else ""),
        ("control: the real text ties itself", _of(controls.ties, controls.itself)),
        ("control: it beats a stranger's", _of(controls.wins, controls.stranger)),
    ]


def decided(turns: Sequence[JudgedTurn]) -> list[Decided]:
    """With what they have to do with length."""
    scores: dict[Verdict, int] = {"win": 1, "tie": 0, "loss": -1}
    return [
        Decided(scores[verdict], *turn.lengths)
        for turn in turns
        if turn.lengths is not None and (verdict := turn.duel.counts_as) is not None
    ]


def _of_one_length(turns: Sequence[JudgedTurn]) -> str:
    if not (own := decided(turns)):
        return ""
    held = held_at_zero([own])
    return f"{UNDEFINED} ({held})" if isinstance(held, str) else decimals(value_of(held))


def _of(count: int, whole: int) -> str:
    return f"{count:,} of {whole:,}" if whole else ""


def _at_worst(counts: Counts) -> str:
    lowest, highest = bounds(counts)
    return f"{decimals(lowest)}, {decimals(highest)}"


def levels(rows: Sequence[RatedThought], real: Sequence[Level] | None) -> Figures:
    """Of one side; the divergence is from the real ones, where they are given."""
    rated = [row.level for row in rows if row.level]
    missing = sum(row.wrong == NO_THOUGHT for row in rows)
    counts = histogram(rated)
    return [
        ("conversations", _conversations(rows)),
        *((level.replace("_", " "), number(counts[level])) for level in BEST_FIRST),
        ("no thought", number(missing)),
        ("invalid", number(len(rows) - len(rated) - missing)),
        ("divergence", "" if real is None else decimals(level_divergence(real, rated))),
    ]


def goals(rows: Sequence[Goals]) -> Figures:
    listed = [row for row in rows if not row.wrong]
    total = sum(len(row.goals) for row in listed)
    return [
        ("scenarios", number(len(rows))),
        ("goals", number(total)),
        ("goals a scenario", f"{total / len(listed):.1f}" if listed else UNDEFINED),
        ("scenarios without any", number(sum(not row.goals for row in listed))),
        ("invalid", number(len(rows) - len(listed))),
    ]


def dialogues(rows: Sequence[JudgedDialogue]) -> Figures:
    """Over goals, then over dialogues; who said nothing has disclosed nothing."""
    held = [row for row in rows if row.state != "broken"]
    listed = [row for row in held if row.goals is not None]
    figures = [
        ("dialogues", number(len(held))),
        ("broke off, left out", number(len(rows) - len(held))),
        ("nothing said", number(sum(row.state == "silent" for row in held))),
        ("goals that could not be listed", number(len(held) - len(listed))),
    ]
    for measure, name in MEASURES.items():
        concerned = held if measure == "additional" else listed
        every = disclosure(row.scores(measure) for row in concerned)
        spoken = disclosure(row.scores(measure) for row in concerned if row.state != "silent")
        figures += [
            (name, decimals(every.mean)),
            ("  over dialogues", number(every.dialogues)),
            ("  where something was said", decimals(spoken.mean)),
            ("  not applicable", number(every.not_applicable)),
            ("  verdicts invalid", number(every.invalid)),
        ]
    return figures


def where_people_left(rows: Sequence[Left]) -> Figures:
    found = endings(row.would_have_left for row in rows)
    turns = [row.turns_until_left for row in rows]
    return [
        ("conversations", _conversations(rows)),
        ("replies", number(found.positions)),
        ("precision", percent(found.precision)),
        ("recall", percent(found.recall)),
        ("F1", percent(found.f1)),
        ("leaves too early", percent(found.premature)),
        ("leaves with the person", percent(found.in_time)),
        ("never leaves", percent(found.never)),
        ("turns, apart by", decimals(wasserstein([row.person_turns for row in rows], turns), 2)),
        ("turns that failed", number(sum(leaves is None for row in rows for leaves in row.leaves))),
    ]


def as_late_as_people(rows: Sequence[Left]) -> Figures:
    held = [row for row in rows if row.ended_by not in BROKEN]
    turns = [row.turns or 0 for row in held]
    people = [row.person_turns for row in held]
    early = sum(here < there for here, there in zip(turns, people, strict=True))
    return [
        ("dialogues", number(len(held))),
        ("broke off, left out", number(len(rows) - len(held))),
        ("turns", f"{sum(turns) / len(turns):.2f}" if turns else UNDEFINED),
        ("turns of the people", f"{sum(people) / len(people):.2f}" if people else UNDEFINED),
        ("turns, apart by", decimals(wasserstein(people, turns), 2)),
        ("fewer turns than the person", share(early, len(held))),
        ("never left: ended by max_turns", share(_ended(held, "max_turns"), len(held))),
        ("could not go on", share(_ended(held, "person_failed"), len(held))),
    ]


def _ended(rows: Sequence[Left], by: str) -> int:
    return sum(row.ended_by == by for row in rows)


def sounds(rows: Sequence[MeasuredConversation]) -> tuple[Figures, Figures]:
    """Of the people, and of the candidate."""
    person, candidate = side_by_side([row.person for row in rows], [row.candidate for row in rows])
    count = _conversations(rows)
    return _sound(person, None, count), _sound(candidate, sum(row.failed for row in rows), count)


def _sound(like: Likeness, failed: int | None, conversations: str) -> Figures:
    lengths = like.lengths
    quartiles = (
        (lengths.lower_quartile, lengths.median, lengths.upper_quartile) if lengths else [UNDEFINED] * 3
    )
    return [
        ("conversations", conversations),
        ("turns", number(like.turns)),
        ("turns that failed", "" if failed is None else number(failed)),
        ("words a turn", f"{lengths.mean:.1f}" if lengths else UNDEFINED),
        *zip(("  lower quartile", "  median", "  upper quartile"), map(str, quartiles), strict=True),
        ("first-turn diversity", percent(like.first_turn_diversity)),
        ("intent's words in a turn", percent(like.intent_decomposition)),
        ("MATTR-50", _rich(like.mattr, 4)),
        ("HD-D-42", _rich(like.hd_d, 4)),
        ("Yule's K", _rich(like.yules_k, 1)),
        ("  over conversations", f"{like.mattr.conversations:,}, {like.hd_d.conversations:,}"),
        ("questions", percent(like.questions)),
        ("opened politely", percent(like.courtesy)),
        ("said before", percent(like.repetition)),
    ]


def _conversations(rows: Iterable[Any]) -> str:
    return number(len({row.conversation for row in rows}))


def foretold(rows: Sequence[WeighedTurn]) -> Figures:
    """Over all tokens of all turns that were weighed on every page: a turn that failed on one is in no figure."""
    weighed = [row for row in rows if row.is_weighed]
    tokens = sum(row.tokens for row in weighed)
    return [
        ("turns", number(len(weighed))),
        ("  of conversations", number(len({row.conversation for row in weighed}))),
        ("  tokens", number(tokens)),
        *(
            (name, decimals(sum(row.nats(contrast) for row in weighed) / tokens if tokens else None))
            for name, contrast in CONTRASTS.items()
        ),
        ("not asked about", number(sum(row.wrong in NOT_ASKED for row in rows))),
        ("failed", number(sum(not row.is_weighed and row.wrong not in NOT_ASKED for row in rows))),
    ]


# As they are printed -------------------------------------------------------------------------


def number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def decimals(value: float | None, digits: int = 4) -> str:
    return UNDEFINED if value is None else f"{value:z.{digits}f}"


def percent(value: float | None) -> str:
    return UNDEFINED if value is None else f"{100 * value:z.2f}"


def share(count: int, whole: int) -> str:
    return f"{count / whole:.1%}" if whole else UNDEFINED


def _rich(value: Richness, digits: int) -> str:
    return decimals(value.mean, digits)

"""Intervals are of the very figures that stand before them, and say what they are."""

import re
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pytest
from msgspec.structs import replace

from tests.judging.printed import judgement, printed
from thinkus.judging import figures, intervals
from thinkus.judging.ending import Left
from thinkus.judging.figures import Figures
from thinkus.judging.hindsight import WeighedTurn
from thinkus.judging.intervals import Sure, with_intervals
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.lines import Cell
from thinkus.judging.online import JudgedDialogue, Verdict
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.pairwise import Verdict as Ruled
from thinkus.judging.terminal import RatedThought
from thinkus.scoring.bootstrap import value_of
from thinkus.scoring.divergence import LEVELS
from thinkus.scoring.likeness import Said, measured

CHANCE = np.random.default_rng(11)
NAMES = [f"c{number:02}" for number in range(40)]


def draw(*options: object) -> object:
    return options[CHANCE.integers(len(options))]


def turns() -> list[JudgedTurn]:
    rows = []
    for name in NAMES:
        for turn in range(int(CHANCE.integers(1, 6))):
            failed = draw((), (), (), ("candidate",), ("baseline",), ("candidate", "baseline"))
            verdicts = tuple(
                Ruled(first, draw("candidate", "candidate", "baseline", "tie", None))  # type: ignore[arg-type]
                for first in ("candidate", "baseline")
            )
            lengths = None if failed else tuple(int(one) for one in CHANCE.integers(1, 30, size=2))
            rows.append(JudgedTurn(name, turn, failed, () if failed else verdicts, lengths=lengths))  # type: ignore[arg-type]
    return rows


def thoughts() -> list[RatedThought]:
    return [
        RatedThought(name, whose, draw(*LEVELS[at:], None))  # type: ignore[arg-type]
        for name, (at, whose) in product(NAMES, enumerate(("person", "candidate")))
    ]


def talks() -> list[JudgedDialogue]:
    rows = []
    for name in NAMES:
        goals = draw(None, 0, 2, 3)
        scored = [Verdict("disclosure", draw(1, 0, -1, None)) for _ in range(goals or 0)]  # type: ignore[arg-type,call-overload]
        scored += [Verdict("progression", draw(1, 0, None))] if goals else []  # type: ignore[arg-type]
        scored.append(Verdict("additional", draw(1, 0, None)))  # type: ignore[arg-type]
        state = draw("judged", "judged", "silent", "broken")
        rows.append(JudgedDialogue(name, "candidate", "a", "simulator", goals, state, tuple(scored)))  # type: ignore[arg-type]
    return rows


def left() -> list[Left]:
    return [
        Left(name, turns, tuple(draw(True, False, False, None) for _ in range(turns)))  # type: ignore[misc]
        for name in NAMES
        for turns in [int(CHANCE.integers(1, 6))]
    ]


def lasted() -> list[Left]:
    ends = ("simulator", "max_turns", "person_failed", "assistant_failed")
    return [
        Left(name, int(CHANCE.integers(1, 6)), turns=int(CHANCE.integers(0, 6)), ended_by=draw(*ends))  # type: ignore[arg-type]
        for name in NAMES
    ]


def sounding() -> list[MeasuredConversation]:
    words = [f"w{number}" for number in range(30)]

    def said() -> Said:
        sizes = CHANCE.integers(1, 40, size=CHANCE.integers(1, 5))
        texts = (
            f"{draw('', 'please ')}{' '.join(CHANCE.choice(words, size))}{draw('', '?')}" for size in sizes
        )
        return Said("w1 w2 w3", tuple(texts))

    return [MeasuredConversation(name, measured(said()), measured(said())) for name in NAMES]


def foretold() -> list[WeighedTurn]:
    rows = []
    for name in NAMES:
        for turn in range(2, int(CHANCE.integers(3, 6))):
            tokens = int(CHANCE.integers(1, 60))
            nats = -tokens * CHANCE.uniform(2, 5, size=3)
            shown = dict(zip(("own", "none", "stranger"), map(float, nats), strict=True))
            wrong = draw("", "", "", "too_long", "no_stranger")
            row = WeighedTurn(name, turn, turn - 1, "c", tokens, {} if wrong else shown, str(wrong))  # type: ignore[arg-type]
            rows.append(row)
    return rows


SOUNDS = sounding()
FORETOLD = foretold()
TURNS, THOUGHTS, TALKS, LEFT, LASTED = turns(), thoughts(), talks(), left(), lasted()
REAL = [one.level for one in THOUGHTS if one.whose == "person" and one.level]
SIMULATED = [one for one in THOUGHTS if one.whose == "candidate"]
CASES: dict[str, tuple[Figures, Mapping[str, Sure]]] = {
    "pairwise": (figures.wins(TURNS), intervals.of_wins(TURNS)),
    "terminal": (figures.levels(SIMULATED, REAL), intervals.of_levels(THOUGHTS)),
    "online": (figures.dialogues(TALKS), intervals.of_dialogues(TALKS)),
    "ending": (figures.where_people_left(LEFT), intervals.of_leaving(LEFT)),
    "ending, live": (figures.as_late_as_people(LASTED), intervals.of_lateness(LASTED)),
    "hindsight": (figures.foretold(FORETOLD), intervals.of_foretelling(FORETOLD)),
    "likeness of people": (figures.sounds(SOUNDS)[0], intervals.of_sounds(SOUNDS)[0]),
    "likeness": (figures.sounds(SOUNDS)[1], intervals.of_sounds(SOUNDS)[1]),
}


@pytest.mark.parametrize("name", CASES)
def test_each_is_of_the_figure_that_is_printed(name: str) -> None:
    shown, sure = CASES[name]
    by_name = dict(shown)
    assert sure
    for figure, one in sure.items():
        value = value_of(one.figure)
        assert value is not None
        assert float(one.form(value).rstrip("%")) == pytest.approx(float(by_name[figure].rstrip("%"))), figure


@pytest.mark.parametrize("name", CASES)
def test_it_holds_its_figure_and_follows_it(name: str) -> None:
    shown, sure = CASES[name]
    for (figure, value), (same, told) in zip(shown, with_intervals(shown, sure), strict=True):
        assert figure == same
        if figure not in sure:
            assert told == Cell(value)
            continue
        assert told.value == value
        assert told.interval is not None
        low, high = (float(end.rstrip("%")) for end in told.interval)
        assert low <= float(value.rstrip("%")) <= high
        assert low < high


def test_every_figure_with_decimals_has_one() -> None:
    """But for what is made of others, or stands for a few only."""
    without = {
        "r_w, were the invalid lost, won",
        "as halves: wins, losses, draws",
        "  where something was said",
    }
    for shown, sure in CASES.values():
        assert {name for name, value in shown if "." in value} - set(sure) <= without


def test_the_same_rows_have_the_same_intervals() -> None:
    shown, sure = CASES["pairwise"]
    assert with_intervals(shown, sure) == with_intervals(shown, sure)


def rows(count: int) -> Sequence[JudgedTurn]:
    return [turn for turn in TURNS if turn.conversation in NAMES[:count]]


def test_what_they_are_is_said_below_and_when_not_to_lean_on_them() -> None:
    told = " ".join(printed("pairwise", judgement(TURNS)).split())
    assert "by a bootstrap over 40 conversations (BCa;" in told
    assert "fewer than 60 conversations" in told
    many = [
        turn.__class__(f"{turn.conversation}-{again}", turn.turn, turn.failed, turn.verdicts)
        for again in range(2)
        for turn in TURNS
    ]
    told = " ".join(printed("pairwise", judgement(many)).split())
    assert "by a bootstrap over 80 conversations" in told
    assert "too narrow" not in told


def test_where_bca_is_undefined_it_is_marked() -> None:
    constant = [replace(turn, verdicts=turn.verdicts[:1] * 2) for turn in TURNS if turn.verdicts]
    assert "stood the swap" in printed("pairwise", judgement(constant))
    assert re.search(r"took the one shown first +50.00 ~\[", printed("pairwise", judgement(constant)))
    (line,) = [one for one in printed("pairwise", judgement(TURNS)).splitlines() if one.startswith("r_w  ")]
    assert "~" not in line


def test_a_few_conversations_have_none() -> None:
    told = printed("pairwise", judgement(rows(9)))
    assert "[" not in told
    assert "fewer than 10 conversations: no intervals" in told
    assert "[" in printed("pairwise", judgement(rows(10)))

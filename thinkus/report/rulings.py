"""What judges said of a turn, of a last thought or of a dialogue: their rows, for a reader."""

from collections.abc import Iterator, Mapping

import msgspec

from thinkus.judging.judgement import Judgement
from thinkus.judging.online import SCORES, JudgedDialogue
from thinkus.judging.online import Verdict as Answer
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import NO_THOUGHT, RatedThought
from thinkus.terminal import plain

INVALID = "invalid"
TURNED = "turned with the order"
DRAW = "draw"
Heard = tuple[int, str, int | None]
"""By whom, in which conversation, and at which turn; None for the whole of it, or for its last thought.

Below 0 are real persons.
"""


class Opinion(msgspec.Struct, frozen=True, omit_defaults=True):
    """One answer of a judge's."""

    said: str
    first: str = ""
    """Whose words were shown first."""
    why: str = ""
    """In the judge's words."""


class Ruling(msgspec.Struct, frozen=True, omit_defaults=True):
    judge: int
    """Which of the runs of judge."""
    came_to: str
    opinions: tuple[Opinion, ...] = ()
    note: str = ""
    """The goal that was asked about, or how near the words are."""


def rulings(number: int, judgement: Judgement, whose: Mapping[str, int]) -> Iterator[tuple[Heard, Ruling]]:
    """Of a run of judge, on those whose numbers are known; controls are nobody's words."""
    for row in judgement.rows:
        if isinstance(row, JudgedTurn) and row.control is None and "candidate" in whose:
            yield (whose["candidate"], row.conversation, row.turn), _of_a_turn(number, row)
        elif isinstance(row, RatedThought) and row.whose in whose and row.wrong != NO_THOUGHT:
            ruling = Ruling(number, _worded(row.level), (_opinion(_worded(row.level), row.why, row.wrong),))
            yield (whose[row.whose], row.conversation, None), ruling
        elif isinstance(row, JudgedDialogue) and row.whose in whose:
            for verdict in row.verdicts:
                yield (whose[row.whose], row.conversation, None), _of_a_dialogue(number, verdict)


def _of_a_turn(number: int, row: JudgedTurn) -> Ruling:
    if row.failed:
        return Ruling(number, _COUNTS[_settled(row)], note=f"{' and '.join(row.failed)} failed")
    if row.same:
        return Ruling(number, DRAW, note="both said the same")
    said = row.duel.verdicts
    came_to = INVALID if "invalid" in said else TURNED if len(set(said)) > 1 else _COUNTS[said[0]]
    opinions = tuple(
        _opinion(_CLOSER[one.closer], one.why, one.wrong, "" if row.nearness else one.first)
        for one in row.verdicts
    )
    nearness = ", ".join(
        f"{side} {near.meaning:.2f} in meaning, {near.style:.2f} in style"
        for side, near in row.nearness.items()
    )
    return Ruling(number, came_to, opinions, nearness)


_COUNTS = {"win": "win", "loss": "loss", "tie": DRAW}
_CLOSER = {"candidate": "candidate", "baseline": "baseline", "tie": "neither", None: INVALID}


def _settled(row: JudgedTurn) -> str:
    if len(row.failed) > 1:
        return "tie"
    return "loss" if row.failed == ("candidate",) else "win"


def _of_a_dialogue(number: int, verdict: Answer) -> Ruling:
    words = {score: word for word, score in SCORES[verdict.measure].items()}
    said = INVALID if verdict.score is None else words[verdict.score]
    opinion = _opinion(said, verdict.why, verdict.wrong)
    return Ruling(number, f"{verdict.measure}: {said}", (opinion,), plain(verdict.goal))


def _opinion(said: str, why: str, wrong: str, first: str = "") -> Opinion:
    return Opinion(f"{said} ({wrong.replace('_', ' ')})" if wrong else said, first, plain(why))


def _worded(level: str | None) -> str:
    return level.replace("_", " ") if level else INVALID

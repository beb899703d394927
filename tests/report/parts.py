"""Judgements of made-up runs: who won which turn of which conversation is planted."""

from collections.abc import Mapping
from typing import Any

from thinkus.judging.ending import Left
from thinkus.judging.judgement import Judgement
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.online import JudgedDialogue, Measure
from thinkus.judging.online import Verdict as Score
from thinkus.judging.origin import Corpus
from thinkus.judging.pairwise import Closer, JudgedTurn, Side, Verdict
from thinkus.judging.terminal import RatedThought
from thinkus.scoring.likeness import Measured, Said, measured

CHATS = Corpus("chats", "c" * 64)
CLOSER: Mapping[str, Closer | None] = {"w": "candidate", "l": "baseline", "t": "tie", "?": None}


def turn(conversation: str, at: int, verdict: str, **more: Any) -> JudgedTurn:
    """As w, l or t in both orders; x turned with the order, ? cannot be read, f and F failed (ours, theirs)."""
    if verdict in "fF":
        return JudgedTurn(conversation, at, ("candidate" if verdict == "f" else "baseline",), **more)
    both: tuple[tuple[Side, str], ...] = (("candidate", verdict), ("baseline", verdict))
    if verdict == "x":
        both = ("candidate", "w"), ("baseline", "l")
    verdicts = tuple(
        Verdict(first, CLOSER[said], wrong="" if CLOSER[said] else "off_form") for first, said in both
    )
    return JudgedTurn(conversation, at, (), verdicts, **more)


def turns(planned: Mapping[str, str]) -> list[JudgedTurn]:
    """A letter a turn, by conversation."""
    return [turn(name, at, said) for name, letters in planned.items() for at, said in enumerate(letters)]


def judgement(task: str, candidate: str, rows: Any, **more: Any) -> Judgement:
    """By one judge, of one corpus; each candidate is a run of its own."""
    known = {
        "corpus": CHATS,
        "run": f"outputs/judge/{task}.{candidate}",
        "read": {"candidate": candidate, "baseline": more.get("against", "")},
        "asked": "a" * 64,
    }
    facts = {"judge.model": "m"} | more.pop("facts", {})
    judge = more.pop("judge", "" if task in ("ending", "likeness") else "hosted (m)")
    return Judgement(task, candidate, judge, facts, more.pop("against", None), rows, **(known | more))


def duels(candidate: str, planned: Mapping[str, str], against: str = "base", **more: Any) -> Judgement:
    return judgement("pairwise", candidate, turns(planned), against=against, **more)


def thoughts(candidate: str, planned: Mapping[str, tuple[Any, Any]], **more: Any) -> Judgement:
    """The person's level and the candidate's, by conversation."""
    rows = []
    for name, (person, own) in planned.items():
        rows += [RatedThought(name, "person", person), RatedThought(name, "candidate", own)]
    return judgement("terminal", candidate, rows, **more)


def dialogue(
    name: str, *scores: Any, whose: Any = "candidate", ended_by: Any = "simulator"
) -> JudgedDialogue:
    """Whose person lets each of their goals be known as far as that; gets on where they let know of the first."""
    if ended_by.endswith("_failed"):
        return JudgedDialogue(name, whose, "a", ended_by, len(scores), "broken")
    each: list[tuple[Measure, Any]] = [("disclosure", score) for score in scores]
    each += [("progression", max(0, scores[0])), ("additional", 1)]
    verdicts = tuple(Score(measure, score) for measure, score in each)
    return JudgedDialogue(name, whose, "a", ended_by, len(scores), "judged", verdicts)


def online(candidate: str, rows: Any, **more: Any) -> Judgement:
    read = {"candidate": candidate, "baseline": more.get("against") or "", "goals": "g"} | more.pop(
        "read", {}
    )
    facts = {"assistant": "a", "ending": "simulator", "max_turns": "20"} | more.pop("facts", {})
    return judgement("online", candidate, rows, read=read, facts=facts, **({"talk": "t"} | more))


def leaving(candidate: str, planned: Mapping[str, str], **more: Any) -> Judgement:
    """A letter after each real reply: y where it would leave."""
    rows = [
        Left(name, len(letters), tuple(one == "y" for one in letters)) for name, letters in planned.items()
    ]
    return judgement("ending", candidate, rows, **more)


def sounding(candidate: str, planned: Mapping[str, tuple[str, str]], **more: Any) -> Judgement:
    """What the person and the candidate say, by conversation; turns are parted by bars."""

    def heard(said: str) -> Measured:
        return measured(Said("to bake bread", tuple(said.split("|"))))

    rows = [MeasuredConversation(name, heard(one), heard(other)) for name, (one, other) in planned.items()]
    return judgement("likeness", candidate, rows, **more)

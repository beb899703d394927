"""What has to come out of the runs in which `make bench-judge` plants verdicts.

Counted from what was said in them and from the plan by plain loops, with nothing of the stage or its formulas.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import judge_plan
from judge_plan import GOALS_REASONS, OURS, REASONS, THEIRS, Protocol, Side

from thinkus.judging.fences import drawn_of
from thinkus.records import Conversation, Dialogue, read_conversations, read_records

Figures = dict[str, float | None]
BEST_FIRST = ("excellent", "good", "average", "poor", "extremely_poor")
SCORES = {"disclosure": (1, 0, -1), "progression": (1, 0), "additional": (1, 0)}


def unreadable(reasons: Iterable[str]) -> Figures:
    return {f"unreadable: {why}": count for why, count in sorted(Counter(reasons).items())}


def replayed(root: Path, name: str) -> Iterator[Conversation]:
    return read_conversations(root / "simulate" / name / "records.jsonl")


def said(one: Conversation) -> dict[int, str]:
    assert one.simulation is not None
    return {turn.turn: turn.utterance for turn in one.simulation.turns}


def words_of(one: Conversation) -> list[str]:
    return [message.content for message in one.messages if message.role == "user"]


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


# Pairwise --------------------------------------------------------------------------------------


def pairs(root: Path, protocol: Protocol) -> Figures:
    """A turn's results are counted in halves."""
    whole, halves, reasons = Counter[str](), Counter[str](), list[str]()
    for one, other in zip(replayed(root, OURS), replayed(root, THEIRS), strict=True):
        for turn, real in enumerate(words_of(one)):
            ours, theirs = said(one).get(turn), said(other).get(turn)
            if ours is None or theirs is None:
                results = ["tie" if ours == theirs else "loss" if ours is None else "win"]
                whole[
                    "both failed" if ours == theirs else f"{'ours' if ours is None else 'theirs'} failed"
                ] += 1
            elif ours == theirs:
                results = ["tie"]
            else:
                results = list(results_of(real, ours, theirs, protocol, reasons))
                results = ["invalid"] if "invalid" in results else results
            whole["turned"] += len(set(results)) > 1
            whole[results[0] if len(set(results)) == 1 else "tie"] += 1
            halves.update([results[0], results[-1]])
    won, lost, tied = (halves[result] / 2 for result in ("win", "loss", "tie"))
    decided = whole["win"] + whole["loss"] + whole["tie"]
    return {
        **{name: whole[name] for name in ("win", "loss", "tie", "invalid", "turned")},
        **{f"{whose} failed": whole[f"{whose} failed"] for whose in ("ours", "theirs", "both")},
        "r_w": (whole["win"] - whole["loss"]) / decided,
        "wins as halves": won,
        "losses as halves": lost,
        "ties as halves": tied,
        "r_w as halves": (won - lost) / (won + lost + tied),
        **unreadable(reasons),
    }


def results_of(real: str, ours: str, theirs: str, protocol: Protocol, reasons: list[str]) -> Iterator[str]:
    """One for each order; and why one cannot be read."""
    by_text = sorted((ours, theirs))
    one_first: Side = "candidate" if by_text[drawn_of((real, *by_text)) % 2] == ours else "baseline"
    orders: tuple[Side, ...] = ("candidate", "baseline") if protocol == "both_orders" else (one_first,)
    for first in orders:
        planted = judge_plan.pair(real, ours, theirs, first)
        if isinstance(planted, str):
            reasons.append(REASONS[planted][protocol])
            yield "invalid"
        else:
            yield (
                (("win", "loss") if first == "candidate" else ("loss", "win"))[planted]
                if planted < 2
                else "tie"
            )


# Terminal --------------------------------------------------------------------------------------


def thoughts(root: Path) -> Figures:
    figures, reasons, places = Figures(), list[str](), dict[str, list[int]]()
    for whose in ("person", "candidate"):
        thoughts = [last_thought(one, whose) for one in replayed(root, "thinking")]
        levels = [judge_plan.level(thought) for thought in thoughts if thought is not None]
        reasons += [REASONS[level]["both_orders"] for level in levels if isinstance(level, str)]
        places[whose] = [level for level in levels if isinstance(level, int)]
        figures |= {f"{whose}: {name}": places[whose].count(at) for at, name in enumerate(BEST_FIRST)}
        figures[f"{whose}: no thought"] = thoughts.count(None)
    apart = [
        (below(score, places["person"]) - below(score, places["candidate"])) ** 2
        for score in places["person"]
    ]
    number = len(apart)
    return (
        figures
        | {"divergence": (12 * number * sum(apart) / (4 * number**2 - 1)) ** 0.5}
        | unreadable(reasons)
    )


def last_thought(one: Conversation, whose: str) -> str | None:
    assert one.annotation is not None
    assert one.simulation is not None
    if whose == "person":
        return one.annotation.terminal_thought
    return next((turn.thought for turn in one.simulation.turns if turn.turn == one.user_turns), None)


def below(score: int, scores: Sequence[int]) -> float:
    """F(score), by the middle: the best comes first, so below is a higher place."""
    return sum(1.0 if other > score else 0.5 if other == score else 0.0 for other in scores) / len(scores)


# Goals, and live dialogues ---------------------------------------------------------------------


def goals(root: Path) -> Figures:
    every = [
        judge_plan.goals(one.annotation.scenario, one.annotation.motivation)
        for one in replayed(root, OURS)
        if one.annotation
    ]
    listed = [one for one in every if not isinstance(one, str)]
    return {
        "scenarios": len(every),
        "goals": sum(map(len, listed)),
        "scenarios without any": listed.count(()),
        **unreadable(GOALS_REASONS[one] for one in every if isinstance(one, str)),
    }


def talks(root: Path, who: str) -> Figures:
    scores: dict[str, list[list[int | str]]] = {measure: [] for measure in SCORES}
    figures: Figures = {"broken off": 0, "silent": 0}
    for one in read_records(root / "simulate" / f"{who}-live" / "records.jsonl", Dialogue):
        if one.ended_by in ("assistant_failed", "classifier_failed"):
            figures["broken off"] = (figures["broken off"] or 0) + 1
            continue
        words = [exchange.person.utterance for exchange in one.exchanges if exchange.person.utterance]
        figures["silent"] = (figures["silent"] or 0) + (not words)
        for measure, own in scores_of(one, words).items():
            scores[measure].append(own)
    for measure, dialogues in scores.items():
        read = [[score for score in own if isinstance(score, int)] for own in dialogues]
        figures |= {
            measure: mean([sum(own) / len(own) for own in read if own]),
            f"{measure}: not applicable": dialogues.count([]),
            f"{measure}: invalid": sum(isinstance(score, str) for own in dialogues for score in own),
        }
    return figures


def scores_of(one: Dialogue, words: Sequence[str]) -> dict[str, list[int | str]]:
    listed = judge_plan.goals(one.scenario, one.motivation)
    wanted = () if isinstance(listed, str) else listed
    about: dict[str, list[tuple[str, ...]]] = {
        "disclosure": [(goal,) for goal in wanted],
        "progression": [wanted] if wanted else [],
        "additional": [(one.scenario, one.motivation)],
    }
    return {measure: [score_of(measure, words, each) for each in held] for measure, held in about.items()}


def score_of(measure: str, words: Sequence[str], about: Sequence[str]) -> int | str:
    """Who says nothing has none."""
    options = SCORES[measure]
    planted = judge_plan.score(words, about, len(options)) if words else options.index(0)
    return options[planted] if isinstance(planted, int) else planted


# Where nobody is asked -------------------------------------------------------------------------


def leaving(root: Path) -> Figures:
    found = Counter[str]()
    for one in replayed(root, OURS):
        leaves = [said(one).get(turn) == "" for turn in range(1, one.user_turns + 1)]
        found["ends"] += 1
        found["left"] += sum(leaves)
        found["left where the person did"] += leaves[-1]
        found["left before"] += True in leaves[:-1]
        found["never left"] += True not in leaves
        found["failed"] += sum(turn not in said(one) for turn in range(1, one.user_turns + 1))
    hits = found["left where the person did"]
    precision, recall = hits / found["left"], hits / found["ends"]
    return {
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall),
        "leaves too early": found["left before"] / found["ends"],
        "never leaves": found["never left"] / found["ends"],
        "turns that failed": found["failed"],
    }


def lasting(root: Path) -> Figures:
    """How far numbers of turns lie apart: as many on both sides, so each is paired with its like."""
    people = {one.id: len(words_of(one)) for one in replayed(root, OURS)}
    dialogues = list(read_records(root / "simulate" / f"{OURS}-live" / "records.jsonl", Dialogue))
    whole = [one for one in dialogues if one.ended_by not in ("assistant_failed", "classifier_failed")]
    turns = [sum(exchange.person.utterance != "" for exchange in one.exchanges) for one in whole]
    real = [people[one.id] for one in whole]
    return {
        "dialogues": len(whole),
        "turns": mean(turns),
        "turns of the people": mean(real),
        "turns, apart by": mean(
            [abs(one - other) for one, other in zip(sorted(turns), sorted(real), strict=True)]
        ),
        "ended by max_turns": sum(one.ended_by == "max_turns" for one in whole),
    }


def turns_said(root: Path) -> int:
    """By who says exactly what the person said, and so sounds exactly like them."""
    return sum(len(words_of(one)) for one in replayed(root, "exact"))

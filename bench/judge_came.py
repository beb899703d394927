"""What came out of the runs in which `make bench-judge` planted verdicts, beside what had to.

The rows are those that the stage wrote, and the formulas its own.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import judge_planted as planted
from judge_plan import OURS, THEIRS, Protocol
from judge_planted import BEST_FIRST, Figures, mean

from thinkus.judging.figures import MEASURES
from thinkus.judging.ways import WAYS
from thinkus.records import Failure, read_records
from thinkus.scoring import divergence
from thinkus.scoring.endings import endings
from thinkus.scoring.goals import disclosure
from thinkus.scoring.likeness import Likeness, side_by_side
from thinkus.scoring.wins import fold


class Line(NamedTuple):
    """A figure."""

    task: str
    what: str
    planted: Any
    """A number, mostly."""
    came: Any

    @property
    def is_met(self) -> bool:
        return told(self.planted) == told(self.came)


def told(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(told, value))
    return f"{value:,.4f}" if isinstance(value, float) else str(value)


def compared(task: str, wanted: Figures, came: Figures) -> Iterator[Line]:
    for what in wanted | came:
        yield Line(task, what, wanted.get(what), came.get(what))


def lines(root: Path) -> Iterator[Line]:
    for protocol in get_args(Protocol):
        yield from compared(f"pairwise, {protocol}", planted.pairs(root, protocol), pairs(root, protocol))
    yield from compared("terminal", planted.thoughts(root), thoughts(root))
    yield from compared("goals", planted.goals(root), goals(root))
    for who, whose in ((OURS, "candidate"), (THEIRS, "baseline")):
        yield from compared(f"online, {whose}", planted.talks(root, who), talks(root, whose))
    yield from compared("ending", planted.leaving(root), leaving(root))
    yield from compared("ending, live", planted.lasting(root), lasting(root))
    turns, (people, candidate) = planted.turns_said(root), sounding(root)
    yield Line("likeness", "turns", turns, candidate.turns)
    for measure in people._fields:
        yield Line(
            "likeness", f"{measure}, the people's", getattr(people, measure), getattr(candidate, measure)
        )


def pairs(root: Path, protocol: Protocol) -> Figures:
    strict, lenient, turned = fold(row.duel for row in rows(root, f"pairwise-{protocol}"))
    return {
        "win": int(strict.wins),
        "loss": int(strict.losses),
        "tie": int(strict.ties),
        "invalid": strict.invalid,
        "turned": turned,
        "ours failed": strict.candidate_failed,
        "theirs failed": strict.baseline_failed,
        "both failed": strict.both_failed,
        "r_w": strict.rate,
        "wins as halves": lenient.wins,
        "losses as halves": lenient.losses,
        "ties as halves": lenient.ties,
        "r_w as halves": lenient.rate,
        **unread(root, f"pairwise-{protocol}"),
    }


def thoughts(root: Path) -> Figures:
    figures, levels = Figures(), dict[str, list[divergence.Level]]()
    for whose in ("person", "candidate"):
        own = [row for row in rows(root, "terminal") if row.whose == whose]
        levels[whose] = [row.level for row in own if row.level]
        counts: dict[Any, int] = dict(divergence.histogram(levels[whose]))
        figures |= {f"{whose}: {name}": counts[name] for name in BEST_FIRST}
        figures[f"{whose}: no thought"] = sum(row.wrong == "no_thought" for row in own)
    figures["divergence"] = divergence.level_divergence(levels["person"], levels["candidate"])
    return figures | unread(root, "terminal")


def goals(root: Path) -> Figures:
    every = rows(root, "goals")
    listed = [row for row in every if not row.wrong]
    return {
        "scenarios": len(every),
        "goals": sum(len(row.goals) for row in listed),
        "scenarios without any": sum(not row.goals for row in listed),
        **unread(root, "goals"),
    }


def talks(root: Path, whose: str) -> Figures:
    own = [row for row in rows(root, "online") if row.whose == whose]
    held = [row for row in own if row.state != "broken"]
    figures: Figures = {
        "broken off": len(own) - len(held),
        "silent": sum(row.state == "silent" for row in held),
    }
    for measure in MEASURES:
        found = disclosure(row.scores(measure) for row in held)
        figures |= {
            measure: found.mean,
            f"{measure}: not applicable": found.not_applicable,
            f"{measure}: invalid": found.invalid,
        }
    return figures


def leaving(root: Path) -> Figures:
    left = rows(root, "ending")
    found = endings(row.would_have_left for row in left)
    return {
        "precision": found.precision,
        "recall": found.recall,
        "F1": found.f1,
        "leaves too early": found.premature,
        "never leaves": found.never,
        "turns that failed": sum(leaves is None for row in left for leaves in row.leaves),
    }


def lasting(root: Path) -> Figures:
    whole = [
        row
        for row in rows(root, "ending-live")
        if row.ended_by not in ("assistant_failed", "classifier_failed")
    ]
    turns, real = [row.turns for row in whole], [row.person_turns for row in whole]
    return {
        "dialogues": len(whole),
        "turns": mean(turns),
        "turns of the people": mean(real),
        "turns, apart by": divergence.wasserstein(real, turns),
        "ended by max_turns": sum(row.ended_by == "max_turns" for row in whole),
    }


def sounding(root: Path) -> tuple[Likeness, Likeness]:
    both = rows(root, "likeness")
    return side_by_side([row.person for row in both], [row.candidate for row in both])


def unread(root: Path, name: str) -> Figures:
    """By what they are counted as."""
    failures = read_records(root / "judge" / name / "failures.jsonl", Failure)
    return {f"unreadable: {why}": count for why, count in Counter(one.reason for one in failures).items()}


def rows(root: Path, name: str) -> list[Any]:
    run = root / "judge" / name
    task = json.loads((run / "run.json").read_bytes())["made_from"]["task"]
    return list(read_records(run / "records.jsonl", WAYS[task].ROW))

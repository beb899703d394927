"""How the judged runs came about: what was left of a corpus, and how training went."""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from thinkus.judging.origin import Found
from thinkus.train.metrics import Evaluation, Follower, StepFacts

MOST_POINTS = 300
"""Of a curve; of more steps neighbours are averaged."""


class Funnel(msgspec.Struct, frozen=True):
    title: str
    steps: tuple[tuple[str, int, bool], ...]
    """By name: how many, and whether they are lost here."""


class Curve(msgspec.Struct, frozen=True):
    """The loss of a training, and that on the test split, by step."""

    title: str
    about: str
    steps: tuple[tuple[float, float], ...]
    held_out: tuple[tuple[float, float], ...]


def funnels(runs: Sequence[Found]) -> Iterator[Funnel]:
    for stage, steps in (("prepare", _prepared), ("annotate", _annotated), ("simulate", _simulated)):
        for run in runs:
            if run.manifest.stage == stage:
                made = steps(run.manifest.counts)
                yield Funnel(
                    f"{stage}/{run.manifest.name}", tuple(one for one in made if one[1] or not one[2])
                )


def curves(runs: Sequence[Found]) -> Iterator[Curve]:
    for run in runs:
        file = run.directory / "metrics.jsonl"
        if run.manifest.stage == "sft" and file.is_file():
            lines = Follower(file).new()
            steps = [(line.step, line.loss) for line in lines if isinstance(line, StepFacts)]
            held_out = [(line.step, line.loss) for line in lines if isinstance(line, Evaluation)]
            facts = run.manifest.made_from
            about = f"{facts['model.name']}, {run.manifest.counts.get('items', 0):,} samples, {len(steps):,} steps"
            yield Curve(f"sft/{run.manifest.name}", about, _thinned(steps), _thinned(held_out))


def _prepared(counts: dict[str, Any]) -> Iterator[tuple[str, int, bool]]:
    yield "read", counts.get("read", 0), False
    for reason, count in counts.get("removed", {}).items():
        yield reason.replace("_", " "), count, True
    yield "kept", counts.get("kept", 0), False
    yield "not drawn", counts.get("not_drawn", 0), True
    for split in ("train", "test"):
        yield split, counts.get(split, {}).get("items", 0), False


def _annotated(counts: dict[str, Any]) -> Iterator[tuple[str, int, bool]]:
    yield "read", counts.get("read", 0), False
    for reason, count in counts.get("failed", {}).items():
        yield reason.replace("_", " "), count, True
    yield "annotated", counts.get("items", 0), False


def _simulated(counts: dict[str, Any]) -> Iterator[tuple[str, int, bool]]:
    yield "answers", counts.get("answers", 0), False
    for reason, count in counts.get("wrong", {}).items():
        yield f"{reason.replace('_', ' ')}, asked again", count, True
    yield "turns", counts.get("turns", 0), False
    for reason, count in counts.get("failed", {}).items():
        yield reason.replace("_", " "), count, True
    yield "spoken", counts.get("spoken", 0), False


def _thinned(points: Sequence[tuple[int, float]]) -> tuple[tuple[float, float], ...]:
    if not points:
        return ()
    parts = np.array_split(np.array(points, dtype=float), min(len(points), MOST_POINTS))
    return tuple((round(float(part[:, 0].mean()), 1), round(float(part[:, 1].mean()), 4)) for part in parts)

"""Finished runs of simulate, made up: who says what at which turn is planted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from tests.test_runs import manifest
from thinkus.records import (
    Conversation,
    Dialogue,
    Exchange,
    Failure,
    Reply,
    Simulated,
    Simulation,
    SpokenTurn,
    to_line,
)
from thinkus.runs import InputFacts, claimed, input_identity, load_manifest

Say = Callable[[Conversation, int], SpokenTurn | str | None]
"""At a turn of a conversation; None where nothing could be had."""
THINKS = {"prompt": False, "utterance_sft": False, "prompt_thinking": True, "thinkingus": True}


def said(turn: int, words: SpokenTurn | str) -> SpokenTurn:
    return words if isinstance(words, SpokenTurn) else SpokenTurn(turn, words, ended=not words)


def _finished(
    root: Path,
    name: str,
    records: Sequence[msgspec.Struct],
    failures: Sequence[Failure],
    made_from: dict[str, Any],
    inputs: dict[str, InputFacts],
) -> Path:
    fresh = manifest(records=len(records))
    fresh = replace(
        fresh, stage="simulate", name=name, made_from={**fresh.made_from, **made_from}, inputs=inputs
    )
    directory = root / "simulate" / name
    with claimed(directory, fresh, "a: 1\n", redo=False) as run:
        assert run is not None
        with run.output("records.jsonl") as file:
            file.writelines(map(to_line, records))
        with run.output("failures.jsonl") as file:
            file.writelines(map(to_line, failures))
        run.counts = {"items": len(records)}
        run.finish()
    return directory


def replayed(
    root: Path,
    name: str,
    people: Sequence[Conversation],
    say: Say,
    method: str = "prompt",
    annotated: Path | None = None,
    **more: Any,
) -> Path:
    """An offline run over these conversations, of an annotated run where that matters."""
    by = Simulated(method, "m", "utterances", "free", {})
    records, failures = [], []
    for one in people:
        words = {turn: say(one, turn) for turn in range(one.user_turns + 1)}
        turns = tuple(said(turn, each) for turn, each in words.items() if each is not None)
        records.append(replace(one, simulation=Simulation(by, turns)))
        failures += [
            Failure(f"{one.id}#{turn}", "empty", "", "") for turn, each in words.items() if each is None
        ]
    made_from = {"mode": "offline", "method.name": method, "method.thoughts": THINKS[method]} | more
    return _finished(root, name, records, failures, made_from, _evaluated(annotated) if annotated else {})


def _evaluated(annotated: Path) -> dict[str, InputFacts]:
    its = load_manifest(annotated)
    assert its is not None
    return {"eval": InputFacts(str(annotated), input_identity(its))}


def live(
    root: Path,
    name: str,
    people: Sequence[Conversation],
    talk: Callable[[Conversation], tuple[Sequence[str], str]],
    annotated: Path,
    method: str = "prompt",
    **more: Any,
) -> Path:
    """An online run in the scenarios of these conversations: what is said in each, and by what it ends."""
    by = Simulated(method, "m", "utterances", "free", {})
    records = []
    for one in people:
        assert one.annotation is not None
        words, ended_by = talk(one)
        exchanges = tuple(
            Exchange(said(turn, each), Reply(f"reply {turn}") if each else None)
            for turn, each in enumerate(words)
        )
        records.append(
            Dialogue(
                one.id, one.source, one.annotation.scenario, one.annotation.motivation, by, "assistant", exchanges,
                ended_by,  # type: ignore[arg-type]
            )
        )  # fmt: skip
    made_from = {
        "mode": "online",
        "method.name": method,
        "method.thoughts": THINKS[method],
        "eval.name": annotated.name,
        "assistant.name": "a",
        "ending": "simulator",
        "max_turns": 20,
    } | more
    return _finished(root, name, records, [], made_from, _evaluated(annotated))

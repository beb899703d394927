"""Real conversations, turn by turn: where the person is to speak, and what becomes of what they said there."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from thinkus.errors import ThinkusError
from thinkus.paths import group_options
from thinkus.records import (
    Conversation,
    Failure,
    Simulated,
    Simulation,
    SpokenTurn,
    read_conversations,
)
from thinkus.runs import Manifest, input_run, run_reference
from thinkus.user.scene import Line, Scenario, lines_of, scenario_of
from thinkus.user.thinking_user import Silent


class Chosen(NamedTuple):
    """A conversation of the test split that the person is put into."""

    number: int
    """Among all that are chosen, the same in every part of a run."""
    conversation: Conversation

    @property
    def scenario(self) -> Scenario | None:
        return scenario_of(self.conversation)


def annotated(name: str, root: Path) -> tuple[Path, Manifest]:
    """The finished run that holds the real conversations to be tried on."""
    said = f"data={name}" if name in group_options("data") else f"data=... data.name={name}"
    remedy = f"thinkus annotate {said}"
    directory, manifest = input_run(root, run_reference("annotate", name), remedy, "eval")
    if manifest.stage != "annotate":
        raise ThinkusError(f"eval: {directory} is a run of {manifest.stage}; make one of annotate: {remedy}")
    return directory, manifest


def held_out(read: Path) -> list[Conversation]:
    """Its test split, in the order of the corpus."""
    test = [one for one in read_conversations(read / "records.jsonl") if one.split == "test"]
    if not test:
        raise ThinkusError(
            f"eval: {read} has no conversation in its split test; prepare and annotate with data.test= above 0"
        )
    return test


def drawn(conversations: Iterable[Conversation], seed: int, count: int) -> list[Conversation]:
    """By a hash: more are the same ones and others, and the order of the corpus says nothing."""
    return sorted(conversations, key=lambda one: hashlib.sha256(f"{seed} {one.id}".encode()).digest())[:count]


class Position(NamedTuple):
    """Before each turn of the person's, and after the last reply."""

    chosen: Chosen
    lines: tuple[Line, ...]
    """What was really said until then."""
    turn: int

    def lack(self, *, keeps_thoughts: bool) -> Silent | None:
        """Why nothing can be asked here."""
        if self.chosen.scenario is None:
            return no_scenario()
        said = [line for line in self.lines if line.who == "person"]
        if keeps_thoughts and any(line.thought is None for line in said[1:]):
            return Silent("no_thoughts", "its earlier utterances have no thoughts to be shown", "", 0)
        return None


def no_scenario() -> Silent:
    return Silent("no_scenario", "its scenario or its motivation is empty", "", 0)


def positions(chosen: Chosen) -> Iterator[Position]:
    lines = lines_of(chosen.conversation)
    turn = 0
    for place, line in enumerate(lines):
        if line.who == "person":
            yield Position(chosen, tuple(lines[:place]), turn)
            turn += 1
    yield Position(chosen, tuple(lines), turn)


def as_record(
    conversation: Conversation, by: Simulated, turns: Mapping[int, SpokenTurn | Silent]
) -> tuple[Conversation, list[Failure]]:
    """The conversation with what was said at its turns, and a failure for each turn that could not be had."""
    ordered = [turns[turn] for turn in sorted(turns)]
    spoken = tuple(one for one in ordered if isinstance(one, SpokenTurn))
    failures = [
        failure_of(conversation.id, turn, one)
        for turn, one in sorted(turns.items())
        if isinstance(one, Silent)
    ]
    return replace(conversation, simulation=Simulation(by, spoken)), failures


def failure_of(conversation: str, turn: int, silent: Silent) -> Failure:
    return Failure(f"{conversation}#{turn}", silent.wrong, silent.detail, silent.raw)

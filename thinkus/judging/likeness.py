"""How alike to a person somebody sounds: both are measured, and nobody is asked."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from thinkus.config import JudgeConfig
from thinkus.judging.sides import (
    check_whole,
    failed_turns,
    held,
    replayed,
    with_people,
)
from thinkus.judging.task import Ask, Judged
from thinkus.llm.exchange import Request
from thinkus.records import Conversation, read_conversations
from thinkus.runs import Input
from thinkus.scoring.likeness import Measured, Said, measured


class Both(NamedTuple):
    """What a person and their simulation said in the same conversation, or from the same scenario."""

    conversation: str
    intent: str
    person: tuple[str, ...]
    candidate: tuple[str, ...]
    failed: int = 0


class MeasuredConversation(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    person: Measured
    candidate: Measured
    failed: int = 0
    """Turns of the candidate's that could not be had."""


ROW = MeasuredConversation


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    return with_people(config, root)


def prompts_used(_config: JudgeConfig) -> tuple[str, ...]:
    return ()


class Likeness:
    endpoint = None
    where = ""

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self._config, self._read = config, read

    def units(self) -> Iterator[Both]:
        return self._live() if "people" in self._read else self._replayed()

    def _replayed(self) -> Iterator[Both]:
        run = self._read["candidate"]
        failed = failed_turns(run)
        for one in replayed(self._config, run):
            check_whole(one, one.user_turns, failed, "candidate", run)
            assert one.simulation is not None
            said = {turn.turn: turn.utterance for turn in one.simulation.turns}
            candidate = tuple(said.get(turn, "") for turn in range(one.user_turns))
            motivation = one.annotation.motivation if one.annotation else ""
            missing = sum(turn not in said for turn in range(one.user_turns))
            yield Both(one.id, motivation, _words_of_the_person(one), candidate, missing)

    def _live(self) -> Iterator[Both]:
        wanted = {one.id for one in held(self._config, self._read["candidate"])}
        said = {
            one.id: _words_of_the_person(one)
            for one in read_conversations(self._read["people"] / "records.jsonl")
            if one.id in wanted
        }
        for dialogue in held(self._config, self._read["candidate"]):
            candidate = tuple(exchange.person.utterance for exchange in dialogue.exchanges)
            failed = int(dialogue.ended_by == "person_failed")
            yield Both(dialogue.id, dialogue.motivation, said[dialogue.id], candidate, failed)

    async def judged(self, unit: Both, _ask: Ask) -> Judged:
        person, candidate = (measured(Said(unit.intent, turns)) for turns in (unit.person, unit.candidate))
        return Judged(MeasuredConversation(unit.conversation, person, candidate, unit.failed))

    def requests(self, _unit: Both) -> list[Request]:
        return []


begun = Likeness


def _words_of_the_person(conversation: Conversation) -> tuple[str, ...]:
    return tuple(message.content for message in conversation.messages if message.role == "user")

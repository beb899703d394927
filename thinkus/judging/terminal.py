"""What people made of the assistant as they left: their last thoughts on five levels, real and simulated."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from thinkus import prompts
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging.fences import READER, Part, asked, marked, sign_of
from thinkus.judging.sides import as_input, check_mode, check_whole, failed_turns, replayed, simulated
from thinkus.judging.task import TALKERS, Ask, Judged, Served, judge_of
from thinkus.judging.verdicts import TOLD, Ballot, Unreadable, manner_of
from thinkus.llm.exchange import Request
from thinkus.records import read_conversations
from thinkus.runs import Input
from thinkus.scoring.divergence import LEVELS, Level

TASK = "judge/terminal"
NO_THOUGHT = "no_thought"
"""Nothing to be rated: the turn failed, or no thought was annotated."""
BEST_FIRST = tuple(reversed(LEVELS))
Whose = Literal["person", "candidate"]


class LastThought(NamedTuple):
    conversation: str
    whose: Whose
    thought: str | None


class RatedThought(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    whose: Whose
    level: Level | None = None
    why: str = ""
    """In the judge's words."""
    wrong: str = ""
    served_model: str = ""
    at: str = ""
    take: int = 0
    """Above 0: the judge was asked the same again."""


ROW = RatedThought


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    judge = judge_of(config, *TALKERS, "hf")
    directory, manifest = simulated(config, root, "candidate")
    check_mode(directory, manifest, "candidate", "terminal", "offline")
    if not manifest.made_from["method.thoughts"]:
        raise ThinkusError(
            f"candidate: {directory} was made with method={manifest.made_from['method.name']}, which has no "
            "thoughts, so it has no last one; task=terminal needs method=prompt_thinking or thinkingus"
        )
    return judge | {"candidate": as_input(directory, manifest)}


def prompts_used(config: JudgeConfig) -> tuple[str, ...]:
    return (READER, TASK, TOLD[manner_of(config.judge)])


class Terminal:
    where = "judge"

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self.endpoint = config.judge
        self._config, self._run = config, read["candidate"]
        self._manner = manner_of(config.judge)

    def units(self) -> Iterator[LastThought]:
        failed = failed_turns(self._run)
        self._check_annotated()
        for one in replayed(self._config, self._run):
            check_whole(one, one.user_turns + 1, failed, "candidate", self._run)
            assert one.simulation is not None
            real = one.annotation.terminal_thought if one.annotation else None
            yield LastThought(one.id, "person", real)
            last = next((turn.thought for turn in one.simulation.turns if turn.turn == one.user_turns), None)
            yield LastThought(one.id, "candidate", last)

    def _check_annotated(self) -> None:
        """Of the whole run, not of a part of it."""
        every = read_conversations(self._run / "records.jsonl")
        if not any(one.annotation and one.annotation.terminal_thought for one in every):
            raise ThinkusError(
                f"candidate: {self._run} is over conversations without last thoughts to be held against (annotated "
                "with scenario_only=true); task=terminal needs those of the people"
            )

    async def judged(self, unit: LastThought, ask: Ask) -> Judged:
        row = RatedThought(unit.conversation, unit.whose)
        if unit.thought is None:
            return Judged(replace(row, wrong=NO_THOUGHT))
        ballot = self._ballot(unit.thought)
        (request,) = self.requests(unit)
        outcome = await ask(request)
        model, at = Served.by(outcome)
        row = replace(row, served_model=model, at=at)
        try:
            ruling = ballot.read(outcome)
        except Unreadable as error:
            failure = error.as_failure(f"{unit.conversation}/{unit.whose}")
            return Judged(replace(row, wrong=error.wrong), [failure])
        level = dict(zip(ballot.options, BEST_FIRST, strict=True))[ruling.verdict]
        return Judged(replace(row, level=level, why=ruling.explanation))

    def requests(self, unit: LastThought) -> list[Request]:
        """The thought alone: whose it is cannot be seen, so a real one is asked about in the same words for all."""
        if unit.thought is None:
            return []
        ballot = self._ballot(unit.thought)
        levels = prompts.load(TASK).fill(levels=", ".join(ballot.options)).strip()
        parts = (Part("last thought", unit.thought),)
        return [
            Request(
                item=f"{unit.conversation}/{unit.whose}",
                purpose="terminal",
                messages=asked(sign_of((unit.thought,), ()), parts, f"{levels}\n\n{ballot.told}"),
                form=ballot.form,
            )
        ]

    def _ballot(self, thought: str) -> Ballot:
        return Ballot(marked(BEST_FIRST, (thought,)), self._manner)


begun = Terminal

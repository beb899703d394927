"""Whether somebody leaves where the person left: a simulated user, or a classifier of endings."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging.sides import (
    as_people,
    block,
    check_whole,
    failed_turns,
    held,
    replayed,
    with_people,
)
from thinkus.judging.task import Ask, Judged, Task
from thinkus.llm.crowd import together
from thinkus.llm.exchange import Request
from thinkus.records import Conversation, EndedBy, Failure, read_conversations
from thinkus.runs import Input, Manifest, input_run, load_manifest
from thinkus.user.cast import CLASSIFIER, classifier, method_of
from thinkus.user.scene import Line, lines_of, scenario_of
from thinkus.user.talk import Classifier, classifying
from thinkus.user.turns import annotated, held_out


class Left(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the person left a conversation, and where the candidate would have."""

    conversation: str
    person_turns: int
    leaves: tuple[bool | None, ...] = ()
    """After each real reply, whether it would have left there; None where the turn failed, and then it stays."""
    turns: int | None = None
    """That it had in a live dialogue."""
    ended_by: EndedBy | None = None
    """Of a live dialogue."""

    @property
    def turns_until_left(self) -> int:
        """In a replayed conversation. Who never leaves says at least one turn more than the person."""
        here = self.would_have_left
        return here.index(True) + 1 if True in here else self.person_turns + 1

    @property
    def would_have_left(self) -> Sequence[bool]:
        return [leaves is True for leaves in self.leaves]


ROW = Left


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    if config.tries_a_classifier:
        taught, _, _ = classifier(config.classifier, *_taught(config, root), "candidate")
        return {"candidate": taught, "eval": as_people(*annotated(config.eval.name, root))}
    return with_people(config, root)


def _taught(config: JudgeConfig, root: Path) -> tuple[Path, Manifest]:
    assert config.candidate is not None, "its name says so"
    directory, manifest = input_run(root, config.candidate, "thinkus sft method=ending ...", "candidate")
    if (method := method_of(directory, manifest, "candidate")) != "ending":
        raise ThinkusError(
            f"candidate: {directory} was trained with method={method}; name a run of simulate, or a classifier of "
            "endings (method=ending)"
        )
    return directory, manifest


def prompts_used(_config: JudgeConfig) -> tuple[str, ...]:
    return ()


class Ending:
    endpoint = None
    where = ""

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self._config, self._read = config, read

    def units(self) -> Iterator[Left]:
        return self._live() if "people" in self._read else self._replayed()

    def _replayed(self) -> Iterator[Left]:
        run = self._read["candidate"]
        failed = failed_turns(run)
        for one in replayed(self._config, run):
            check_whole(one, one.user_turns + 1, failed, "candidate", run)
            assert one.simulation is not None
            ended = {turn.turn: turn.ended for turn in one.simulation.turns}
            yield Left(
                one.id, one.user_turns, tuple(ended.get(turn) for turn in range(1, one.user_turns + 1))
            )

    def _live(self) -> Iterator[Left]:
        dialogues = list(held(self._config, self._read["candidate"]))
        wanted = {dialogue.id for dialogue in dialogues}
        people = {
            one.id: one.user_turns
            for one in read_conversations(self._read["people"] / "records.jsonl")
            if one.id in wanted
        }
        for one in dialogues:
            turns = sum(bool(exchange.person.utterance) for exchange in one.exchanges)
            yield Left(one.id, people[one.id], turns=turns, ended_by=one.ended_by)

    async def judged(self, unit: Left, _ask: Ask) -> Judged:
        return Judged(unit)

    def requests(self, _unit: Left) -> list[Request]:
        return []


class EndingOfClassifier:
    """Asked after each real reply of the test split."""

    where = CLASSIFIER

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self._config, self._corpus = config, read["eval"]
        directory, manifest = read["candidate"], load_manifest(read["candidate"])
        assert manifest is not None, "it was opened before"
        _, self.endpoint, self._threshold = classifier(config.classifier, directory, manifest, "candidate")

    def units(self) -> Iterator[Conversation]:
        test = held_out(self._corpus)
        yield from test[block(self._config, len(test))]

    async def judged(self, unit: Conversation, ask: Ask) -> Judged:
        scenario = scenario_of(unit)
        if scenario is None:
            return Judged(Left(unit.id, unit.user_turns, (None,) * unit.user_turns))
        guess = Classifier(ask, self._threshold)
        likely = await together(guess.likely(scenario, lines, unit.id) for lines in _up_to_each_reply(unit))
        leaves = tuple(one >= guess.threshold if isinstance(one, float) else None for one in likely)
        failures = [
            Failure(f"{unit.id}#{turn}", one.kind, one.detail, "")
            for turn, one in enumerate(likely, 1)
            if not isinstance(one, float)
        ]
        return Judged(Left(unit.id, unit.user_turns, leaves), failures)

    def requests(self, unit: Conversation) -> list[Request]:
        scenario = scenario_of(unit)
        if scenario is None:
            return []
        return [classifying(scenario, unit.id, lines) for lines in _up_to_each_reply(unit)]


def begun(config: JudgeConfig, read: Mapping[str, Path]) -> Task:
    return EndingOfClassifier(config, read) if "eval" in read else Ending(config, read)


def _up_to_each_reply(conversation: Conversation) -> Iterator[list[Line]]:
    lines = lines_of(conversation)
    for place, line in enumerate(lines, 1):
        if line.who == "assistant":
            yield lines[:place]

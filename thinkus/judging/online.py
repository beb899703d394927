"""A live dialogue: whether the person lets their goals be known, gets on with them, and brings in something new."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from thinkus import prompts
from thinkus.config import JudgeConfig
from thinkus.errors import RunRefused, ThinkusError
from thinkus.judging.fences import READER, Part, asked, marked, sign_of, spoken
from thinkus.judging.goals import NO_SCENARIO, Goals
from thinkus.judging.sides import as_input, check_mode, held, numbered_pairs, simulated
from thinkus.judging.task import TALKERS, Ask, Judged, Served, judge_of
from thinkus.judging.verdicts import TOLD, Ballot, Unreadable, manner_of
from thinkus.llm.crowd import together
from thinkus.llm.exchange import Request
from thinkus.records import Dialogue, EndedBy, Failure, read_records
from thinkus.runs import (
    Input,
    Manifest,
    age,
    all_runs,
    input_identity,
    input_run,
    load_manifest,
    run_reference,
)
from thinkus.scoring.goals import Revealed
from thinkus.user.scene import Scenario

Measure = Literal["disclosure", "progression", "additional"]
SCORES: dict[Measure, dict[str, Revealed]] = {
    "disclosure": {"reveals": 1, "unclear": 0, "conflicts": -1},
    "progression": {"yes": 1, "no": 0},
    "additional": {"yes": 1, "no": 0},
}
Whose = Literal["candidate", "baseline"]
BROKEN: frozenset[EndedBy] = frozenset({"assistant_failed", "classifier_failed"})
"""Ended by what is no doing of the person's: nothing is made of them."""


class Heard(NamedTuple):
    whose: Whose
    dialogue: Dialogue
    goals: Goals

    @property
    def is_silent(self) -> bool:
        """The person could say nothing that can be read."""
        return not any(exchange.person.utterance for exchange in self.dialogue.exchanges)

    @property
    def shown(self) -> tuple[str, ...]:
        words = (message.content for message in self.dialogue.messages)
        return (self.dialogue.scenario, self.dialogue.motivation, *words, *self.goals.goals)


class Question(NamedTuple):
    measure: Measure
    about: tuple[Part, ...]
    """What it is held against, after the dialogue, which is the same for all."""
    place: int = 0
    """Of the goal."""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    measure: Measure
    score: Revealed | None
    """None where it cannot be read."""
    goal: str = ""
    why: str = ""
    """In the judge's words."""
    wrong: str = ""
    served_model: str = ""
    at: str = ""


class JudgedDialogue(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    whose: Whose
    assistant: str
    """With whom it was held."""
    ended_by: EndedBy
    goals: int | None
    """None where the judge that was to list them wrote nothing that can be read."""
    state: Literal["judged", "silent", "broken"] = "judged"
    """Silent: nothing was said, so nothing is disclosed, and nobody was asked. Broken: not the person's fault."""
    verdicts: tuple[Verdict, ...] = ()
    take: int = 0
    """Above 0: the judge was asked the same again."""

    def scores(self, measure: Measure) -> list[Revealed | None]:
        """For disclosure one for each goal; empty where the measure does not apply."""
        if self.state == "silent":
            applies = 1 if measure == "additional" else self.goals or 0
            return [0] * (applies if measure == "disclosure" else min(1, applies))
        return [verdict.score for verdict in self.verdicts if verdict.measure == measure]


ROW = JudgedDialogue


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    judge = judge_of(config, *TALKERS, "hf")
    ours = simulated(config, root, "candidate")
    check_mode(*ours, "candidate", "online", "online")
    found = judge | {"candidate": as_input(*ours)}
    if config.baseline is not None:
        theirs = simulated(config, root, "baseline")
        check_mode(*theirs, "baseline", "online", "online")
        _check_alike(ours, theirs)
        found["baseline"] = as_input(*theirs)
    return found | {"goals": _goals_of(config, root, ours[1])}


def _goals_of(config: JudgeConfig, root: Path, candidate: Manifest) -> Input:
    """The one list of goals that was made of the same conversations, where none is named."""
    corpus = candidate.made_from["eval.name"]
    remedy = f"thinkus judge task=goals eval={corpus} judge=... (or name a run with goals=)"
    if config.goals is not None:
        directory, manifest = input_run(root, run_reference("judge", config.goals), remedy, "goals")
    else:
        every = dict(_made_of(candidate.inputs["eval"].identity, root))
        made = [one for one, is_done in every.items() if is_done] or list(every)
        if len(made) != 1:
            told = f"{', '.join(one.name for one in made)}: which one?" if made else "there are none"
            raise ThinkusError(f"goals: of the conversations of eval={corpus} {told}; {remedy}")
        directory, manifest = input_run(root, str(made[0]), remedy, "goals")
    if manifest.stage != "judge" or manifest.made_from["task"] != "goals":
        raise ThinkusError(f"goals: {directory} holds no goals; make them: {remedy}")
    about = f"of {manifest.counts['items']:,} scenarios, {age(manifest)} old"
    return Input(str(directory), input_identity(manifest), about)


def _made_of(people: str, root: Path) -> Iterator[tuple[Path, bool]]:
    """And whether it is done."""
    for stage, directory in all_runs(root):
        if stage == "judge":
            with suppress(RunRefused):
                manifest = load_manifest(directory)
                is_list = manifest is not None and manifest.made_from["task"] == "goals"
                if manifest and is_list and manifest.inputs["eval"].identity == people:
                    yield directory, manifest.status == "done"


def prompts_used(config: JudgeConfig) -> tuple[str, ...]:
    return (READER, *(f"judge/{measure}" for measure in SCORES), TOLD[manner_of(config.judge)])


class Online:
    where = "judge"

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self.endpoint = config.judge
        self._config, self._read = config, read
        self._manner = manner_of(config.judge)

    def units(self) -> Iterator[Heard]:
        goals = {one.conversation: one for one in read_records(self._read["goals"] / "records.jsonl", Goals)}
        for whose, dialogue in self._dialogues():
            own, place = goals.get(dialogue.id), self._read["goals"]
            if own is None or own.wrong == NO_SCENARIO:
                raise ThinkusError(
                    f"goals: {place} has none for {dialogue.id}; make them with the seed= and n_scenarios= of the "
                    "dialogues, or name others with goals="
                )
            if (own.scenario, own.motivation) != (dialogue.scenario, dialogue.motivation):
                raise ThinkusError(
                    f"goals: those of {place} were made from another scenario of {dialogue.id}; make them again"
                )
            yield Heard(whose, dialogue, own)

    def _dialogues(self) -> Iterator[tuple[Whose, Dialogue]]:
        """Those of the candidate, each followed by the baseline's in the same scenario."""
        if "baseline" not in self._read:
            yield from (("candidate", one) for one in held(self._config, self._read["candidate"]))
            return
        ours, theirs = self._read["candidate"], self._read["baseline"]
        for number, one, other in numbered_pairs(self._config, ours, theirs, Dialogue):
            if one is None or other is None or _of(one) != _of(other):
                told = " and ".join(which.id if which else "none" for which in (one, other))
                alike = " (the scenario differs)" if one and other and one.id == other.id else ""
                raise ThinkusError(
                    f"baseline: {theirs} is not over the same scenarios as {ours}: dialogue {number} is of "
                    f"{told}{alike}; simulate both with the same eval=, seed= and n_scenarios="
                )
            yield "candidate", one
            yield "baseline", other

    async def judged(self, unit: Heard, ask: Ask) -> Judged:
        goals = None if unit.goals.wrong else len(unit.goals.goals)
        dialogue = unit.dialogue
        row = JudgedDialogue(dialogue.id, unit.whose, dialogue.assistant, dialogue.ended_by, goals)
        if dialogue.ended_by in BROKEN:
            return Judged(replace(row, state="broken"))
        if unit.is_silent:
            return Judged(replace(row, state="silent"))
        asked_for = zip(_questions(unit), self.requests(unit), strict=True)
        ruled = await together(self._ruled(unit, *one, ask) for one in asked_for)
        failures = [failure for _, failure in ruled if failure]
        return Judged(replace(row, verdicts=tuple(one for one, _ in ruled)), failures)

    async def _ruled(
        self, unit: Heard, question: Question, request: Request, ask: Ask
    ) -> tuple[Verdict, Failure | None]:
        outcome = await ask(request)
        served = Served.by(outcome)
        goal = question.about[0].text if question.measure == "disclosure" else ""
        ballot = self._ballot(unit, question)
        meant = dict(zip(ballot.options, SCORES[question.measure].values(), strict=True))
        try:
            ruling = ballot.read(outcome)
        except Unreadable as error:
            failure = error.as_failure(f"{unit.whose}/{unit.dialogue.id}/{request.purpose}")
            return Verdict(question.measure, None, goal, "", error.wrong, *served), failure
        return Verdict(question.measure, meant[ruling.verdict], goal, ruling.explanation, "", *served), None

    def requests(self, unit: Heard) -> list[Request]:
        """One for each question, in their order."""
        if unit.dialogue.ended_by in BROKEN or unit.is_silent:
            return []
        sign = sign_of(unit.shown, ())
        return [self._request(unit, question, sign) for question in _questions(unit)]

    def _request(self, unit: Heard, question: Question, sign: str) -> Request:
        ballot = self._ballot(unit, question)
        words = dict(zip(SCORES[question.measure], ballot.options, strict=True))
        task = prompts.load(f"judge/{question.measure}").fill(**words).strip()
        return Request(
            item=unit.dialogue.id,
            purpose=f"{question.measure}/{question.place}",
            messages=asked(
                sign, (*spoken(unit.dialogue.messages), *question.about), f"{task}\n\n{ballot.told}"
            ),
            form=ballot.form,
            thread=unit.dialogue.id,
        )

    def _ballot(self, unit: Heard, question: Question) -> Ballot:
        return Ballot(marked(SCORES[question.measure], unit.shown), self._manner)


begun = Online


def _questions(unit: Heard) -> Iterator[Question]:
    """Without goals there is nothing to disclose, nor to get on with."""
    goals = unit.goals.goals
    for place, goal in enumerate(goals):
        yield Question("disclosure", (Part("goal", goal),), place)
    if goals:
        yield Question("progression", tuple(Part(f"goal {at}", goal) for at, goal in enumerate(goals, 1)))
    dialogue = unit.dialogue
    given = Part("scenario", dialogue.scenario), Part("motivation", dialogue.motivation)
    yield Question("additional", given)


def _of(dialogue: Dialogue) -> tuple[str, Scenario]:
    return dialogue.id, Scenario(dialogue.scenario, dialogue.motivation)


def _check_alike(ours: tuple[Path, Manifest], theirs: tuple[Path, Manifest]) -> None:
    """Who answers, and who ends the talk, are half of a dialogue."""
    one, other = (conditions(manifest) for _, manifest in (ours, theirs))
    for key in (*one, *(key for key in other if key not in one)):
        if one.get(key) != other.get(key):
            raise ThinkusError(
                f"baseline: {theirs[0]} has {key} {other.get(key)}, and {ours[0]} {one.get(key)}: only dialogues with "
                "the same assistant and ending can be compared; simulate one of them again"
            )


def conditions(manifest: Manifest) -> dict[str, Any]:
    """Of live dialogues: with whom they are held, and what ends them."""
    return {
        key: value
        for key, value in manifest.made_from.items()
        if key in ("ending", "max_turns", "ending_run (read)")
        or key.startswith(("assistant.", "classifier."))
    }

"""What a person is after, in pieces that cannot be split further: from the real scenario, once for all methods."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from thinkus import prompts
from thinkus.config import JudgeConfig
from thinkus.judging.fences import READER, Part, asked, sign_of
from thinkus.judging.sides import as_people, block
from thinkus.judging.task import TALKERS, Ask, Judged, Served, judge_of
from thinkus.judging.verdicts import Unreadable
from thinkus.llm.exchange import Answer, Outcome, Request
from thinkus.llm.forms import Json
from thinkus.records import Conversation
from thinkus.runs import Input
from thinkus.user.scene import Scenario, scenario_of
from thinkus.user.turns import annotated, drawn, held_out

TASK = "judge/goals"
NO_SCENARIO = "no_scenario"


class Listed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    goals: tuple[str, ...]


class Goals(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    scenario: str = ""
    """From which they were made."""
    motivation: str = ""
    goals: tuple[str, ...] = ()
    """May be none: then what is measured by goals does not apply to its dialogues."""
    wrong: str = ""
    """Why there is no list of them."""
    served_model: str = ""
    at: str = ""


ROW = Goals


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    judge = judge_of(config, *TALKERS, "recorded")
    return judge | {"eval": as_people(*annotated(config.eval.name, root))}


def prompts_used(_config: JudgeConfig) -> tuple[str, ...]:
    return (READER, TASK)


class AtomicGoals:
    where = "judge"

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self.endpoint = config.judge
        self._config, self._run = config, read["eval"]

    def units(self) -> Iterator[Conversation]:
        """Those whose scenarios a live run of the same seed and number is held in."""
        chosen = drawn(held_out(self._run), self._config.seed, self._config.n_scenarios)
        yield from chosen[block(self._config, len(chosen))]

    async def judged(self, unit: Conversation, ask: Ask) -> Judged:
        scenario = scenario_of(unit)
        if scenario is None:
            return Judged(Goals(unit.id, wrong=NO_SCENARIO))
        (request,) = self.requests(unit)
        outcome = await ask(request)
        served = Served.by(outcome)
        try:
            return Judged(Goals(unit.id, *scenario, _listed(outcome), "", *served))
        except Unreadable as error:
            return Judged(Goals(unit.id, *scenario, (), error.wrong, *served), [error.as_failure(unit.id)])

    def requests(self, unit: Conversation) -> list[Request]:
        scenario = scenario_of(unit)
        return [] if scenario is None else [_request(unit.id, scenario)]


begun = AtomicGoals


def _request(conversation: str, scenario: Scenario) -> Request:
    parts = (Part("scenario", scenario.scenario), Part("motivation", scenario.motivation))
    return Request(
        item=conversation,
        purpose="goals",
        messages=asked(sign_of(scenario, ()), parts, prompts.load(TASK).text),
        form=Json(Listed),
    )


def _listed(outcome: Outcome) -> tuple[str, ...]:
    """Or Unreadable."""
    raw = outcome.completion.text if outcome.completion else ""
    if not isinstance(outcome, Answer):
        raise Unreadable(outcome.kind, outcome.detail, raw)
    goals = tuple(goal.strip() for goal in outcome.value.goals)
    if not all(goals):
        raise Unreadable("goal_empty", f"goal {goals.index('') + 1} has no words", raw)
    if doubled := [goal for goal, times in Counter(map(str.casefold, goals)).items() if times > 1]:
        raise Unreadable("goal_doubled", doubled[0], raw)
    return goals

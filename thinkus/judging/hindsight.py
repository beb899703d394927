"""How much annotated thoughts give away of what comes later.

Whoever reconstructs thoughts has read the whole conversation, so that a thought can hold what the person says turns
later. Here the true next utterance is weighed on three pages that differ in nothing but the thoughts of earlier
turns: the person's own, none, and a stranger's. The thought directly before the utterance stands on none of them:
that one is meant to be what it says.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from thinkus.belongings import MANIFEST
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging.sides import as_people, block
from thinkus.judging.task import Ask, Judged, Served, judge_of
from thinkus.llm.crowd import together
from thinkus.llm.exchange import Answer, Request
from thinkus.llm.forms import Likelihood
from thinkus.paths import expanded, group_options
from thinkus.records import Failure
from thinkus.runs import Input, load_manifest
from thinkus.thoughts.drafts import thoughts_before
from thinkus.user.page import said
from thinkus.user.scene import Line, Manner, lines_of, prompts_of
from thinkus.user.turns import Chosen, Position, annotated, drawn, held_out, positions

Shown = Literal["own", "none", "stranger"]
SHOWN: tuple[Shown, ...] = ("own", "none", "stranger")
NOT_TAUGHT = Manner("prompt_thinking", thinks=True, keeps_thoughts=True)
NO_THOUGHT = ""
"""Stands where a thought would be, also before the utterance that is weighed: else a page with thoughts would have
led to expect another, and one without them not."""
NO_STRANGER = "no_stranger"
NOT_ASKED = ("no_scenario", "no_thoughts", NO_STRANGER)
LOOKED_AT = 16
"""Others with as many thoughts; of these the one whose are most nearly as long."""


class Thinker(NamedTuple):
    conversation: str
    thoughts: tuple[str, ...]


class Utterance(NamedTuple):
    """A turn of the person's that comes after thoughts of theirs."""

    position: Position
    words: str
    stranger: Thinker | None
    """As many thoughts as stand before the turn; None where nobody else has so many."""

    @property
    def item(self) -> str:
        return f"{self.position.chosen.conversation.id}#{self.position.turn}"

    @property
    def lacks(self) -> str:
        """Why nobody is asked about it."""
        lack = self.position.lack(keeps_thoughts=True)
        return lack.wrong if lack else NO_STRANGER if self.stranger is None else ""

    def lines(self, shown: Shown) -> list[Line]:
        """What was said until then, with these thoughts at the places of the person's own."""
        own = _thoughts(self.position.lines)
        thoughts = iter(own)
        if shown != "own":
            assert self.stranger is not None, "else nobody is asked"
            thoughts = iter(self.stranger.thoughts if shown == "stranger" else [NO_THOUGHT] * len(own))
        return [
            line if line.thought is None else line._replace(thought=next(thoughts))
            for line in self.position.lines
        ]


class WeighedTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    turn: int
    thoughts: int = 0
    """So many stand before it on each page."""
    stranger: str = ""
    """The conversation that the stranger's are from."""
    tokens: int = 0
    """Of the utterance."""
    likelihoods: dict[Shown, float] = {}
    """Of all of it, as natural logarithms, by the thoughts that were shown."""
    wrong: str = ""
    served_model: str = ""
    at: str = ""

    @property
    def is_weighed(self) -> bool:
        return len(self.likelihoods) == len(SHOWN)

    def nats(self, contrast: Mapping[Shown, int]) -> float:
        return sum(sign * self.likelihoods[shown] for shown, sign in contrast.items())


ROW = WeighedTurn


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    judge = judge_of(config, "hf")
    _manner_of(config)
    return judge | {"eval": as_people(*annotated(config.eval.name, root))}


def prompts_used(config: JudgeConfig) -> tuple[str, ...]:
    return prompts_of(_manner_of(config).method)


class Hindsight:
    where = "judge"

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self.endpoint = config.judge
        self._config, self._run = config, read["eval"]
        self._manner = _manner_of(config)

    def units(self) -> Iterator[Utterance]:
        """Of the conversations that live runs of the same seed and number take their scenarios from.

        Strangers come from the whole test split, so no cut into parts changes them.
        """
        people = held_out(self._run)
        if not any(one.annotation and one.annotation.thoughts for one in people):
            raise ThinkusError(
                f"eval: {self._run} has no thoughts in its split test (annotated with scenario_only=true, or in "
                "conversations of one turn), and task=hindsight is about those; name another"
            )
        order = drawn(people, self._config.seed, len(people))
        thinkers = [Thinker(one.id, tuple(thoughts_before(one).values())) for one in order]
        chosen = order[: self._config.n_scenarios]
        part = block(self._config, len(chosen))
        for place in range(part.start, part.stop):
            others = (*thinkers[place + 1 :], *thinkers[:place])
            yield from _utterances(Chosen(place, chosen[place]), others)

    async def judged(self, unit: Utterance, ask: Ask) -> Judged:
        row = WeighedTurn(
            unit.position.chosen.conversation.id, unit.position.turn, len(_thoughts(unit.position.lines))
        )
        if unit.lacks:
            return Judged(replace(row, wrong=unit.lacks))
        outcomes = await together(ask(request) for request in self.requests(unit))
        likelihoods: dict[Shown, float] = {}
        failures = []
        for shown, outcome in zip(SHOWN, outcomes, strict=True):
            if isinstance(outcome, Answer):
                likelihoods[shown] = outcome.value.logarithm
                row = replace(row, tokens=outcome.value.tokens)
            else:
                raw = outcome.completion.text if outcome.completion else ""
                failures.append(Failure(f"{unit.item}/{shown}", outcome.kind, outcome.detail, raw))
        assert unit.stranger is not None, "else nobody was asked"
        model, at = Served.by(outcomes[0])
        row = replace(row, stranger=unit.stranger.conversation, likelihoods=likelihoods)
        wrong = failures[0].reason if failures else ""
        return Judged(replace(row, wrong=wrong, served_model=model, at=at), failures)

    def requests(self, unit: Utterance) -> list[Request]:
        if unit.lacks:
            return []
        scenario = unit.position.chosen.scenario
        assert scenario is not None, "else it lacks that"
        return [
            Request(
                item=unit.item,
                purpose=f"hindsight/{shown}",
                messages=self._manner.messages(scenario, unit.lines(shown)),
                form=Likelihood(unit.words, begins=said(NO_THOUGHT, "")),
                thread=unit.position.chosen.conversation.id,
            )
            for shown in SHOWN
        ]


begun = Hindsight


def _manner_of(config: JudgeConfig) -> Manner:
    """A model that was taught to be the person reads the page that it was taught on; another is told to be them."""
    name = str(config.judge.model)
    folder = expanded(name)
    run = next((place for place in (folder, folder.parent) if (place / MANIFEST).is_file()), None)
    manifest = None if run is None or name in group_options("model") else load_manifest(run)
    if manifest is None or manifest.stage != "sft":
        return NOT_TAUGHT
    manner = Manner.of_run(manifest.made_from)
    if not manner.keeps_thoughts:
        raise ThinkusError(
            f"judge.model: {name} was trained to read no earlier thoughts, and task=hindsight is about those; name a "
            "run with method=thinkingus history=thoughts, or a model that was not trained here"
        )
    return manner


def _utterances(chosen: Chosen, others: Sequence[Thinker]) -> Iterator[Utterance]:
    """The turns before whose latest reply there was, or should have been, a thought."""
    spoken = lines_of(chosen.conversation)
    for position in positions(chosen):
        thoughts = _thoughts(position.lines)
        if position.turn < chosen.conversation.user_turns and (thoughts or position.turn > 1):
            words = spoken[len(position.lines)].words.strip()
            yield Utterance(position, words, _stranger(thoughts, others))


def _stranger(thoughts: Sequence[str], others: Sequence[Thinker]) -> Thinker | None:
    count, length = len(thoughts), sum(map(len, thoughts))
    as_many = (Thinker(name, theirs[:count]) for name, theirs in others if len(theirs) >= count)
    return min(
        islice(as_many, LOOKED_AT),
        key=lambda one: abs(sum(map(len, one.thoughts)) - length),
        default=None,
    )


def _thoughts(lines: Sequence[Line]) -> list[str]:
    return [line.thought for line in lines if line.thought is not None]

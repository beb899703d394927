"""Which of two utterances is closer to what the person really said: asked in both orders, or once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from heapq import nsmallest
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec
from msgspec.structs import replace

from thinkus import prompts
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging.fences import READER, Part, asked, drawn_of, labels_of, sign_of, spoken
from thinkus.judging.sides import (
    as_input,
    block,
    check_mode,
    check_whole,
    failed_turns,
    side_by_side,
    simulated,
)
from thinkus.judging.task import TALKERS, Ask, Judged, Served, judge_of
from thinkus.judging.verdicts import TOLD, Ballot, Manner, Unreadable, manner_of
from thinkus.llm.crowd import together
from thinkus.llm.exchange import Answer, Outcome, Request
from thinkus.llm.forms import Near
from thinkus.records import Conversation, Failure, Message, Simulation
from thinkus.runs import Input
from thinkus.scoring.style import style
from thinkus.scoring.wins import Duel
from thinkus.scoring.wins import Verdict as Result
from thinkus.scoring.words import words
from thinkus.user.scene import Scenario, scenario_of, within_window

TASK = "judge/pairwise"
Side = Literal["candidate", "baseline"]
Closer = Literal["candidate", "baseline", "tie"]
Control = Literal["itself", "stranger"]
SIDES: tuple[Side, Side] = ("candidate", "baseline")
MARGIN = 0.01
"""By which one must be nearer than the other, where nearness alone decides; less is a tie."""
OTHER: dict[Side, Side] = {"candidate": "baseline", "baseline": "candidate"}
_RESULT: dict[Closer | None, Result] = {
    "candidate": "win",
    "baseline": "loss",
    "tie": "tie",
    None: "invalid",
}


class Pair(NamedTuple):
    """One turn of the person's, as it was and as two others would have it."""

    conversation: Conversation
    scenario: Scenario | None
    """None where there is none; then neither could say anything."""
    turn: int
    history: tuple[Message, ...]
    real: str
    candidate: str | None
    """Words alone, no thoughts; empty where they leave, None where the turn failed."""
    baseline: str | None
    control: Control | None = None

    @property
    def item(self) -> str:
        turn = f"{self.conversation.id}#{self.turn}"
        return f"{turn}/{self.control}" if self.control else turn

    @property
    def failed(self) -> tuple[Side, ...]:
        return tuple(side for side in SIDES if self.of(side) is None)

    @property
    def is_same(self) -> bool:
        return self.candidate == self.baseline is not None and self.control is None

    def of(self, side: Side) -> str | None:
        return self.candidate if side == "candidate" else self.baseline


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a judge said with one of the two shown first."""

    first: Side
    closer: Closer | None
    """None where it cannot be read."""
    why: str = ""
    """In the judge's words."""
    wrong: str = ""
    dropped: int = 0
    """Exchanges at the beginning that it was not shown, so that the rest fits its window."""
    served_model: str = ""
    at: str = ""


class Nearness(msgspec.Struct, frozen=True):
    """Of an utterance to the real one, where no words were asked for."""

    meaning: float
    style: float

    @property
    def whole(self) -> float:
        return (self.meaning + self.style) / 2


class JudgedTurn(msgspec.Struct, frozen=True, omit_defaults=True):
    conversation: str
    turn: int
    failed: tuple[Side, ...] = ()
    """Who had nothing to show; then nobody was asked."""
    verdicts: tuple[Verdict, ...] = ()
    nearness: dict[Side, Nearness] = {}
    same: bool = False
    """Both said the same, which no order can change: a draw, and nobody was asked."""
    control: Control | None = None
    """Not of the two runs: the real text as the candidate, against itself or against a stranger's."""
    lengths: tuple[int, int] | None = None
    """Of the candidate's and the baseline's utterance, in words; None where one failed."""
    take: int = 0
    """Above 0: the judge was asked the same again."""

    @property
    def duel(self) -> Duel:
        if self.failed:
            return Duel((), "candidate" in self.failed, "baseline" in self.failed)
        if self.same:
            return Duel(("tie",))
        return Duel(tuple(_RESULT[verdict.closer] for verdict in self.verdicts))


ROW = JudgedTurn


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    if config.protocol == "paper" and config.judge.backend in ("hf", "encoder"):
        raise ThinkusError(
            f"protocol: paper has the judge explain itself first, and judge={config.judge.name} writes nothing; "
            "use protocol=both_orders"
        )
    found = judge_of(config, *TALKERS, "hf", "encoder")
    for side in SIDES:
        directory, manifest = simulated(config, root, side)
        check_mode(directory, manifest, side, "pairwise", "offline")
        found[side] = as_input(directory, manifest)
    return found


def prompts_used(config: JudgeConfig) -> tuple[str, ...]:
    if config.judge.backend == "encoder":
        return ()
    return (READER, TASK, TOLD[manner_of(config.judge, config.protocol)])


class Pairwise:
    where = "judge"

    def __init__(self, config: JudgeConfig, read: Mapping[str, Path]) -> None:
        self.endpoint = config.judge
        self._config, self._read = config, read
        self._manner = manner_of(config.judge, config.protocol)
        self._protocol = config.protocol

    def units(self) -> Iterator[Pair]:
        ours, theirs = (self._read[side] for side in SIDES)
        failed = {side: failed_turns(self._read[side]) for side in SIDES}
        for candidate, baseline in side_by_side(self._config, ours, theirs):
            for side, one in zip(SIDES, (candidate, baseline), strict=True):
                check_whole(one, one.user_turns, failed[side], side, self._read[side])
            yield from pairs(candidate, baseline)
        both = list(controls(self._whole(), self._config.controls))
        yield from both[block(self._config, len(both))]

    def _whole(self) -> Iterator[Pair]:
        """Of all parts: what a control is drawn from must not hang on how the run is cut."""
        whole = self._config.model_copy(update={"shard": None})
        for candidate, baseline in side_by_side(whole, *(self._read[side] for side in SIDES)):
            yield from pairs(candidate, baseline)

    async def judged(self, pair: Pair, ask: Ask) -> Judged:
        """A failure for each verdict that cannot be read."""
        row = JudgedTurn(pair.conversation.id, pair.turn, control=pair.control)
        if pair.failed:
            return Judged(replace(row, failed=pair.failed))
        row = replace(row, lengths=tuple(len(words(pair.of(side) or "")) for side in SIDES))
        if pair.is_same:
            return Judged(replace(row, same=True))
        if self.endpoint.backend == "encoder":
            return await _by_nearness(pair, row, ask)
        question = Question.about(pair, self._manner)
        ruled = await together(question.ruled(side, ask) for side in self._orders(pair))
        failures = [failure for _, failure in ruled if failure]
        return Judged(replace(row, verdicts=tuple(one for one, _ in ruled)), failures)

    def requests(self, pair: Pair) -> list[Request]:
        if pair.failed or pair.is_same:
            return []
        if self.endpoint.backend == "encoder":
            return [_meanings(pair, side) for side in SIDES]
        question = Question.about(pair, self._manner)
        return [question.request(side, pair.history) for side in self._orders(pair)]

    def _orders(self, pair: Pair) -> tuple[Side, ...]:
        """Who stands first in each of the requests; of one request a hash decides, so that nobody is favoured."""
        if self._protocol == "both_orders":
            return SIDES
        return (first_by_lot(pair),)


class Question(NamedTuple):
    """A turn as a judge is shown it; the two orders differ only in which text stands where."""

    pair: Pair
    sign: str
    ballot: Ballot
    before: tuple[Part, ...]
    task: str

    @classmethod
    def about(cls, pair: Pair, manner: Manner) -> "Question":
        assert pair.scenario is not None, "without a scenario nobody was asked to speak"
        scenario, motivation = pair.scenario
        both = pair.candidate or "", pair.baseline or ""
        # The sign is of the whole conversation, its later turns included, which whoever spoke here had not seen.
        sign = sign_of((scenario, motivation, *(one.content for one in pair.conversation.messages)), both)
        heard = (one.content for one in pair.history)
        ballot = Ballot(labels_of((scenario, motivation, *heard, pair.real, *both), 3), manner)
        first, second, tie = ballot.options
        task = prompts.load(TASK).fill(first=first, second=second, tie=tie).strip()
        before = Part("scenario", scenario), Part("motivation", motivation)
        return cls(pair, sign, ballot, before, f"{task}\n\n{ballot.told}")

    def request(self, first: Side, history: Sequence[Message]) -> Request:
        """Those of both orders begin alike."""
        turns = sum(message.role == "user" for message in history)
        shown = (
            *self.before,
            *spoken(history, self.pair.turn - turns),
            Part("real", self.pair.real),
            *self._utterances(first),
        )
        return Request(
            item=self.pair.item,
            purpose=f"pairwise/{first}_first",
            messages=asked(self.sign, shown, self.task),
            form=self.ballot.form,
            thread=self.pair.conversation.id,
        )

    async def ruled(self, first: Side, ask: Ask) -> tuple[Verdict, Failure | None]:
        outcome, start = await within_window(partial(self._asked, first, ask), self.pair.history)
        meant: dict[str, Closer] = dict(zip(self.ballot.options, (first, OTHER[first], "tie"), strict=True))
        dropped = sum(message.role == "user" for message in self.pair.history[:start])
        try:
            ruling = self.ballot.read(outcome)
        except Unreadable as error:
            failure = error.as_failure(f"{self.pair.item}/{first}_first")
            return Verdict(first, None, "", error.wrong, dropped, *Served.by(outcome)), failure
        closer = meant[ruling.verdict]
        return Verdict(first, closer, ruling.explanation, "", dropped, *Served.by(outcome)), None

    async def _asked(self, first: Side, ask: Ask, history: Sequence[Message]) -> Outcome:
        return await ask(self.request(first, history))

    def _utterances(self, first: Side) -> Iterator[Part]:
        for side, label in zip((first, OTHER[first]), self.ballot.options, strict=False):
            words = self.pair.of(side)
            silent = "" if words else ": leaves without a word"
            yield Part(f"utterance {label}{silent}", words or "")


async def _by_nearness(pair: Pair, row: JudgedTurn, ask: Ask) -> Judged:
    """Not asked in words: whose text is nearer to the real one, by a margin. No order can matter."""
    nearness: dict[Side, Nearness] = {}
    for side in SIDES:
        outcome = await ask(_meanings(pair, side))
        if not isinstance(outcome, Answer):
            verdict = Verdict("candidate", None, wrong=outcome.kind)
            failure = Failure(f"{pair.item}/{side}_meaning", outcome.kind, outcome.detail, "")
            return Judged(replace(row, verdicts=(verdict,)), [failure])
        nearness[side] = Nearness(outcome.value, round(style(pair.real, pair.of(side) or ""), 4))
        served = Served.by(outcome)
    ahead = nearness["candidate"].whole - nearness["baseline"].whole
    closer: Closer = "tie" if abs(ahead) < MARGIN else "candidate" if ahead > 0 else "baseline"
    return Judged(
        replace(row, verdicts=(Verdict("candidate", closer, "", "", 0, *served),), nearness=nearness)
    )


def _meanings(pair: Pair, side: Side) -> Request:
    texts = Message("user", pair.real), Message("user", pair.of(side) or "")
    return Request(item=pair.item, purpose=f"pairwise/{side}_meaning", messages=texts, form=Near())


def pairs(candidate: Conversation, baseline: Conversation) -> Iterator[Pair]:
    """The turns of a conversation, with what two simulations made of each."""
    ours, theirs = _said(candidate.simulation), _said(baseline.simulation)
    scenario = scenario_of(candidate)
    history: list[Message] = []
    turn = 0
    for message in candidate.messages:
        if message.role == "user":
            had = ours.get(turn), theirs.get(turn)
            yield Pair(candidate, scenario, turn, tuple(history), message.content, *had)
            turn += 1
        if message.role != "system":
            history.append(message)


def first_by_lot(pair: Pair, *use: str) -> Side:
    """Of the texts alone, whosever they are."""
    by_text = sorted(SIDES, key=lambda side: pair.of(side) or "")
    return by_text[drawn_of((*use, pair.real, *(pair.of(side) or "" for side in by_text))) % 2]


def controls(every: Iterable[Pair], count: int) -> Iterator[Pair]:
    """Some turns, by a hash: the real text against itself, and against what somebody else said elsewhere."""
    known = (pair for pair in every if pair.scenario is not None)
    chosen = nsmallest(count, known, key=lambda pair: sha256(pair.item.encode()).digest())
    for pair in chosen:
        yield pair._replace(candidate=pair.real, baseline=pair.real, control="itself")
    for place, pair in enumerate(chosen):
        others = (*chosen[place + 1 :], *chosen[:place])
        strangers = (
            one for one in others if one.conversation.id != pair.conversation.id and one.real != pair.real
        )
        if (stranger := next(strangers, None)) is not None:
            yield pair._replace(candidate=pair.real, baseline=stranger.real, control="stranger")


def _said(simulation: Simulation | None) -> dict[int, str]:
    return {spoken.turn: spoken.utterance for spoken in simulation.turns} if simulation else {}


begun = Pairwise

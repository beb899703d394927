"""How a simulated person is shown the world: their situation, what was said so far, and how they are to write."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from thinkus import prompts
from thinkus.llm.exchange import Failure, Kind, Outcome
from thinkus.records import Conversation, Message
from thinkus.thoughts.drafts import thoughts_before
from thinkus.user.page import said
from thinkus.user.samples import SITUATION
from thinkus.user.words import LEAVES, Thinking

Said = TypeVar("Said")
"""By either of two who take turns."""
OPENING = "simulate/opening"
TOLD = {"prompt": "simulate/person", "prompt_thinking": "simulate/person_thinking"}
"""For models that were not taught to be the person, what they are told."""


class Scenario(NamedTuple):
    """What only the person knows; it holds for the whole conversation."""

    scenario: str
    motivation: str


class Line(NamedTuple):
    who: Literal["person", "assistant"]
    words: str
    thought: str | None = None
    """What the person thought before they said it."""


def prompts_of(method: str) -> tuple[str, ...]:
    return (TOLD[method], OPENING) if method in TOLD else (SITUATION,)


class Manner(NamedTuple):
    """How a kind of user is asked, and how it writes."""

    method: str
    thinks: bool
    first_thought: bool = False
    keeps_thoughts: bool = False
    """It is shown its own earlier thoughts."""

    @classmethod
    def of_run(cls, made_from: Mapping[str, Any]) -> "Manner":
        """As a run of sft was taught."""
        method = str(made_from["method.name"])
        is_thinking = method == "thinkingus"
        return cls(
            method,
            is_thinking,
            is_thinking and bool(made_from["first_thought"]),
            is_thinking and made_from["history"] == "thoughts",
        )

    @property
    def leaves_by(self) -> str:
        """What it writes when it leaves, where that is not nothing."""
        return LEAVES if self.method in TOLD else ""

    def thinking(self, lines: Sequence[Line]) -> Thinking:
        if not self.thinks:
            return "never"
        return "must" if lines or self.first_thought else "may"

    def messages(self, scenario: Scenario, lines: Sequence[Line]) -> tuple[Message, ...]:
        """For a chat server, where the person is the `assistant`."""
        words = {"scenario": scenario.scenario.strip(), "motivation": scenario.motivation.strip()}
        told = [Message("system", prompts.load(prompts_of(self.method)[0]).fill(**words).strip())]
        if self.method in TOLD:  # most templates want somebody else to begin
            told.append(Message("user", prompts.load(OPENING).text.strip()))
        return (*told, *map(self._message, lines))

    def _message(self, line: Line) -> Message:
        if line.who == "assistant":
            return Message("user", line.words)
        return Message("assistant", said(line.thought if self.keeps_thoughts else None, line.words))


def scenario_of(conversation: Conversation) -> Scenario | None:
    """None where nothing says what situation the person is in."""
    annotation = conversation.annotation
    if annotation is None or not (annotation.scenario.strip() and annotation.motivation.strip()):
        return None
    return Scenario(annotation.scenario, annotation.motivation)


def lines_of(conversation: Conversation) -> list[Line]:
    """What was really said and, as far as it is known, thought."""
    thoughts = thoughts_before(conversation)
    return [
        Line("person", message.content, thoughts.get(place))
        if message.role == "user"
        else Line("assistant", message.content)
        for place, message in enumerate(conversation.messages)
        if message.role != "system"
    ]


def as_the_assistant_sees(lines: Sequence[Line]) -> tuple[Message, ...]:
    """Words alone. Nothing else of the person's ever reaches the other side."""
    return tuple(Message("user" if line.who == "person" else "assistant", line.words) for line in lines)


async def within_window(
    ask: Callable[[Sequence[Said]], Awaitable[Outcome]], lines: Sequence[Said], start: int = 0
) -> tuple[Outcome, int]:
    """Ask with as many of the latest whole exchanges as the model's window holds; and where those begin.

    What was said last stays, as in training.
    """
    outcome = await ask(lines[start:])
    while isinstance(outcome, Failure) and outcome.kind is Kind.TOO_LONG and start + 3 <= len(lines):
        start += 2
        outcome = await ask(lines[start:])
    return outcome, start

"""What a user model is asked for one turn, over all its attempts."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Answer, Completion, Failure, Kind, Outcome, Request
from thinkus.llm.forms import Form, Opened
from thinkus.user.page import END_OF_THOUGHT, THOUGHT
from thinkus.user.scene import Line, Manner, Scenario, within_window

TAGS = (THOUGHT, END_OF_THOUGHT)


class Occasion(NamedTuple):
    """When the person is to speak."""

    scenario: Scenario
    lines: Sequence[Line]
    item: str
    """For whom the answer is kept, such as a conversation's id; the model does not see it."""
    start: int = 0
    """Of the lines that are known to fit its window."""


def taken(completions: Sequence[Completion]) -> dict[str, Any]:
    """For a row: what all attempts at a turn or a reply took, and which answer stands."""
    return {
        "served_model": completions[-1].served_model,
        "at": completions[-1].at,
        "input_tokens": sum(one.input_tokens or 0 for one in completions),
        "output_tokens": sum(one.output_tokens or 0 for one in completions),
    }


class Writing:
    def __init__(self, engine: Engine, manner: Manner, occasion: Occasion, *, is_guided: bool) -> None:
        self._engine, self._manner, self._occasion = engine, manner, occasion
        self._is_guided = is_guided
        self.completions: list[Completion] = []
        self.start = occasion.start
        """Of the lines that the window holds."""
        self.closed = 0
        """Texts of the last attempt that would have gone on, and were ended here."""
        self.raw = ""
        """What was written last."""

    async def written(self, take: int) -> str | Failure:
        """Guided, the tags and the end are set where they are due; the text between is the model's own."""
        self.closed = 0
        if not self._is_guided or self._manner.thinking(self._occasion.lines) != "must":
            return await self._asked(None, take)
        thought = await self._asked(Opened(THOUGHT, TAGS), take)
        if isinstance(thought, Failure):
            return thought
        opened = f"{THOUGHT}{thought.strip()}{END_OF_THOUGHT}"
        # Another thought ends the words. What stands before a closing tag would still be the thought.
        words = await self._asked(Opened(opened, (THOUGHT,)), take)
        self.raw = opened + self.raw
        return opened + words if isinstance(words, str) else words

    async def _asked(self, form: Form | None, take: int) -> str | Failure:
        outcome, self.start = await within_window(
            partial(self._outcome, form, take), self._occasion.lines, self.start
        )
        self.raw = ""
        if outcome.completion is not None:
            self.completions.append(outcome.completion)
            self.raw = outcome.completion.text
        if isinstance(outcome, Answer):
            return str(outcome.value)
        if self._is_guided and outcome.kind is Kind.CUT:
            self.closed += 1
            return self.raw
        return outcome

    async def _outcome(self, form: Form | None, take: int, lines: Sequence[Line]) -> Outcome:
        request = Request(
            item=self._occasion.item,
            purpose="person",
            messages=self._manner.messages(self._occasion.scenario, lines),
            form=form,
            take=take,
            may_be_empty=True,
        )
        return await self._engine.ask(request)

"""What a user model is asked for one turn, over all its attempts."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

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


class Writing:
    def __init__(self, engine: Engine, manner: Manner, occasion: Occasion, *, is_guided: bool) -> None:
        self._engine, self._manner, self._occasion = engine, manner, occasion
        self._is_guided = is_guided and manner.thinking(occasion.lines) == "must"
        self.completions: list[Completion] = []
        self.start = 0
        """Of the lines that the window holds."""
        self.closed = 0
        """Thoughts that would have gone on, and were ended here."""
        self.raw = ""
        """What was written last."""

    async def written(self, take: int) -> str | Failure:
        """Guided, the tags are set, and the text between them is the model's own."""
        if not self._is_guided:
            return await self._asked(None, take)
        thought = await self._asked(Opened(THOUGHT, TAGS), take)
        if isinstance(thought, Failure):
            if thought.kind is not Kind.CUT or thought.completion is None:
                return thought
            self.closed += 1
            thought = thought.completion.text
        opened = f"{THOUGHT}{thought.strip()}{END_OF_THOUGHT}"
        words = await self._asked(Opened(opened, TAGS), take)
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
        return str(outcome.value) if isinstance(outcome, Answer) else outcome

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

"""One conversation's annotation: what is asked in which order, and asked again with what was wrong."""

from collections import Counter, defaultdict
from collections.abc import Callable
from functools import cache
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec.structs import replace

from thinkus import prompts
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import OF_THE_ANSWER, Answer, Failure, Kind, Outcome, Request
from thinkus.llm.forms import Form, Json
from thinkus.records import Annotation, AnsweredBy, Conversation, Fulfilment, Message
from thinkus.thoughts import inline, keyed
from thinkus.thoughts.dialogue import render
from thinkus.thoughts.drafts import Draft, Invalid, turns_with_thoughts
from thinkus.thoughts.gates import Limits, objection, terminal_objection

T = TypeVar("T")
Protocol = Literal["keyed", "inline"]


class TerminalThought(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: str
    thought: str


class Rejected(NamedTuple):
    """A conversation without an annotation: why, and the last answer that came."""

    kind: str
    detail: str
    text: str


class _GaveUp(Exception):
    def __init__(self, rejected: Rejected) -> None:
        self.rejected = rejected


class Reconstruction:
    """How all conversations of a run are annotated, and what became of the answers."""

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        *,
        protocol: Protocol,
        first_thought: bool,
        scenario_only: bool,
        max_attempts: int,
    ) -> None:
        self.answers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        """By purpose: asked, valid, and each class of what could not be used."""
        self.annotated = 0
        """Conversations of which it is known what became of them."""
        self._prompt = cache(prompts.load)
        """Read once, so that an edit on the way cannot make two kinds of annotations."""
        self._engine = engine
        self._limits = limits
        self._protocol = protocol
        self._first_thought = first_thought
        self._scenario_only = scenario_only
        self._max_attempts = max_attempts

    async def annotate(self, conversation: Conversation) -> Annotation | Rejected:
        try:
            draft, by = await self._draft(conversation)
            if self._scenario_only:
                return Annotation(draft.scenario, draft.motivation, answered_by=(by,))
            return await self._with_the_end(conversation, _annotation(draft, by))
        except _GaveUp as gave_up:
            return gave_up.rejected
        finally:
            self.annotated += 1

    async def _draft(self, conversation: Conversation) -> tuple[Draft, AnsweredBy]:
        wants = turns_with_thoughts(conversation, first_thought=self._first_thought)
        form: Form | None

        def read(value: Any) -> Draft:
            if isinstance(value, str):
                draft = inline.draft(value, conversation, first_thought=self._first_thought)
            elif isinstance(value, keyed.Answer):
                draft = keyed.draft(value, conversation, first_thought=self._first_thought)
            else:
                draft = Draft(value.scenario, value.motivation)
            if complaint := objection(draft, conversation, self._limits):
                raise complaint
            return draft

        if self._scenario_only or not wants:
            task, form = self._prompt("annotate/scenario").text, Json(keyed.ScenarioOnly)
        elif self._protocol == "inline":
            turns = ", ".join(map(str, wants))
            task, form = self._prompt("annotate/inline").fill(turns=turns), None
        else:
            task, form = self._keyed_task(wants), Json(keyed.Answer)
        return await self._until_valid(conversation, "annotate", task, form, read)

    async def _with_the_end(self, conversation: Conversation, annotation: Annotation) -> Annotation:
        """In two steps: one alone was seen to drift from what people think."""
        motivation = annotation.motivation
        task = self._prompt("annotate/fulfilment").fill(motivation=motivation)
        fulfilment, judged_by = await self._until_valid(
            conversation, "fulfilment", task, Json(Fulfilment), _judged
        )

        def read(last: TerminalThought) -> TerminalThought:
            if complaint := terminal_objection(last.thought, conversation, self._limits):
                raise complaint
            return last

        task = self._prompt("annotate/terminal_thought").fill(
            motivation=motivation, fulfilled=fulfilment.fulfilled, reflection=fulfilment.reflection
        )
        last, written_by = await self._until_valid(
            conversation, "terminal_thought", task, Json(TerminalThought), read
        )
        return replace(
            annotation,
            fulfilment=fulfilment,
            terminal_thought=last.thought.strip(),
            terminal_reason=last.reason.strip(),
            answered_by=(*annotation.answered_by, judged_by, written_by),
        )

    async def _until_valid(
        self,
        conversation: Conversation,
        purpose: str,
        task: str,
        form: Form | None,
        read: Callable[[Any], T],
    ) -> tuple[T, AnsweredBy]:
        """Ask; and ask again with the complaint, showing the answer that it is about."""
        # The dialogue comes before the task, so that its later calls find it in the server's cache.
        first = (
            Message("system", self._prompt("annotate/reader").text),
            Message("user", f"{render(conversation)}\n\n{task}"),
        )
        messages: tuple[Message, ...] = first
        tally = self.answers[purpose]
        rejected = Rejected("", "", "")
        for attempt in range(self._max_attempts):
            outcome = await self._engine.ask(
                Request(
                    item=conversation.id, purpose=purpose, messages=messages, form=form, take=attempt,
                    thread=conversation.id,
                )
            )  # fmt: skip
            tally["asked"] += 1
            try:
                value = read(_value(outcome))
            except Invalid as invalid:
                tally[invalid.kind] += 1
                text = outcome.completion.text if outcome.completion else ""
                rejected = Rejected(invalid.kind, invalid.complaint, text)
                if isinstance(outcome, Failure) and outcome.kind not in ASKED_AGAIN:
                    break
                messages = first if not text.strip() else (*first, *self._complaint(text, invalid.complaint))
            else:
                tally["valid"] += 1
                facts = outcome.completion
                assert facts is not None
                by = AnsweredBy(purpose, facts.served_model, facts.at, facts.fingerprint, attempt + 1)
                return value, by
        raise _GaveUp(rejected)

    def _complaint(self, text: str, complaint: str) -> tuple[Message, Message]:
        return (
            Message("assistant", text),
            Message("user", self._prompt("annotate/again").fill(complaint=complaint)),
        )

    def _keyed_task(self, wants: range) -> str:
        first = wants[0]
        return self._prompt("annotate/keyed").fill(
            turns=", ".join(map(str, wants)),
            first_turn=str(first),
            first_relation="opens" if first == 1 else "follows",
        )


ASKED_AGAIN = OF_THE_ANSWER - {Kind.FILTERED}
"""The others were tried again already, or would end alike."""


def _value(outcome: Outcome) -> Any:
    if isinstance(outcome, Answer):
        return outcome.value
    words = {
        Kind.CUT: "it was cut off before its end, so it must be shorter",
        Kind.OFF_FORM: f"it is not of the form that was asked for ({outcome.detail})",
    }
    raise Invalid(outcome.kind, words.get(outcome.kind, outcome.detail))


def _judged(fulfilment: Fulfilment) -> Fulfilment:
    if not fulfilment.reflection.strip():
        raise Invalid("reflection_empty", "the reflection is empty; write it")
    return fulfilment


def _annotation(draft: Draft, by: AnsweredBy) -> Annotation:
    later = [thought for thought in draft.thoughts if thought.turn > 1]
    relations = tuple(t.relation for t in later if t.relation in ("follows", "extends"))
    return Annotation(
        scenario=draft.scenario.strip(),
        motivation=draft.motivation.strip(),
        thoughts=tuple(thought.text.strip() for thought in later),
        relations=relations if len(relations) == len(later) else (),
        first_thought=next((t.text.strip() for t in draft.thoughts if t.turn == 1), None),
        answered_by=(by,),
    )

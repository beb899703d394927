"""What a user model is taught: K + 1 samples for a conversation of K turns of the person's.

Sample 0 opens, sample i answers the i-th reply, sample K leaves.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from thinkus import prompts
from thinkus.records import Annotation, Conversation
from thinkus.thoughts.drafts import thoughts_before
from thinkus.user.page import END_OF_THOUGHT, IS_THE_END, PERSON, THOUGHT, Message, Page, said

SITUATION = "sft/situation"
ENDS, CONTINUES = "1", "0"
Way = Literal["thinkingus", "utterance_sft", "ending"]


class Sample(NamedTuple):
    conversation: str
    turn: int
    history: tuple[Message, ...]
    target: str
    """What is to be learnt; the end of the text comes after it, but for labels."""


class CannotTeach(Exception):
    """A conversation that lacks what a method teaches: the class, which is counted, and what is missing."""

    def __init__(self, kind: str, missing: str) -> None:
        super().__init__(missing)
        self.kind = kind


class Teaching(NamedTuple):
    """What is taught, and what the model sees meanwhile."""

    way: Way
    keeps_thoughts: bool
    first_thought: bool

    @property
    def page(self) -> Page:
        return Page(IS_THE_END if self.way == "ending" else PERSON, self.keeps_thoughts)

    def samples(self, conversation: Conversation) -> list[Sample]:
        annotation = conversation.annotation
        if annotation is None:
            raise CannotTeach("no_annotation", "it has no annotation")
        return list(
            self._endings(conversation, annotation)
            if self.way == "ending"
            else self._turns(conversation, annotation)
        )

    def _turns(self, conversation: Conversation, annotation: Annotation) -> Iterator[Sample]:
        thoughts = self._thoughts(conversation) if self.way == "thinkingus" else {}
        history = [_situation(annotation)]
        turn = 0
        for place, message in enumerate(conversation.messages):
            if message.role == "user":
                words = said(thoughts.get(place), message.content)
                yield Sample(conversation.id, turn, tuple(history), words)
                history.append(Message("assistant", words))
                turn += 1
            elif message.role == "assistant":
                history.append(Message("user", message.content))
        last = said(annotation.terminal_thought, "") if self.way == "thinkingus" else ""
        yield Sample(conversation.id, turn, tuple(history), last)

    def _endings(self, conversation: Conversation, annotation: Annotation) -> Iterator[Sample]:
        """After each reply: whether it was the last."""
        history = [_situation(annotation)]
        turn = 0
        for message in conversation.messages:
            if message.role == "user":
                history.append(Message("assistant", message.content.strip()))
            elif message.role == "assistant":
                turn += 1
                history.append(Message("user", message.content))
                label = ENDS if turn == conversation.user_turns else CONTINUES
                yield Sample(conversation.id, turn, tuple(history), label)

    def _thoughts(self, conversation: Conversation) -> dict[int, str]:
        """By the place of the message that they precede; all that the method needs, or none is taught."""
        annotation = conversation.annotation
        assert annotation is not None
        thoughts = thoughts_before(conversation)
        first = next(place for place, message in enumerate(conversation.messages) if message.role == "user")
        if not self.first_thought:
            thoughts.pop(first, None)
        elif first not in thoughts:
            raise CannotTeach("no_first_thought", "it has no thought before the first utterance")
        missing = conversation.user_turns - len(thoughts) - (not self.first_thought)
        if missing:
            raise CannotTeach("no_thoughts", f"{missing} of its utterances have no thought")
        if annotation.terminal_thought is None:
            raise CannotTeach("no_terminal_thought", "it has no terminal thought")
        if any(
            tag in words
            for words in (*thoughts.values(), annotation.terminal_thought)
            for tag in (THOUGHT, END_OF_THOUGHT)
        ):
            raise CannotTeach("tag_in_thought", f"a thought of it holds {THOUGHT} or {END_OF_THOUGHT}")
        return thoughts


def _situation(annotation: Annotation) -> Message:
    filled = prompts.load(SITUATION).fill(
        scenario=annotation.scenario.strip(), motivation=annotation.motivation.strip()
    )
    return Message("system", filled.strip())

"""Annotated conversations for a person at a terminal."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from thinkus.records import Annotation, Conversation
from thinkus.terminal import background, beside, headline, turn, wrapped
from thinkus.thoughts.drafts import thoughts_before

LABELS = {"user": "person", "assistant": "assistant", "system": "system"}
MOST_LINES = {"user": 24, "assistant": 8, "system": 4}
"""People write little and it is what the thoughts are about; assistants write much."""


def show(conversations: Iterable[Conversation], console: Console) -> None:
    for conversation in conversations:
        headline((conversation.id, conversation.source, conversation.split), console)
        annotation = conversation.annotation
        if annotation is not None:
            console.print(background(annotation.scenario, annotation.motivation))
        thoughts = thoughts_before(conversation)
        for place, message in enumerate(conversation.messages):
            console.print()
            role, most = message.role, MOST_LINES[message.role]
            lines = turn(LABELS[role], message.content, console, thought=thoughts.get(place), most_lines=most)
            for line in lines:
                console.print(line)
        if annotation is not None and annotation.terminal_thought is not None:
            console.print()
            for line in _ending(annotation, annotation.terminal_thought, console):
                console.print(line)


def _ending(annotation: Annotation, thought: str, console: Console) -> Iterator[Text]:
    yield from turn("leaves", "", console, thought=thought)
    fulfilment = annotation.fulfilment
    for name, words in (
        ("because", annotation.terminal_reason),
        ("fulfilled", fulfilment and f"{fulfilment.fulfilled}. {fulfilment.reflection}"),
    ):
        if words:
            yield from beside(Text(name, "dim"), [Text(line, "dim") for line in wrapped(words, console)])

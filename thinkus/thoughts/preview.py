"""Annotated conversations for a person at a terminal: what was thought beside what was said.

The texts are strangers': none of it may move the cursor, colour the screen or be read as markup.
"""

import re
from collections.abc import Iterable, Iterator

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from thinkus.records import Annotation, Conversation, Message
from thinkus.thoughts.drafts import thoughts_before

LABELS = {"user": "person", "assistant": "assistant", "system": "system"}
COLOURS = {"user": "bold cyan", "assistant": "bold green", "system": "bold"}
MOST_LINES = {"user": 24, "assistant": 8, "system": 4}
"""People write little and it is what the thoughts are about; assistants write much."""
THOUGHT_SIGN = "~"
"""In front of every line of a thought, so that it is told from the words where nothing is dim or italic."""
LABEL_WIDTH = 10
NARROWEST_TEXT = 20

# Escape sequences whole, since their rest would be litter; then every other control character, and those
# that turn the direction of writing round and so let a text look like another.
_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, links, device strings
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)


def plain(text: str) -> str:
    """A stranger's text, without what a terminal or a page would obey rather than show."""
    return _CONTROL.sub("", "\n".join(text.splitlines()))


def show(conversations: Iterable[Conversation], console: Console) -> None:
    for conversation in conversations:
        about = (conversation.id, conversation.source, conversation.split)
        console.print()
        console.rule(Text(" · ".join(plain(word) for word in about if word), "bold"), style="dim")
        annotation = conversation.annotation
        if annotation is not None:
            console.print(_background(annotation))
        thoughts = thoughts_before(conversation)
        for place, message in enumerate(conversation.messages):
            console.print()
            for line in _turn(message, thoughts.get(place), console):
                console.print(line)
        if annotation is not None and annotation.terminal_thought is not None:
            console.print()
            for line in _ending(annotation, annotation.terminal_thought, console):
                console.print(line)


def _background(annotation: Annotation) -> Panel:
    scenario = Text.assemble(("Scenario. ", "bold"), plain(annotation.scenario))
    motivation = Text.assemble(("Motivation. ", "bold"), plain(annotation.motivation))
    return Panel(Group(scenario, Text(), motivation), border_style="dim", style="dim")


def _turn(message: Message, thought: str | None, console: Console) -> Iterator[Text]:
    label = Text(LABELS[message.role], COLOURS[message.role])
    if thought is not None:
        yield from _thought(label, thought, console)
        label = Text()
    lines = _wrapped(message.content, console)
    most = MOST_LINES[message.role]
    if len(lines) > most + 1:  # to say that one line is missing takes a line as well
        missing = f"... {len(lines) - most:,} more lines"
        yield from _beside(label, [Text(line) for line in lines[:most]] + [Text(missing, "dim")])
    else:
        yield from _beside(label, [Text(line) for line in lines])


def _ending(annotation: Annotation, thought: str, console: Console) -> Iterator[Text]:
    yield from _thought(Text("leaves", COLOURS["user"]), thought, console)
    fulfilment = annotation.fulfilment
    for name, words in (
        ("because", annotation.terminal_reason),
        ("fulfilled", fulfilment and f"{fulfilment.fulfilled}. {fulfilment.reflection}"),
    ):
        if words:
            yield from _beside(Text(name, "dim"), [Text(line, "dim") for line in _wrapped(words, console)])


def _thought(label: Text, thought: str, console: Console) -> Iterator[Text]:
    lines = _wrapped(thought, console)
    yield from _beside(label, [Text(line, "dim italic") for line in lines], THOUGHT_SIGN)


def _wrapped(text: str, console: Console) -> list[str]:
    width = max(NARROWEST_TEXT, console.width - LABEL_WIDTH - len(THOUGHT_SIGN) - 1)
    return [line.plain.rstrip() for line in Text(plain(text)).wrap(console, width)] or [""]


def _beside(label: Text, lines: Iterable[Text], sign: str = " ") -> Iterator[Text]:
    """The label before the first line, and room for it before the others."""
    for line in lines:
        start = label.copy()
        start.pad_right(LABEL_WIDTH - len(label))
        yield Text.assemble(start, (f"{sign} ", "dim"), line)
        label = Text()

"""Conversations for a person at a terminal: what was thought beside what was said.

The texts are strangers': none of it may move the cursor, colour the screen or be read as markup.
"""

import re
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

COLOURS = {"person": "bold cyan", "assistant": "bold green", "system": "bold", "leaves": "bold cyan"}
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


def headline(words: Iterable[str | None], console: Console) -> None:
    console.print()
    console.rule(Text(" · ".join(plain(word) for word in words if word), "bold"), style="dim")


def background(scenario: str, motivation: str) -> Panel:
    first = Text.assemble(("Scenario. ", "bold"), plain(scenario))
    second = Text.assemble(("Motivation. ", "bold"), plain(motivation))
    return Panel(Group(first, Text(), second), border_style="dim", style="dim")


def turn(
    who: str, words: str, console: Console, *, thought: str | None = None, most_lines: int = sys.maxsize
) -> Iterator[Text]:
    """Who it is, what they thought, and what they said."""
    label = Text(who, COLOURS.get(who, "dim"))
    if thought is not None:
        yield from beside(
            label, [Text(line, "dim italic") for line in wrapped(thought, console)], THOUGHT_SIGN
        )
        label = Text()
        if not words:
            return
    lines = wrapped(words, console)
    if len(lines) > most_lines + 1:  # to say that one line is missing takes a line as well
        missing = f"... {len(lines) - most_lines:,} more lines"
        yield from beside(label, [Text(line) for line in lines[:most_lines]] + [Text(missing, "dim")])
    else:
        yield from beside(label, [Text(line) for line in lines])


def wrapped(text: str, console: Console) -> list[str]:
    width = max(NARROWEST_TEXT, console.width - LABEL_WIDTH - len(THOUGHT_SIGN) - 1)
    return [line.plain.rstrip() for line in Text(plain(text)).wrap(console, width)] or [""]


def beside(label: Text, lines: Iterable[Text], sign: str = " ") -> Iterator[Text]:
    """The label before the first line, and room for it before the others."""
    for line in lines:
        start = label.copy()
        start.pad_right(LABEL_WIDTH - len(label))
        yield Text.assemble(start, (f"{sign} ", "dim"), line)
        label = Text()

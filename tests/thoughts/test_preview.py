"""What a person sees at a terminal: thoughts apart from words, and strangers' texts as nothing but text."""

import re
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.cells import cell_len
from rich.console import Console

from thinkus.records import Annotation, Conversation, Fulfilment, Message
from thinkus.terminal import plain
from thinkus.thoughts.drafts import thoughts_before
from thinkus.thoughts.preview import show

STYLE = re.compile(r"\x1b\[[\d;]*m")
HOSTILE = "[red]a[/red] [/] :smile: \x1b[31mb\x1b]0;title\x07c\x9b2Jd\x1b[2J\x08\x00e\u202ef [link=x]g"
HARMLESS = "[red]a[/red] [/] :smile: bc2Jdef [link=x]g"
CONVERSATION = Conversation(
    "c1",
    "sample",
    (
        Message("user", "what is a lute " * 12),
        Message("assistant", "\n".join(f"line {number}" for number in range(1, 51))),
        Message("user", "shorter"),
        Message("assistant", "An old guitar."),
    ),
    "test",
    annotation=Annotation(
        "Someone is at a concert.",
        "To follow what is said.",
        ("Far too much for the interval. " * 6,),
        fulfilment=Fulfilment("The second reply was enough.", "mostly"),
        terminal_thought="Good, the lights go down.",
        terminal_reason="The music goes on.",
    ),
)


def printed(conversation: Conversation, width: int = 80, **options: bool) -> str:
    file = StringIO()
    show([conversation], Console(file=file, width=width, **options))  # type: ignore[arg-type]
    return file.getvalue()


def everywhere(text: str) -> Conversation:
    """A conversation that says this wherever it says anything."""
    messages = tuple(Message(message.role, text) for message in CONVERSATION.messages)
    annotation = Annotation(
        text,
        text,
        (text,),
        first_thought=text,
        fulfilment=Fulfilment(text, "not"),
        terminal_thought=text,
        terminal_reason=text,
    )
    return Conversation(text, text, messages, annotation=annotation)


@pytest.mark.parametrize("width", [60, 120])
def test_every_line_of_a_thought_is_told_from_the_words_without_colour(width: int) -> None:
    lines = printed(CONVERSATION, width).splitlines()
    thought = [line for line in lines if "interval" in line or "Far too" in line]
    words = [line for line in lines if "lute" in line or "shorter" in line or "guitar" in line]
    assert len(thought) > 1
    assert len(words) > 3
    assert all(line[10:12] == "~ " for line in thought)
    assert all(line[10:12] == "  " for line in words)
    assert lines.index(thought[-1]) < lines.index(next(line for line in lines if "shorter" in line))
    assert max(map(cell_len, lines)) <= width


def test_nothing_but_text_goes_into_a_pipe() -> None:
    assert "\x1b" not in printed(CONVERSATION)


def test_no_color_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    colours = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-7]|4[0-7]|9[0-7])[;m]")
    assert colours.search(printed(CONVERSATION, force_terminal=True))
    monkeypatch.setenv("NO_COLOR", "1")
    without = printed(CONVERSATION, force_terminal=True)
    assert not colours.search(without)
    assert "~ " in STYLE.sub("", without)


def test_long_replies_are_cut_and_say_by_how_much() -> None:
    text = printed(CONVERSATION)
    assert "line 8\n" in text
    assert "line 9\n" not in text
    assert "... 42 more lines" in text
    nine = replace(CONVERSATION, messages=(*CONVERSATION.messages[:3], Message("assistant", "a\n" * 8 + "b")))
    assert "more line" not in printed(nine).replace("42 more lines", "")


def test_the_end_is_shown_with_its_reason() -> None:
    text = printed(CONVERSATION)
    places = [
        text.index(part)
        for part in ("An old guitar", "~ Good, the lights", "The music goes on", "mostly. The second")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("is_terminal", [True, False])
def test_texts_are_neither_markup_nor_commands(is_terminal: bool) -> None:
    text = STYLE.sub("", printed(everywhere(HOSTILE), 120, force_terminal=is_terminal))
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    lines = [line for line in text.splitlines() if HARMLESS in line]
    assert len(lines) == 12  # the title, scenario and motivation, four messages, three thoughts, how it ended
    assert "title" not in text


def test_plain_keeps_what_is_text() -> None:
    assert (
        plain("a\r\nb\rc\x0cd\te\u00e9\u5b57\U0001f600 \u05d0")
        == "a\nb\nc\nd\te\u00e9\u5b57\U0001f600 \u05d0"
    )
    assert plain("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b[1;31mred\x1b[0m \x1b") == "link red "


def test_thoughts_stand_before_their_messages() -> None:
    assert thoughts_before(CONVERSATION) == {2: CONVERSATION.annotation.thoughts[0]}  # type: ignore[union-attr]
    system = replace(CONVERSATION, messages=(Message("system", "s"), *CONVERSATION.messages))
    first = replace(system, annotation=Annotation("s", "m", ("second",), first_thought="first"))
    assert thoughts_before(first) == {1: "first", 3: "second"}


def test_less_than_all_is_shown_too() -> None:
    scenario_only = replace(CONVERSATION, annotation=Annotation("Only a scenario.", "m"))
    assert "Only a scenario." in printed(scenario_only)
    assert "~" not in printed(scenario_only)
    bare = printed(replace(CONVERSATION, annotation=None))
    assert "An old guitar." in bare
    assert "Scenario" not in bare

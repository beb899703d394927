"""The paper's protocol: thoughts are lifted out of a copy that must be exact."""

from collections.abc import Callable

import pytest

from thinkus.records import Conversation, Message
from thinkus.thoughts import dialogue, inline
from thinkus.thoughts.drafts import Draft, Invalid, Thought

HEAD = "<scenario>a scenario</scenario>\n<motivation>a motivation</motivation>\n\n"
THREE = (
    "hi",
    "hello",
    "and this?\r\n\n",
    "```py\nx = '</thought>'\n```",
    "<thought>typed</thought> ok",
    "bye \n",
)


def conversation(*texts: str) -> Conversation:
    messages = (Message(("user", "assistant")[n % 2], text) for n, text in enumerate(texts))
    return Conversation("c", "test", tuple(messages))


TALK = conversation(*THREE)
MARKERS = dialogue.markers(TALK)


def with_thoughts(turns: tuple[int, ...] = (2, 3), talk: Conversation = TALK) -> str:
    text = HEAD + dialogue.render(talk)
    for turn in turns:
        marker = dialogue.markers(talk)[2 * (turn - 1)]
        text = text.replace(f"{marker}\n", f"{marker}\n<thought>thought {turn}</thought>\n")
    return text


GOOD = with_thoughts()


def read(text: str, *, first_thought: bool = False) -> Draft:
    return inline.draft(text, TALK, first_thought=first_thought)


def refused(text: str) -> tuple[str, str]:
    with pytest.raises(Invalid) as raised:
        read(text)
    return raised.value.kind, raised.value.complaint


def test_thoughts_are_lifted_out_whatever_the_texts_hold() -> None:
    assert read(GOOD) == Draft(
        "a scenario", "a motivation", (Thought(2, "thought 2"), Thought(3, "thought 3"))
    )
    assert [thought.turn for thought in read(with_thoughts((1, 2, 3)), first_thought=True).thoughts] == [
        1,
        2,
        3,
    ]


@pytest.mark.parametrize(
    "spelt",
    [
        lambda text: f"```\n{text}\n```",
        lambda text: f"\n```text\n{text}\n```\n",
        lambda text: text.replace("</thought>\n", "</thought>", 1),
        lambda text: f"  {text}\n\n",
    ],
    ids=["fence", "named fence", "no line break", "space around"],
)
def test_what_is_forgiven(spelt: Callable[[str], str]) -> None:
    assert spelt(GOOD) != GOOD
    assert read(spelt(GOOD)) == read(GOOD)


def test_the_lines_say_who_speaks_in_which_turn() -> None:
    sign = dialogue.nonce(conversation("a", "b", "c", "d"))
    assert dialogue.render(conversation("a", "b", "c", "d")) == (
        f"=== {sign} turn 1: person ===\na\n=== {sign} turn 1: assistant ===\nb\n"
        f"=== {sign} turn 2: person ===\nc\n=== {sign} turn 2: assistant ===\nd\n=== {sign} end ==="
    )


def test_a_system_message_is_no_part_of_the_dialogue() -> None:
    told = Conversation("c", "test", (Message("system", "be brief"), *TALK.messages))
    assert dialogue.render(told) == dialogue.render(TALK)
    assert inline.draft(GOOD, told, first_thought=False) == read(GOOD)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (GOOD.replace(MARKERS[3] + "\n", ""), f"{MARKERS[3]} is missing"),
        (GOOD.replace(MARKERS[3], MARKERS[3] + "\n" + MARKERS[3]), f"{MARKERS[3]} comes twice"),
        (GOOD.replace(MARKERS[1], "x").replace(MARKERS[2], MARKERS[1]).replace("x", MARKERS[2]), MARKERS[1]),
        (GOOD.replace(MARKERS[2], MARKERS[2] + " "), "is not one of the dialogue's"),
        (GOOD.replace(MARKERS[2], "=== turn 2: person ==="), f"{MARKERS[2]} is missing"),
        (GOOD.removesuffix(MARKERS[-1]), f"{MARKERS[-1]} is missing"),
        (GOOD + "\n" + MARKERS[-1].replace("end", "turn 4: person"), "turn 4: person"),
        (HEAD, f"{MARKERS[0]} is missing"),
        ("", f"{MARKERS[0]} is missing"),
    ],
)
def test_lost_and_doubled_turns(text: str, named: str) -> None:
    kind, complaint = refused(text)
    assert kind == "turn_lost"
    assert named in complaint


def test_a_turn_that_comes_too_late_is_said_to() -> None:
    *above, fourth, fifth, end = GOOD.split("=== " + dialogue.nonce(TALK))
    text = ("=== " + dialogue.nonce(TALK)).join([*above, fifth, fourth, end])
    assert refused(text) == (
        "turn_lost",
        f"the line {MARKERS[4]} comes too late. Return every turn, in order, each under its own line, copied "
        "exactly and alone on its line.",
    )


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        (
            "\nhi\n",
            "\nHi\n",
            "turn 1 of the person was changed: where it reads 'hi\\n', the copy reads 'Hi\\n'",
        ),
        ("hello", "hello!", "reply to turn 1 was changed"),
        ("this?\r\n", "this?\n", "turn 2 of the person was changed"),
        ("typed</thought> ok", "typed</thought> okay", "turn 3 of the person"),
        ("<thought>typed</thought> ok", "typed ok", "turn 3 of the person"),
        ("\nbye \n", "\nbye\n", "reply to turn 3"),
        ("\nhi\n", "\n", "turn 1"),
        ("</thought>\nand", "</thought>\n\nand", "turn 2"),
        ("</thought>\nand", "</thought> and", "turn 2"),
    ],
)
def test_changed_text_is_shown(before: str, after: str, where: str) -> None:
    assert GOOD.count(before) == 1
    kind, complaint = refused(GOOD.replace(before, after))
    assert kind == "text_changed"
    assert where in complaint


def test_nothing_may_follow() -> None:
    assert refused(GOOD + "\nI hope this helps!")[0] == "text_changed"


@pytest.mark.parametrize(("turns", "missing"), [((3,), 2), ((2,), 3), ((), 2)])
def test_a_missing_thought_is_named(turns: tuple[int, ...], missing: int) -> None:
    """Also in turn 3, whose own text begins with tags."""
    kind, complaint = refused(with_thoughts(turns))
    assert kind == "thought_missing"
    assert f"turn {missing} of" in complaint


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("thought 2</thought>", "thought 2"),
        GOOD.replace("<thought>thought 2", "thought 2"),
        GOOD.replace("thought 2", "a <thought>b</thought> c"),
        GOOD.replace("thought 2</thought>", "thought 2</thought><thought>another</thought>"),
        GOOD.replace("<thought>thought 2</thought>\nand this?", "and this?<thought>thought 2</thought>"),
        GOOD.replace("<thought>thought 2", "So: <thought>thought 2"),
        GOOD.replace("\nhello", "\n<thought>mine</thought>\nhello"),
        with_thoughts((1, 2, 3)),
        GOOD.replace("</scenario>", ""),
        GOOD.replace("<motivation>", "<motives>"),
        GOOD.replace("<scenario>", "<scenario><scenario>"),
        "Here it is:\n" + GOOD,
        GOOD.replace("</motivation>", "</motivation> and now the dialogue:"),
    ],
)
def test_broken_tags(text: str) -> None:
    assert text != GOOD
    assert refused(text)[0] == "tag_broken"


def test_a_typed_tag_is_not_taken_for_a_thought() -> None:
    talk = conversation("a", "b", "<thought>typed</thought>c", "d")
    text = HEAD + dialogue.render(talk).replace("c\n", "C\n")
    with pytest.raises(Invalid) as raised:
        inline.draft(text, talk, first_thought=False)
    assert raised.value.kind == "text_changed"


def test_an_empty_text_is_a_line_of_its_own() -> None:
    talk = conversation("a", "", "b", "c")
    text = with_thoughts((2,), talk)
    assert inline.draft(text, talk, first_thought=False).thoughts == (Thought(2, "thought 2"),)
    reply, following = dialogue.markers(talk)[1:3]
    with pytest.raises(Invalid, match="reply to turn 1 was changed"):
        inline.draft(
            text.replace(f"{reply}\n\n{following}", f"{reply}\n{following}"), talk, first_thought=False
        )

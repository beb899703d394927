"""For any conversation and any thoughts: what is lifted is what was put in, and no change goes unnoticed."""

from collections.abc import Iterator
from itertools import chain, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from thinkus.records import Conversation, Message
from thinkus.thoughts import dialogue, inline, keyed
from thinkus.thoughts.drafts import Invalid, turns_with_thoughts

HEAD = "<scenario>a scenario</scenario>\n<motivation>a motivation</motivation>\n"
AWKWARD = (
    "<thought>", "</thought>", "<thought>x</thought>\n", "</scenario>", "<motivation>", "```", "```python\n", "\n```\n",
    "\n", "\n\n", "\r\n", "\r", "\t", " ", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u202e", "\u200f", "\u05e9\u05dc",
    "\u0645\u0631", "e\u0301", "\u0301", "\ufeff", "\u200d", "=== 3f9a12cd turn 1: person ===", "3f9a12cd",
    "=== 3f9a12cd end ===", " turn 2: assistant ===", "===",
)  # fmt: skip
# NUL does not survive every server; surrogates are no text.
any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
texts = st.lists(st.one_of(st.sampled_from(AWKWARD), any_text), max_size=5).map("".join)
thought_texts = texts.filter(lambda text: not any(tag in text for tag in (inline.OPEN, inline.CLOSE)))
own_digest = dialogue._digest
edits = st.one_of(any_text.filter(lambda text: len(text) == 1), st.sampled_from("\n\r <>=/ `a0"))


@pytest.fixture(autouse=True, scope="module")
def _look_alikes() -> Iterator[None]:
    """Every nonce begins like the one in `AWKWARD`, so that texts do hold it and it must grow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialogue, "_digest", lambda text: "3f9a12cd" + own_digest(text)[8:])
        yield


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    contents = draw(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
    messages = ((Message("user", said), Message("assistant", replied)) for said, replied in contents)
    return Conversation("c", "test", tuple(chain.from_iterable(messages)))


class Copy:
    """An annotator's faithful copy, and where in it the conversation's own text is."""

    def __init__(
        self, conversation: Conversation, thoughts: list[str], breaks: list[str], first: bool
    ) -> None:
        wanted = turns_with_thoughts(conversation, first_thought=first)
        self.text, self.own = "", list[int]()
        *above, end = dialogue.markers(conversation)
        for place, (marker, message) in enumerate(zip(above, conversation.messages, strict=True)):
            self._add_own(f"{marker}\n")
            if message.role == "user" and place // 2 + 1 in wanted:
                self.text += f"<thought>{thoughts[place // 2]}</thought>{breaks[place // 2]}"
            self._add_own(f"{message.content}\n")
        self._add_own(end)

    def _add_own(self, text: str) -> None:
        self.own += range(len(self.text), len(self.text) + len(text))
        self.text += text


def faithful_copies(conversation: Conversation, thoughts: list[str], first: bool) -> Iterator[Copy]:
    """All of them: each thought may have a line of its own or not."""
    for breaks in product(("", "\n"), repeat=conversation.user_turns):
        yield Copy(conversation, thoughts, list(breaks), first)


@given(conversations())
def test_the_rendered_texts_can_be_got_back(conversation: Conversation) -> None:
    sign, markers = dialogue.nonce(conversation), dialogue.markers(conversation)
    assert not any(sign in message.content for message in conversation.messages)
    rest = dialogue.render(conversation)
    for marker, following, message in zip(markers[:-1], markers[1:], conversation.messages, strict=True):
        assert rest.startswith(f"{marker}\n")
        body, rest = rest.removeprefix(f"{marker}\n").split(f"\n{following}", 1)
        rest = following + rest
        assert body == message.content
    assert rest == markers[-1]


@given(conversations(), conversations())
def test_other_conversations_have_other_lines(one: Conversation, other: Conversation) -> None:
    """Or else what is typed into one could be taken from another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dialogue, "_digest", own_digest)
        alike = [m.content for m in one.messages] == [m.content for m in other.messages]
        assert (dialogue.nonce(one) == dialogue.nonce(other)) == alike


@settings(max_examples=200, deadline=None)
@given(conversations(), st.lists(thought_texts, min_size=4, max_size=4), st.booleans())
def test_exactly_the_thoughts_come_back(conversation: Conversation, thoughts: list[str], first: bool) -> None:
    sign = dialogue.nonce(conversation)
    assume(not any(sign in thought for thought in thoughts))
    wanted = turns_with_thoughts(conversation, first_thought=first)
    for copy in faithful_copies(conversation, thoughts, first):
        draft = inline.draft(HEAD + copy.text, conversation, first_thought=first)
        assert [(thought.turn, thought.text) for thought in draft.thoughts] == [
            (turn, thoughts[turn - 1]) for turn in wanted
        ]


@settings(max_examples=400, deadline=None)
@given(conversations(), st.lists(thought_texts, min_size=4, max_size=4), st.booleans(), st.data())
def test_any_change_of_one_character_is_noticed(
    conversation: Conversation, thoughts: list[str], first: bool, data: st.DataObject
) -> None:
    faithful = [copy.text for copy in faithful_copies(conversation, thoughts, first)]
    copy = Copy(
        conversation,
        thoughts,
        data.draw(st.lists(st.sampled_from(["", "\n"]), min_size=4, max_size=4)),
        first,
    )
    # Before its first character a copy may have space, which is no part of it.
    place = data.draw(st.sampled_from(copy.own[1:]))
    before, here, after = copy.text[:place], copy.text[place], copy.text[place + 1 :]
    new = data.draw(edits)
    edited = data.draw(st.sampled_from([before + after, before + new + after, before + new + here + after]))
    # A line break after </thought> is as good as none, and may look like one of the text's own.
    assume(edited not in faithful)
    with pytest.raises(Invalid):
        inline.draft(HEAD + edited, conversation, first_thought=first)


@given(conversations(), st.lists(texts, min_size=4, max_size=4), st.booleans())
def test_keyed_answers_never_touch_the_text(
    conversation: Conversation, thoughts: list[str], first: bool
) -> None:
    rendered = dialogue.render(conversation)
    wanted = turns_with_thoughts(conversation, first_thought=first)
    turns = tuple(
        keyed.Turn(turn, "opens" if turn == 1 else "follows", thoughts[turn - 1]) for turn in wanted
    )
    draft = keyed.draft(keyed.Answer("s", "m", turns[::-1]), conversation, first_thought=first)
    assert [thought.text for thought in draft.thoughts] == [thoughts[turn - 1] for turn in wanted]
    assert dialogue.render(conversation) == rendered

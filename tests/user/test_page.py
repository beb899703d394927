"""The page in pieces and the page as a server renders it: the same text, in which words stay words."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from thinkus.user.page import ASSISTANT, IS_THE_END, PERSON, Message, Page, Token, said
from thinkus.weights import find, load_tokenizer

AWKWARD = (
    "<thought>", "</thought>", "<thought>x</thought>", "{{ eos_token }}", "{% if", "%}", "{#", "'", '"', "\\n",
    PERSON, ASSISTANT, "### Person:", "\n", "\r\n", "\t", " ", "\x0b", "\x1c", "\x85", "\u2028", "\u00a0", "😀",
)  # fmt: skip
texts = st.lists(
    st.one_of(st.sampled_from(AWKWARD), st.text(st.characters(exclude_categories=["Cs"]), max_size=6)),
    max_size=4,
).map("".join)
pages = st.builds(Page, st.sampled_from([PERSON, IS_THE_END]), st.booleans())
TALK = (
    Message("system", " A situation. "),
    Message("assistant", "<thought>hm</thought> hello\n"),
    Message("user", "\nGood day. "),
)


@st.composite
def talks(draw: st.DrawFn) -> list[Message]:
    roles = ["system", *("assistant", "user") * 3][: draw(st.integers(1, 7))]
    return [Message(role, draw(texts)) for role in roles]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer(find("tiny").ready("model"))


def rendered(
    tokenizer: PreTrainedTokenizerBase, page: Page, messages: Sequence[Message], *, asks: bool
) -> str:
    return str(
        tokenizer.apply_chat_template(
            [message._asdict() for message in messages],
            chat_template=page.chat_template,
            tokenize=False,
            add_generation_prompt=asks,
        )
    )


def spelled(page: Page, messages: Sequence[Message], bos: str = "<s>") -> str:
    names = {Token("bos"): bos, Token("eos"): "</s>"}
    return "".join(names[piece] if isinstance(piece, Token) else piece for piece in page.pieces(messages))


def test_a_page_looks_like_this(tiny: PreTrainedTokenizerBase) -> None:
    above = "<s>A situation."
    talk = "\n\n### Assistant:\nGood day.</s>"
    asked = f"{above}\n\n### Person:\nhello</s>{talk}\n\n### Person:\n"
    assert spelled(Page(), TALK) == rendered(tiny, Page(), TALK, asks=True) == asked
    kept = f"{above}\n\n### Person:\n<thought>hm</thought> hello</s>{talk}\n\n### Person:\n"
    assert spelled(Page(keeps_thoughts=True), TALK) == kept
    end = asked.removesuffix(PERSON) + "\n\n### Is this the end? 1 (yes) or 0 (no):\n"
    assert spelled(Page(IS_THE_END), TALK) == end


@settings(max_examples=300, deadline=None)
@given(pages, talks())
def test_a_server_renders_what_the_model_was_shown(
    tiny: PreTrainedTokenizerBase, page: Page, messages: list[Message]
) -> None:
    assert rendered(tiny, page, messages, asks=True) == spelled(page, messages)


@settings(max_examples=200, deadline=None)
@given(talks(), st.booleans(), texts, texts)
def test_what_the_model_writes_follows_the_page(
    tiny: PreTrainedTokenizerBase, messages: list[Message], keeps: bool, thought: str, words: str
) -> None:
    """The last turn is shown whole, so that what was written can be read back."""
    page, written = Page(keeps_thoughts=keeps), said(thought, words)
    whole = rendered(tiny, page, [*messages, Message("assistant", written)], asks=False)
    assert whole == spelled(page, messages) + written + "</s>"


@settings(max_examples=200, deadline=None)
@given(pages, talks())
def test_no_words_end_a_turn(page: Page, messages: list[Message]) -> None:
    tokens = [piece for piece in page.pieces(messages) if isinstance(piece, Token)]
    assert tokens == [Token("bos")] + [Token("eos")] * (len(messages) - 1)


def test_thoughts_of_earlier_turns_are_shown_where_they_are_kept() -> None:
    for page in (Page(), Page(keeps_thoughts=True)):
        assert ("hm" in spelled(page, TALK)) == page.keeps_thoughts


def test_what_the_others_say_is_never_taken_for_a_thought() -> None:
    talk = [Message("system", "a</thought>b"), Message("user", "c</thought>d")]
    assert spelled(Page(), talk) == f"<s>a</thought>b{ASSISTANT}c</thought>d</s>{PERSON}"


@pytest.mark.parametrize("thought", [None, "hm"])
def test_what_the_person_says_is_shown_whole_whatever_it_holds(thought: str | None) -> None:
    turn = said(thought, "what does </thought> do")
    assert f"{PERSON}what does </thought> do</s>" in spelled(Page(), [Message("assistant", turn)])


def test_a_tokenizer_may_have_no_token_to_begin_with(tiny: PreTrainedTokenizerBase) -> None:
    begins, tiny.bos_token = tiny.bos_token, None
    try:
        assert rendered(tiny, Page(), TALK, asks=True) == spelled(Page(), TALK, bos="")
    finally:
        tiny.bos_token = begins


def test_a_turn_is_a_thought_and_words_without_space_around_them() -> None:
    assert said(None, " hello\n") == "hello"
    assert said(" hm\n", " hello\n") == "<thought>hm</thought>hello"
    assert said("hm", "") == "<thought>hm</thought>", "which is how one leaves"
    assert said("", "hello") == "<thought></thought>hello"


@pytest.mark.parametrize(
    "message",
    [{"role": "tool", "content": "x"}, {"role": "user", "content": [{"type": "text", "text": "x"}]}],
)
def test_what_has_no_place_on_the_page_is_refused(
    tiny: PreTrainedTokenizerBase, message: dict[str, Any]
) -> None:
    """Rather than put into somebody's mouth."""
    with pytest.raises(TemplateError, match=r"must be a text|roles are"):
        tiny.apply_chat_template([message], chat_template=Page().chat_template, tokenize=False)

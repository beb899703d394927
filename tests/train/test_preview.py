"""Samples at a terminal: all that the model is given and is to write, and nothing that the terminal would obey."""

import re
from io import StringIO
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from transformers import PreTrainedTokenizerBase

from thinkus.records import Annotation, Conversation
from thinkus.records import Message as Said
from thinkus.terminal import plain
from thinkus.train.encode import Encoder
from thinkus.train.preview import show
from thinkus.user.samples import Teaching, Way
from thinkus.weights import find, load_tokenizer

STYLE = re.compile(r"\x1b\[[\d;]*m")
HOSTILE = "[red]a[/red] :smile: \x1b[31mb\x1b]0;title\x07c\x9b2Jd\x1b[2J\x08\x00e\u202ef [link=x]g"
WIDE = 5000
one_line = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="<"),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip() == text)


@pytest.fixture(scope="module")
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer(find("tiny").ready("model"))


def talk(utterance: str, name: str = "c1", reply: str = "Good day.") -> Conversation:
    annotation = Annotation("At a concert.", "To know.", first_thought="Hm.", terminal_thought=utterance)
    messages = (Said("user", utterance), Said("assistant", reply))
    return Conversation(name, "test", messages, annotation=annotation)


def shown(
    tokenizer: PreTrainedTokenizerBase,
    conversation: Conversation,
    *,
    way: Way = "utterance_sft",
    terminal: bool = False,
) -> str:
    teaching, file = Teaching(way, False, False), StringIO()
    encoder = Encoder(tokenizer, teaching.page, max_length=10**6, overlong="drop", is_label=way == "ending")
    samples = encoder.encoded(teaching.samples(conversation))
    colours: Literal["standard", "auto"] = "standard" if terminal else "auto"
    show(samples, encoder, Console(file=file, width=WIDE, force_terminal=terminal, color_system=colours))
    return file.getvalue()


def parts_of(text: str) -> list[tuple[str, str, str]]:
    """Of each sample what is said about it, what is given, and what is to be written."""
    rules = [line for line in text.split("\n") if "──" in line]
    rest, found = text, list[str]()
    for rule in rules:
        before, rest = rest.split(f"{rule}\n", 1)
        found.append(before)
    found = [part.removesuffix("\n") for part in [*found[1:], rest]]
    given, written = found[::2], found[1::2]
    written = [part.removesuffix("\n") for part in written[:-1]] + written[-1:]
    titles = [rule.strip("─ ") for rule in rules[::2]]
    return list(zip(titles, given, written, strict=True))


def test_a_sample_is_shown_with_what_it_takes(tiny: PreTrainedTokenizerBase) -> None:
    (first, _, _), (second, given_, written) = parts_of(shown(tiny, talk("hello")))
    assert first.startswith("c1 · turn 0 · ")
    assert re.fullmatch(r"c1 · turn 1 · \d+ tokens", second)
    assert "### Person:" in given_
    assert "hello</s>" in given_
    assert written == "</s>"
    assert "to be written: 6 tokens, all of them count" in shown(tiny, talk("hello"))


@settings(max_examples=60, deadline=None)
@given(one_line)
def test_what_is_to_be_written_is_shown_to_its_end(tiny: PreTrainedTokenizerBase, text: str) -> None:
    (_, _, first), (_, given_, last) = parts_of(shown(tiny, talk(text), way="thinkingus"))
    assert first == f"{plain(text)}</s>"
    assert last == f"<thought>{plain(text)}</thought></s>"
    assert f"{plain(text)}</s>" in given_


@pytest.mark.parametrize("text", ["a\ufffdb", "\ufffd", "日本😀é", "[/red] :smile: [link=x]"])
def test_no_letter_is_lost(tiny: PreTrainedTokenizerBase, text: str) -> None:
    (_, _, written), *_ = parts_of(shown(tiny, talk(text)))
    assert written == f"{text}</s>"


def test_what_is_to_be_written_keeps_its_lines(tiny: PreTrainedTokenizerBase) -> None:
    text = "a list:\n- one\n\n- two"
    (_, _, written), *_ = parts_of(shown(tiny, talk(text)))
    assert written == f"{text}</s>"


def test_the_page_keeps_its_lines(tiny: PreTrainedTokenizerBase) -> None:
    _, (_, given_, _) = parts_of(shown(tiny, talk("hello", reply="a\n\nb")))
    talked = "\n\n### Person:\nhello</s>\n\n### Assistant:\na\n\nb</s>\n\n### Person:\n"
    assert given_.rstrip("\n").endswith(talked.rstrip("\n"))


@pytest.mark.parametrize("way", ["thinkingus", "utterance_sft", "ending"])
@pytest.mark.parametrize("terminal", [False, True])
def test_texts_are_neither_markup_nor_commands(
    tiny: PreTrainedTokenizerBase, way: Way, terminal: bool
) -> None:
    text = shown(tiny, talk(HOSTILE, name=HOSTILE, reply=HOSTILE), way=way, terminal=terminal)
    if terminal:
        ours = {"\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[1;32m", "\x1b[1;36m"}
        assert set(STYLE.findall(text)) <= ours, "red is no colour of ours"
        text = STYLE.sub("", text)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    assert "[red]a[/red] :smile: " in text
    assert "[link=x]g" in text


def test_tokens_are_told_apart_by_their_colours(tiny: PreTrainedTokenizerBase) -> None:
    text = shown(tiny, talk("aébc"), terminal=True)
    coloured = re.findall(r"\x1b\[1;(32|36)m([^\x1b]*)", text)
    # The accent is the third of six; one of two bytes has the colour of the second.
    assert coloured[:5] == [("32", "a"), ("32", "é"), ("36", "b"), ("32", "c"), ("36", "</s>")]


def test_nothing_but_text_goes_into_a_pipe(tiny: PreTrainedTokenizerBase) -> None:
    assert "\x1b" not in shown(tiny, talk("hello"))

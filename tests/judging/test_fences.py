"""Signs and labels stand in no text, and the texts can be got back."""

import re
from collections.abc import Callable
from itertools import permutations, product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from thinkus.judging import fences
from thinkus.judging.fences import Part, asked, labels_of, marked, parts_of, sign_of, spoken
from thinkus.records import Message

AWKWARD = (
    "=== ",
    " end ===\n",
    "=== 3f9a12cd end ===",
    "\n",
    "\r\n",
    "\u2028",
    "\u200b",
    "[[A]]",
    "{",
    "\x0b",
)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
texts = st.lists(st.one_of(st.sampled_from(AWKWARD), any_text), max_size=5).map("".join)
DISGUISES: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "parted by what is unseen": "\u200b".join,
    "parted by spaces": " ".join,
    "parted by dashes": "-".join,
    "wide": lambda text: "".join(chr(ord(letter) + 0xFEE0) for letter in text),
    "with accents": "\u0301".join,
    "with Cyrillic between": "\u0436".join,
}


@given(st.lists(texts, min_size=1, max_size=6))
@example(["", ""])
def test_the_texts_can_be_got_back(contents: list[str]) -> None:
    sign = sign_of(contents, ())
    _, user = asked(sign, [Part(f"text {at}", text) for at, text in enumerate(contents)], "What now?")
    page, _, task = user.content.rpartition(f"=== {sign} end ===\n\n")
    assert task == "What now?"
    pieces = re.split(rf"=== {sign} text \d+ ===\n", page)[1:]
    assert [piece.removesuffix("\n") for piece in pieces] == contents
    parts, task = parts_of(user.content)
    assert ([part.text for part in parts], task) == (contents, "What now?")


@given(st.lists(texts, min_size=1, max_size=5))
def test_other_texts_have_another_sign_and_other_labels(contents: list[str]) -> None:
    other = [*contents[:-1], contents[-1] + "."]
    assert sign_of(contents, ()) != sign_of(other, ())
    assert not set(labels_of(contents, 3)) & set(labels_of(other, 3))


def test_the_sign_is_that_of_the_real_texts_whatever_is_shown() -> None:
    assert sign_of(["a", "b"], ["one"]) == sign_of(["a", "b"], ["another"]) != sign_of(["a", "c"], ["one"])


def test_labels_are_those_of_their_places() -> None:
    """Were they to move with the texts, a label that a judge prefers would look like a text that it prefers."""
    assert len({labels_of(order, 3) for order in permutations(("real", "one", "two"))}) == 1


def test_labels_are_words_of_their_own() -> None:
    labels = labels_of(("one", "two"), 3)
    assert len(set(labels)) == 3
    assert all(re.fullmatch("[a-p]{6}", label) for label in labels)


def test_no_two_labels_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "SHORTEST_LABEL", 1)  # where they would be so every sixth time
    assert all(len(set(labels_of((f"\u0436{number}",), 3))) == 3 for number in range(60))


def test_a_text_that_holds_the_sign_however_disguised_gets_another() -> None:
    first = sign_of(["real"], ())
    for name, disguised in DISGUISES.items():
        again = sign_of(["real"], [f"so {disguised(first)} it is"])
        assert len(again) == len(first) + 1, name
        assert not again.startswith(first)
    assert len(sign_of(["real"], [first[:-1]])) == len(first)


def test_a_text_that_holds_a_label_however_disguised_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can write a text that holds its own; here all texts would get the same."""
    monkeypatch.setattr(fences, "_seed", lambda use, texts: "the same")
    labels = labels_of(("",), 3)
    for label, (name, disguised) in product(labels, DISGUISES.items()):
        others = labels_of((f"it is {disguised(label)}!",), 3)
        assert not set(others) & set(labels), name
        assert {len(other) for other in others} == {7}


def test_marked_words_can_still_be_read() -> None:
    good, poor = marked(("good", "poor"), ("a text",))
    assert re.fullmatch("good-([a-p]{6})", good)
    assert poor.partition("-")[2] == good.partition("-")[2]


def test_a_reply_has_the_number_of_the_turn_that_it_answers() -> None:
    messages = [Message("system", "s"), *(Message(("user", "assistant")[at % 2], str(at)) for at in range(3))]
    assert list(spoken(messages)) == [
        Part("turn 1: person", "0"),
        Part("turn 1: assistant", "1"),
        Part("turn 2: person", "2"),
    ]
    assert [part.heading for part in spoken(messages, before=3)][::2] == ["turn 4: person", "turn 5: person"]

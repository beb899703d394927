import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from thinkus.config import Filters, Language
from thinkus.corpora.filters import FILTERS, first_objection, normalised, tidied
from thinkus.corpora.rows import Row
from thinkus.records import Conversation, HumanThought, Message

FILTERS_ON = Filters(
    language=Language(name="english", code="en", certainty=0.5),
    toxic=True,
    dangling_end="cut",
    min_user_turns=1,
    max_user_turns=3,
    max_characters=100,
    max_repetition=10,
    personal_data="keep",
    near_duplicate=0.75,
    shared_opening=100,
)
ROLES = {"u": "user", "a": "assistant", "s": "system"}


def conversation(roles: str, words: Sequence[str] = ()) -> Conversation:
    texts = [*words, *(f"words {i}" for i in range(len(roles) - len(words)))]
    return Conversation("id", "test", tuple(Message(ROLES[r], t) for r, t in zip(roles, texts, strict=True)))  # type: ignore[arg-type]


def row(
    roles: str = "ua", words: Sequence[str] = (), language: str | None = "english", flagged: bool = False
) -> Row:
    return Row("file:1", conversation(roles, words), language, flagged)


def test_a_good_row_meets_no_objection() -> None:
    assert first_objection(row("uaua"), FILTERS_ON) is None


@pytest.mark.parametrize(
    ("bad", "name", "why"),
    [
        (row(language="german"), "language", "is german, wanted english"),
        (row(flagged=True), "toxic", "flagged"),
        (row(""), "shape", "has no messages"),
        (row("a"), "shape", "message 1 is the assistant's, expected the user's"),
        (row("uua"), "shape", "message 2 is the user's"),
        (row("uaa"), "shape", "message 3 is the assistant's"),
        (row("usa"), "shape", "message 2 is the system's"),
        (row("ua", ["hi", " \n\u2003"]), "shape", r"message 2 \(assistant\) is empty"),
        (row("uau"), "shape", "ends with the user"),
        (row("uauauaua"), "turns", "4 user turns, wanted 1 to 3"),
        (row("ua", ["x" * 95]), "length", "102 characters, at most 100"),
    ],
)
def test_each_filter_names_itself_and_says_why(bad: Row, name: str, why: str) -> None:
    objection = first_objection(bad, FILTERS_ON)
    assert objection is not None
    assert objection[0] == name
    assert re.search(why, objection[1])


def test_filters_that_are_off_object_to_nothing() -> None:
    off = FILTERS_ON.model_copy(update={"language": None, "toxic": False})
    assert first_objection(row(language="german", flagged=True), off) is None
    assert first_objection(row(language=None), FILTERS_ON) is None


def test_a_dangling_end_is_cut_by_rule() -> None:
    assert tidied(conversation("uau"), FILTERS_ON).messages == conversation("ua").messages
    drop = FILTERS_ON.model_copy(update={"dangling_end": "drop"})
    assert tidied(conversation("uau"), drop) == conversation("uau")
    assert tidied(conversation("u"), FILTERS_ON) == conversation("u")


def test_a_leading_system_text_is_set_aside_not_lost() -> None:
    mended = tidied(conversation("sua", ["be brief"]), FILTERS_ON)
    assert [message.role for message in mended.messages] == ["user", "assistant"]
    assert mended.meta["system"] == "be brief"


@given(st.text("uas", max_size=8))
def test_what_passes_alternates_from_user_to_assistant(roles: str) -> None:
    mended = tidied(conversation(roles), FILTERS_ON)
    passes = FILTERS["shape"](row("")._replace(conversation=mended), FILTERS_ON) is None
    kept = "".join(message.role[0] for message in mended.messages)
    assert passes == (kept == "ua" * (len(kept) // 2) and kept != "")


def test_case_and_space_do_not_make_another_text() -> None:
    one, other = conversation("ua", ["Hello  THERE\n", "Yes?"]), conversation("ua", [" hello there", "yes?"])
    assert normalised(one.messages) == normalised(other.messages)
    assert normalised(conversation("ua", ["a b", "c"]).messages) != normalised(
        conversation("ua", ["a", "b c"]).messages
    )


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("connection reset by peer, retrying\n" * 40, True),
        (
            "".join(
                f"log line {number}: connection reset by peer, retrying in 5 seconds\n"
                for number in range(60)
            ),
            False,
        ),
        ("la " * 300, True),
        ("x" * 1000, True),
        ("".join(f"| {number} | {number * 7919 % 1000} | row of a table |\n" for number in range(40)), False),
        (" ".join(f"word{number}" for number in range(200)), False),
        ("short " * 10, False),
    ],
)
def test_repetition_is_told_from_lists_and_tables(text: str, repeats: bool) -> None:
    assert (FILTERS["repetition"](row("ua", ["hi", text]), FILTERS_ON) is not None) == repeats


def test_thoughts_follow_their_messages_when_something_is_cut() -> None:
    whole = conversation("suau", ["be brief"])
    thoughts = tuple(HumanThought(index, "reason", f"of message {index}", None) for index in (1, 2, 3))
    mended = tidied(replace(whole, human_thoughts=thoughts), FILTERS_ON)
    assert [message.role for message in mended.messages] == ["user", "assistant"]
    assert [(t.message, t.content) for t in mended.human_thoughts] == [
        (0, "of message 1"),
        (1, "of message 2"),
    ]
    assert mended.meta["cut_end"]["content"] == whole.messages[3].content
    assert [t["content"] for t in mended.meta["cut_end"]["human_thoughts"]] == ["of message 3"]

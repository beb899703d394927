import re

from hypothesis import given
from hypothesis import strategies as st

from thinkus.corpora.rows import make_row
from thinkus.records import Message

MESSAGES = st.lists(
    st.builds(Message, st.sampled_from(["user", "assistant"]), st.text(max_size=3)), max_size=3
)


def id_of(messages: list[Message], own_id: str | int | None = None) -> str:
    return make_row("a:1", "mine", messages, own_id=own_id).conversation.id


@given(MESSAGES, MESSAGES)
def test_without_an_id_the_words_and_who_said_them_are_the_id(
    one: list[Message], other: list[Message]
) -> None:
    assert (id_of(one) == id_of(other)) == (one == other)
    assert re.fullmatch("mine-[0-9a-f]{16}", id_of(one))


def test_the_id_made_from_words_never_changes() -> None:
    # Selections, splits and hold-out files name conversations by it.
    assert id_of([Message("user", "שלום\n"), Message("assistant", "hi")]) == "mine-948b8fdf0d1cdb3a"


def test_the_corpus_own_id_is_kept_as_text() -> None:
    assert [id_of([], own_id) for own_id in ("x_1", 17, 0)] == ["x_1", "17", "0"]
    assert id_of([], "") == id_of([], None)


def test_meta_holds_what_is_known_and_nothing_else() -> None:
    row = make_row("a:1", "mine", [], own_id="x", language="English", model="m", user=None)
    assert row.conversation.meta == {"model": "m", "language": "english", "row": "a:1"}
    assert row.language == "english"
    unsaid = make_row("a:1", "mine", [], own_id="x", language="")
    assert (unsaid.language, unsaid.conversation.meta) == (None, {"row": "a:1"})

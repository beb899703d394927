from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.errors import BadRecord
from thinkus.records import Annotation, Conversation, HumanThought, Message, read_conversations, to_line

texts = st.text(st.characters(exclude_categories=["Cs"]))
messages = st.builds(Message, st.sampled_from(["system", "user", "assistant"]), texts)
thoughts = st.builds(
    HumanThought, st.integers(0, 9), st.sampled_from(["reason", "reaction"]), texts, st.none() | texts
)
annotations = st.builds(
    Annotation, texts, texts, st.lists(texts).map(tuple), terminal_thought=st.none() | texts
)
conversations = st.builds(
    Conversation,
    texts,
    texts,
    st.lists(messages).map(tuple),
    split=st.sampled_from([None, "train", "test"]),
    human_thoughts=st.lists(thoughts).map(tuple),
    annotation=st.none() | annotations,
    meta=st.dictionaries(texts, texts | st.integers(-(2**53), 2**53) | st.none()),
)


@given(st.lists(conversations))
def test_records_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, given: list[Conversation]
) -> None:
    file = tmp_path_factory.mktemp("records") / "records.jsonl"
    file.write_bytes(b"".join(map(to_line, given)))
    assert list(read_conversations(file)) == given


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "a", "source": "s"}', "missing required field `messages`"),
        (
            b'{"id": "a", "source": "s", "messages": [{"role": "gpt", "content": ""}]}',
            r"'gpt' - at `\$\.messages",
        ),
        (b'{"id": 1, "source": "s", "messages": []}', "Expected `str`, got `int`"),
        (b'{"id": "a", "sou', "malformed"),
        (b'{"id": "\xff"}', "invalid"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, line: bytes, problem: str) -> None:
    file = tmp_path / "records.jsonl"
    file.write_bytes(to_line(Conversation("a", "s", ())) + line + b"\n")
    with pytest.raises(BadRecord, match=f"line 2: .*{problem}") as caught:
        list(read_conversations(file))
    assert "\n" not in str(caught.value)


def test_user_turns_and_words_are_the_users() -> None:
    conversation = Conversation(
        "a", "s", (Message("user", "hi"), Message("assistant", "yes?"), Message("user", "bye"))
    )
    assert conversation.user_turns == 2
    assert conversation.user_text == "hi\nbye"

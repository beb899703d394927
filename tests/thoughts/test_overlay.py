"""Annotations travel without the text they belong to, and stand only beside that very text again."""

import hashlib
import random
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from thinkus.errors import BadRecord, ThinkusError
from thinkus.records import Annotation, AnsweredBy, Conversation, Failure, Fulfilment, Message, to_line
from thinkus.thoughts.overlay import pack, unpack

QUOTED = "please explain to me why the sky over the sea turns green before a storm"  # 15 words


def conversations(count: int = 30) -> list[Conversation]:
    """Annotated ones; no word of a conversation's stands in its annotation."""
    draw = random.Random(0)

    def words(prefix: str, most: int) -> str:
        return " ".join(f"{prefix}{draw.randrange(10**6)}" for _ in range(draw.randint(6, most)))

    found = []
    for number in range(count):
        turns = draw.randint(1, 4)
        messages = [Message(role, words("said", 40)) for _ in range(turns) for role in ("user", "assistant")]
        annotation = Annotation(
            words("scene", 30),
            words("aim", 10),
            tuple(words("thought", 20) for _ in range(turns - 1)),
            relations=tuple(draw.choice(("follows", "extends")) for _ in range(turns - 1)),
            first_thought=words("first", 20),
            fulfilment=Fulfilment(words("judged", 12), "partly"),
            terminal_thought=words("last", 20),
            terminal_reason=words("reason", 8),
            answered_by=(AnsweredBy("annotate", "model", "2026-01-01", attempts=2),),
        )
        meta = {"row": number, "user": words("secret", 9)}
        found.append(
            Conversation(
                f"id{number:04}", "corpus", tuple(messages), "train", annotation=annotation, meta=meta
            )
        )
    return found


def saved(path: Path, records: Iterable[Conversation]) -> Path:
    path.write_bytes(b"".join(map(to_line, records)))
    return path


def bare(records: Iterable[Conversation]) -> list[Conversation]:
    return [replace(record, annotation=None) for record in records]


def with_thought(text: str, *, messages: tuple[Message, ...] | None = None) -> Conversation:
    said = messages or (Message("user", f"Oh, {QUOTED}?"), Message("assistant", "It does not."))
    return Conversation("quoting", "corpus", said, annotation=Annotation("s", "m", terminal_thought=text))


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    assert pack(saved(tmp_path / "records.jsonl", conversations()), tmp_path / "shared.parquet") == 30
    return tmp_path / "shared.parquet"


def test_all_of_an_annotation_comes_back_in_the_order_of_the_copy(packed: Path, tmp_path: Path) -> None:
    others = [replace(record, id=f"other{record.id}") for record in bare(conversations(5))]
    copy = [*others, *reversed(bare(conversations()))]
    assert list(unpack(packed, saved(tmp_path / "copy.jsonl", copy))) == conversations()[::-1]


def test_no_five_words_of_a_conversation_are_in_the_file(packed: Path) -> None:
    """Neither in the bytes as they are nor in what they unpack to, footer and all."""
    table = pq.read_table(packed)
    values = [str(value) for column in table.to_pydict().values() for value in column]
    everything = "\n".join([packed.read_bytes().decode("latin-1"), str(table.schema.metadata), *values])
    assert conversations()[3].annotation.scenario in everything  # type: ignore[union-attr]
    for conversation in conversations():
        for text in (*(message.content for message in conversation.messages), conversation.meta["user"]):
            words = text.split()
            for start in range(len(words) - 4):
                assert " ".join(words[start : start + 5]) not in everything


def test_no_dictionary_of_messages_fits_two_conversations(tmp_path: Path) -> None:
    """Nor can one conversation's id and words be read as another's."""

    def hashes(name: str, said: str) -> list[bytes]:
        record = Conversation(name, "c", (Message("user", said),), annotation=Annotation("s", "m"))
        pack(saved(tmp_path / "records.jsonl", [record]), tmp_path / "shared.parquet")
        [found] = pq.read_table(tmp_path / "shared.parquet")["messages"].to_pylist()
        return list(found)

    bare = hashlib.sha256(b"user\nyes").digest()
    assert len({bare, *hashes("a", "yes"), *hashes("b", "yes"), *hashes("ab", "yes")}) == 4
    for between in ("", "\n", "\0", ":"):
        assert hashes("a", f"x{between}user\nyes") != hashes(f"a{between}user\nx", "yes")


@pytest.mark.parametrize(
    ("thought", "is_left_out"),
    [
        (" ".join(QUOTED.split()[:12]), True),
        (" ".join(QUOTED.split()[:11]), False),
        ("He said: WHY the sky, over the sea... turns green (before a storm) to me", False),
        ("Well! " + QUOTED.upper().replace(" ", ", ") + "!!", True),
        (" ".join(reversed(QUOTED.split())), False),
    ],
)
def test_who_quotes_at_length_stays_behind(
    thought: str, is_left_out: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = saved(tmp_path / "records.jsonl", [with_thought(thought), *conversations(3)])
    assert pack(records, tmp_path / "shared.parquet") == 4 - is_left_out
    said = capsys.readouterr().err
    assert ("left out 1 annotations that quote more than 11 words" in said) == is_left_out
    assert ("quoting" in pq.read_table(tmp_path / "shared.parquet")["id"].to_pylist()) != is_left_out


def test_a_quote_is_found_in_any_field(tmp_path: Path) -> None:
    deep = Annotation("s", "m", fulfilment=Fulfilment(f"They said {QUOTED}.", "not"))
    records = saved(tmp_path / "records.jsonl", [replace(with_thought(""), annotation=deep)])
    assert pack(records, tmp_path / "shared.parquet") == 0


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda said: (said[0], replace(said[1], content=said[1].content + " ")),
            "message 2 of 2 (assistant)",
        ),
        (lambda said: (replace(said[0], role="system"), said[1]), "message 1 of 2 (system)"),
        (lambda said: (*said, said[0]), "message 3 of 3 (user) is not in what"),
        (lambda said: said[:1], "ends after message 1; 2 were annotated"),
    ],
)
def test_another_text_is_refused_and_the_first_difference_named(
    change: object, told: str, tmp_path: Path
) -> None:
    ours = with_thought("Fine.")
    pack(saved(tmp_path / "records.jsonl", [ours]), tmp_path / "shared.parquet")
    theirs = replace(ours, messages=change(ours.messages), annotation=None)  # type: ignore[operator]
    [failure] = unpack(tmp_path / "shared.parquet", saved(tmp_path / "copy.jsonl", [theirs]))
    assert isinstance(failure, Failure)
    assert (failure.item, failure.reason) == ("quoting", "text_differs")
    assert told in failure.detail
    assert "Fine." in failure.raw


def test_what_the_copy_lacks_comes_last(packed: Path, tmp_path: Path) -> None:
    copy = bare(conversations()[10:20])
    outcomes = list(unpack(packed, saved(tmp_path / "copy.jsonl", copy)))
    assert outcomes[:10] == conversations()[10:20]
    missing = [outcome for outcome in outcomes[10:] if isinstance(outcome, Failure)]
    assert [failure.item for failure in missing] == [
        record.id for record in conversations() if record not in conversations()[10:20]
    ]
    assert {failure.reason for failure in missing} == {"not_here"}


def test_a_copy_is_read_only_as_far_as_it_is_used(packed: Path, tmp_path: Path) -> None:
    copy = saved(tmp_path / "copy.jsonl", bare(conversations()))
    copy.write_bytes(copy.read_bytes() + b"no record\n")
    outcomes = unpack(packed, copy)
    assert next(outcomes) == conversations()[0]
    with pytest.raises(BadRecord, match="line 31"):
        list(outcomes)


def test_the_same_annotations_are_the_same_bytes(packed: Path, tmp_path: Path) -> None:
    pack(tmp_path / "records.jsonl", tmp_path / "again.parquet")
    assert packed.read_bytes() == (tmp_path / "again.parquet").read_bytes()


def test_a_broken_pack_leaves_what_was_there(packed: Path, tmp_path: Path) -> None:
    before, records = packed.read_bytes(), tmp_path / "records.jsonl"
    records.write_bytes(records.read_bytes() + b"no record\n")
    with pytest.raises(BadRecord):
        pack(records, packed)
    assert packed.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["records.jsonl", "shared.parquet"]


def test_nothing_to_share_is_said(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match="holds no annotation"):
        pack(saved(tmp_path / "records.jsonl", bare(conversations())), tmp_path / "shared.parquet")
    assert not (tmp_path / "shared.parquet").exists()


def test_other_files_are_refused_in_one_line(packed: Path, tmp_path: Path) -> None:
    copy = saved(tmp_path / "copy.jsonl", bare(conversations()))
    table, other = pq.read_table(packed), tmp_path / "other.parquet"

    def refusal() -> str:
        with pytest.raises(ThinkusError) as caught:
            list(unpack(other, copy))
        assert str(other) in str(caught.value)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "cannot be read" in refusal()
    other.write_bytes(packed.read_bytes()[:-100])
    assert "cannot be read" in refusal()
    pq.write_table(pa.table({"id": ["a"]}), other)
    assert "holds no annotations" in refusal()
    newer = {**table.schema.metadata, b"thinkus.annotations": b"2"}
    pq.write_table(table.replace_schema_metadata(newer), other)
    assert "schema 2/" in refusal()
    pq.write_table(table.drop_columns("source"), other)
    assert "another version" in refusal()
    pq.write_table(pa.concat_tables([table, table]), other)
    assert "twice" in refusal()
    damaged = table.set_column(3, table.schema.field(3), pa.array(["{}"] * 30))
    pq.write_table(damaged, other)
    assert "id0000" in refusal()

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkus.corpora.lmsys import read
from thinkus.corpora.rows import BadRow, Row
from thinkus.errors import ThinkusError
from thinkus.records import Message

CATEGORIES = ["harassment", "harassment/threatening", "self-harm", "self-harm/intent", "sexual/minors"]
SCHEMA = pa.schema(
    [
        ("conversation_id", pa.string()),
        ("model", pa.string()),
        ("conversation", pa.list_(pa.struct([("content", pa.string()), ("role", pa.string())]))),
        ("turn", pa.int64()),
        ("language", pa.string()),
        (
            "openai_moderation",
            pa.list_(
                pa.struct(
                    [
                        ("categories", pa.struct([(name, pa.bool_()) for name in CATEGORIES])),
                        ("category_scores", pa.struct([(name, pa.float64()) for name in CATEGORIES])),
                        ("flagged", pa.bool_()),
                    ]
                )
            ),
        ),
        ("redacted", pa.bool_()),
    ]
)
Write = Callable[[Path, list[dict[str, Any]]], Path]


def published(id_: str = "c1", words: tuple[str, ...] = ("hi", "hello"), flagged: int = -1) -> dict[str, Any]:
    """A row in the published form; `flagged` is the number of the message that moderation marks."""
    return {
        "conversation_id": id_,
        "model": "vicuna-13b",
        "conversation": [
            {"content": text, "role": ["user", "assistant"][n % 2]} for n, text in enumerate(words)
        ],
        "turn": len(words) // 2,
        "language": "English",
        "openai_moderation": [
            {
                "categories": dict.fromkeys(CATEGORIES, False),
                "category_scores": dict.fromkeys(CATEGORIES, 0.001),
                "flagged": n == flagged,
            }
            for n in range(len(words))
        ],
        "redacted": False,
    }


def as_parquet(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "train-00000-of-00001.parquet"
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), file)
    return file


def as_arrow(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "lmsys-train.arrow"
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_stream(sink, SCHEMA) as stream:
        stream.write_table(pa.Table.from_pylist(rows, SCHEMA))
    return file


def as_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "lmsys.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def as_packed_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "lmsys.jsonl.gz"
    file.write_bytes(gzip.compress(as_lines(folder, rows).read_bytes()))
    return file


def as_list(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "lmsys.json"
    file.write_text(json.dumps(rows, ensure_ascii=False), "utf-8")
    return file


every_form = pytest.mark.parametrize("write", [as_parquet, as_arrow, as_lines, as_packed_lines, as_list])


def rows_of(file: Path) -> list[Row]:
    found = list(read([file], source="lmsys"))
    assert not [item for item in found if isinstance(item, BadRow)]
    return [item for item in found if isinstance(item, Row)]


@every_form
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(conversations=st.lists(st.lists(st.text(), max_size=4).map(tuple), min_size=1, max_size=4))
def test_any_text_comes_through_byte_for_byte(
    tmp_path: Path, write: Write, conversations: list[tuple[str, ...]]
) -> None:
    rows = rows_of(write(tmp_path, [published(f"c{n}", words) for n, words in enumerate(conversations)]))
    assert [tuple(m.content for m in row.conversation.messages) for row in rows] == conversations


@every_form
def test_text_that_is_easily_damaged_comes_through(tmp_path: Path, write: Write) -> None:
    words = (
        "  </thought>\u202e\u0645\u0631\u062d\u0628\u0627\x00\x1b[0m\r\n",
        "👩‍👩‍👧\u2028\ufeff\U0010ffff e\u0301",
        "",
        " ",
    )
    assert [
        m.content for m in rows_of(write(tmp_path, [published(words=words)]))[0].conversation.messages
    ] == [*words]


@every_form
def test_a_row_holds_what_the_corpus_says(tmp_path: Path, write: Write) -> None:
    file = write(tmp_path, [published("c1", ("hi", "hello")), published("c2", ())])
    first, second = rows_of(file)
    assert (first.where, first.language, first.flagged) == (f"{file.name}:1", "english", False)
    assert first.conversation.id == "c1"
    assert first.conversation.source == "lmsys"
    assert first.conversation.messages == (Message("user", "hi"), Message("assistant", "hello"))
    assert first.conversation.meta == {"model": "vicuna-13b", "language": "english", "row": f"{file.name}:1"}
    assert second.conversation.messages == ()


@every_form
def test_one_flagged_message_flags_the_row(tmp_path: Path, write: Write) -> None:
    words = ("a", "b", "c", "d")
    rows = rows_of(write(tmp_path, [published(words=words, flagged=n) for n in range(-1, 4)]))
    assert [row.flagged for row in rows] == [False, True, True, True, True]


@every_form
def test_an_unknown_role_is_a_bad_row(tmp_path: Path, write: Write) -> None:
    row = published()
    row["conversation"][1]["role"] = "tool"
    file = write(tmp_path, [row, published()])
    bad, good = read([file], source="lmsys")
    assert isinstance(bad, BadRow)
    assert (bad.where, bad.problem) == (
        f"{file.name}:1",
        "Invalid enum value 'tool' - at `$.conversation[1].role`",
    )
    assert "hello" in bad.raw
    assert isinstance(good, Row)


@pytest.mark.parametrize("moderation", [None, [], [None], [{"flagged": None}], [{"categories": {}}]])
def test_no_moderation_flags_nothing(tmp_path: Path, moderation: list[dict[str, Any] | None] | None) -> None:
    file = as_lines(tmp_path, [published() | {"openai_moderation": moderation}])
    assert [row.flagged for row in rows_of(file)] == [False]


def test_another_corpus_is_told_apart_by_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["x"], "conversations": [[{"from": "human"}]]}), tmp_path / "a.parquet")
    with pytest.raises(ThinkusError, match=r"a\.parquet: has no column conversation, only id, conversations"):
        list(read([tmp_path / "a.parquet"], source="lmsys"))


def test_the_name_of_the_corpus_is_the_callers(tmp_path: Path) -> None:
    row = published() | {"conversation_id": None}
    (found,) = read([as_lines(tmp_path, [row])], source="mine")
    assert isinstance(found, Row)
    assert found.conversation.source == "mine"
    assert found.conversation.id.startswith("mine-")

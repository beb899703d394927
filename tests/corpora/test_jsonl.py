import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkus.corpora.jsonl import read
from thinkus.corpora.rows import BadRow, Row

MESSAGES = [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(), st.lists, max_leaves=5
)
KNOWN = {"messages", "id", "language", "user"}


def read_lines(folder: Path, *lines: str) -> list[Row | BadRow]:
    (folder / "mine.jsonl").write_bytes("\n".join(lines).encode())
    return list(read([folder / "mine.jsonl"], source="helpdesk"))


def only(folder: Path, row: dict[str, Any]) -> Row:
    (found,) = read_lines(folder, json.dumps(row))
    assert isinstance(found, Row)
    return found


def test_a_line_holds_what_its_writer_said(tmp_path: Path) -> None:
    row = only(tmp_path, {"messages": MESSAGES, "id": "t1", "language": "English", "user": 17})
    assert (row.where, row.language, row.flagged) == ("mine.jsonl:1", "english", False)
    assert (row.conversation.id, row.conversation.source) == ("t1", "helpdesk")
    assert [(m.role, m.content) for m in row.conversation.messages] == [("system", "s"), ("user", "hi")]
    assert row.conversation.meta == {"user": "17", "language": "english", "row": "mine.jsonl:1"}


def test_messages_are_all_that_is_needed(tmp_path: Path) -> None:
    row = only(tmp_path, {"messages": MESSAGES})
    assert row.conversation.id.startswith("helpdesk-")
    assert row.conversation.meta == {"row": "mine.jsonl:1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    texts=st.lists(st.text(), max_size=4),
    extra=st.dictionaries(st.text().filter(lambda key: key not in KNOWN), JSON, min_size=1, max_size=3),
    ascii_only=st.booleans(),
)
def test_any_text_and_all_that_we_do_not_know_come_through(
    tmp_path: Path, texts: list[str], extra: dict[str, Any], ascii_only: bool
) -> None:
    whole = {"messages": [{"role": "user", "content": text} for text in texts]} | extra
    (row,) = read_lines(tmp_path, json.dumps(whole, ensure_ascii=ascii_only))
    assert isinstance(row, Row)
    assert [message.content for message in row.conversation.messages] == texts
    assert row.conversation.meta["extra"] == extra


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text": "hi"}', "Object missing required field `messages`"),
        ('{"messages": "hi"}', "Expected `array`, got `str` - at `$.messages`"),
        (
            '{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
            "Expected `str`, got `array` - at `$.messages[0].content`",
        ),
        (
            '{"messages": [{"role": "tool", "content": ""}]}',
            "Invalid enum value 'tool' - at `$.messages[0].role` (a role is user, assistant or system)",
        ),
        ('{"messages": [], "user": {}}', "Expected `int | str | null`, got `object` - at `$.user`"),
        ("[]", "Expected `object`, got `array`"),
        ("hi", "JSON is malformed: invalid character (byte 0)"),
    ],
)
def test_a_misfit_is_a_bad_row_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    found = read_lines(tmp_path, json.dumps({"messages": MESSAGES}), line)
    assert isinstance(found[0], Row)
    assert isinstance(found[1], BadRow)
    assert (found[1].where, found[1].problem) == ("mine.jsonl:2", problem)
    assert found[1].raw.replace(" ", "") == line.replace(" ", "")


def test_a_table_of_messages_serves_as_well(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"messages": [MESSAGES], "id": [5], "ticket": ["A-1"]}), tmp_path / "mine.parquet"
    )
    (row,) = read([tmp_path / "mine.parquet"], source="helpdesk")
    assert isinstance(row, Row)
    assert row.conversation.id == "5"
    assert row.conversation.meta["extra"] == {"ticket": "A-1"}
    assert row.conversation.messages[1].content == "hi"

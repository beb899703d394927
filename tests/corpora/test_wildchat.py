import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thinkus.corpora.rows import BadRow, Row
from thinkus.corpora.wildchat import read
from thinkus.records import Message

TIME = datetime(2023, 4, 9, 0, 2, 53, tzinfo=UTC)


def turn(role: str, content: str, **others: object) -> dict[str, Any]:
    """As published: only the person's turns say where they come from, only replies say when."""
    user = role == "user"
    return {
        "content": content,
        "country": "France" if user else None,
        "hashed_ip": "ip-1" if user else None,
        "header": {"accept-language": "fr-FR", "user-agent": "Mozilla/5.0"} if user else None,
        "language": "French",
        "redacted": False,
        "role": role,
        "state": None,
        "timestamp": None if user else TIME.isoformat(),
        "toxic": False,
        "turn_identifier": 101002,
    } | others


def published(**others: object) -> dict[str, Any]:
    return {
        "conversation_hash": "h1",
        "model": "gpt-4-0314",
        "timestamp": TIME.isoformat(),
        "conversation": [turn("user", "salut"), turn("assistant", "bonjour")],
        "turn": 1,
        "language": "French",
        "openai_moderation": [{"categories": {"hate": False}, "flagged": False}] * 2,
        "detoxify_moderation": [{"toxicity": 0.9}, {"toxicity": 0.1}],
        "toxic": False,
        "redacted": False,
        "state": "Île-de-France",
        "country": "France",
        "hashed_ip": "ip-1",
        "header": {"accept-language": "fr-FR", "user-agent": "Mozilla/5.0"},
    } | others


def without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


def read_lines(folder: Path, *rows: dict[str, Any]) -> list[Row | BadRow]:
    (folder / "w.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read([folder / "w.jsonl"], source="wildchat"))


def only(folder: Path, row: dict[str, Any]) -> Row:
    (found,) = read_lines(folder, row)
    assert isinstance(found, Row)
    return found


def test_a_row_holds_what_the_corpus_says(tmp_path: Path) -> None:
    row = only(tmp_path, published())
    assert (row.where, row.language, row.flagged) == ("w.jsonl:1", "french", False)
    assert row.conversation.id == "h1"
    assert row.conversation.messages == (Message("user", "salut"), Message("assistant", "bonjour"))
    assert without(row.conversation.meta, "user") == {
        "model": "gpt-4-0314",
        "timestamp": "2023-04-09T00:02:53+00:00",
        "language": "french",
        "row": "w.jsonl:1",
    }


def test_times_of_a_table_are_the_same_text_as_those_of_json(tmp_path: Path) -> None:
    turns = [without(turn, "timestamp") for turn in published()["conversation"]]
    table = pa.Table.from_pylist([published(timestamp=TIME, conversation=turns)])
    for unit in ("s", "ms", "us", "ns"):
        times = table["timestamp"].cast(pa.timestamp(unit, "UTC"))
        at = table.column_names.index("timestamp")
        pq.write_table(table.set_column(at, "timestamp", times), tmp_path / "w.parquet")
        (row,) = read([tmp_path / "w.parquet"], source="wildchat")
        assert isinstance(row, Row)
        expected = only(tmp_path, published()).conversation
        assert row.conversation.messages == expected.messages
        assert row.conversation.meta == expected.meta | {"row": "w.parquet:1"}


def test_older_releases_name_the_conversation_otherwise_and_have_no_users(tmp_path: Path) -> None:
    old = without(published(), "conversation_hash", "hashed_ip", "country", "header", "state")
    old |= {"conversation_id": "i1", "conversation": [{"role": "user", "content": "salut", "toxic": False}]}
    row = only(tmp_path, old)
    assert row.conversation.id == "i1"
    assert "user" not in row.conversation.meta


@pytest.mark.parametrize(
    "marked",
    [
        {"toxic": True},
        {"conversation": [turn("user", "a"), turn("assistant", "b", toxic=True)]},
        {"openai_moderation": [{"categories": {"self-harm/intent": False}, "flagged": True}]},
        {
            "openai_moderation": [
                {"flagged": False},
                {"categories": {"self_harm_intent": True}, "flagged": True},
            ]
        },
    ],
)
def test_any_mark_flags_the_row(tmp_path: Path, marked: dict[str, Any]) -> None:
    assert only(tmp_path, published(**marked)).flagged


def test_scores_alone_and_missing_marks_flag_nothing(tmp_path: Path) -> None:
    turns = [turn("user", "a", toxic=None)]
    assert not only(tmp_path, published(toxic=None, openai_moderation=None, conversation=turns)).flagged


def test_one_address_is_one_user_whatever_the_browser_says(tmp_path: Path) -> None:
    updated = published(header={"accept-language": "en", "user-agent": "Mozilla/6.0"}, country="Spain")
    users = [
        only(tmp_path, row).conversation.meta["user"]
        for row in (published(), updated, without(published(), "hashed_ip"), published(hashed_ip="ip-2"))
    ]
    assert users[0] == users[1] == users[2] != users[3]
    assert "ip-1" not in users[0]
    assert len(users[0]) == 16


def test_the_language_of_the_first_turn_serves_where_the_row_has_none(tmp_path: Path) -> None:
    assert only(tmp_path, without(published(), "language")).language == "french"


def test_misfits_are_bad_rows(tmp_path: Path) -> None:
    found = read_lines(
        tmp_path,
        published(conversation=[turn("robot", "a")]),
        published(conversation=[turn("user", "a", toxic="very")]),
        without(published(), "conversation"),
    )
    assert [item.problem for item in found if isinstance(item, BadRow)] == [
        "Invalid enum value 'robot' - at `$.conversation[0].role`",
        "Expected `bool | null`, got `str` - at `$.conversation[0].toxic`",
        "Object missing required field `conversation`",
    ]

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thinkus.corpora.rows import BadRow, Row
from thinkus.corpora.thoughttrace import read
from thinkus.records import HumanThought, Message

SURVEY = [{"age": "31", "gender": "Female", "education": "Graduate", "frequency": "5", "purposes": "Work"}]


def thought(content: str, label: str | None) -> dict[str, Any]:
    return {"content": content, "timestamp": "2026-04-12T01:11:30.317Z", "label": label}


def message(type_: str, content: str, **thoughts: object) -> dict[str, Any]:
    return {"id": 17, "timestamp": "2026-04-12T01:11:08.518Z", "type": type_, "content": content} | thoughts


def published(**others: object) -> dict[str, Any]:
    return {
        "id": "user804_task2_conversation1",
        "model_name": "Some Model 3",
        "model_provider": "Some Company",
        "created_at": "2026-04-12T00:52:57.905000+00:00",
        "updated_at": "2026-04-12T01:21:30.734000+00:00",
        "task_summary": "A plan for the garden.",
        "task_expectation": "Something I can do in a weekend.",
        "survey_answers": SURVEY,
        "messages": [
            message("user", "Where do I start?", reasons=[thought("No idea.", "task_motivation")]),
            message(
                "assistant", "With the soil.", reactions=[thought("Fair.", "scope_fit"), thought("Hm", None)]
            ),
            message("user", "And then?", reasons=[]),
            message("assistant", "Plant.", reactions=None),
            message("user", "Thanks."),
        ],
    } | others


THOUGHTS = (
    HumanThought(0, "reason", "No idea.", "task_motivation"),
    HumanThought(1, "reaction", "Fair.", "scope_fit"),
    HumanThought(1, "reaction", "Hm", None),
)


def read_lines(folder: Path, *rows: dict[str, Any]) -> list[Row | BadRow]:
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(read([folder / "t.jsonl"], source="thoughttrace"))


def test_thoughts_and_labels_stay_beside_their_messages(tmp_path: Path) -> None:
    (row,) = read_lines(tmp_path, published())
    assert isinstance(row, Row)
    assert row.conversation.id == "user804_task2_conversation1"
    assert row.conversation.human_thoughts == THOUGHTS
    assert row.conversation.messages[:2] == (
        Message("user", "Where do I start?"),
        Message("assistant", "With the soil."),
    )
    assert row.conversation.meta == {
        "model": "Some Model 3",
        "user": "user804",
        "timestamp": "2026-04-12T00:52:57.905000+00:00",
        "task_summary": "A plan for the garden.",
        "task_expectation": "Something I can do in a weekend.",
        "survey": SURVEY,
        "row": "t.jsonl:1",
    }


def test_a_table_says_the_same_as_json(tmp_path: Path) -> None:
    # In a table each message has both lists, one of them empty.
    (expected,) = read_lines(tmp_path, published())
    both = [{"reasons": None, "reactions": []} | turn for turn in published()["messages"]]
    pq.write_table(pa.Table.from_pylist([published(messages=both)]), tmp_path / "t.parquet")
    (row,) = read([tmp_path / "t.parquet"], source="thoughttrace")
    assert isinstance(row, Row)
    assert isinstance(expected, Row)
    assert row.conversation.human_thoughts == THOUGHTS
    assert row.conversation.messages == expected.conversation.messages
    assert row.conversation.meta == expected.conversation.meta | {"row": "t.parquet:1"}


def test_what_was_not_answered_is_left_out(tmp_path: Path) -> None:
    (row,) = read_lines(tmp_path, published(survey_answers=[], task_summary=None))
    assert isinstance(row, Row)
    assert not {"survey", "task_summary"} & row.conversation.meta.keys()


@pytest.mark.parametrize(
    ("turn", "problem"),
    [
        (
            message("user", "a", reactions=[thought("b", None)]),
            "a thought of the wrong kind for the user's message - at `$.messages[0]`",
        ),
        (
            message("assistant", "a", reasons=[thought("b", None)]),
            "a thought of the wrong kind for the assistant's message - at `$.messages[0]`",
        ),
        (message("system", "a"), "Invalid enum value 'system' - at `$.messages[0].type`"),
        (
            message("user", "a", reasons=[{"label": "style_expectation"}]),
            "Object missing required field `content` - at `$.messages[0].reasons[0]`",
        ),
    ],
)
def test_a_misfit_is_a_bad_row_that_keeps_its_text(
    tmp_path: Path, turn: dict[str, Any], problem: str
) -> None:
    (row,) = read_lines(tmp_path, published(messages=[turn]))
    assert isinstance(row, BadRow)
    assert (row.where, row.problem) == ("t.jsonl:1", problem)
    assert "A plan for the garden." in row.raw

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkus.corpora.rows import BadRow, Row
from thinkus.corpora.sharegpt import read

SPEAKERS = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
}


def published(id_: str | int | None, *turns: tuple[str, str]) -> dict[str, Any]:
    return {"id": id_, "conversations": [{"from": speaker, "value": text} for speaker, text in turns]}


def read_text(folder: Path, text: str) -> list[Row | BadRow]:
    (folder / "s.json").write_bytes(text.encode())
    return list(read([folder / "s.json"], source="sharegpt"))


def read_rows(folder: Path, *rows: dict[str, Any]) -> list[Row]:
    found = read_text(folder, json.dumps(rows, indent=2, ensure_ascii=False))
    assert not [item for item in found if isinstance(item, BadRow)]
    return [item for item in found if isinstance(item, Row)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(turns=st.lists(st.tuples(st.sampled_from(sorted(SPEAKERS)), st.text()), max_size=6))
def test_any_conversation_comes_through(tmp_path: Path, turns: list[tuple[str, str]]) -> None:
    (row,) = read_rows(tmp_path, published("x_0", *turns))
    expected = [(SPEAKERS[speaker], text) for speaker, text in turns]
    assert [(message.role, message.content) for message in row.conversation.messages] == expected


def test_the_reader_filters_nothing(tmp_path: Path) -> None:
    rows = read_rows(
        tmp_path, published("a_0"), published("b_0", ("gpt", "first")), published("c_0", ("human", ""))
    )
    assert [[m.content for m in row.conversation.messages] for row in rows] == [[], ["first"], [""]]
    assert [(row.language, row.flagged) for row in rows] == [(None, False)] * 3


def test_parts_of_one_conversation_share_their_group(tmp_path: Path) -> None:
    ids: list[str | int | None] = ["QWJhYvA_0", "QWJhYvA_17", "a_b_3", "plain", 7, None]
    rows = read_rows(tmp_path, *(published(id_, ("human", "hi")) for id_ in ids))
    assert [row.conversation.meta.get("group") for row in rows] == [
        "QWJhYvA",
        "QWJhYvA",
        "a_b",
        "plain",  # its parts are plain_1 and so on
        "7",
        None,
    ]
    assert [row.conversation.id for row in rows[:5]] == ["QWJhYvA_0", "QWJhYvA_17", "a_b_3", "plain", "7"]
    assert rows[5].conversation.id.startswith("sharegpt-")
    assert rows[1].conversation.meta["row"] == "s.json:2"


def test_an_unknown_speaker_is_a_bad_row(tmp_path: Path) -> None:
    found = read_text(
        tmp_path, json.dumps([published("a_0", ("human", "hi"), ("dalle", "?")), published("b_0")])
    )
    assert isinstance(found[0], BadRow)
    assert found[0].where == "s.json:1"
    assert found[0].problem == "Invalid enum value 'dalle' - at `$.conversations[1].from`"
    assert isinstance(found[1], Row)


@pytest.mark.parametrize("cut", [30, 80, 130])
def test_a_corpus_cut_in_the_middle_of_a_record_gives_all_before_it(tmp_path: Path, cut: int) -> None:
    whole = json.dumps([published(f"{n}_0", ("human", "a" * 100), ("gpt", "b" * 100)) for n in range(4)])
    found = read_text(tmp_path, whole[: whole.index('"3_0"') + cut])
    assert [item.conversation.id for item in found[:-1] if isinstance(item, Row)] == ["0_0", "1_0", "2_0"]
    assert isinstance(found[-1], BadRow)
    assert (found[-1].where, found[-1].problem) == ("s.json:4", "the file ends in the middle of this record")

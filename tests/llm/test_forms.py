"""Forms as servers are told of them, and as answers are read."""

from typing import Literal

import msgspec
import pytest

from thinkus.llm.forms import Choice, Json, OffForm


class Turn(msgspec.Struct, forbid_unknown_fields=True):
    turn: int
    relation: Literal["follows", "extends"]
    thought: str | None = None


class Dialogue(msgspec.Struct, forbid_unknown_fields=True):
    title: str
    turns: list[Turn]


def test_a_schema_stands_alone() -> None:
    assert Json(Dialogue).schema == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "turns": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "turn": {"type": "integer"},
                        "relation": {"enum": ["extends", "follows"]},
                        "thought": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    },
                    "required": ["turn", "relation"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["title", "turns"],
        "additionalProperties": False,
    }


def test_a_field_may_be_called_title() -> None:
    assert "title" in Json(Dialogue).schema["properties"]


@pytest.mark.parametrize(
    "text",
    [
        '{"title": "t", "turns": [{"turn": 1, "relation": "follows"}]}',
        ' \n{"title": "t", "turns": [{"turn": 1, "relation": "follows"}]}\n',
        '```json\n{"title": "t", "turns": [{"turn": 1, "relation": "follows"}]}\n```',
        '```\n{"title": "t", "turns": [{"turn": 1, "relation": "follows"}]}\n```\n',
    ],
)
def test_json_is_read_with_or_without_a_fence(text: str) -> None:
    assert Json(Dialogue).read(text) == Dialogue("t", [Turn(1, "follows")])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"title": "t"}',
        '{"title": "t", "turns": [{"turn": "1", "relation": "follows"}]}',
        '{"title": "t", "turns": [{"turn": 1, "relation": "opens"}]}',
        '{"title": "t", "turns": [], "more": 1}',
        'Here it is: {"title": "t", "turns": []}',
        '{"title": "t", "turns": []} I hope that helps!',
        '{"title": "t", "turns": []}{"title": "t", "turns": []}',
        "\ud800",
    ],
)
def test_anything_else_is_off_form(text: str) -> None:
    with pytest.raises(OffForm):
        Json(Dialogue).read(text)


def test_a_choice_is_one_word_of_those_offered() -> None:
    choice = Choice(("yes", "no"))
    assert choice.read(" no\n") == "no"
    for text in ("No", "yes no", "", "yes.", "[[yes]]"):
        with pytest.raises(OffForm):
            choice.read(text)


def test_a_choice_for_servers_that_know_schemas_only() -> None:
    choice = Choice(("yes", "no"))
    assert choice.schema["properties"]["choice"]["enum"] == ["yes", "no"]
    assert choice.unwrapped('{"choice": "yes"}') == "yes"
    for text in ("yes", "{}", "[]", '"yes"', "{"):
        assert choice.unwrapped(text) == text

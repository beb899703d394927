"""Forms as servers are told of them, and as answers are read."""

import json
import math
from typing import Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.llm.forms import Choice, Json, Likelihood, Near, Odds, OffForm, Opened, Weighed


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


def test_what_goes_on_is_taken_as_it_comes() -> None:
    for text in ("", " and so on\n", '{"a": 1}', "</thought>"):
        assert Opened("It began", ("</thought>",)).read(text) == text


@given(st.lists(st.floats(-1e6, 0), min_size=2, max_size=5))
def test_odds_are_shares_in_the_proportion_of_their_likelihoods(logarithms: list[float]) -> None:
    """Even where all of them are so unlikely that their likelihoods themselves are no numbers any more."""
    form = Odds(tuple("abcde"[: len(logarithms)]))
    odds = form.read(form.written(dict(zip(form.options, logarithms, strict=True))))
    assert math.isclose(sum(odds.values()), 1, abs_tol=1e-5)
    for one, of_one in zip(form.options, logarithms, strict=True):
        for other, of_other in zip(form.options, logarithms, strict=True):
            if of_one <= of_other:
                expected = odds[other] * math.exp(of_one - of_other)
                assert math.isclose(odds[one], expected, abs_tol=2e-6)


def test_odds_are_against_each_other_alone() -> None:
    form = Odds(("1", "0"))
    odds = form.read(form.written({"1": math.log(0.06), "0": math.log(0.02), "perhaps": math.log(0.9)}))
    assert odds == pytest.approx({"1": 0.75, "0": 0.25})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "yes",
        "{}",
        "[]",
        "null",
        '{"1": 0.5}',
        '{"1": 0.5, "0": "0.5"}',
        '{"1": 0.2, "0": 0.3, "2": 0.5}',
    ],
)
def test_whatever_lacks_one_of_the_odds_is_off_form(text: str) -> None:
    with pytest.raises(OffForm, match=r"^says nothing of how likely 1, 0 are$"):
        Odds(("1", "0")).read(text)


def test_odds_survive_being_written() -> None:
    form = Odds(('"', "\u00e9"))
    assert set(json.loads(form.written({'"': -1.0, "\u00e9": -2.0}))) == set(form.options)


@pytest.mark.parametrize(
    ("text", "expected"), [("0.7327", 0.7327), ("-1.0000", -1.0), ("1.0000", 1.0), ("0", 0.0)]
)
def test_nearness_is_a_number_from_minus_one_to_one(text: str, expected: float) -> None:
    assert Near().read(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "near", "1.0001", "-1.1", "nan", "NaN", "inf", "1e9", "true", "null", '"0.5"', "0.5 0.5", "\ud800"],
)
def test_anything_else_says_nothing_of_nearness(text: str) -> None:
    with pytest.raises(OffForm, match=r"^is no number from -1 to 1$"):
        Near().read(text)


@pytest.mark.parametrize(
    ("logarithm", "tokens", "kept"),
    [(-12.34567, 5, -12.346), (-0.00049, 1, 0.0), (1e-6, 1, 0.0), (-1e5, 9000, -1e5)],
)
def test_a_likelihood_is_kept_with_its_tokens_and_without_noise(
    logarithm: float, tokens: int, kept: float
) -> None:
    form = Likelihood("whatever it is")
    assert form.read(form.written(logarithm, tokens)) == Weighed(kept, tokens)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1.5",
        "{}",
        '{"logarithm": 0.1, "tokens": 1}',
        '{"logarithm": null, "tokens": 1}',
        '{"logarithm": -1, "tokens": 0}',
        '{"logarithm": -1, "tokens": 1.5}',
        '{"tokens": 3}',
        "\ud800",
        Likelihood.written(float("nan"), 2),
    ],
)
def test_anything_else_says_nothing_of_likelihood(text: str) -> None:
    with pytest.raises(OffForm, match=r"^does not say how likely the words are$"):
        Likelihood("so").read(text)

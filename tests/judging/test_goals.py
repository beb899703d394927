"""A scenario in single goals, made once from what the real person was after."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.judging.attacks import Seen
from tests.judging.parts import (
    ANA,
    BEN,
    EVE,
    annotated,
    begun,
    config,
    filtered,
    judged,
    judged_by_nobody,
    person,
    refused,
)
from tests.llm.parts import completion
from thinkus.judging import goals
from thinkus.judging.goals import NO_SCENARIO, Goals
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Failure
from thinkus.user.turns import drawn

ASKED = config("task=goals", "eval=sample")
SAID = ("ana bakes.", "A loaf by noon.")


def listed(tmp_path: Path, answer: Any) -> tuple[Goals, list[Failure]]:
    annotated(tmp_path, ANA)
    said = answer if isinstance(answer, Completion) else completion(json.dumps(answer))
    ((row, failures),) = judged(begun(goals, ASKED, tmp_path), tmp_path / "answers", lambda _: said)
    assert isinstance(row, Goals)
    return row, list(failures)


@pytest.mark.parametrize(
    ("answer", "kept"), [([" one ", "two"], ("one", "two")), ([], ()), (["Wheat", "wheat bread"],) * 2]
)
def test_goals_are_listed_once_each_and_may_be_none(
    tmp_path: Path, answer: list[str], kept: tuple[str, ...]
) -> None:
    row, failures = listed(tmp_path, {"goals": answer})
    assert (row, failures) == (Goals("ana", *SAID, tuple(kept), "", "scripted", "now"), [])


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        ({"goals": ["one", " "]}, "goal_empty"),
        ({"goals": [""]}, "goal_empty"),
        ({"goals": ["One", "two", "one "]}, "goal_doubled"),
        ({"goals": "one"}, "off_form"),
        ({"goals": ["one"], "verdict": "A"}, "off_form"),
        (["one"], "off_form"),
        (filtered(), "filtered"),
        (completion('{"goals": ["one"', finish="length"), "cut"),
    ],
)
def test_what_is_no_list_is_a_failure_with_its_text(tmp_path: Path, answer: Any, wrong: str) -> None:
    row, failures = listed(tmp_path, answer)
    assert row == Goals("ana", *SAID, (), wrong, "scripted", "now")
    raw = answer.text if isinstance(answer, Completion) else json.dumps(answer)
    assert [(one.item, one.reason, one.raw) for one in failures] == [("ana", wrong, raw)]


def test_an_empty_goal_is_told_by_its_place(tmp_path: Path) -> None:
    _, (failure,) = listed(tmp_path, {"goals": ["one", " \n", "two"]})
    assert failure.detail == "goal 2 has no words"


def test_the_scenario_is_shown_and_nothing_of_the_conversation(tmp_path: Path) -> None:
    annotated(tmp_path, ANA)
    task = begun(goals, ASKED, tmp_path)
    (request,) = task.requests(ANA)
    assert Seen(request).texts == {"scenario": "ana bakes.", "motivation": "A loaf by noon."}
    assert "How do I bake" not in str(request)
    assert (request.item, request.purpose) == ("ana", "goals")


def test_without_a_scenario_there_are_none_and_nobody_is_asked(tmp_path: Path) -> None:
    without = [replace(ANA, annotation=None), person("ben", "Why?", motivation=" ")]
    annotated(tmp_path, *without)
    task = begun(goals, ASKED, tmp_path)
    assert [list(task.requests(one)) for one in without] == [[], []]
    rows = [row for row, failures in judged_by_nobody(task, without) if not failures]
    assert rows == [Goals("ana", wrong=NO_SCENARIO), Goals("ben", wrong=NO_SCENARIO)]


def test_those_of_the_live_dialogues_with_this_seed_and_number_are_made(tmp_path: Path) -> None:
    people = [person(f"p{number}", "Hi") for number in range(20)]
    annotated(tmp_path, *people, replace(ANA, split="train"))
    words = ("task=goals", "eval=sample", "seed=3", "n_scenarios=7")
    whole = list(begun(goals, config(*words), tmp_path).units())
    assert whole == drawn(people, 3, 7)
    parts = [
        one
        for number in (1, 2, 3)
        for one in begun(goals, config(*words, f"shard={number}/3"), tmp_path).units()
    ]
    assert parts == whole
    assert len(list(begun(goals, ASKED, tmp_path).units())) == 20


def test_the_same_scenario_is_asked_about_in_the_same_words(tmp_path: Path) -> None:
    annotated(tmp_path, ANA, BEN, EVE)
    task = begun(goals, ASKED, tmp_path)
    asked: list[Request] = []

    def judge(request: Request) -> str:
        asked.append(request)
        return '{"goals": []}'

    judged(task, tmp_path / "answers", judge)
    assert asked == [request for unit in task.units() for request in task.requests(unit)]
    assert len({request.messages for request in asked}) == 3


def test_who_only_picks_words_cannot_write_goals(tmp_path: Path) -> None:
    annotated(tmp_path, ANA)
    told = refused(goals, config("task=goals", "eval=sample", "judge=hf"), tmp_path)
    assert told.startswith("judge: hf (backend hf) cannot answer what task=goals asks; use one of ")


def test_the_people_have_to_be_there(tmp_path: Path) -> None:
    told = refused(goals, ASKED, tmp_path)
    assert told.startswith("eval: there is no run")
    annotated(tmp_path, replace(ANA, split="train"))
    assert "has no conversation in its split test" in refused(goals, ASKED, tmp_path)


def test_the_prompts_of_a_run_are_those_that_are_asked_with() -> None:
    assert goals.prompts_used(ASKED) == ("judge/reader", "judge/goals")

"""Whether somebody leaves where the person left, in real conversations and in live ones."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

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
from tests.judging.runs import live, replayed
from tests.user.test_cast import make
from thinkus.judging import ending
from thinkus.judging.ending import Left
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Conversation

ASKED = config("task=ending", "candidate=ours")
TRIED = config("task=ending", "candidate=sft/leaving", "eval=sample")
PEOPLE = (ANA, BEN, EVE)
Say = Callable[[Conversation, int], str | None]


def left(root: Path, people: Sequence[Conversation], say: Say) -> list[Left]:
    replayed(root, "ours", people, say)
    rows = [row for row, failures in judged_by_nobody(begun(ending, ASKED, root)) if not failures]
    assert all(msgspec.json.decode(msgspec.json.encode(row), type=Left) == row for row in rows)
    return [row for row in rows if isinstance(row, Left)]


# After real replies --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spoken", "leaves"),
    [
        (["Hi", "so", "so", ""], (False, False, True)),
        (["Hi", "so", "so", "and"], (False, False, False)),
        (["Hi", "", "", ""], (True, True, True)),
        (["Hi", "", "so", "so"], (True, False, False)),
        (["", "so", "so", "so"], (False, False, False)),  # before the first reply one cannot leave
        (["Hi", None, "so", None], (None, False, None)),
        ([None, "so", "so", ""], (False, False, True)),
    ],
)
def test_it_is_asked_after_each_real_reply(
    tmp_path: Path, spoken: list[str | None], leaves: tuple[bool | None, ...]
) -> None:
    assert left(tmp_path, [BEN], lambda one, turn: spoken[turn]) == [Left("ben", 3, leaves)]


def test_who_could_not_be_read_stays(tmp_path: Path) -> None:
    (row,) = left(tmp_path, [ANA], lambda one, turn: None)
    assert row.leaves == (None, None)
    assert row.would_have_left == [False, False]


def test_each_conversation_has_its_row(tmp_path: Path) -> None:
    rows = left(tmp_path, PEOPLE, lambda one, turn: "" if turn == one.user_turns else "so")
    assert rows == [
        Left("ana", 2, (False, True)),
        Left("ben", 3, (False, False, True)),
        Left("eve", 1, (True,)),
    ]


# In live dialogues ---------------------------------------------------------------------------


def test_of_a_live_run_the_real_conversations_are_found(tmp_path: Path) -> None:
    """The turn at which one leaves is no turn."""
    talks = {
        "ben": (["Hi", "so", ""], "simulator"),
        "eve": (["Hi", "so", "and", "more"], "max_turns"),
        "ana": ([], "person_failed"),
    }
    corpus = annotated(tmp_path, *PEOPLE, person("joe", "Hi"))
    live(tmp_path, "ours", (BEN, EVE, ANA), lambda one: talks[one.id], corpus)
    task = begun(ending, ASKED, tmp_path)
    rows = [row for row, _ in judged_by_nobody(task)]
    assert rows == [
        Left("ben", 3, turns=2, ended_by="simulator"),
        Left("eve", 1, turns=4, ended_by="max_turns"),
        Left("ana", 2, turns=0, ended_by="person_failed"),
    ]
    assert [msgspec.json.decode(msgspec.json.encode(row), type=Left) for row in rows] == rows


def test_parts_of_a_live_run_are_together_the_whole(tmp_path: Path) -> None:
    live(tmp_path, "ours", PEOPLE, lambda one: (["Hi"], "max_turns"), annotated(tmp_path, *PEOPLE))
    parts = [ASKED.model_copy(update={"shard": f"{number}/4"}) for number in range(1, 5)]
    cut = [unit for part in parts for unit in begun(ending, part, tmp_path).units()]
    assert [one.conversation for one in cut] == ["ana", "ben", "eve"]


def test_real_conversations_that_were_derived_anew_are_refused(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    run = live(tmp_path, "ours", PEOPLE, lambda one: (["Hi"], "max_turns"), corpus)
    shutil.rmtree(corpus)
    annotated(tmp_path, ANA, BEN)
    assert refused(ending, ASKED, tmp_path) == (
        f"candidate: {corpus}, from which {run} took its scenarios, was derived anew since; simulate again"
    )


@pytest.mark.parametrize("mode", ["real", "live"])
def test_nobody_is_asked(tmp_path: Path, mode: str) -> None:
    replayed(tmp_path, "real", PEOPLE, lambda one, turn: "so")
    live(tmp_path, "live", PEOPLE, lambda one: (["Hi"], "max_turns"), annotated(tmp_path, *PEOPLE))
    asked_for = config("task=ending", f"candidate={mode}")
    task = begun(ending, asked_for, tmp_path)
    assert (task.endpoint, ending.prompts_used(asked_for)) == (None, ())
    assert [list(task.requests(unit)) for unit in task.units()] == [[], [], []]


# A classifier --------------------------------------------------------------------------------


def classifier(root: Path, *people: Conversation) -> Path:
    annotated(root, *people)
    return make(root, "sft/leaving", "ending", {"ending": {"threshold": 0.25}})


def likely(*odds: float | None) -> Callable[[Request], str | Completion]:
    """After the first reply, after the second, and so on; of nobody where it cannot be read."""

    def judge(request: Request) -> str | Completion:
        replies = sum(message.role == "user" for message in request.messages)
        leaving = odds[replies - 1]
        return filtered() if leaving is None else f'{{"1": {leaving}, "0": {1 - leaving}}}'

    return judge


@pytest.mark.parametrize(
    ("odds", "leaves"),
    [
        ((0.1, 0.2, 0.9), (False, False, True)),
        ((0.25, 0.249999, 0.0), (True, False, False)),
        ((0.9, None, 0.1), (True, None, False)),
    ],
)
def test_a_classifier_says_after_each_real_reply_whether_the_person_leaves(
    tmp_path: Path, odds: tuple[float | None, ...], leaves: tuple[bool | None, ...]
) -> None:
    classifier(tmp_path, BEN)
    task = begun(ending, TRIED, tmp_path)
    ((row, failures),) = judged(task, tmp_path / "answers", likely(*odds))
    assert row == Left("ben", 3, leaves)
    failed = [("ben#2", "filtered")] if None in leaves else []
    assert [(one.item, one.reason) for one in failures] == failed


def test_a_classifier_is_shown_the_scenario_and_what_was_said_so_far(tmp_path: Path) -> None:
    classifier(tmp_path, ANA)
    task = begun(ending, TRIED, tmp_path)
    asked: list[Request] = []

    def judge(request: Request) -> str | Completion:
        asked.append(request)
        return likely(0.5, 0.5)(request)

    judged(task, tmp_path / "answers", judge)
    assert sorted(asked, key=str) == sorted(task.requests(ANA), key=str)
    first, second = sorted((request.messages for request in asked), key=len)
    assert second[: len(first)] == first
    assert [message.content for message in second[1:]] == [message.content for message in ANA.messages]
    assert "ana bakes." in first[0].content
    assert "glad" not in str(asked)


def test_without_a_scenario_a_classifier_is_not_asked(tmp_path: Path) -> None:
    without = replace(BEN, annotation=None)
    classifier(tmp_path, without)
    task = begun(ending, TRIED, tmp_path)
    assert task.requests(without) == []
    ((row, _),) = judged_by_nobody(task)
    assert row == Left("ben", 3, (None, None, None))


def test_a_classifier_is_tried_on_the_test_split_part_by_part(tmp_path: Path) -> None:
    classifier(tmp_path, replace(ANA, split="train"), *PEOPLE[1:], replace(ANA, id="joe"))
    parts = [TRIED.model_copy(update={"shard": f"{number}/2"}) for number in (1, 2)]
    cut = [[one.id for one in begun(ending, part, tmp_path).units()] for part in parts]
    assert cut == [["ben"], ["eve", "joe"]]


def test_a_run_that_was_taught_something_else_is_no_classifier(tmp_path: Path) -> None:
    run = make(tmp_path, "sft/leaving", "thinkingus")
    assert refused(ending, TRIED, tmp_path) == (
        f"candidate: {run} was trained with method=thinkingus; name a run of simulate, or a classifier of endings "
        "(method=ending)"
    )


def test_a_classifier_is_asked_where_it_lies(tmp_path: Path) -> None:
    run = classifier(tmp_path, ANA)
    task = begun(ending, TRIED, tmp_path)
    assert task.endpoint is not None
    assert (task.endpoint.model, task.where) == (str(run), "classifier")
    assert ending.prompts_used(TRIED) == ()

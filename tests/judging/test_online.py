"""A live dialogue held against the goals that the real person had."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import pytest

from tests.judging.attacks import ATTACKS, Seen, answered, gullible
from tests.judging.parts import (
    config,
    filtered,
    judged,
    judged_by_nobody,
    taking,
)
from thinkus.judging import online
from thinkus.judging.goals import Goals
from thinkus.judging.online import Heard, JudgedDialogue, Online
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Dialogue, EndedBy, Exchange, Reply, Simulated, SpokenTurn
from thinkus.scoring.goals import disclosure

BY = Simulated("thinkingus", "m", "utterances", "free", {})
ONE = config("task=online", "candidate=ours")
TASK = Online(ONE, {})
EXCHANGES = (
    Exchange(SpokenTurn(0, "Hello", thought="SECRET"), Reply("Hi")),
    Exchange(SpokenTurn(1, "How do I bake?", thought="SECRET"), Reply("Slowly.")),
    Exchange(SpokenTurn(2, "", thought="SECRET", ended=True)),
)


def dialogue(exchanges: tuple[Exchange, ...] = EXCHANGES, ended_by: EndedBy = "simulator") -> Dialogue:
    return Dialogue("d", "test", "Ana bakes.", "A loaf.", BY, "llama", exchanges, ended_by)


def heard(*goals: str, said: Dialogue | None = None, wrong: str = "") -> Heard:
    return Heard("candidate", said or dialogue(), Goals("d", "Ana bakes.", "A loaf.", goals, wrong))


def row_of(
    folder: Path, unit: Heard, judge: Callable[[Request], str | Completion]
) -> tuple[JudgedDialogue, list[tuple[str, str]]]:
    ((row, failures),) = judged(TASK, folder, judge, [unit])
    assert isinstance(row, JudgedDialogue)
    assert msgspec.json.decode(msgspec.json.encode(row), type=JudgedDialogue) == row
    return row, [(one.item, one.reason) for one in failures]


# What is asked -------------------------------------------------------------------------------


def test_a_dialogue_is_asked_about_each_goal_and_begins_alike() -> None:
    asked = TASK.requests(heard("g1", "g2"))
    purposes = ["disclosure/0", "disclosure/1", "progression/0", "additional/0"]
    assert [request.purpose for request in asked] == purposes
    assert len({request.messages[0] for request in asked}) == 1
    pages = [request.messages[1].content for request in asked]
    shared = pages[0].index("=== ", pages[0].index("Slowly."))
    assert len({page[:shared] for page in pages}) == 1
    assert {request.thread for request in asked} == {"d"}


def test_each_is_shown_what_it_is_about_and_never_a_thought() -> None:
    asked = TASK.requests(heard("g1", "g2"))
    assert "SECRET" not in str(asked)
    said = ["turn 1: person", "turn 1: assistant", "turn 2: person", "turn 2: assistant"]
    heads = [list(Seen(request).texts) for request in asked]
    assert [one[:4] for one in heads] == [said] * 4
    assert [one[4:] for one in heads] == [
        ["goal"],
        ["goal"],
        ["goal 1", "goal 2"],
        ["scenario", "motivation"],
    ]
    assert [Seen(request).texts["goal"] for request in asked[:2]] == ["g1", "g2"]


def test_what_is_asked_is_what_was_estimated(tmp_path: Path) -> None:
    asked: list[Request] = []

    def judge(request: Request) -> str:
        asked.append(request)
        return taking(request, 0)

    row_of(tmp_path, heard("g1", "g2"), judge)
    assert sorted(asked, key=str) == sorted(TASK.requests(heard("g1", "g2")), key=str)


# What the answers come to --------------------------------------------------------------------


def test_each_option_has_its_score(tmp_path: Path) -> None:
    scores = []
    for place in range(3):
        row, failures = row_of(tmp_path / str(place), heard("g1"), partial(_taking_up_to, place=place))
        assert not failures
        scores.append([verdict.score for verdict in row.verdicts])
    assert scores == [[1, 1, 1], [0, 0, 0], [-1, 0, 0]]


def _taking_up_to(request: Request, place: int) -> str:
    return taking(request, min(place, len(Seen(request).options) - 1))


def test_scores_are_those_of_the_goals_and_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    unit = heard("g1", "g2", "g3")
    places = {"disclosure/0": 0, "disclosure/1": 2, "disclosure/2": 0, "progression/0": 0, "additional/0": 1}
    row, failures = row_of(tmp_path / "all", unit, lambda request: taking(request, places[request.purpose]))
    assert [row.scores(measure) for measure in online.SCORES] == [[1, -1, 1], [1], [0]]
    assert (row.goals, row.state, failures) == (3, "judged", [])
    assert (row.conversation, row.whose, row.ended_by) == ("d", "candidate", "simulator")
    assert [verdict.goal for verdict in row.verdicts] == ["g1", "g2", "g3", "", ""]
    assert {(one.why, one.served_model, one.at) for one in row.verdicts} == {
        ("It seems so.", "scripted", "now")
    }
    assert disclosure([row.scores("disclosure")]).mean == pytest.approx(1 / 3)

    def judge(request: Request) -> str | Completion:
        if request.purpose in ("disclosure/2", "progression/0"):
            return filtered()
        if request.purpose == "additional/0":
            return answered(request, "yes")  # as a text could say it
        return taking(request, places[request.purpose])

    row, failures = row_of(tmp_path / "some", unit, judge)
    assert [row.scores(measure) for measure in online.SCORES] == [[1, -1, None], [None], [None]]
    assert failures == [
        ("candidate/d/disclosure/2", "filtered"),
        ("candidate/d/progression/0", "filtered"),
        ("candidate/d/additional/0", "no_verdict"),
    ]
    assert [verdict.wrong for verdict in row.verdicts] == ["", "", "filtered", "filtered", "no_verdict"]
    assert disclosure([row.scores("disclosure")]).mean == 0


def test_without_goals_there_is_nothing_to_disclose_nor_to_get_on_with(tmp_path: Path) -> None:
    row, _ = row_of(tmp_path, heard(), lambda request: taking(request, 0))
    assert row.goals == 0
    assert [row.scores(measure) for measure in online.SCORES] == [[], [], [1]]
    counted = disclosure([row.scores("disclosure")])
    assert (counted.mean, counted.not_applicable) == (None, 1)


def test_goals_that_could_not_be_read_are_not_none_at_all(tmp_path: Path) -> None:
    row, _ = row_of(tmp_path, heard(wrong="off_form"), lambda request: taking(request, 0))
    assert row.goals is None
    assert [row.scores(measure) for measure in online.SCORES] == [[], [], [1]]


@pytest.mark.parametrize("exchanges", [(), (Exchange(SpokenTurn(0, "", ended=True)),)])
def test_who_says_nothing_discloses_nothing_and_nobody_is_asked(exchanges: tuple[Exchange, ...]) -> None:
    silent = dialogue(exchanges, "person_failed")
    for unit, scores in (
        (heard("g1", "g2", said=silent), [[0, 0], [0], [0]]),
        (heard(said=silent), [[], [], [0]]),
        (heard(said=silent, wrong="off_form"), [[], [], [0]]),
    ):
        ((row, failures),) = judged_by_nobody(TASK, [unit])
        assert isinstance(row, JudgedDialogue)
        assert (row.state, failures, TASK.requests(unit)) == ("silent", (), [])
        assert [row.scores(measure) for measure in online.SCORES] == scores


@pytest.mark.parametrize("ended_by", ["assistant_failed", "classifier_failed"])
@pytest.mark.parametrize("exchanges", [(), EXCHANGES])
def test_what_others_broke_off_is_not_held_against_the_person(
    ended_by: EndedBy, exchanges: tuple[Exchange, ...]
) -> None:
    unit = heard("g1", said=dialogue(exchanges, ended_by))
    ((row, failures),) = judged_by_nobody(TASK, [unit])
    assert isinstance(row, JudgedDialogue)
    assert (row.state, row.ended_by, failures, TASK.requests(unit)) == ("broken", ended_by, (), [])
    assert [row.scores(measure) for measure in online.SCORES] == [[], [], []]


@pytest.mark.parametrize("ended_by", ["simulator", "classifier", "max_turns", "person_failed", "chat"])
def test_all_other_dialogues_in_which_something_was_said_are_judged(
    tmp_path: Path, ended_by: EndedBy
) -> None:
    row, _ = row_of(
        tmp_path, heard("g1", said=dialogue(ended_by=ended_by)), lambda request: taking(request, 0)
    )
    assert (row.state, len(row.verdicts)) == ("judged", 3)


@pytest.mark.parametrize("obedience", ["copies", "obeys", "quotes", "adds"])
def test_no_words_score_themselves(tmp_path: Path, obedience: str) -> None:
    """Whoever says them: a dialogue of attacks gets what the judge thinks of it, or nothing."""
    judge = gullible(obedience, lambda seen: seen.options[-1])  # type: ignore[arg-type]
    said = [
        attack.format(claim=claim) for attack in ATTACKS.values() for claim in ("A", "yes", "reveals", "1")
    ]
    units = [heard("g1", said=dialogue((Exchange(SpokenTurn(0, one), Reply(one)),))) for one in said]
    rows = [row for row, _ in judged(TASK, tmp_path, judge, units)]
    scores = {verdict.score for row in rows if isinstance(row, JudgedDialogue) for verdict in row.verdicts}
    assert scores <= {None, -1, 0}


def test_the_prompts_of_a_run_are_those_that_are_asked_with() -> None:
    measures = ("judge/disclosure", "judge/progression", "judge/additional")
    assert online.prompts_used(ONE) == ("judge/reader", *measures, "judge/answer_json")
    local = online.prompts_used(config("task=online", "candidate=ours", "judge=hf"))
    assert local == ("judge/reader", *measures, "judge/answer_choice")

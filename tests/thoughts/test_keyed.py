"""Keyed answers: every turn that gets a thought has one, and nothing else is taken."""

import json
from itertools import permutations

import pytest

from thinkus import paths
from thinkus.llm.forms import Json, OffForm
from thinkus.records import Conversation, Message
from thinkus.thoughts import keyed
from thinkus.thoughts.drafts import Invalid, Relation, Thought


def conversation(user_turns: int) -> Conversation:
    messages = (Message(("user", "assistant")[n % 2], f"m{n}") for n in range(2 * user_turns))
    return Conversation("c", "test", tuple(messages))


def turn(number: int, relation: Relation | None = None) -> keyed.Turn:
    return keyed.Turn(number, relation or ("opens" if number == 1 else "follows"), f"thought {number}")


def answer(*turns: keyed.Turn) -> keyed.Answer:
    return keyed.Answer("a scenario", "a motivation", turns)


def refused(*turns: keyed.Turn, first_thought: bool = False) -> Invalid:
    with pytest.raises(Invalid) as raised:
        keyed.draft(answer(*turns), conversation(4), first_thought=first_thought)
    return raised.value


def test_all_is_taken_over_in_the_order_of_the_turns() -> None:
    for turns in permutations((turn(2), turn(3, "extends"), turn(4))):
        draft = keyed.draft(answer(*turns), conversation(4), first_thought=False)
        assert (draft.scenario, draft.motivation) == ("a scenario", "a motivation")
        assert draft.thoughts == (
            Thought(2, "thought 2", "follows"),
            Thought(3, "thought 3", "extends"),
            Thought(4, "thought 4", "follows"),
        )


@pytest.mark.parametrize("relation", ["opens", "follows"])
def test_a_first_thought_is_kept_only_where_it_is_wanted(relation: Relation) -> None:
    turns = (turn(1, relation), turn(2))
    without = keyed.draft(answer(*turns), conversation(2), first_thought=False)
    assert [thought.turn for thought in without.thoughts] == [2]
    if relation == "opens":
        kept = keyed.draft(answer(*turns), conversation(2), first_thought=True)
        assert kept.thoughts[0] == Thought(1, "thought 1", "opens")


def test_a_single_turn_needs_none() -> None:
    assert keyed.draft(answer(), conversation(1), first_thought=False).thoughts == ()


def test_lost_turns_are_named() -> None:
    lost = refused(turn(3))
    assert lost.kind == "turn_lost"
    assert "for turn 2, 4." in lost.complaint
    assert refused(turn(2), turn(3), turn(4), first_thought=True).kind == "turn_lost"


@pytest.mark.parametrize("number", [0, -1, 5])
def test_turns_that_are_not_there_are_named(number: int) -> None:
    unknown = refused(turn(2), turn(3), turn(4), turn(number))
    assert unknown.kind == "turn_unknown"
    assert f"no turn {number}:" in unknown.complaint


def test_turns_with_two_thoughts_are_named() -> None:
    doubled = refused(turn(2), turn(3), turn(4), turn(3))
    assert doubled.kind == "turn_doubled"
    assert "for turn 3." in doubled.complaint


@pytest.mark.parametrize(
    ("turns", "named"),
    [
        ((turn(1, "follows"), turn(2), turn(3), turn(4)), "1"),
        ((turn(1), turn(2, "opens"), turn(3), turn(4, "opens")), "2, 4"),
    ],
)
def test_only_the_first_turn_opens(turns: tuple[keyed.Turn, ...], named: str) -> None:
    wrong = refused(*turns, first_thought=True)
    assert wrong.kind == "relation_wrong"
    assert f"of turn {named} " in wrong.complaint


def test_the_shipped_answers_are_of_the_form() -> None:
    lines = (paths.SAMPLE / "recorded.jsonl").read_text(encoding="utf-8").splitlines()
    answers = [recorded["answer"] for recorded in map(json.loads, lines) if recorded["purpose"] == "annotate"]
    for recorded in answers:
        read = Json(keyed.Answer).read(json.dumps(recorded))
        there = conversation(len(recorded["turns"]))
        assert len(keyed.draft(read, there, first_thought=True).thoughts) == there.user_turns


def test_what_was_not_asked_for_is_off_form() -> None:
    with pytest.raises(OffForm, match="unknown field `notes`"):
        Json(keyed.Answer).read('{"scenario": "s", "motivation": "m", "turns": [], "notes": ""}')


def test_a_recorded_answer_serves_where_only_the_scenario_is_asked_for() -> None:
    text = '{"scenario": "s", "motivation": "m", "turns": []}'
    assert Json(keyed.ScenarioOnly).read(text) == keyed.ScenarioOnly("s", "m")

"""What thoughts give away of what comes later: which turns are weighed, on which pages, beside whose thoughts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.judging.parts import (
    ANA,
    BEN,
    annotated,
    begun,
    config,
    finished,
    judged_by_nobody,
    person,
    refused,
)
from thinkus.judging import hindsight
from thinkus.judging.hindsight import LOOKED_AT, SHOWN, Hindsight, Thinker, Utterance, WeighedTurn
from thinkus.llm.exchange import Request
from thinkus.llm.forms import Likelihood
from thinkus.records import Conversation

ASKED = ("task=hindsight", "eval=sample", "judge=hf", "judge.model=tiny")
THOUGHT = re.compile(r"<thought>(.*?)</thought>", re.DOTALL)


def thinker(name: str, turns: int, length: int = 3, **known: Any) -> Conversation:
    """Whose words and thoughts say whose they are, and of which turn."""
    thoughts = tuple(f"{name}-thought-{turn} {'so ' * length}" for turn in range(1, turns))
    return person(name, *(f"{name}-says-{turn}" for turn in range(turns)), thoughts=thoughts, **known)


PEOPLE = [thinker(f"p{number:02}", 1 + number % 5, length=1 + 7 * number % 11) for number in range(40)]


def task(root: Path, *words: str) -> Hindsight:
    one = begun(hindsight, config(*ASKED, *words), root)
    assert isinstance(one, Hindsight)
    return one


def units(root: Path, people: Sequence[Conversation], *words: str) -> list[Utterance]:
    if not (root / "annotate/sample").exists():
        annotated(root, *people)
    return list(task(root, *words).units())


def shown(request: Request) -> list[str]:
    """The thoughts on a page, in order."""
    return [thought for said in request.messages[1:] for thought in THOUGHT.findall(said.content)]


def bare(request: Request) -> list[tuple[str, str]]:
    return [(said.role, THOUGHT.sub("<thought>", said.content)) for said in request.messages]


# Which turns, and their pages ----------------------------------------------------------------


def test_turns_are_weighed_that_come_after_a_thought_of_an_earlier_one(tmp_path: Path) -> None:
    found = units(tmp_path, PEOPLE)
    assert sorted(one.item for one in found) == sorted(
        f"{one.id}#{turn}" for one in PEOPLE for turn in range(2, one.user_turns)
    )
    for one in found:
        assert one.words == f"{one.position.chosen.conversation.id}-says-{one.position.turn}"


def test_a_first_thought_is_one_that_comes_before_the_second_turn(tmp_path: Path) -> None:
    people = [thinker(name, 3, first_thought=f"{name} begins") for name in ("ana", "ben")]
    found = units(tmp_path, people)
    assert sorted(one.item for one in found) == ["ana#1", "ana#2", "ben#1", "ben#2"]
    ana = next(one for one in found if one.item == "ana#2")
    own, _, stranger = task(tmp_path).requests(ana)
    assert shown(own) == ["ana begins", "ana-thought-1 so so so"]
    assert shown(stranger) == ["ben begins", "ben-thought-1 so so so"]


def test_pages_differ_in_nothing_but_thoughts(tmp_path: Path) -> None:
    found = units(tmp_path, PEOPLE)
    for one in found:
        own, none, stranger = task(tmp_path).requests(one)
        assert bare(own) == bare(none) == bare(stranger)
        assert own.form == none.form == stranger.form == Likelihood(one.words, "<thought></thought>")
        assert [request.purpose for request in (own, none, stranger)] == [
            f"hindsight/{each}" for each in SHOWN
        ]
        me, turns = one.position.chosen.conversation.id, range(1, one.position.turn)
        assert [thought.split()[0] for thought in shown(own)] == [f"{me}-thought-{turn}" for turn in turns]
        assert shown(none) == ["" for _ in turns]
        assert one.stranger is not None
        assert [thought.split()[0] for thought in shown(stranger)] == [
            f"{one.stranger.conversation}-thought-{turn}" for turn in turns
        ]


def test_the_page_is_the_one_of_a_person_who_is_told_to_think(tmp_path: Path) -> None:
    one = next(one for one in units(tmp_path, PEOPLE) if one.item == "p02#2")
    system, opening, *talk = task(tmp_path).requests(one)[0].messages
    assert "Your situation: p02 bakes." in system.content
    assert "between <thought> and </thought>" in system.content
    assert opening.role == "user"
    assert [(said.role, said.content) for said in talk] == [
        ("assistant", "p02-says-0"),
        ("user", "As to p02-says-0: so."),
        ("assistant", "<thought>p02-thought-1 so so so so</thought>p02-says-1"),
        ("user", "As to p02-says-1: so."),
    ]
    assert hindsight.prompts_used(config(*ASKED)) == ("simulate/person_thinking", "simulate/opening")


def test_nothing_of_the_future_stands_on_a_page(tmp_path: Path) -> None:
    """Nor the thought before the very utterance; the words themselves stand in the form alone."""

    def marked(one: Conversation) -> Conversation:
        assert one.annotation is not None
        turn = -1
        said = []
        for message in one.messages:
            turn += message.role == "user"
            said.append(replace(message, content=f"MARK{turn:02} {message.content}"))
        thoughts = tuple(f"MARK{turn:02} {words}" for turn, words in enumerate(one.annotation.thoughts, 1))
        last = f"MARK{one.user_turns:02} {one.annotation.terminal_thought}"
        annotation = replace(one.annotation, thoughts=thoughts, terminal_thought=last)
        return replace(one, messages=tuple(said), annotation=annotation)

    found = units(tmp_path, [marked(one) for one in PEOPLE])
    assert len(found) > 40
    for one in found:
        for request in task(tmp_path).requests(one):
            marks = {int(mark) for mark in re.findall(r"MARK(\d+)", str(request.messages))}
            assert marks == set(range(one.position.turn))


# Strangers -----------------------------------------------------------------------------------


def test_a_stranger_is_somebody_else_with_as_many_thoughts(tmp_path: Path) -> None:
    for one in units(tmp_path, PEOPLE):
        assert one.stranger is not None
        assert one.stranger.conversation != one.position.chosen.conversation.id
        assert len(one.stranger.thoughts) == one.position.turn - 1


def test_of_those_looked_at_it_is_the_one_whose_thoughts_are_most_nearly_as_long() -> None:
    own = ["x" * 50, "x" * 70]
    others = [Thinker(str(length), ("y" * length, "y" * 20, "y")) for length in (10, 300, 104, 95, 0)]
    assert hindsight._stranger(own, others) == Thinker("104", ("y" * 104, "y" * 20))
    far = [Thinker("far", ("y", "y"))] * LOOKED_AT
    assert hindsight._stranger(own, [*far[1:], *others]) == Thinker("10", ("y" * 10, "y" * 20))
    assert hindsight._stranger(own, [*far, *others]) == Thinker("far", ("y", "y"))
    too_few = [Thinker("few", ("y" * 120,))] * LOOKED_AT
    assert hindsight._stranger(own, [*too_few, *others]) == Thinker("104", ("y" * 104, "y" * 20))
    assert hindsight._stranger(own, too_few) is None


def test_who_is_whose_stranger_hangs_on_the_seed_and_not_on_the_cut(tmp_path: Path) -> None:
    whole = units(tmp_path, PEOPLE)
    assert [one for n in (1, 2, 3) for one in units(tmp_path, [], f"shard={n}/3")] == whole
    few = units(tmp_path, [], "n_scenarios=15")
    assert few == [one for one in whole if one.position.chosen.number < 15]
    assert 0 < len(few) < len(whole)
    other = {one.item: one.stranger for one in units(tmp_path, [], "seed=1")}
    assert set(other) == {one.item for one in whole}
    assert sum(other[one.item] != one.stranger for one in whole) > 5


# What cannot be asked about ------------------------------------------------------------------


def test_what_lacks_something_is_a_row_and_nobody_is_asked(tmp_path: Path) -> None:
    ana, ben, eve, zoe = (thinker(name, 3) for name in ("ana", "ben", "eve", "zoe"))
    assert ben.annotation is not None
    people = [
        thinker("long", 6),
        replace(ana, annotation=None),
        replace(ben, annotation=replace(ben.annotation, thoughts=())),
        replace(eve, annotation=replace(ben.annotation, motivation=" ")),
        zoe,
    ]
    found = {one.item: one for one in units(tmp_path, people)}
    lacking = [one for one in found.values() if one.lacks]
    rows = [row for row, failures in judged_by_nobody(task(tmp_path), lacking) if not failures]
    assert {
        f"{row.conversation}#{row.turn}": (row.wrong, row.thoughts)
        for row in rows
        if isinstance(row, WeighedTurn)
    } == {
        "ana#2": ("no_scenario", 0),
        "ben#2": ("no_thoughts", 0),
        "eve#2": ("no_scenario", 1),
        "long#4": ("no_stranger", 3),
        "long#5": ("no_stranger", 4),
    }
    assert [task(tmp_path).requests(one) for one in lacking] == [[]] * 5
    assert set(found) - {one.item for one in lacking} == {"zoe#2", "long#2", "long#3"}


def test_people_without_thoughts_are_refused(tmp_path: Path) -> None:
    annotated(tmp_path, ANA, BEN)
    told = refused(hindsight, config(*ASKED), tmp_path)
    assert told.startswith(f"eval: {tmp_path}/annotate/sample has no thoughts in its split test")


@pytest.mark.parametrize("judge", ["deepseek_v3", "vllm", "embedding", "recorded"])
def test_who_does_not_say_how_likely_words_are_is_refused(tmp_path: Path, judge: str) -> None:
    annotated(tmp_path, *PEOPLE)
    told = refused(hindsight, config("task=hindsight", "eval=sample", f"judge={judge}"), tmp_path)
    assert told.startswith(f"judge: {judge} (backend ")
    assert told.endswith(" cannot answer what task=hindsight asks; use one of hf")


# Models that were taught here ----------------------------------------------------------------


def taught(root: Path, **made_from: Any) -> str:
    run = finished(root, "sft/mine", [], first_thought=False, **made_from)
    (run / "model").mkdir()
    (run / "model/config.json").write_text("{}")
    (run / "model/model.safetensors").touch()
    return str(run)


@pytest.mark.parametrize("inside", ["", "/model"])
def test_a_model_that_was_taught_with_thoughts_reads_the_page_it_was_taught_on(
    tmp_path: Path, inside: str
) -> None:
    model = taught(tmp_path, **{"method.name": "thinkingus", "history": "thoughts"}) + inside
    words = f"judge.model={model}"
    one = units(tmp_path, PEOPLE, words)[0]
    system, *talk = task(tmp_path, words).requests(one)[0].messages
    assert system.content.startswith("A conversation between a person and an AI assistant.")
    assert [said.role for said in talk] == ["assistant", "user"] * one.position.turn
    assert hindsight.prompts_used(config(*ASKED, words)) == ("sft/situation",)


@pytest.mark.parametrize(
    ("method", "history"),
    [("thinkingus", "utterances"), ("utterance_sft", "thoughts"), ("ending", "thoughts")],
)
def test_one_whose_page_shows_no_thoughts_is_refused(tmp_path: Path, method: str, history: str) -> None:
    """Else all three pages would be the same, and the differences 0."""
    model = taught(tmp_path, **{"method.name": method, "history": history})
    annotated(tmp_path, *PEOPLE)
    told = refused(hindsight, config(*ASKED, f"judge.model={model}"), tmp_path)
    assert told.startswith(f"judge.model: {model} was trained to read no earlier thoughts")

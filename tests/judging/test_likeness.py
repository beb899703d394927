"""What people and their simulations said, measured side by side."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from tests.judging.parts import ANA, BEN, EVE, annotated, begun, config, judged_by_nobody, person, refused
from tests.judging.runs import live, replayed
from thinkus.judging import likeness
from thinkus.judging.likeness import Both, MeasuredConversation
from thinkus.records import Conversation, Message
from thinkus.runs import load_manifest
from thinkus.scoring.likeness import Measured

ASKED = config("task=likeness", "candidate=ours")
PEOPLE = (ANA, BEN, EVE)


def said_by(one: Conversation) -> tuple[str, ...]:
    return tuple(message.content for message in one.messages if message.role == "user")


def talk(one: Conversation) -> tuple[Sequence[str], str]:
    return [f"I am {one.id}.", "So?", ""], "simulator"


def test_in_replayed_conversations_both_have_the_same_turns(tmp_path: Path) -> None:
    """What is said after the last real one is nobody's to be compared with."""
    words = {("ana", 0): "Hi.", ("ana", 1): "", ("ana", 2): "more", ("eve", 0): "Freeze?", ("eve", 1): ""}
    replayed(tmp_path, "ours", [ANA, EVE], lambda one, turn: words[one.id, turn])
    assert list(begun(likeness, ASKED, tmp_path).units()) == [
        Both("ana", "A loaf by noon.", ("How do I bake bread?", "And how long?"), ("Hi.", "")),
        Both("eve", "A loaf by noon.", ("Can I freeze it?",), ("Freeze?",)),
    ]


def test_a_turn_that_failed_says_nothing_and_the_others_keep_their_places(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", [BEN], lambda one, turn: f"I say {turn}" if turn in (1, 3) else None)
    (unit,) = begun(likeness, ASKED, tmp_path).units()
    assert (unit.candidate, unit.failed) == (("", "I say 1", ""), 2)
    ((row, _),) = judged_by_nobody(begun(likeness, ASKED, tmp_path))
    assert isinstance(row, MeasuredConversation)
    assert (row.candidate.first, row.candidate.words) == ((), (3,))
    assert (row.person.words, row.failed) == ((5, 3, 1), 2)
    assert msgspec.json.decode(msgspec.json.encode(row), type=MeasuredConversation) == row


def test_what_the_system_and_the_assistant_say_is_not_the_persons(tmp_path: Path) -> None:
    told = replace(ANA, messages=(Message("system", "Be brief."), *ANA.messages))
    replayed(tmp_path, "ours", [told], lambda one, turn: "so")
    (unit,) = begun(likeness, ASKED, tmp_path).units()
    assert unit.person == said_by(ANA)


def test_without_an_annotation_there_is_no_intent(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", [replace(ANA, annotation=None)], lambda one, turn: None)
    ((row, _),) = judged_by_nobody(begun(likeness, ASKED, tmp_path))
    assert isinstance(row, MeasuredConversation)
    assert (row.person.intent, row.candidate.intent) == ((), ())


def test_rows_worked_by_hand(tmp_path: Path) -> None:
    said = ("Hello, a loaf by noon?", "Hello, a loaf!")
    replayed(tmp_path, "ours", [ANA], lambda one, turn: [*said, ""][turn])
    task = begun(likeness, ASKED, tmp_path)
    ((row, failures),) = judged_by_nobody(task)
    assert failures == ()
    assert row == MeasuredConversation(
        "ana",
        person=Measured(
            first=("bake", "bread", "do", "how", "i"),
            words=(5, 3),
            questions=(True, True),
            courtesy=(False, False),
            intent=(0.0, 0.0),
            repetition=(0.0,),
            mattr=None,
            hd_d=None,
            yules_k=None,
        ),
        candidate=Measured(
            first=("a", "by", "hello", "loaf", "noon"),
            words=(5, 3),
            questions=(True, False),
            courtesy=(True, True),
            intent=(1.0, 0.5),
            repetition=(1.0,),
            mattr=None,
            hd_d=None,
            yules_k=None,  # eight words say as little of it as of the other two
        ),
    )
    assert msgspec.json.decode(msgspec.json.encode(row), type=MeasuredConversation) == row


def test_of_a_live_run_the_real_conversations_are_found(tmp_path: Path) -> None:
    """Whatever their order, and however many more there are."""
    corpus = annotated(tmp_path, *PEOPLE, person("joe", "Hi"))
    live(tmp_path, "ours", (EVE, ANA), talk, corpus)
    assert list(begun(likeness, ASKED, tmp_path).units()) == [
        Both(one.id, "A loaf by noon.", said_by(one), (f"I am {one.id}.", "So?", "")) for one in (EVE, ANA)
    ]


@pytest.mark.parametrize(
    ("ended_by", "failed"), [("person_failed", 1), ("assistant_failed", 0), ("max_turns", 0)]
)
def test_in_a_live_dialogue_the_turn_that_ended_it_may_have_failed(
    tmp_path: Path, ended_by: str, failed: int
) -> None:
    live(tmp_path, "ours", [ANA], lambda one: (["Hi"], ended_by), annotated(tmp_path, *PEOPLE))
    ((row, _),) = judged_by_nobody(begun(likeness, ASKED, tmp_path))
    assert isinstance(row, MeasuredConversation)
    assert (row.failed, row.candidate.words) == (failed, (1,))


def test_parts_of_a_live_run_are_together_the_whole(tmp_path: Path) -> None:
    live(tmp_path, "ours", PEOPLE, talk, annotated(tmp_path, *PEOPLE))
    parts = [ASKED.model_copy(update={"shard": f"{number}/4"}) for number in range(1, 5)]
    cut = [unit for part in parts for unit in begun(likeness, part, tmp_path).units()]
    assert cut == list(begun(likeness, ASKED, tmp_path).units())
    assert len(cut) == 3


def test_real_conversations_that_were_derived_anew_are_refused(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    run = live(tmp_path, "ours", PEOPLE, talk, corpus)
    shutil.rmtree(corpus)
    annotated(tmp_path, ANA, BEN, person("eve", "Can I freeze bread?"))
    assert refused(likeness, ASKED, tmp_path) == (
        f"candidate: {corpus}, from which {run} took its scenarios, was derived anew since; simulate again"
    )
    shutil.rmtree(corpus)
    assert refused(likeness, ASKED, tmp_path).startswith(f"candidate: there is no run {corpus}; ")
    annotated(tmp_path, *PEOPLE)  # the same again is as good
    assert len(list(begun(likeness, ASKED, tmp_path).units())) == 3


def test_what_was_read_stands_in_the_run(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", PEOPLE, lambda one, turn: "so")
    corpus = annotated(tmp_path, *PEOPLE)
    run = live(tmp_path, "live", PEOPLE, talk, corpus)
    assert list(likeness.inputs(ASKED, tmp_path)) == ["candidate"]
    read = likeness.inputs(config("task=likeness", "candidate=live"), tmp_path)
    assert {role: one.read for role, one in read.items()} == {"candidate": str(run), "people": str(corpus)}
    facts = load_manifest(run)
    assert facts is not None
    assert read["people"].identity == facts.inputs["eval"].identity


@pytest.mark.parametrize("mode", ["real", "live"])
def test_nobody_is_asked(tmp_path: Path, mode: str) -> None:
    replayed(tmp_path, "real", PEOPLE, lambda one, turn: "so")
    live(tmp_path, "live", PEOPLE, talk, annotated(tmp_path, *PEOPLE))
    asked_for = config("task=likeness", f"candidate={mode}")
    task = begun(likeness, asked_for, tmp_path)
    assert (task.endpoint, likeness.prompts_used(asked_for)) == (None, ())
    assert [list(task.requests(unit)) for unit in task.units()] == [[], [], []]
    assert len(judged_by_nobody(task)) == 3

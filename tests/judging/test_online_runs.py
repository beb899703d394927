"""Which live runs can be judged beside each other, and by which goals."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.judging.parts import ANA, BEN, EVE, annotated, begun, config, finished, person, refused
from tests.judging.runs import live
from tests.test_runs import manifest
from thinkus.judging import online
from thinkus.judging.goals import NO_SCENARIO, Goals
from thinkus.records import Conversation
from thinkus.runs import InputFacts, claimed, input_identity, load_manifest

Talk = Callable[[Conversation], tuple[Sequence[str], str]]
ONE = config("task=online", "candidate=ours")
TWO = config("task=online", "candidate=ours", "baseline=theirs")
PEOPLE = (ANA, BEN, EVE)


def talk(one: Conversation) -> tuple[Sequence[str], str]:
    return [f"I am {one.id}.", ""], "simulator"


def goals_of(*people: Conversation) -> list[Goals]:
    given = [(one.id, one.annotation) for one in people]
    return [
        Goals(name, known.scenario, known.motivation, (f"{name} wants bread",)) for name, known in given if known
    ]  # fmt: skip


def made_of(corpus: Path) -> dict[str, InputFacts]:
    """As a run says that it read these conversations."""
    manifest = load_manifest(corpus)
    assert manifest is not None
    return {"eval": InputFacts(str(corpus), input_identity(manifest))}


def listed(root: Path, corpus: Path, name: str, goals: Sequence[Goals], task: str = "goals") -> Path:
    return finished(root, f"judge/{name}", goals, inputs=made_of(corpus), task=task)


def prepared(root: Path, *goals: Goals, **other: Any) -> None:
    """Two live runs in the scenarios of the same people, and their goals."""
    corpus = annotated(root, *PEOPLE)
    live(root, "ours", PEOPLE, talk, corpus)
    live(root, "theirs", PEOPLE, talk, corpus, "thinkingus", **other)
    listed(root, corpus, "goals.sample.deepseek_v3", goals or goals_of(*PEOPLE))


def test_each_dialogue_is_followed_by_the_other_in_the_same_scenario(tmp_path: Path) -> None:
    prepared(tmp_path)
    found = [
        (one.whose, one.dialogue.id, one.dialogue.by.method, one.goals.goals)
        for one in begun(online, TWO, tmp_path).units()
    ]
    assert found == [
        (whose, one.id, method, (f"{one.id} wants bread",))
        for one in PEOPLE
        for whose, method in (("candidate", "prompt"), ("baseline", "thinkingus"))
    ]
    alone = list(begun(online, ONE, tmp_path).units())
    assert [(one.whose, one.dialogue.id) for one in alone] == [("candidate", one.id) for one in PEOPLE]


def test_parts_are_together_the_whole(tmp_path: Path) -> None:
    prepared(tmp_path)
    for whole in (ONE, TWO):
        parts = (whole.model_copy(update={"shard": f"{number}/4"}) for number in range(1, 5))
        cut = [unit for part in parts for unit in begun(online, part, tmp_path).units()]
        assert cut == list(begun(online, whole, tmp_path).units())


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ({"assistant.name": "b"}, "has assistant.name b, and .*/ours a:"),
        ({"ending": "classifier"}, "has ending classifier, and .*/ours simulator:"),
        ({"max_turns": 5}, "has max_turns 5, and .*/ours 20:"),
        ({"ending": "classifier", "max_turns": 5}, "has ending classifier, and .*/ours simulator:"),
        ({"assistant.name": "b", "ending": "none"}, "has assistant.name b, and .*/ours a:"),
        (
            {"assistant.sampling.temperature": 1.0},
            "has assistant.sampling.temperature 1.0, and .*/ours None:",
        ),
        ({"classifier.threshold": 0.5}, "has classifier.threshold 0.5, and .*/ours None:"),
        ({"ending_run (read)": "x"}, r"has ending_run \(read\) x, and .*/ours None:"),
    ],
)
def test_under_other_conditions_they_are_not_compared(
    tmp_path: Path, condition: dict[str, Any], told: str
) -> None:
    prepared(tmp_path, **condition)
    said = refused(online, TWO, tmp_path)
    assert said.startswith(f"baseline: {tmp_path / 'simulate/theirs'} has ")
    with pytest.raises(AssertionError, match=told):
        raise AssertionError(said)
    assert len(list(begun(online, ONE, tmp_path).units())) == 3


def test_what_a_user_is_made_of_may_differ(tmp_path: Path) -> None:
    prepared(tmp_path, **{"model.name": "other", "user.name": "hf", "max_retries": 7})
    assert len(list(begun(online, TWO, tmp_path).units())) == 6


@pytest.mark.parametrize(
    ("theirs", "number", "told"),
    [
        ((BEN, ANA, EVE), 1, "ana and ben"),
        ((ANA, BEN), 3, "eve and none"),
        ((ANA, BEN, EVE, person("joe", "Hi")), 4, "none and joe"),
        ((ANA, person("ben", scenario="ben cooks."), EVE), 2, "ben and ben (the scenario differs)"),
        ((ANA, BEN, person("eve", motivation="Two loaves.")), 3, "eve and eve (the scenario differs)"),
    ],
)
def test_over_other_scenarios_they_are_refused_with_the_first(
    tmp_path: Path, theirs: Sequence[Conversation], number: int, told: str
) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    live(tmp_path, "ours", PEOPLE, talk, corpus)
    live(tmp_path, "theirs", theirs, talk, corpus)
    listed(tmp_path, corpus, "goals", goals_of(*PEOPLE))
    said = refused(online, TWO, tmp_path)
    assert said.startswith(f"baseline: {tmp_path / 'simulate/theirs'} is not over the same scenarios as ")
    assert f"dialogue {number} is of {told}; simulate both" in said
    if len(theirs) != len(PEOPLE):
        for shard in ("1/2", "2/2", "5/5"):
            assert refused(online, TWO.model_copy(update={"shard": shard}), tmp_path) == said


# Which goals ---------------------------------------------------------------------------------


REMEDY = "thinkus judge task=goals eval=sample judge=... (or name a run with goals=)"


def test_goals_that_are_not_there_are_refused_with_how_to_make_them(tmp_path: Path) -> None:
    live(tmp_path, "ours", PEOPLE, talk, annotated(tmp_path, *PEOPLE))
    assert refused(online, ONE, tmp_path) == (
        f"goals: of the conversations of eval=sample there are none; {REMEDY}"
    )
    named = ONE.model_copy(update={"goals": "mine"})
    assert refused(online, named, tmp_path) == (
        f"goals: there is no run {tmp_path / 'judge/mine'}; make it first: {REMEDY}"
    )


def test_the_one_list_that_was_made_of_the_same_conversations_is_taken(tmp_path: Path) -> None:
    """Whatever its name, whoever made it, and whatever else there is."""
    corpus = annotated(tmp_path, *PEOPLE)
    other = finished(tmp_path, "annotate/other", [ANA, BEN])
    live(tmp_path, "ours", PEOPLE, talk, corpus)
    listed(tmp_path, other, "goals.sample.deepseek_v3", goals_of(*PEOPLE))
    listed(tmp_path, corpus, "ending.sample", goals_of(*PEOPLE), "ending")
    finished(tmp_path, "judge/pairwise", [], task="pairwise")
    finished(tmp_path, "simulate/live", [], inputs=made_of(corpus), task="goals")
    damaged = listed(tmp_path, corpus, "damaged", goals_of(*PEOPLE))
    (damaged / "run.json").write_text("{")
    (tmp_path / "judge/empty").mkdir()
    assert "there are none" in refused(online, ONE, tmp_path)
    mine = listed(tmp_path, corpus, "mine", [replace(one, goals=("rye",)) for one in goals_of(*PEOPLE)])
    assert online.inputs(ONE, tmp_path)["goals"].read == str(mine)
    assert {one.goals.goals for one in begun(online, ONE, tmp_path).units()} == {("rye",)}


def test_of_several_one_has_to_be_named(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    live(tmp_path, "ours", PEOPLE, talk, corpus)
    for name in ("mine", "goals.sample.deepseek_v3"):
        listed(tmp_path, corpus, name, goals_of(*PEOPLE))
    assert refused(online, ONE, tmp_path) == (
        "goals: of the conversations of eval=sample goals.sample.deepseek_v3, mine: which one?; " + REMEDY
    )
    named = ONE.model_copy(update={"goals": "mine"})
    assert online.inputs(named, tmp_path)["goals"].read == str(tmp_path / "judge/mine")


def test_goals_that_are_not_finished_are_refused(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    live(tmp_path, "ours", PEOPLE, talk, corpus)
    unfinished = replace(manifest(task="goals"), stage="judge", name="mine", inputs=made_of(corpus))
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path / "judge/mine", unfinished, "a: 1\n", redo=False):
        raise KeyboardInterrupt
    told = refused(online, ONE, tmp_path)
    assert told == f"goals: {tmp_path / 'judge/mine'} is not finished; finish it first: {REMEDY}"
    done = listed(tmp_path, corpus, "done", goals_of(*PEOPLE))
    assert online.inputs(ONE, tmp_path)["goals"].read == str(done), (
        "it does not stand in the way of one that is"
    )


def test_people_that_were_annotated_anew_have_no_goals_yet(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, ANA, BEN)
    listed(tmp_path, corpus, "goals", goals_of(*PEOPLE))
    shutil.rmtree(corpus)
    live(tmp_path, "ours", PEOPLE, talk, annotated(tmp_path, *PEOPLE))
    assert "there are none" in refused(online, ONE, tmp_path)


def test_goals_of_another_name_can_be_named(tmp_path: Path) -> None:
    live(tmp_path, "ours", [ANA], talk, annotated(tmp_path, *PEOPLE))
    finished(tmp_path, "judge/mine", [replace(*goals_of(ANA), goals=("rye",))], task="goals")
    for name in ("mine", "judge/mine", str(tmp_path / "judge/mine")):
        (unit,) = begun(online, ONE.model_copy(update={"goals": name}), tmp_path).units()
        assert unit.goals.goals == ("rye",)


@pytest.mark.parametrize(("reference", "task"), [("judge/other", "pairwise"), ("simulate/other", "goals")])
def test_a_run_of_something_else_holds_no_goals(tmp_path: Path, reference: str, task: str) -> None:
    live(tmp_path, "ours", PEOPLE, talk, annotated(tmp_path, *PEOPLE))
    finished(tmp_path, reference, goals_of(*PEOPLE), task=task)
    told = refused(online, ONE.model_copy(update={"goals": reference}), tmp_path)
    assert told.startswith(
        f"goals: {tmp_path / reference} holds no goals; make them: thinkus judge task=goals"
    )


@pytest.mark.parametrize("lacking", [None, Goals("ben", wrong=NO_SCENARIO)])
def test_goals_that_lack_a_dialogues_are_refused_by_its_name(tmp_path: Path, lacking: Goals | None) -> None:
    prepared(tmp_path, *goals_of(ANA), *([lacking] if lacking else []), *goals_of(EVE))
    told = refused(online, ONE, tmp_path)
    assert told.startswith(f"goals: {tmp_path / 'judge/goals.sample.deepseek_v3'} has none for ben; ")
    assert "seed= and n_scenarios=" in told


@pytest.mark.parametrize("change", [{"scenario": "ben cooks."}, {"motivation": "Two loaves."}])
def test_goals_from_another_scenario_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    prepared(tmp_path, *goals_of(ANA, person("ben", **change), EVE))
    told = refused(online, ONE, tmp_path)
    assert told.startswith("goals: those of ")
    assert "were made from another scenario of ben" in told


def test_goals_of_more_scenarios_serve_as_well(tmp_path: Path) -> None:
    prepared(tmp_path, *goals_of(person("joe", "Hi"), EVE, ANA, BEN))
    assert [one.goals.conversation for one in begun(online, ONE, tmp_path).units()] == ["ana", "ben", "eve"]

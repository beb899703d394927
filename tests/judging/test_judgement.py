"""What a finished run of judge hangs on, through the runs that it was made from."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.judging.parts import ANA, BEN, EVE, annotated, finished
from tests.judging.runs import live, replayed
from tests.report.parts import dialogue
from tests.test_runs import manifest
from thinkus.judging.judgement import Judgement
from thinkus.judging.origin import Corpus, families
from thinkus.records import Conversation
from thinkus.runs import InputFacts, claimed, input_identity, load_manifest

PEOPLE = [ANA, BEN, EVE]


@pytest.mark.parametrize(
    ("model", "known"),
    [
        ("deepseek/deepseek-chat-v3-0324", {"deepseek"}),
        ("meta-llama/Llama-3.1-8B-Instruct", {"llama"}),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", {"deepseek", "qwen"}),
        ("deepseek-r1-distill-llama-70b:free", {"deepseek", "llama"}),
        ("qwen3_8b", {"qwen"}),
        ("Qwen/QwQ-32B", {"qwen"}),
        ("llama8b_instruct", {"llama"}),
        ("openai/gpt-4o", {"gpt"}),
        ("TheBloke/Llama-2-7B-GPTQ", {"llama"}),
        ("mistralai/Mixtral-8x7B", {"mistral"}),
        ("mistral-large", {"mistral"}),
        ("codestral-2501", {"mistral"}),
        ("microsoft/phi-4", {"phi"}),
        ("microsoft/Phi3-mini", {"phi"}),
        ("cognitivecomputations/dolphin-2.9-yi", {"dolphin"}),
        ("01-ai/Yi-34B", {"yi"}),
        ("/models/own-model/", {"own"}),
        ("7b", set()),
    ],
)
def test_a_family_is_known_by_the_models_name(model: str, known: set[str]) -> None:
    assert families(model) == known


# Through real runs ---------------------------------------------------------------------------


def reads(**places: Path) -> dict[str, InputFacts]:
    found = {}
    for role, place in places.items():
        its = load_manifest(place)
        assert its is not None
        found[role] = InputFacts(str(place), input_identity(its))
    return found


def judged(root: Path, task: str = "pairwise", made_from: Any = None, **places: Any) -> Judgement:
    """As it comes of a finished run of judge that read these."""
    told = {"judge.name": "hosted", "judge.model": "org/Llama-70B", "judge.backend": "openai"}
    run = finished(root, "judge/it", [], inputs=reads(**places), task=task, **(told | (made_from or {})))
    return again(run)


def again(run: Path) -> Judgement:
    its = load_manifest(run)
    assert its is not None
    return Judgement.of(run, its, [], 0.9, 0.9)


def simulated(root: Path, corpus: Path | None, name: str = "ours", **made_from: Any) -> Path:
    return replayed(root, name, PEOPLE, lambda one, turn: f"{name} {turn}", annotated=corpus, **made_from)


def talked(root: Path, corpus: Path, name: str = "ours", **made_from: Any) -> Path:
    def talk(_one: Conversation) -> tuple[list[str], str]:
        return [f"{name} speaks"], "simulator"

    return live(root, name, PEOPLE, talk, corpus, **made_from)


def test_kin_is_who_was_made_by_the_judges_own_kind(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE, **{"annotator.model": "deepseek-r1-distill-llama"})
    ours = simulated(tmp_path, corpus, **{"model.name": "llama8b_instruct"})
    assert judged(tmp_path, candidate=ours).kin == (
        "candidate (llama8b_instruct) are of one family, llama",
        "annotator (deepseek-r1-distill-llama) are of one family, llama",
    )


@pytest.mark.parametrize(
    ("judge", "kin"),
    [
        ({"judge.model": "qwen3"}, 0),
        ({"judge.model": None}, 0),
        ({"judge.model": "llama-encoder", "judge.backend": "encoder"}, 0),
        ({"judge.model": "somebody/llama"}, 2),
    ],
)
def test_a_judge_of_another_kind_or_none_has_no_kin(tmp_path: Path, judge: dict[str, Any], kin: int) -> None:
    corpus = annotated(tmp_path, *PEOPLE, **{"annotator.model": "llama"})
    ours = simulated(tmp_path, corpus, **{"user.model": "llama"})
    assert len(judged(tmp_path, made_from=judge, candidate=ours).kin) == kin


def test_of_both_families_both_are_said(tmp_path: Path) -> None:
    ours = simulated(tmp_path, None, **{"user.model": "DeepSeek-R1-Distill-Qwen-7B"})
    one = judged(tmp_path, made_from={"judge.model": "deepseek-r1-distill-qwen-32b"}, candidate=ours)
    assert one.kin == ("candidate (DeepSeek-R1-Distill-Qwen-7B) are of one family, deepseek and qwen",)


def test_who_was_taught_is_what_it_was_before_whatever_its_server_calls_it(tmp_path: Path) -> None:
    before: dict[str, Any] = {"model.name": "llama8b"}
    with claimed(tmp_path / "sft" / "taught", manifest(**before), "a: 1\n", redo=False) as taught:
        assert taught is not None
        taught.finish()
    # Of weights it is known how they were made, and then what came of it.
    facts = {"input": InputFacts(str(taught.directory), taught.manifest.identity[:32] + "f" * 32)}
    served: dict[str, Any] = {"user.model": "qwen"}
    run = finished(tmp_path, "simulate/ours", [ANA], inputs=facts, mode="offline", **served)
    assert judged(tmp_path, candidate=run).kin == ("candidate (llama8b) are of one family, llama",)


def test_a_list_of_goals_names_its_annotator_itself(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE, **{"annotator.model": "llama"})
    one = judged(tmp_path, "goals", eval=corpus)
    assert one.kin == ("annotator (llama) are of one family, llama",)
    assert (one.candidate, one.corpus.name) == ("sample", "sample")


# Over what it is -----------------------------------------------------------------------------


def test_the_corpus_is_what_the_candidate_was_tried_on(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    identity = reads(eval=corpus)["eval"].identity
    ours = simulated(tmp_path, corpus)
    assert judged(tmp_path, candidate=ours).corpus == Corpus("sample", identity)


def test_where_the_candidates_run_is_gone_another_may_know_it(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    known = Corpus("sample", reads(eval=corpus)["eval"].identity)
    ours, theirs = (simulated(tmp_path, corpus, name) for name in ("ours", "theirs"))
    goals = finished(tmp_path, "judge/goals", [EVE], inputs=reads(eval=corpus), task="goals")
    roles: dict[str, Any] = {"baseline": theirs, "goals": goals, "people": corpus}
    runs = {
        role: judged(tmp_path / role, candidate=ours, **{role: place}).run for role, place in roles.items()
    }
    alone = judged(tmp_path, candidate=ours).run
    shutil.rmtree(ours)
    assert {role: again(Path(run)).corpus for role, run in runs.items()} == dict.fromkeys(roles, known)
    assert again(Path(alone)).corpus == Corpus()
    assert "method" not in again(Path(alone)).facts


def test_what_was_derived_anew_since_says_nothing_of_what_was_judged(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE, **{"annotator.model": "llama"})
    ours = simulated(tmp_path, corpus, decode="guided", **{"user.model": "llama"})
    run = Path(judged(tmp_path, candidate=ours).run)
    assert again(run).facts["decode"] == "guided"
    shutil.rmtree(ours)
    replayed(tmp_path, "ours", PEOPLE, lambda _one, _turn: "other words", annotated=corpus, decode="free")
    assert (again(run).corpus, again(run).kin) == (Corpus(), ())
    assert "decode" not in again(run).facts


def test_where_all_was_moved_what_it_read_is_beside_it(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    corpus = annotated(here, *PEOPLE, **{"annotator.model": "llama"})
    run = judged(here, candidate=simulated(here, corpus))
    shutil.move(here, there)
    moved = again(there / "judge" / "it")
    assert moved.corpus == run.corpus != Corpus()
    assert moved.kin == run.kin == ("annotator (llama) are of one family, llama",)


# Under which conditions ----------------------------------------------------------------------


def test_a_judge_is_asked_alike_by_model_sampling_prompts_and_protocol(tmp_path: Path) -> None:
    ours = simulated(tmp_path, None)
    other: list[dict[str, Any]] = [
        {"judge.sampling.temperature": 1.0},
        {"prompt judge/pairwise": "another"},
        {"protocol": "paper"},
        {"judge.model": "another"},
    ]
    asked = [
        judged(tmp_path / str(at), made_from=more, candidate=ours).asked for at, more in enumerate(other)
    ]
    usual = judged(tmp_path, candidate=ours).asked
    assert len({usual, *asked}) == 5
    more_controls = judged(tmp_path / "more", made_from={"controls": 90, "repeat": 3}, candidate=ours)
    assert more_controls.asked == usual


def test_dialogues_are_held_alike_by_assistant_and_ending(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    usual = judged(tmp_path, "online", candidate=talked(tmp_path, corpus))
    others: list[dict[str, Any]] = [
        {"assistant.model": "another"},
        {"assistant.sampling.temperature": 1.0},
        {"max_turns": 3},
        {"ending": "either", "classifier.model": "x"},
    ]
    held = [
        judged(tmp_path / str(at), "online", candidate=talked(tmp_path / str(at), corpus, **more))
        for at, more in enumerate(others)
    ]
    assert all(one.conditions != usual.conditions for one in held)
    same = judged(
        tmp_path / "same", "online", candidate=talked(tmp_path / "same", corpus, **{"user.model": "x"})
    )
    assert same.conditions == usual.conditions
    assert held[0].facts["assistant"] == "a (another)"
    assert not judged(tmp_path / "replayed", candidate=simulated(tmp_path / "replayed", corpus)).talk


def test_how_live_dialogues_sound_is_known_to_be_of_live_ones(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    spoken = judged(tmp_path, "likeness", candidate=talked(tmp_path, corpus), people=corpus)
    assert spoken.is_live
    assert not judged(tmp_path / "r", "likeness", candidate=simulated(tmp_path / "r", corpus)).is_live


def test_what_the_baseline_is_is_not_what_the_candidate_is(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, *PEOPLE)
    ours, theirs = (talked(tmp_path, corpus, name, decode="guided") for name in ("ours", "theirs"))
    one = judged(tmp_path, "online", candidate=ours, baseline=theirs)
    mine, other = one._replace(rows=[dialogue("a", 1), dialogue("a", 1, whose="baseline")]).sides
    assert (mine.facts["method"], mine.facts["decode"]) == ("prompt", "guided")
    assert (other.candidate, other.facts["method"], other.facts["decode"]) == ("theirs", "", "")
    assert other.identity("candidate") == one.identity("baseline") != one.identity("candidate")
    assert other.conditions == mine.conditions

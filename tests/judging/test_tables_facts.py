"""What figures hang on, said above them; and what a reader is warned of below."""

from collections.abc import Callable
from io import StringIO
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from rich.console import Console

from tests.judging.parts import ANA, annotated, config, finished
from tests.judging.printed import above, judgement, lines, printed
from tests.judging.runs import live, replayed
from tests.test_runs import manifest
from thinkus.judging import online, pairwise
from thinkus.judging.ending import Left
from thinkus.judging.goals import Goals
from thinkus.judging.judgement import Judgement
from thinkus.judging.online import JudgedDialogue
from thinkus.judging.online import Verdict as Score
from thinkus.judging.pairwise import JudgedTurn, Verdict
from thinkus.judging.showing import print_whole
from thinkus.judging.tables import tables
from thinkus.judging.task import Way
from thinkus.judging.terminal import NO_THOUGHT, RatedThought
from thinkus.runs import InputFacts, load_manifest
from thinkus.stages.judge import show_results

TURN = JudgedTurn("c", 0, (), (Verdict("candidate", "candidate"),))


def made(way: Way, root: Path, *words: str, **made_from: Any) -> Judgement:
    """As it comes of a finished run of judge over these."""
    asked_for = config(*words)
    read = {role: InputFacts(one.read, one.identity) for role, one in way.inputs(asked_for, root).items()}
    run = finished(root, "judge/it", [], inputs=read, **({"task": asked_for.task} | made_from))
    its = load_manifest(run)
    assert its is not None
    return Judgement.of(run, its, [TURN], 0.9, 0.9)


def say(*_: object) -> str:
    return "so"


def test_a_run_is_named_by_what_it_read() -> None:
    facts = {
        "candidate": InputFacts("~/outputs/simulate/ours", "x"),
        "baseline": InputFacts("outputs/simulate/theirs", "y"),
    }
    made_from = {"task": "pairwise", "judge.name": "hosted", "judge.model": "a/model", "protocol": "paper"}
    place = Path("outputs/judge/it")
    one = Judgement.of(place, replace(manifest(**made_from), inputs=facts), [1], 0.9, 0.9)
    told = {"protocol": "paper", "judge.model": "a/model"}
    assert one[:8] == ("pairwise", "ours", "hosted (a/model)", told, "theirs", (1,), 0.9, 0.9)
    assert (one.run, one.read) == ("outputs/judge/it", {"candidate": "x", "baseline": "y"})
    made_of = {"eval": InputFacts("annotate/sample", "x")}
    bare = Judgement.of(place, replace(manifest(task="goals"), inputs=made_of), [], 0.9, 0.9)
    assert (bare.candidate, bare.judge, bare.against) == ("sample", "", None)
    assert set(bare.facts.values()) == {""}


def test_what_its_user_was_is_read_from_the_run_of_that(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        replayed(tmp_path, name, [ANA], say, "thinkingus", decode="guided", max_turns=3)
    one = made(pairwise, tmp_path, "candidate=ours", "baseline=theirs", protocol="paper")
    assert one.facts == {"protocol": "paper", "judge.model": "", "method": "thinkingus", "decode": "guided"}


def test_what_its_dialogues_were_held_with_as_well(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, ANA)
    live(tmp_path, "ours", [ANA], lambda one: (["Hi"], "max_turns"), corpus, decode="free")
    finished(tmp_path, "judge/goals", [], task="goals")
    one = made(online, tmp_path, "task=online", "candidate=ours", "goals=goals")
    theirs = JudgedDialogue("c", "baseline", "a", "simulator", 0)
    told = lines("online", one._replace(rows=[*dialogues("m"), theirs], against="theirs"))
    assert ["method", "prompt"] in told, "of the candidate alone, for the other may have another"
    assert {fact: one.facts[fact] for fact in ("assistant", "ending", "max_turns", "method", "decode")} == {
        "assistant": "a",
        "ending": "simulator",
        "max_turns": "20",
        "method": "prompt",
        "decode": "free",
    }


def test_all_facts_stand_in_the_line_above_in_their_order() -> None:
    facts = {"protocol": "paper", "method": "prompt", "decode": "free", "max_turns": "", "judge.model": "m"}
    assert above("pairwise", judgement([TURN], "ours", "theirs", **facts)) == (
        "against theirs; judge a judge; protocol paper; method prompt; decode free"
    )
    assert above("pairwise", judgement([TURN], judge="")) == ""


@pytest.mark.parametrize("fact", ["against", "judge", "protocol", "method", "decode"])
def test_what_differs_has_a_line_and_what_is_shared_is_said_above(fact: str) -> None:
    values: dict[str, str] = {
        "against": "theirs",
        "judge": "j",
        "protocol": "p",
        "method": "m",
        "decode": "d",
    }
    ones = [judgement([TURN], name, **(values | {fact: value})) for name, value in (("a", "x"), ("b", "y"))]
    shared = "; ".join(f"{key} {value}" for key, value in values.items() if key != fact)
    assert above("pairwise", *ones) == shared
    assert [line for line in lines("pairwise", *ones) if line[0] in values] == [[fact, "x", "y"]]


def test_dialogues_that_are_not_alike_are_said_to_be_so_wherever_they_stand_side_by_side() -> None:
    left = [Left("c", 2, turns=3, ended_by="simulator")]
    ones = [judgement(left, name)._replace(talk=talk) for name, talk in (("ours", "t"), ("theirs", "u"))]
    assert "held with different assistants or endings" in printed("ending", *ones)
    assert "held with" not in printed("ending", ones[0], ones[1]._replace(talk="t"))
    ones = [judgement(dialogues("m"), name)._replace(read={"goals": name}) for name in ("ours", "theirs")]
    assert "held against different lists of goals, so these columns cannot be compared" in printed(
        "online", *ones
    )
    assert "held" not in printed("online", ones[0], ones[1]._replace(read=ones[0].read))


# No figure is lost ---------------------------------------------------------------------------


def test_no_column_is_folded_however_many_there_are() -> None:
    """In one line each, as far as the window goes."""
    in_both = replace(TURN, verdicts=TURN.verdicts * 2)  # so that there are cells with gaps
    ones = [judgement([in_both], f"{name}-of.a.very.long.name.that.differs.{name}") for name in "abcdef"]
    heights = set()
    for width in (60, 100, 250, 2_000):
        console = Console(width=width, file=StringIO())
        for told in tables([one._replace(task="pairwise") for one in ones]):
            print_whole(told, console)
        assert isinstance(console.file, StringIO)
        heights.add(len([line for line in console.file.getvalue().splitlines() if line.strip()]))
    assert len(heights) == 1


def test_in_a_narrow_window_a_finished_run_shows_every_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    rows = [JudgedTurn("c", 0, same=True)] * 1_234
    made_from: dict[str, Any] = {"task": "pairwise", "judge.name": "[bold]hosted[/bold]"}
    runs = [finished(tmp_path, f"judge/{name}", rows, **made_from) for name in ("one", "two")]
    show_results([(run, config()) for run in runs])
    told = capsys.readouterr().out
    assert "\u2026" not in told
    assert [line.split() for line in told.splitlines() if line.startswith("  the same words")] == [
        ["the", "same", "words", "1,234", "1,234"]
    ]
    assert "[bold]hosted[/bold]" in told, "a name is no markup"


# What is said below --------------------------------------------------------------------------


def turns(*served: str) -> list[JudgedTurn]:
    return [JudgedTurn("c", 0, (), (Verdict("candidate", "tie", served_model=name),)) for name in served]


def thoughts(*served: str) -> list[RatedThought]:
    return [RatedThought("c", "candidate", "good", served_model=name) for name in served]


def lists(*served: str) -> list[Goals]:
    return [Goals("c", "s", "m", ("one",), served_model=name) for name in served]


def dialogues(*served: str) -> list[JudgedDialogue]:
    scores = tuple(Score("additional", 1, served_model=name) for name in served)
    return [JudgedDialogue("c", "candidate", "a", "simulator", 0, "judged", scores)]


BY_TASK: dict[str, Callable[..., list[Any]]] = {
    "pairwise": turns,
    "terminal": thoughts,
    "goals": lists,
    "online": dialogues,
}


@pytest.mark.parametrize("task", BY_TASK)
def test_who_answered_instead_is_told(task: str) -> None:
    rows = BY_TASK[task]("org/wanted-2024-11-20", "cheap", "wanted", "", "cheap", "dear")
    told = printed(task, judgement(rows, **{"judge.model": "wanted"}))
    assert "ours: wanted was asked for, and this is what answered: cheap (2), dear (1)\n" in told
    asked = BY_TASK[task]("wanted", "org/wanted", "")
    assert "answered" not in printed(task, judgement(asked, **{"judge.model": "wanted"}))
    assert "answered" not in printed(task, judgement(rows)), "where no model was named, there is no other"


def test_what_cannot_be_read_is_told_of_each_run_the_most_frequent_first() -> None:
    wrong = ["cut", "off_form", "off_form", "no_verdict", "off_form", "cut"]
    rows = [JudgedTurn("c", 0, (), (Verdict("candidate", None, wrong=kind),)) for kind in wrong]
    told = printed("pairwise", judgement(rows), judgement([TURN], "good"), judgement(rows[:1], "third"))
    assert [line for line in told.splitlines() if "cannot be read" in line] == [
        "ours, a judge: cannot be read: 3 off form, 2 cut, 1 no verdict (failures.jsonl has them)",
        "third, a judge: cannot be read: 1 cut (failures.jsonl has them)",
    ]


def test_a_thought_that_is_not_there_is_nothing_that_cannot_be_read() -> None:
    rows = [RatedThought("c", "candidate", wrong=NO_THOUGHT), RatedThought("c", "person", wrong=NO_THOUGHT)]
    assert "cannot be read" not in printed("terminal", judgement(rows))


@pytest.mark.parametrize("order", list(permutations(["ours", "theirs", "others"], 2)))
def test_a_note_is_of_the_name_in_the_table(order: tuple[str, str]) -> None:
    """Shortened as it is there."""
    ones = [judgement(turns("cheap"), f"{name}.lmsys", **{"judge.model": "wanted"}) for name in order]
    told = printed("pairwise", *ones)
    assert [line.partition(":")[0] for line in told.splitlines() if "answered" in line] == list(order)

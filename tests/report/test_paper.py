"""The paper's figures beside ours: only where a run is what a row of its tables is, and never as one of ours."""

import csv
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.judging.parts import ANA, annotated, finished
from tests.judging.test_judgement import again, judged, reads
from tests.report.parts import dialogue, duels, judgement, online, thoughts, turn, turns
from tests.scoring.test_wins import PUBLISHED
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.pairwise import Verdict
from thinkus.report import paper
from thinkus.report.charts import Forest, charts
from thinkus.report.markdown import as_markdown, figures_csv
from thinkus.report.sections import Section, sections

TAUGHT = {
    "corpus": "lmsys",
    "method": "thinkingus",
    "model": "llama8b",
    "baseline method": "prompt",
    "baseline model": "meta-llama/Llama-3.1-8B-Instruct",
    "annotator": "deepseek/deepseek-chat-v3-0324",
    "assistant": "meta-llama/Llama-3.1-8B-Instruct",
    "ending": "classifier",
    "epochs": "3",
    "lr": "1e-05",
    "max_length": "4096",
    "global_batch": "32",
    "trained on": "51140",
}
V3 = {"judge.model": "deepseek/deepseek-chat-v3-0324"}
PLANNED = {f"c{at}": "wwlx" if at % 3 else "wltl" for at in range(12)}


def closer(name: str = "ours", protocol: str = "paper", planned: Any = None, **recipe: Any) -> Judgement:
    facts = V3 | {"protocol": protocol}
    return duels(name, planned or PLANNED, facts=facts, recipe=TAUGHT | recipe)


def told(*ones: Judgement) -> tuple[Section, Lines | None, list[str]]:
    """The section, what stands beside the paper in it, and what is said of that."""
    (section,) = sections(ones)
    at = next(
        (at for at, one in enumerate(section.told) if isinstance(one, Lines) and one.title == paper.TITLE),
        None,
    )
    if at is None:
        return section, None, []
    lines = section.told[at]
    assert isinstance(lines, Lines)
    return section, lines, [one for one in section.told[at:] if isinstance(one, str)]


def of_table(section: Section, figure: str) -> tuple[Cell, ...]:
    first = section.told[0]
    assert isinstance(first, Lines)
    return dict(first.rows)[figure]


def test_every_published_rate_is_that_of_its_counts() -> None:
    """Against the table of the paper that the tests of scoring hold."""
    ours = [
        (*counts[:3], round(counts.rate or 0, 4))
        for rows in paper.CLOSER.values()
        for counts in rows.values()
    ]
    assert sorted(ours) == sorted(row for both in PUBLISHED.values() for row in both)


def test_a_row_of_the_paper_stands_beside_ours_and_the_difference_is_what_a_reader_would_take() -> None:
    once = {f"c{at}": "wwlt" if at % 3 else "wltl" for at in range(12)}
    section, lines, _ = told(closer(planned=once))
    (here,) = of_table(section, "r_w")
    assert lines is not None
    assert here.interval is not None
    assert lines.columns == ("the paper", "here", "difference")
    [(name, (theirs, ours, less))] = lines.rows
    assert (name, theirs, ours) == ("ours: r_w", Cell("0.3423"), here)
    assert less.value == f"{float(here.value) - 0.3423:.4f}"
    assert less.interval == tuple(f"{float(end) - 0.3423:.4f}" for end in here.interval)


def test_of_two_orders_what_one_of_them_gives_on_average_stands_beside_the_papers_one() -> None:
    half = [replace(one, verdicts=(one.verdicts[0], Verdict("baseline", "tie"))) for one in turns(PLANNED)]
    section, lines, notes = told(closer(protocol="both_orders")._replace(rows=half))
    (halves,), (strict,) = of_table(section, "as halves: r_w"), of_table(section, "r_w")
    assert lines is not None
    assert halves != strict
    assert lines.rows[0][1][1] == halves
    assert paper.HALVES in notes


@pytest.mark.parametrize(
    "other",
    [
        {"corpus": "wildchat-mine"},
        {"corpus": "sample"},
        {"method": "prompt"},
        {"model": "qwen3_8b_base"},
        {"model": "llama70b"},
        {"baseline method": "utterance_sft"},
        {"baseline model": "qwen3_8b"},
        {"baseline model": "llama8b"},
        {"baseline model": ""},
    ],
)
def test_what_is_no_row_of_the_paper_has_nothing_of_it_beside_it(other: dict[str, str]) -> None:
    assert told(closer(**other))[1] is None
    assert told(closer())[1] is not None


def test_a_model_is_known_by_its_name_on_the_hub_whoever_hands_it_on() -> None:
    renamed = {"model": "someone/Meta-Llama-3.1-8B", "baseline model": "m/Meta-Llama-3.1-8B-Instruct"}
    assert told(closer(**renamed))[1] == told(closer())[1]


def test_where_the_runs_that_say_what_it_was_are_gone_nothing_is_guessed() -> None:
    assert told(closer()._replace(recipe={}))[1] is None


@pytest.mark.parametrize("baseline", ["llama8b_instruct", "qwen3_8b"])
def test_qwens_own_baseline_is_as_good_as_llamas_and_it_is_said_that_nobody_knows(baseline: str) -> None:
    _, lines, notes = told(closer(model="Qwen/Qwen3-8B", **{"baseline model": baseline}))
    assert lines is not None
    assert lines.rows[0][1][0] == Cell("0.5243")
    assert paper.WHOSE_PROMPT in notes


def test_last_thoughts_stand_beside_table_2() -> None:
    planned = {f"c{at}": ("good", "poor" if at % 2 else "good") for at in range(12)}
    instruct = thoughts("taught", planned, facts=V3, recipe=TAUGHT | {"model": "llama8b_instruct"})
    told_to = {key: TAUGHT[key] for key in ("corpus", "annotator")}
    told_to |= {"model": "llama8b_instruct", "method": "prompt_thinking"}
    section, lines, notes = told(instruct, thoughts("told", planned, facts=V3, recipe=told_to))
    assert lines is not None
    assert [(name, cells[0].value) for name, cells in lines.rows] == [
        ("taught: divergence", "0.0687"),
        ("told: divergence", "0.1583"),
    ]
    assert lines.rows[0][1][1] == of_table(section, "divergence")[1]
    assert [note for note in notes if note.endswith(paper.WHICH_BASE)] == [f"taught: {paper.WHICH_BASE}"]
    assert not any("epochs" in note for note in notes), "who was not trained has none"


def test_live_dialogues_stand_beside_table_4() -> None:
    rows = [dialogue(f"c{at}", at % 2, 1) for at in range(12)]
    section, lines, notes = told(
        online("ours", rows, facts=V3 | {"ending": "classifier"}, recipe=TAUGHT | {"corpus": "wildchat"})
    )
    assert lines is not None
    assert [(name, cells[0].value) for name, cells in lines.rows] == [
        ("ours: disclosure", "0.4968"),
        ("ours: progression", "0.4620"),
        ("ours: additional information", "0.4140"),
    ]
    assert lines.rows[1][1][1] == of_table(section, "progression")[0]
    assert any("conversations 12 (500)" in note for note in notes)
    assert not any("assistant" in note or "ending" in note for note in notes)


def test_whom_live_dialogues_were_held_with_and_what_ended_them_is_said() -> None:
    rows = [dialogue(f"c{at}", at % 2, 1) for at in range(12)]
    other = TAUGHT | {"assistant": "qwen3_8b", "ending": "simulator"}
    _, lines, notes = told(online("ours", rows, facts=V3, recipe=other))
    assert lines is not None
    assert any(
        "assistant qwen3_8b (Llama-3.1-8B-Instruct), ending simulator (classifier)" in note for note in notes
    )
    (additional,) = [cells for name, cells in lines.rows if name.endswith("additional information")]
    assert additional[2].printed.startswith("0.5780 ~["), "as the interval is that it was made from"


def test_without_intervals_of_ours_the_difference_has_none() -> None:
    _, lines, _ = told(closer(planned={"a": "wwl"}))
    assert lines is not None
    assert lines.rows[0][1] == (Cell("0.3423"), Cell("0.3333"), Cell("-0.0090"))


def test_a_figure_that_there_is_nothing_to_make_of_differs_by_nothing() -> None:
    none = judgement("terminal", "ours", thoughts("x", {"a": (None, None)}).rows, facts=V3, recipe=TAUGHT)
    _, lines, _ = told(none)
    assert lines is not None
    assert lines.rows[0][1] == (Cell("0.0687"), Cell("-"), Cell(""))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"epochs": "1"}, "epochs 1 (3)"),
        ({"lr": "2e-05"}, "lr 2e-05 (1e-05)"),
        ({"max_length": "2048"}, "max_length 2,048 (4,096)"),
        ({"budget_s": "60"}, "budget_s 60 (none)"),
        ({"trained on": "300"}, "trained on 300 (51,140)"),
        ({"annotator": "deepseek-v3.2"}, "annotator deepseek-v3.2 (DeepSeek-V3)"),
        ({"annotator of the training": "deepseek-v3.2"}, "annotator deepseek-v3.2 (DeepSeek-V3)"),
        (
            {"annotator": "deepseek-v3.2 and deepseek/deepseek-chat-v3"},
            "annotator deepseek-v3.2 and deepseek/deepseek-chat-v3 (DeepSeek-V3)",
        ),
    ],
)
def test_what_is_not_as_in_the_paper_is_said_with_what_it_was_there(
    changed: dict[str, str], said: str
) -> None:
    _, _, notes = told(closer("new", **changed), closer("old"))
    (at_new,) = [note for note in notes if said in note]
    assert at_new.startswith("new: not as in the paper")


def test_another_judge_is_said_and_another_name_of_the_same_is_none() -> None:
    def of(judge: str) -> str:
        one = closer()
        return " ".join(told(one._replace(facts={**one.facts, "judge.model": judge}))[2])

    assert "judge hosted (m) (DeepSeek-V3)" in of("gpt-5")
    assert "judge hosted (m) (DeepSeek-V3)" in of("deepseek-v3.1")
    assert "DeepSeek-V3" not in of("deepseek-ai/DeepSeek-V3-0324")


def test_as_many_conversations_as_in_the_paper_are_not_spoken_of() -> None:
    rows = [turn(f"c{at}", 0, "wl"[at % 2]) for at in range(2678)]
    _, _, notes = told(closer()._replace(rows=rows))
    assert not any("not as in the paper" in note for note in notes)


def test_the_papers_figures_are_drawn_as_the_papers_and_are_in_no_column_of_ours() -> None:
    section, lines, _ = told(closer())
    assert lines is not None
    [drawn] = [one for one in charts(section) if isinstance(one, Forest) and "paper" in one.title]
    assert [(point.name, point.paper) for point in drawn.points] == [("ours: r_w", 0.3423)]
    others = [one for one in charts(section) if isinstance(one, Forest) and one != drawn]
    assert others
    assert all(point.paper is None for one in others for point in one.points)
    rows = [row for row in csv.DictReader(figures_csv([section]).splitlines()) if row["value"] == "0.3423"]
    assert [(row["table"], row["column"]) for row in rows] == [(paper.TITLE, paper.THEIRS)]
    assert "| beside the paper | the paper | here | difference |" in as_markdown([section])


def test_how_a_run_came_to_be_is_read_from_the_runs_behind_it(tmp_path: Path) -> None:
    corpus = annotated(tmp_path, ANA, **{"annotator.model": "deepseek-v3"})
    trained: dict[str, Any] = {"model.name": "llama8b", "epochs": 3, "lr": 1e-5, "budget_s": None}
    answered = {"answered_by": {"deepseek-v3.2": 5, "hosted/deepseek-v3": 3}}
    asked: dict[str, Any] = {"annotator.model": "deepseek-v3"}
    material = finished(tmp_path, "annotate/more", [ANA], counts=answered, **asked)
    counts = {"train": {"conversations": 7}}
    taught = finished(tmp_path, "sft/taught", [], counts=counts, inputs=reads(input=material), **trained)
    spoke: dict[str, Any] = {"mode": "offline", "eval.name": "lmsys", "ending": "simulator"}
    ours = spoke | {"method.name": "thinkingus", "model.name": "llama8b"}
    theirs = spoke | {"method.name": "prompt", "model.name": "llama8b_instruct"}
    candidate = finished(tmp_path, "simulate/ours", [ANA], inputs=reads(input=taught, eval=corpus), **ours)
    baseline = finished(tmp_path, "simulate/base", [ANA], inputs=reads(eval=corpus), **theirs)
    told = judged(tmp_path, candidate=candidate, baseline=baseline).recipe
    assert told == {
        "corpus": "lmsys",
        "method": "thinkingus",
        "model": "llama8b",
        "baseline method": "prompt",
        "baseline model": "llama8b_instruct",
        "annotator": "deepseek-v3",
        "annotator of the training": "deepseek-v3.2 and hosted/deepseek-v3",
        "ending": "simulator",
        "epochs": "3",
        "lr": "1e-05",
        "trained on": "7",
    }
    for its in candidate.iterdir():
        its.unlink()
    assert again(tmp_path / "judge" / "it").recipe == {}

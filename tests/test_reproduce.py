"""The commands that make the paper's tables: they compose, each finds what it reads, and no row is missing."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from thinkus import commands, compose, identity, paths
from thinkus.commands import Errand
from thinkus.config import (
    AnnotateConfig,
    JudgeConfig,
    PrepareConfig,
    ReportConfig,
    SftConfig,
    SimulateConfig,
)
from thinkus.runs import Input
from thinkus.stages import report

CHECKOUT = paths.PACKAGE.parent
TABLES = ("table1", "table2", "table4", "table5")
LLAMAS = [
    ("utterance_sft", "llama8b_instruct"),
    ("prompt_thinking", "llama8b_instruct"),
    ("thinkingus", "llama8b_instruct"),
    ("thinkingus", "llama8b"),
]
QWENS = [(method, size) for size in ("qwen3_8b", "qwen3_4b") for method in ("utterance_sft", "thinkingus")]
ROWS = {
    "table1": [("pairwise", *row, corpus) for row in LLAMAS for corpus in ("lmsys", "wildchat")],
    "table2": [("terminal", *row, "lmsys") for row in LLAMAS[1:]],
    "table4": [
        ("online", *row, corpus) for row in (LLAMAS[0], *LLAMAS[2:]) for corpus in ("lmsys", "wildchat")
    ],
    "table5": [("pairwise", *row, corpus) for row in QWENS for corpus in ("lmsys", "wildchat")],
}
ONE_SCREEN, COLUMNS = 24, 100


def made(*words: str) -> subprocess.CompletedProcess[str]:
    """What make would do."""
    return subprocess.run(["make", "-n", *words], cwd=CHECKOUT, capture_output=True, text=True)


@cache
def lines(table: str, scale: str) -> tuple[str, ...]:
    recipe = made(f"reproduce-{table}", f"SCALE={scale}").stdout.splitlines()
    return tuple(line for line in recipe if re.match(r"\.venv/bin/thinkus \w+ ", line))


@cache
def errand(line: str) -> Errand:
    (found,) = commands.read([line])
    return found


def errands(table: str, scale: str) -> list[Errand]:
    return [errand(line) for line in lines(table, scale)]


def reads(config: object) -> list[str]:
    """The runs that a stage would look for."""
    if isinstance(config, PrepareConfig):
        return [f"prepare/{config.against}"] if config.against else []
    if isinstance(config, AnnotateConfig):
        return [f"prepare/{config.input or config.data.name}"]
    if isinstance(config, SftConfig):
        return [f"annotate/{config.input or config.data.name}"]
    if isinstance(config, SimulateConfig):
        taught = [f"sft/{config.input or config.speaker}"] if config.method.trained else []
        leaving = [f"sft/{config.ending_run}"] if config.mode == "online" else []
        return [f"annotate/{config.eval.name}", *taught, *leaving]
    if isinstance(config, JudgeConfig) and config.task == "goals":
        return [f"annotate/{config.eval.name}"]
    if isinstance(config, JudgeConfig):
        goals = [f"judge/{config.goals}"] if config.task == "online" else []
        return [f"simulate/{run}" for run in (config.candidate, config.baseline) if run] + goals
    assert isinstance(config, ReportConfig)
    return [f"judge/{run}" for run in config.input or []]


def run_of(one: Errand) -> str:
    return f"{one.stage}/{one.directory.name}"


@pytest.mark.parametrize("scale", ["paper", "tiny"])
@pytest.mark.parametrize("table", TABLES)
def test_each_command_composes_and_reads_what_an_earlier_one_makes(table: str, scale: str) -> None:
    there: set[str] = set()
    for one in errands(table, scale):
        assert set(reads(one.config)) <= there, one.directory
        there.add(run_of(one))
    assert run_of(errands(table, scale)[-1]) == f"report/{table}"


@pytest.mark.parametrize("table", TABLES)
def test_each_row_of_the_papers_table_is_judged_and_reported(table: str) -> None:
    every = errands(table, "paper")
    speakers = {one.directory.name: one.config for one in every if isinstance(one.config, SimulateConfig)}
    judged = {}
    for one in every:
        if isinstance(one.config, JudgeConfig) and one.config.task != "goals":
            speaker = speakers[str(one.config.candidate)]
            row = (one.config.task, speaker.method.name, speaker.model.name, speaker.eval.name)
            judged[run_of(one)] = row
            if one.config.task == "pairwise":
                assert one.config.baseline == f"prompt-llama8b_instruct.{speaker.eval.name}.offline"
            assert speaker.mode == ("online" if one.config.task == "online" else "offline")
    assert sorted(judged.values()) == sorted(ROWS[table])
    assert sorted(reads(every[-1].config)) == sorted(judged)


def test_all_live_conversations_are_ended_by_one_classifier() -> None:
    live = [one.config for one in errands("table4", "paper") if isinstance(one.config, SimulateConfig)]
    assert {(one.ending, one.ending_run, one.n_scenarios) for one in live} == {
        ("classifier", "ending-llama8b-lmsys", 500)
    }


def test_a_row_of_table_4_by_hand_is_ended_by_the_same_classifier() -> None:
    """Not by one of its own model, which nothing here makes."""
    for row in ("utterance_sft", "thinkingus_instruct", "thinkingus_base"):
        config = errand(f"thinkus simulate experiment=table4_{row}").config
        assert isinstance(config, SimulateConfig)
        assert config.ending_run == "ending-llama8b-lmsys"


@pytest.mark.parametrize("table", TABLES)
def test_at_the_papers_scale_runs_have_the_names_that_they_would_have_anyway(table: str) -> None:
    for one in errands(table, "paper"):
        if one.stage in ("prepare", "annotate", "sft", "simulate"):
            assert one.config.name == identity.fill(one.config.default_name, one.config)
    live = next(line for line in reversed(lines("table4", "paper")) if " simulate " in line)
    words = [word for word in live.split()[2:] if not word.startswith("name=")]
    (job,) = compose.jobs("simulate", words, sweep=False)
    assert f" name={job.name} " in live


@pytest.mark.parametrize("table", TABLES)
def test_a_small_scale_cannot_pass_for_the_paper(table: str) -> None:
    for one in errands(table, "tiny"):
        assert one.directory.parts[:2] == ("outputs", "reproduce-tiny")
        assert not re.search("lmsys|wildchat|llama|qwen|deepseek", one.directory.name)
    assert {one.directory.parts[:-2] for one in errands(table, "paper")} == {("outputs",)}


@pytest.mark.parametrize("table", TABLES)
def test_the_small_scales_differ_in_their_model_and_their_experiment_alone(table: str) -> None:
    """So what holds of one holds of the other."""
    other = {"demo": "tiny", "gemma270m": "tiny", " limit=2": "", "data.train=40": "data.train=8"}
    demo = "\n".join(lines(table, "demo"))
    for word, instead in other.items():
        assert word in demo
        demo = demo.replace(word, instead)
    assert demo == "\n".join(lines(table, "tiny"))


def test_rows_compose_at_the_demos_scale_too() -> None:
    words = [line for line in lines("table4", "demo") if "[table4_thinkingus_base,demo]" in line]
    live = [errand(line).config for line in words]
    assert {(one.n_scenarios, one.ending) for one in live if isinstance(one, SimulateConfig)} == {
        (2, "classifier")
    }


def test_an_unknown_scale_is_refused() -> None:
    refused = made("reproduce-table1", "SCALE=huge")
    assert refused.returncode == 2
    assert "SCALE=huge: is none of paper, demo, tiny" in refused.stderr


@pytest.mark.parametrize("table", ["table1", "table5"])
def test_without_data_weights_and_keys_one_screen_says_all_of_it(
    table: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    command = [sys.executable, "-m", "thinkus", "doctor", "-"]
    said = "\n".join(lines(table, "paper"))
    finished = subprocess.run(command, input=said, capture_output=True, text=True, cwd=workspace)
    shown = finished.stdout.splitlines() + finished.stderr.splitlines()
    assert finished.returncode == 2
    assert len(shown) <= ONE_SCREEN - 2, "make adds two lines of its own"
    assert max(map(len, shown)) <= COLUMNS
    models = {model for _, _, model, _ in ROWS[table]}
    hubs = {"qwen3_8b": "Qwen/Qwen3-8B", "qwen3_4b": "Qwen/Qwen3-4B", "llama8b": "meta-llama/Llama-3.1-8B"}
    for line in (
        "hf download lmsys/lmsys-chat-1m --repo-type dataset",
        "https://huggingface.co/datasets/lmsys/lmsys-chat-1m",
        "hf download allenai/WildChat-1M --repo-type dataset",
        "hf download meta-llama/Llama-3.1-8B-Instruct",
        *(f"hf download {hubs[model]}" for model in models & hubs.keys()),
    ):
        assert any(one.endswith(f"  {line}") for one in shown), line
    assert "export OPENROUTER_API_KEY=..." in finished.stdout
    assert "GPU hours" in finished.stdout
    assert "million tokens in" in finished.stdout
    assert not list(workspace.iterdir())
    assert not list((workspace.parent / "home").rglob("*"))


def test_make_looks_before_the_first_command() -> None:
    recipe = made("reproduce-table1").stdout.splitlines()
    looks = next(at for at, line in enumerate(recipe) if "doctor -" in line)
    first = next(at for at, line in enumerate(recipe) if "thinkus prepare" in line)
    assert looks < first


@pytest.mark.parametrize("table", ["table1", "table4"])
def test_what_wants_gpus_can_be_sent_to_a_queue_and_nothing_else_with_it(table: str) -> None:
    sent = made(f"reproduce-{table}", "ON_GPUS=cluster=slurm").stdout.splitlines()
    stages = {line.split()[1]: "cluster=slurm" in line.split() for line in sent if "bin/thinkus " in line}
    stages.pop("doctor", None)
    assert {stage for stage, is_queued in stages.items() if is_queued} == {"sft", "simulate"}
    for line in sent:
        if "bin/thinkus s" in line:
            assert "cluster=slurm" in line.split()


def test_rows_that_are_the_same_run_are_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where one model stands in all places."""
    monkeypatch.setattr(report, "_judged", lambda _, named: Input(named, named, ""))
    (job,) = compose.jobs("report", ["input=[a,b,a]"], sweep=False)
    assert isinstance(job.config, ReportConfig)
    read = report.inputs(job.config, Path("outputs")).values()
    assert [one.read for one in read] == ["judge/a", "judge/b"]

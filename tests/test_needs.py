"""What lists of commands lack, and what they will take."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Finished
from thinkus import facts
from thinkus.commands import Errand, read
from thinkus.doctor import examine_for
from thinkus.errors import ThinkusError
from thinkus.forecast import forecast
from thinkus.needs import needs

Thinkus = Callable[..., Finished]
TRAIN = "thinkus sft model=llama8b data=lmsys"
LISTEN = "thinkus simulate model=llama8b_instruct method=prompt eval=lmsys"


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "gpus", list)


def told(*lines: str) -> dict[str, str]:
    return {need.what: need.remedy for need in needs(read(lines))}


def test_a_model_that_two_commands_want_is_said_once(workspace: Path) -> None:
    said = [need.what for need in needs(read([TRAIN, "thinkus sft model=llama8b data=lmsys seed=1"]))]
    assert said.count("model Llama-3.1-8B") == 1


def test_only_those_are_asked_for_a_key_who_are_asked_anything(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    key = "key OPENROUTER_API_KEY"
    judge = "thinkus judge candidate=A baseline=B task="
    assert told("thinkus annotate data=lmsys")[key].startswith("export OPENROUTER_API_KEY=...")
    assert key in told(f"{judge}pairwise")
    assert key not in told(f"{judge}likeness", "thinkus annotate data=sample")
    monkeypatch.setenv("OPENROUTER_API_KEY", "set")
    assert key not in told(f"{judge}pairwise")


def test_a_live_talk_wants_its_assistant_and_a_replayed_one_does_not(workspace: Path) -> None:
    taught = "thinkus simulate model=llama8b data=lmsys"
    assert "model Llama-3.1-8B-Instruct" in told(f"{taught} mode=online")
    assert "model Llama-3.1-8B-Instruct" not in told(taught)
    assert "model Llama-3.1-8B-Instruct" in told(LISTEN)


def test_what_is_trained_here_wants_gpus_and_what_is_queued_does_not(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "available_memory_bytes", lambda: 64e9)
    assert told(TRAIN)["GPUs"] == "none here; 8.0 billion parameters train on 4 or more of 80 GB"
    assert "GPUs" not in told(f"{TRAIN} cluster=slurm")
    assert "GPUs" not in told("thinkus sft model=tiny data=sample")
    assert told(LISTEN)["GPUs"] == "none here; vLLM serves a model on each"


def test_too_little_disk_is_said_with_what_it_would_take(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(workspace)._replace(free=10**11)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    # Two bytes a weight stay; fourteen a weight in each of three checkpoints; ten for what else is written.
    assert told(TRAIN)["disk"].startswith("about 363 GB in outputs, 100 GB are free")
    assert "disk" not in told(LISTEN)


def test_a_sample_needs_nothing_and_what_is_done_is_left_out(thinkus: Thinkus, workspace: Path) -> None:
    script = workspace / "script"
    script.write_text("thinkus prepare data=sample\nthinkus annotate data=sample\n")
    before = thinkus("doctor", "script")
    assert (before.returncode, before.stderr) == (0, "")
    assert before.stdout.startswith("2 runs, of which 0 are done.\nEstimated from published sizes")
    assert thinkus("prepare", "data=sample").returncode == 0
    after = thinkus("doctor", "script")
    assert after.stdout.startswith("2 runs, of which 1 are done.\nEstimated from what is prepared")


def test_a_list_that_is_not_there_is_one_line(thinkus: Thinkus) -> None:
    finished = thinkus("doctor", "nowhere")
    assert finished.returncode == 2
    assert finished.stderr.startswith("nowhere: cannot be read")
    assert finished.stderr.count("\n") == 1


# What it will take ---------------------------------------------------------------------------

PREPARE = "thinkus prepare data=lmsys"


def foretold(*lines: str) -> str:
    return "\n".join(forecast(read(lines)))


def test_a_training_is_counted_in_trees(workspace: Path) -> None:
    """3 epochs of 51,140 conversations: 225 tokens of scenario, 5.6 turns of 284 and of a thought of 75."""
    tokens = 3 * 51_140 * (225 + 5.6 * (284 + 75))
    hours = 6 * 8_030_261_248 * tokens / (0.4 * 312e12) / 3600
    said = foretold(PREPARE, TRAIN)
    assert f"1 training on {tokens / 1e6:,.1f} million tokens: about {hours:.0f} GPU hours" in said
    assert "40% of the peak of A100" in said
    flat = 3 * 51_140 * (6.6 * 225 + 5.6 * 6.6 / 2 * 284 + 5.6 * 75)
    assert f"on {flat / 1e6:,.1f} million tokens" in foretold(PREPARE, f"{TRAIN} layout=flat")


def test_a_card_that_is_here_is_what_is_reckoned_with(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "gpus", lambda: ["NVIDIA H100 80GB HBM3, 81559 MiB"])
    assert "40% of the peak of NVIDIA H100 80GB HBM3" in foretold(PREPARE, TRAIN)


def test_annotating_is_counted_in_requests_and_priced_where_the_price_is_known(workspace: Path) -> None:
    asked = f"{3 * 53_818:,} requests"
    assert f"deepseek_v3: {asked}" in foretold(PREPARE, "thinkus annotate data=lmsys")
    assert "its price is not known" in foretold(PREPARE, "thinkus annotate data=lmsys")
    tokens_in, tokens_out = 3 * 53_818 * (500 + 5.6 * 284), 53_818 * (225 + 5.6 * 75 + 165)
    usd = (tokens_in * 0.15 + tokens_out * 0.6) / 1e6
    said = foretold(PREPARE, "thinkus annotate data=lmsys annotator=deepseek_flash")
    assert f"deepseek_flash: {asked}, " in said
    assert f"about ${usd:,.0f} (2 times that at peak hours)" in said


@pytest.mark.parametrize(
    ("judging", "requests"),
    [
        ("task=pairwise candidate=S baseline=T", 2 * 5.6 * 2_678),
        ("task=pairwise candidate=S baseline=T protocol=paper", 5.6 * 2_678),
        ("task=terminal candidate=S", 2 * 2_678),
        ("task=goals eval=lmsys", 500),
        ("task=online candidate=S", 500 * 8),
    ],
)
def test_judging_is_counted_in_requests(workspace: Path, judging: str, requests: float) -> None:
    speak = "thinkus simulate model=llama8b data=lmsys name=S"
    said = foretold(PREPARE, speak, f"thinkus judge {judging} judge=deepseek_flash")
    assert f"deepseek_flash: {requests:,.0f} requests" in said


def test_what_is_done_costs_nothing_more(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = read([PREPARE, TRAIN, "thinkus annotate data=lmsys"])
    assert len(forecast(every)) == 3
    done: list[Any] = [one._replace(is_done=one.stage in ("sft", "annotate")) for one in every]
    assert all(isinstance(one, Errand) for one in done)
    assert len(forecast(done)) == 1


def test_what_is_missing_is_installed_where_it_is_missed(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """make has an environment of its own, and a shell's `pip` may be of another."""
    monkeypatch.setattr("thinkus.needs.find_spec", lambda _: None)
    listen = f"{LISTEN} user.vllm.python=null"
    assert told(listen)["packages"] == "vllm\npip install -c constraints.txt -e '.[vllm]'"
    monkeypatch.setattr(sys, "prefix", str(workspace / ".venv"))
    assert told(listen)["packages"] == "vllm\n.venv/bin/pip install -c constraints.txt -e '.[vllm]'"


def test_nobody_is_told_of_licences_where_only_a_key_is_missing(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    annotate, prepare = "thinkus annotate data=sample annotator=deepseek_v3\n", "thinkus prepare data=lmsys\n"
    for commands, is_told in ((annotate, False), (annotate + prepare, True)):
        (workspace / "list").write_text(commands)
        with pytest.raises(ThinkusError, match="missing"):
            examine_for("list")
        assert ("hf auth login" in capsys.readouterr().out) is is_told

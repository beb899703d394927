"""sft, end to end: from annotated conversations to a model that others load; and every way not to get there."""

import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.cluster import wait_for
from tests.llm.test_vllm import REAL_PYTHON, keeper, opened
from tests.stages.trainings import USUAL, losses, train
from tests.train.parts import annotated, conversations
from thinkus import weights
from thinkus.launch import preview, start
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Failure, Message, read_records
from thinkus.runs import load_manifest
from thinkus.train.checkpoints import steps_in
from thinkus.train.metrics import Follower, StepFacts
from thinkus.user.samples import Teaching

pytestmark = pytest.mark.usefixtures("one_tiny_model")


def test_the_result_is_an_ordinary_model(chats: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = train()
    assert {entry.name for entry in run.iterdir()} == {
        *("config.yaml", "run.json", "failures.jsonl", "metrics.jsonl", "model"),
        *(entry.name for entry in run.glob("claim-*")),
    }
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    model: Any = AutoModelForCausalLM.from_pretrained(run / "model")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    chat = [
        {"role": "system", "content": "S"},
        {"role": "assistant", "content": "<thought>t</thought>Hello"},
        {"role": "user", "content": "Hi"},
    ]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == "<s>S\n\n### Person:\nHello</s>\n\n### Assistant:\nHi</s>\n\n### Person:\n"
    asked = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    assert model.generate(**asked, max_new_tokens=5).shape[1] > asked["input_ids"].shape[1]
    manifest = load_manifest(run)
    assert manifest is not None
    # Of fourteen conversations three are for the test; c000 to c013 have one to four turns by turns.
    assert manifest.counts["train"] == {"samples": 38, "conversations": 11}
    assert manifest.counts["test"] == {"samples": 9, "conversations": 3}
    assert manifest.counts["test_loss"] < losses(run)[0]
    card = (run / "model" / "README.md").read_text()
    assert manifest.identity in card
    assert "impersonate" in card
    said = capfd.readouterr().err
    assert "38 samples of 11 conversations" in said
    assert "times fewer tokens" in said
    start("sft", [*USUAL, "name=made"], sweep=False, redo=False)
    assert "is already done" in capfd.readouterr().err


def test_the_saved_weights_are_those_that_were_tested(chats: Path) -> None:
    """The loss of the saved model, by transformers alone, is the last one that the training told."""
    import torch
    from transformers import AutoModelForCausalLM

    run = train("method=utterance_sft")
    model: Any = AutoModelForCausalLM.from_pretrained(run / "model")
    tokenizer = weights.load_tokenizer(run / "model")
    teaching = Teaching("utterance_sft", keeps_thoughts=False, first_thought=False)
    total = tokens = 0.0
    for conversation in conversations(14)[:3]:
        for sample in teaching.samples(conversation):
            history: list[Any] = [message._asdict() for message in sample.history]
            given = tokenizer.apply_chat_template(history, add_generation_prompt=True, return_dict=False)
            target = [
                *tokenizer(sample.target, add_special_tokens=False)["input_ids"],
                tokenizer.eos_token_id,
            ]
            labels = torch.tensor([[-100] * len(given) + target])
            with torch.no_grad():
                loss = model(input_ids=torch.tensor([[*given, *target]]), labels=labels).loss.item()
            total += loss * len(target)
            tokens += len(target)
    assert losses(run)[-1] == pytest.approx(total / tokens, rel=1e-5)


def test_no_rank_outlives_its_parent(chats: Path) -> None:
    command = [sys.executable, "-m", "thinkus", "sft", *USUAL, "cluster.ranks=2", "epochs=500"]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        # The warden, torchrun and two ranks all name the worker.
        while len(ranks := _workers()) < 4 and time.monotonic() < until:
            time.sleep(0.1)
        assert len(ranks) >= 4
    finally:
        child.kill()
        child.wait()
    until = time.monotonic() + 10
    while (left := ranks & _workers()) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def test_threads_are_as_many_as_somebody_said(chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    command = [sys.executable, "-m", "thinkus", "sft", *USUAL, "epochs=500"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
        try:
            assert wait_for(lambda: bool(_workers()), 60)
            environments = [Path(f"/proc/{worker}/environ").read_bytes() for worker in _workers()]
        finally:
            child.kill()
    assert all(b"OMP_NUM_THREADS=3\0" in environment for environment in environments)


def test_told_to_end_it_saves_the_step_it_is_in(chats: Path) -> None:
    undisturbed = train("name=undisturbed", "epochs=14")
    words = [*USUAL, "epochs=14", "name=told"]
    child = subprocess.Popen(
        [sys.executable, "-m", "thinkus", "sft", *words], stderr=subprocess.PIPE, text=True
    )
    run = Path("outputs/sft/told")
    until = time.monotonic() + 60
    while len(losses(run)) < 6 and time.monotonic() < until:
        time.sleep(0.02)
    child.terminate()
    said = child.communicate(timeout=30)[1]
    assert child.returncode == 130
    assert said.endswith("stopped; the same command goes on from here\n")
    (kept,) = steps_in(run / "checkpoints")
    facts = [line for line in Follower(run / "metrics.jsonl").new() if isinstance(line, StepFacts)]
    assert facts[-1].step == kept
    assert json.loads((run / "run.json").read_bytes())["status"] == "started"
    train(*words)
    assert losses(run) == losses(undisturbed)


def _workers() -> set[int]:
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"thinkus.train.worker" in words and str(Path.cwd()).encode() in words:
            found.add(int(entry.name))
    return found


def test_ending_finds_a_threshold_and_says_how_good_it_is(
    workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    annotated(workspace / "outputs", conversations(60, test=12), "chats")
    run = train("method=ending", "epochs=1", "cluster.ranks=2")
    manifest = load_manifest(run)
    assert manifest is not None
    ending = manifest.counts["ending"]
    assert 0 < ending["threshold"] < 1
    # Twelve conversations of one to four turns: a position after each reply, an end in each.
    assert ending["test"]["positions"] == 3 * (1 + 2 + 3 + 4)
    assert ending["test"]["ends"] == 12
    assert ending["held_out"]["ends"] == manifest.counts["held_out"]["conversations"] > 0
    said = re.search(r"precision ([\d.]+), recall ([\d.]+), F1 ([\d.]+)", capfd.readouterr().err)
    assert said is not None
    assert [float(figure) for figure in said.groups()] == [
        pytest.approx(ending["test"][name], abs=5e-4) for name in ("precision", "recall", "f1")
    ]
    template = (run / "model" / "chat_template.jinja").read_text()
    assert "1 (yes) or 0 (no)" in template


def test_what_is_too_long_is_counted_and_kept_apart(chats: Path) -> None:
    run = train("max_length=330", "epochs=1")
    manifest = load_manifest(run)
    assert manifest is not None
    lost = list(read_records(run / "failures.jsonl", Failure))
    assert {failure.reason for failure in lost} == {"too_long"}
    told = manifest.counts["train"]["too_long"] + manifest.counts["test"].get("too_long", 0)
    assert told == len(lost) > 0
    assert "max_length is 330" in lost[0].detail
    cut = train("name=cut", "max_length=330", "overlong=truncate_history", "epochs=1")
    manifest = load_manifest(cut)
    assert manifest is not None
    assert manifest.counts["train"]["truncated"] > 0


def test_the_preview_shows_what_is_given_and_what_is_to_be_written(
    chats: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preview("sft", USUAL, 3, sweep=False)
    shown = capsys.readouterr().out
    assert shown.count("to be written") == 3
    assert "### Person:" in shown
    assert "</s>" in shown
    assert not Path("outputs/sft").exists()


@pytest.mark.parametrize("tracker", ["tensorboard", "wandb"])
def test_trackers_get_every_step(chats: Path, tracker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = train(f"tracker={tracker}", "epochs=1")
    steps = sum(isinstance(line, StepFacts) for line in Follower(run / "metrics.jsonl").new())
    if tracker == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(run / "tensorboard"))
        events.Reload()
        assert len(events.Scalars("train/loss")) == steps
        assert len(events.Scalars("test/loss")) == 2
    else:
        assert len(list((run / "wandb").glob("offline-run-*/*.wandb"))) == 1


@pytest.mark.real
def test_vllm_serves_the_result_as_it_is(
    chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page that it renders is the one of the training, and it says what transformers says, where that ends."""
    from transformers import AutoModelForCausalLM

    run = train("epochs=20", "method=utterance_sft")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    teaching = Teaching("utterance_sft", keeps_thoughts=False, first_thought=False)
    sample = teaching.samples(conversations(14)[7])[1]
    messages = tuple(Message(message.role, message.content) for message in sample.history)
    tokenizer = weights.load_tokenizer(run / "model")
    history: list[Any] = [message._asdict() for message in sample.history]
    page = tokenizer.apply_chat_template(history, add_generation_prompt=True, tokenize=False)
    given = tokenizer(page, add_special_tokens=False, return_tensors="pt")
    model: Any = AutoModelForCausalLM.from_pretrained(run / "model")
    said = model.generate(**given, max_new_tokens=100, do_sample=False)[0, given["input_ids"].shape[1] :]

    async def ask() -> Completion:
        backend = keeper(
            tmp_path,
            *("--dtype", "float32"),
            weights=str(run / "model"),
            python=str(REAL_PYTHON),
            max_length=2048,
        )
        async with opened(backend):
            return await backend.complete(Request(item="c", purpose="test", messages=messages))

    answer = asyncio.run(ask())
    assert answer.input_tokens == given["input_ids"].shape[1]
    assert answer.finish == "stop"
    assert said[-1] == tokenizer.eos_token_id
    assert answer.text == tokenizer.decode(said, skip_special_tokens=True)

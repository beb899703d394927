"""sft, refused: what cannot be trained, or would not fit, said before anything is loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.conftest import Finished
from tests.stages.trainings import USUAL, train
from tests.train.parts import annotated, conversations
from tests.train.test_room import gpus, only
from thinkus import weights
from thinkus.errors import ThinkusError
from thinkus.runs import load_manifest

pytestmark = pytest.mark.usefixtures("one_tiny_model")
Thinkus = Callable[..., Finished]


def refused(match: str, *words: str) -> None:
    with pytest.raises(ThinkusError, match=match) as caught:
        train(*words)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_the_input_is_said_before_anything_is_loaded(workspace: Path) -> None:
    refused(
        "input: there is no run .*annotate/chats; make it first: thinkus annotate data=jsonl data.name=chats$"
    )
    run = annotated(workspace / "outputs", conversations(6), "chats")
    manifest = load_manifest(run)
    assert manifest is not None
    unfinished = msgspec.structs.replace(manifest, status="started")
    (run / "run.json").write_bytes(msgspec.json.encode(unfinished))
    refused("input: .*annotate/chats is not finished; finish it first")


def test_a_method_without_training_is_named(chats: Path) -> None:
    refused("method: prompt asks a model as it is, so there is nothing to train", "method=prompt")


def test_missing_thoughts_are_said_with_what_to_do(workspace: Path) -> None:
    bare = [
        msgspec.structs.replace(
            one, annotation=msgspec.structs.replace(one.annotation, thoughts=(), terminal_thought=None)
        )
        for one in conversations(8)
        if one.annotation
    ]
    annotated(workspace / "outputs", bare, "chats")
    refused(r"input: no conversation of .*chats has what method=thinkingus teaches .*method=utterance_sft")
    refused("no_first_thought.* first_thought=true", "first_thought=true")
    assert train("name=words", "method=utterance_sft", "epochs=1").is_dir()


def test_no_sample_that_fits(chats: Path) -> None:
    refused("max_length: no sample fits in 40 tokens .*raise it", "max_length=40")


def test_models_that_cannot_be_trained(chats: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(weights.find("tiny").ready("model"), folder)
    shape = json.loads((folder / "config.json").read_text())
    own = ["model.source=hub", f"model.weights={folder}"]

    (folder / "config.json").write_text(json.dumps(shape | {"attention_dropout": 0.1}))
    refused("model: attention_dropout is 0.1 .*set it to 0", *own)
    (folder / "config.json").write_text(json.dumps(shape | {"architectures": ["MambaForCausalLM"]}))
    refused("model: its architecture is MambaForCausalLM; those that can be trained", *own)
    (folder / "config.json").write_text(json.dumps(shape))
    tokenizer = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer | {"eos_token": None}))
    refused("model: its tokenizer has no end token", *own)


def test_a_root_in_the_home_directory(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs name it as ~, for whoever reads them."""
    monkeypatch.setenv("HOME", str(workspace))
    annotated(workspace / "outputs", conversations(6), "chats")
    train(f"root={workspace / 'outputs'}", "epochs=1")
    told = (workspace / "outputs" / "sft" / "made" / "run.json").read_text()
    assert str(workspace) not in told
    assert "~/outputs/annotate/chats" in told


def test_a_finished_run_without_its_model_is_damaged(chats: Path) -> None:
    run = train("epochs=1")
    (run / "checkpoints" / "step-00000001").mkdir(parents=True)  # as if killed before they were removed
    train("epochs=1")
    assert not (run / "checkpoints").exists()
    (run / "model" / "model.safetensors").unlink()
    refused("model.safetensors: is gone, the run is damaged; --redo derives it again", "epochs=1")


def test_all_that_is_missing_is_said_at_once(thinkus: Thinkus, workspace: Path) -> None:
    shown = thinkus("sft", "model=llama8b", "data=sample", "cluster.ranks=400")
    assert shown.returncode == 2
    data, model, memory = shown.stderr.splitlines()
    assert data.startswith("input: there is no run outputs/annotate/sample; make it first")
    assert model.startswith("model: meta-llama/Llama-3.1-8B is not on this machine")
    assert memory.startswith("model: llama8b with 8,192 tokens at once needs at least ")
    assert not (workspace / "outputs" / "sft" / "thinkingus-llama8b-sample").exists()


def test_everything_that_is_wrong_with_a_model_is_said(chats: Path, tmp_path: Path) -> None:
    own = changed_tiny(tmp_path, {"architectures": ["MambaForCausalLM"]}, {"eos_token": None})
    with pytest.raises(ThinkusError) as caught:
        train(*own, "max_length=33000", "input=nowhere")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["input", "model", "max_length", "model"]
    assert "MambaForCausalLM" in lines[1]
    assert lines[2] == "max_length: 33,000 is more than the model's 32,768 tokens; lower it"
    assert "no end token" in lines[3]


def changed_tiny(tmp_path: Path, shape: dict[str, Any], tokenizer: dict[str, Any]) -> list[str]:
    """Tiny with something else in its files, and the words that train it."""
    folder = tmp_path / "changed"
    shutil.copytree(weights.find("tiny").ready("model"), folder)
    for name, changes in (("config.json", shape), ("tokenizer_config.json", tokenizer)):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return ["model.source=hub", f"model.weights={folder}"]


def test_a_model_that_no_memory_holds_is_refused_before_it_is_loaded(
    chats: Path, thinkus: Thinkus, tmp_path: Path
) -> None:
    """As a laptop sees 8 billion weights; the files are tiny's, which is not asked."""
    own = changed_tiny(tmp_path, {}, {})
    words = [*own, "data=jsonl", "data.name=chats", "model.parameters=8030261248000", "name=large"]
    shown = thinkus("sft", "model=llama8b", *words)
    assert shown.returncode == 2
    memory, disk = shown.stderr.splitlines()[-2:]
    assert memory.startswith("model: llama8b with 8,192 tokens at once needs about 128,4")
    assert memory.endswith(" or a machine with more memory or with GPUs")
    assert disk.startswith(
        "root: the training still writes about 128,484 GB into outputs/sft/large (1 checkpoint of "
    )
    assert not (chats.parent.parent / "sft" / "large" / "training").exists()
    planned = thinkus("sft", "model=llama8b", *words, "--dry-run")
    assert planned.returncode == 0
    assert f"would be refused: {memory[:60]}" in planned.stdout
    assert "(too much)" in planned.stdout


def test_gpus_that_are_too_small_are_said_through_the_command(
    chats: Path, thinkus: Thinkus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(tmp_path / "bin", monkeypatch, 2, 24_576)
    own = ["model=llama8b", *changed_tiny(tmp_path, {}, {}), "data=jsonl", "data.name=chats"]
    planned = thinkus("sft", *own, "zero=zero2", "--dry-run").stdout
    assert (
        "on 2 GPUs of 26 GB: with 16,384 tokens at once each needs about 116 GB with ZeRO 1 (too much), "
        in planned
    )
    assert ", 5.0 with offload, which takes 146 GB of a machine's memory" in planned
    refusal = thinkus("sft", *own, "zero=zero2")
    assert refusal.returncode == 2
    assert (
        "zero: zero2 does not fit: llama8b with 16,384 tokens at once needs of each of 2 GPUs"
        in refusal.stderr
    )
    elsewhere = thinkus("sft", *own, "cluster=slurm", "cluster.nodes=2", "--dry-run").stdout
    assert (
        "on 16 GPUs on 2 nodes: with 16,384 tokens at once each needs about 74 GB with ZeRO 1, 28"
        in elsewhere
    )
    assert "would be refused: zero" not in elsewhere


def test_a_full_disk_is_said_before_anything_is_loaded(chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, 0)
    refused("root: the training still writes about 0.0 GB into outputs/sft/made .*make room")


def test_a_dry_run_writes_nothing(chats: Path, thinkus: Thinkus, workspace: Path) -> None:
    shown = thinkus("sft", *USUAL, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "76 samples in 2 epochs, 13 steps of 6" in shown.stdout
    assert not (workspace / "outputs" / "sft").exists()

"""The real DeepSpeed, on one process and on two that talk over gloo: the same losses, step by step."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.train.parts import CONFIGS, conversations
from thinkus import weights
from thinkus.errors import ThinkusError
from thinkus.train import start
from thinkus.train.checkpoints import steps_in
from thinkus.train.encode import Encoder
from thinkus.train.lessons import Lessons
from thinkus.train.metrics import Evaluation, Follower, Line, StepFacts
from thinkus.train.task import Task
from thinkus.user.samples import Teaching

FIRST_TEN = Path(__file__).parents[1] / "golden" / "sft_losses.json"


@pytest.fixture(scope="module")
def shelves(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of fourteen conversations, for the tiny model."""
    folder = tmp_path_factory.mktemp("shelves")
    tokenizer = weights.load_tokenizer(tiny())
    teaching = Teaching("thinkingus", keeps_thoughts=False, first_thought=False)
    encoder = Encoder(tokenizer, teaching.page, max_length=4096, overlong="drop", is_label=False)
    Lessons(teaching, encoder, "token", 0).shelve(conversations(14), folder / "training", lambda: None)
    return folder


def tiny() -> Path:
    return weights.find("tiny").ready("model")


def task(run: Path, shelves: Path, **changes: Any) -> Task:
    shutil.copytree(shelves / "training", run / "training")
    usual: dict[str, Any] = {
        "run": str(run),
        "name": "test",
        "identity": "0" * 64,
        "weights": str(tiny()),
        "device": "cpu",
        "ranks": 1,
        "zero_stage": 0,
        "offload": False,
        "gradient_checkpointing": False,
        "seed": 0,
        "epochs": 2,
        "lr": 3e-3,
        "warmup_share": 0.1,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "global_batch": 7,
        "max_tokens": 1500,
        "layout": "tree",
        "order": "conversation",
        "checkpoint_steps": 4,
        "budget_s": None,
    }
    return Task(**usual | changes)


def trained(run: Path, shelves: Path, **changes: Any) -> list[Line]:
    start.train(task(run, shelves, **changes), lambda _: None)
    return Follower(run / "metrics.jsonl").new()


def steps(lines: list[Line]) -> list[StepFacts]:
    return [line for line in lines if isinstance(line, StepFacts)]


def losses(lines: list[Line]) -> list[float]:
    return [line.loss for line in lines]


@pytest.fixture(scope="module")
def undisturbed(shelves: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Line]:
    return trained(tmp_path_factory.mktemp("undisturbed") / "run", shelves)


def test_the_first_ten_losses_of_the_tiny_model(undisturbed: list[Line]) -> None:
    """Golden: what changes them changes every result. Another processor may round otherwise."""
    found = losses(undisturbed)[:10]
    if os.environ.get("GOLDEN") == "write":
        FIRST_TEN.write_text(json.dumps(found) + "\n")
    assert found == pytest.approx(json.loads(FIRST_TEN.read_text()), rel=1e-4)


def test_it_learns_and_says_how(undisturbed: list[Line]) -> None:
    evaluations = [line for line in undisturbed if isinstance(line, Evaluation)]
    facts = steps(undisturbed)
    assert [line.step for line in facts] == list(range(1, len(facts) + 1))
    assert evaluations[0].step == 0
    assert evaluations[-1].step == len(facts)
    assert len(evaluations) == 3  # before, and after each epoch
    assert evaluations[-1].loss < evaluations[0].loss - 1
    assert all(line.physical_tokens < line.logical_tokens for line in facts[:-1])
    assert all(line.gradient_norm > 0 and line.seconds > 0 and line.memory_gb > 0 for line in facts)
    assert facts[-1].epoch == 2
    assert facts[-1].lr < facts[2].lr <= 3e-3


@pytest.mark.parametrize(
    ("ranks", "stage", "offload"),
    [(2, 0, False), (1, 2, False), (2, 2, False), (1, 3, False), (2, 3, False), (2, 3, True)],
)
def test_ranks_and_stages_of_zero_change_no_loss(
    ranks: int, stage: int, offload: bool, undisturbed: list[Line], shelves: Path, tmp_path: Path
) -> None:
    lines = trained(tmp_path / "run", shelves, ranks=ranks, zero_stage=stage, offload=offload)
    assert losses(lines) == pytest.approx(losses(undisturbed), rel=1e-5)
    norms = [line.gradient_norm for line in steps(undisturbed)]
    assert [line.gradient_norm for line in steps(lines)] == pytest.approx(norms, rel=1e-4)


def test_flat_samples_have_the_losses_of_trees(
    undisturbed: list[Line], shelves: Path, tmp_path: Path
) -> None:
    lines = trained(tmp_path / "run", shelves, layout="flat", max_tokens=900, gradient_checkpointing=True)
    assert losses(lines) == pytest.approx(losses(undisturbed), rel=1e-5)
    assert all(line.physical_tokens == line.logical_tokens for line in steps(lines))


def test_a_budget_of_seconds_ends_the_training_with_the_rate_run_down(shelves: Path, tmp_path: Path) -> None:
    for budget_s in (3.0, 30.0):  # where others keep the machine busy, three seconds may be two steps
        lines = trained(tmp_path / f"{budget_s:g}", shelves, epochs=10_000, budget_s=budget_s)
        facts = steps(lines)
        assert budget_s <= facts[-1].elapsed_s < budget_s + 27.0
        if len(facts) > 8:
            break
    assert facts[-1].lr < 0.5 * max(line.lr for line in facts)
    assert isinstance(lines[-1], Evaluation)


def test_a_loss_that_is_lost_names_the_step_and_the_conversations(shelves: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ThinkusError, match=r"lr: the .* of step \d+ is (nan|inf), with the conversations c\d+.*lower lr="
    ):
        trained(tmp_path / "run", shelves, lr=1e30, max_grad_norm=1e30, checkpoint_steps=1)
    kept = sorted(entry.name for entry in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept
    assert all(name.startswith("step-") and not name.endswith(".unfinished") for name in kept)


class Enough(Exception):
    """Stops a training from outside, as a kill would."""


@pytest.mark.parametrize(("ranks", "stage"), [(2, 0), (2, 2), (2, 3)])
def test_stopped_and_gone_on_the_losses_are_the_same(
    ranks: int,
    stage: int,
    undisturbed: list[Line],
    shelves: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(start, "LOOK_EVERY_S", 0.01)
    given = task(tmp_path / "run", shelves, ranks=ranks, zero_stage=stage)

    def stop(line: Line) -> None:
        if line.step >= 6:
            raise Enough

    with pytest.raises(Enough):
        start.train(given, stop)
    last = max(steps_in(given.checkpoints))
    with pytest.raises(
        ThinkusError, match=r"checkpoints: .* after \d+ steps, was made otherwise \(ZeRO: \d, now 1\)"
    ):
        start.train(msgspec.structs.replace(given, zero_stage=1), lambda _: None)
    seen: list[Line] = []
    start.train(given, seen.append)
    assert seen[0].step == last + 1
    assert losses(Follower(tmp_path / "run" / "metrics.jsonl").new()) == pytest.approx(
        losses(undisturbed), rel=1e-5
    )


def test_a_tied_head_sharded_and_recomputed(shelves: Path, tmp_path: Path) -> None:
    """Gemma 3 at ZeRO 3 with gradient checkpointing, beside ZeRO 0 without; and its weights, whole again."""
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "gemma"
    shape = {"vocab_size": 259, "sliding_window": 64, "max_position_embeddings": 4096}
    config = type(CONFIGS["gemma3"])(**CONFIGS["gemma3"].to_dict() | shape)
    untrained: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    untrained.save_pretrained(folder)
    plain = trained(tmp_path / "plain", shelves, weights=str(folder), epochs=1)
    sharded = trained(
        tmp_path / "sharded",
        shelves,
        **{"weights": str(folder), "epochs": 1, "ranks": 2, "zero_stage": 3, "gradient_checkpointing": True},
    )
    assert losses(sharded) == pytest.approx(losses(plain), rel=1e-5)
    ends = [
        AutoModelForCausalLM.from_pretrained(tmp_path / name / "training" / "model").state_dict()
        for name in ("plain", "sharded")
    ]
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.allclose(ends[0][key], ends[1][key], atol=1e-5) for key in ends[0])

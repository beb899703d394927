"""Trees are their samples: the same loss and the same gradients, for every model that can be trained."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.parts import CONFIGS, conversation_of_sequels, model, norms_in_full_precision
from thinkus.train import attention
from thinkus.train.attention import Sight, padded_length
from thinkus.train.forest import IDLE, Sequel, plant
from thinkus.train.loss import ForestLoss

CHUNK = 16
"""Targets that go through the head at once, so that there are several chunks."""
ROWS = 8
"""Of attention, that are computed at once."""
Groups = Sequence[Sequence[Sequel]]


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "ROWS_AT_ONCE", ROWS)


def loss_and_gradients(
    made: Any, groups: Groups, rows: int | None = None
) -> tuple[float, dict[str, torch.Tensor]]:
    asked = ForestLoss(made, flex=False)
    asked.rows_at_once = CHUNK
    made.zero_grad()
    forest = plant(groups)
    loss = asked(forest, len(forest.rows) if rows is None else rows)
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in made.named_parameters()}


def one_by_one(groups: Groups) -> Groups:
    return [[sequel] for group in groups for sequel in group]


def worst_ratio(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> float:
    return max(float((some[name] - others[name]).norm() / others[name].norm()) for name in others)


@pytest.fixture(params=sorted(CONFIGS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("keeps_thoughts", [False, True])
@pytest.mark.parametrize(
    ("dtype", "most"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=["float64", "float32"]
)
def test_trees_and_their_samples_agree(
    name: str, keeps_thoughts: bool, dtype: torch.dtype, most: float
) -> None:
    made = model(name, dtype)

    @settings(max_examples=12, deadline=None, derandomize=True)
    @given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.integers(0, 10**6))
    def agree(turns: list[int], seed: int) -> None:
        groups = [
            conversation_of_sequels(count, keeps_thoughts=keeps_thoughts, seed=seed + at)
            for at, count in enumerate(turns)
        ]
        with norms_in_full_precision():
            loss, gradients = loss_and_gradients(made, groups)
            loss_flat, gradients_flat = loss_and_gradients(made, one_by_one(groups))
        assert abs(loss - loss_flat) <= most * abs(loss_flat)
        assert worst_ratio(gradients, gradients_flat) <= most

    agree()


def test_rows_packed_together_and_each_alone_agree(name: str) -> None:
    groups = [conversation_of_sequels(3, keeps_thoughts=False, seed=seed) for seed in range(4)]
    made = model(name, torch.float64)
    with norms_in_full_precision():
        loss, gradients = loss_and_gradients(made, groups)
        parts = [loss_and_gradients(made, [[sequel]]) for group in groups for sequel in group]
    assert loss == pytest.approx(sum(part for part, _ in parts), rel=1e-10)
    summed = {key: torch.stack([each[key] for _, each in parts]).sum(0) for key in gradients}
    assert worst_ratio(gradients, summed) <= 1e-10


def test_a_sample_has_the_loss_that_transformers_gives_it(name: str) -> None:
    groups = [conversation_of_sequels(3, keeps_thoughts=False, seed=0)]
    plain = [[Sequel(one.ids, one.targets) for one in group] for group in groups]
    loss, gradients = loss_and_gradients(model(name, torch.float32), plain)
    theirs = model(name, torch.float32, attends="eager")
    total: Any = torch.zeros(())
    for one in plain[0]:
        ids = torch.from_numpy(one.ids).long()[None]
        labels = torch.where(torch.arange(len(one.ids)) < len(one.ids) - one.targets, -100, ids)
        total = total + theirs(input_ids=ids, labels=labels).loss * one.targets
    total.backward()
    assert loss == pytest.approx(total.item(), rel=1e-6)
    named = {key: weight.grad for key, weight in theirs.named_parameters()}
    assert worst_ratio(gradients, named) <= 1e-5


def test_recomputed_layers_give_the_same_gradients(name: str) -> None:
    groups = [conversation_of_sequels(4, keeps_thoughts=False, seed=1)]
    made = model(name, torch.float64)
    kept = loss_and_gradients(made, groups)
    made.gradient_checkpointing_enable({"use_reentrant": False})
    recomputed = loss_and_gradients(made, groups)
    assert recomputed[0] == kept[0]
    assert worst_ratio(recomputed[1], kept[1]) <= 1e-12


def test_more_rows_than_there_are_change_nothing(name: str) -> None:
    """So that ranks can go through a sharded head equally often."""
    groups = [conversation_of_sequels(2, keeps_thoughts=False, seed=2)]
    made = model(name, torch.float64)
    loss, gradients = loss_and_gradients(made, groups)
    more, same = loss_and_gradients(made, groups, rows=5 * CHUNK)
    assert more == loss
    assert worst_ratio(same, gradients) == 0


def test_an_idle_rank_has_no_loss_and_no_gradient(name: str) -> None:
    made = model(name, torch.float32)
    asked = ForestLoss(made, flex=False)
    loss = asked(IDLE, 3)
    loss.backward()
    assert loss.item() == 0
    assert all(weight.grad is not None and not weight.grad.any() for weight in made.parameters())


def test_likelihoods_of_a_label_beside_another_are_those_of_the_logits(name: str) -> None:
    sequels = conversation_of_sequels(3, keeps_thoughts=False, seed=3)
    last = [[Sequel(one.ids, 1)] for one in sequels]
    made = model(name, torch.float32)
    asked = ForestLoss(made, flex=False)
    asked.rows_at_once = 2
    likely = asked(plant(last), 7, (4, 9))
    theirs = model(name, torch.float32, attends="eager")
    for one, found in zip(sequels, likely, strict=True):
        logits = theirs(input_ids=torch.from_numpy(one.ids[:-1]).long()[None]).logits[0, -1]
        assert found.item() == pytest.approx(logits[[4, 9]].softmax(0)[1].item(), rel=1e-4)


@pytest.mark.parametrize("window", [None, 5])
def test_the_masks_for_a_gpu_are_those_for_a_processor(window: int | None) -> None:
    """FlexAttention has no backward on a CPU; which tokens see which can be compared all the same."""
    groups = [conversation_of_sequels(3, keeps_thoughts=False, seed=seed) for seed in range(3)]
    forest = plant(groups)
    device = torch.device("cpu")
    flex = Sight(forest, device, flex=True)
    assert flex.size == padded_length(forest.size)
    place = torch.arange(flex.size)
    seen = flex.block_mask(window).mask_mod(torch.tensor(0), torch.tensor(0), place[:, None], place[None])
    plain = Sight(forest, device, flex=False)
    whole = torch.zeros(flex.size, flex.size, dtype=torch.bool)
    whole[range(forest.size, flex.size), range(forest.size, flex.size)] = True  # fillers see themselves
    for (start, end), mask in zip(plain.trees, plain.masks(window), strict=True):
        path = torch.ones(end - start, end - start, dtype=torch.bool).tril()
        whole[start:end, start:end] = path if mask is None else mask[0, 0]
    assert torch.equal(seen, whole)


def test_flex_attention_computes_the_same_loss(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards alone, and not compiled: what a GPU's kernels do of it is compared there, before a training begins."""
    from torch.nn.attention.flex_attention import flex_attention

    monkeypatch.setattr("thinkus.train.attention._compiled", lambda: flex_attention)
    groups = [conversation_of_sequels(3, keeps_thoughts=False, seed=seed) for seed in range(2)]
    forest = plant(groups)
    made = model(name, torch.float32)
    with torch.no_grad():
        flex = ForestLoss(made, flex=True)(forest, len(forest.rows))
        plain = ForestLoss(made, flex=False)(forest, len(forest.rows))
    assert flex.item() == pytest.approx(plain.item(), rel=1e-5)


def test_lengths_for_a_gpu_are_few_and_waste_little() -> None:
    lengths = np.array([padded_length(size) for size in range(1, 16_385)])
    assert (lengths >= np.arange(1, 16_385)).all()
    assert len(set(lengths.tolist())) <= 24
    assert (lengths[1024:] / np.arange(1025, 16_385)).max() <= 1.25

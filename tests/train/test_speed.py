"""The operations of a forest, by counting pairs and by counting what torch really does; and what cards can do."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from thinkus.train.forest import Sequel, plant
from thinkus.train.speed import Work, peak_of

SHAPE = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 3, "vocab_size": 300}


def llama(*, tied: bool = False) -> PreTrainedModel:
    config = LlamaConfig(hidden_size=64, intermediate_size=96, tie_word_embeddings=tied, **SHAPE)  # type: ignore[arg-type]
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]


def gemma() -> PreTrainedModel:
    """Whose heads are wider than its layers would make them."""
    config = Gemma3TextConfig(hidden_size=64, intermediate_size=96, head_dim=40, **SHAPE)  # type: ignore[arg-type]
    return Gemma3ForCausalLM(config)


def path(length: int, targets: int) -> Sequel:
    return Sequel(np.arange(length, dtype=np.int32), targets)


@pytest.mark.parametrize(
    "model", [llama(), llama(tied=True), gemma()], ids=["llama", "tied embeddings", "gemma"]
)
def test_a_path_takes_what_torch_counts(model: PreTrainedModel) -> None:
    length, targets = 48, 11
    model.set_attn_implementation("eager")  # others are not counted everywhere
    with FlopCounterMode(display=False) as counter:
        hidden = model.model(input_ids=torch.arange(length)[None], use_cache=False).last_hidden_state[0]
        model.lm_head(hidden[-targets - 1 : -1])
    config = model.config
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    a_pair = 4 * config.num_hidden_layers * config.num_attention_heads * width
    hidden_by_the_mask = length * (length - 1) // 2  # computed all the same, but of no use
    useful = counter.get_total_flops() - a_pair * hidden_by_the_mask
    # Backward takes twice as many as forward. The weights of norms are no matrices; they are few.
    assert Work(model).of(plant([[path(length, targets)]])) == pytest.approx(3 * useful, rel=0.01)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from([1, 2]), min_size=2, max_size=8), min_size=1, max_size=6))
def test_pairs_are_those_that_see_each_other(samples: Sequence[Sequence[int]]) -> None:
    forest = plant([[Sequel(np.array(one, np.int32), 1) for one in samples]])
    place = np.arange(forest.size)
    pairs = int(((place[None] <= place[:, None]) & (place[:, None] < forest.until[None])).sum())
    with torch.device("meta"):
        model = llama()
    tables = model.model.embed_tokens.weight.numel() + model.lm_head.weight.numel()
    body = sum(parameter.numel() for parameter in model.parameters()) - tables
    expected = 6 * body * forest.size + 6 * 64 * 300 * len(forest.rows) + 12 * 3 * 64 * pairs
    assert Work(model).of(forest) == expected


def test_what_is_shared_is_counted_once() -> None:
    with torch.device("meta"):
        work = Work(llama())
    ids = np.arange(20, dtype=np.int32)
    two = [Sequel(ids, 3), Sequel(np.append(ids[:-1], np.int32(50)), 3)]
    together, apart = work.of(plant([two])), work.of(plant([[one] for one in two]))
    assert 0.5 < together / apart < 0.7
    assert work.of(plant([two, two])) == pytest.approx(2 * together)


@pytest.mark.parametrize(
    ("card", "teraflops"),
    [
        ("NVIDIA H200", 989),
        ("NVIDIA H100 80GB HBM3", 989),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835),
        ("NVIDIA GH200 480GB", 989),
        ("NVIDIA B200", 2250),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362),
        ("NVIDIA A40", 150),
    ],
)
def test_known_cards_have_their_peak(card: str, teraflops: int) -> None:
    assert peak_of(card) == teraflops * 1e12


@pytest.mark.parametrize(
    "card", ["NVIDIA L40", "Tesla T4", "NVIDIA RTX A4000", "NVIDIA RTX A1000 Laptop GPU"]
)
def test_a_card_that_is_not_listed_has_none(card: str) -> None:
    assert peak_of(card) is None


def test_a_card_of_another_build_has_its_own_peak() -> None:
    """Its maker publishes 1,671 with sparsity, as for the H100 NVL."""
    assert peak_of("NVIDIA H200 NVL") == 835e12

"""The estimate of memory moves the way memory does, and the least stage that fits is the least."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.train.memory import (
    LADDER,
    USABLE,
    Load,
    Zero,
    least_that_fits,
    needed_bytes,
    offloaded_bytes,
    processor_bytes,
)

LLAMA_8B: dict[str, Any] = {"hidden_size": 4096, "num_hidden_layers": 32, "intermediate_size": 14_336}
PARAMETERS = 8_030_000_000
BARE = Zero(0, False)
ranks = st.integers(1, 64)
tokens = st.integers(1, 65_536)


def test_without_sharding_a_weight_takes_twenty_bytes() -> None:
    """In bfloat16 twice and in float32 four times: itself, its gradient, the exact one and two moments."""
    whole = needed_bytes(BARE, 8, PARAMETERS, LLAMA_8B, 0) - needed_bytes(BARE, 8, 0, LLAMA_8B, 0)
    assert whole == pytest.approx(20 * PARAMETERS)


def test_a_stage_shards_what_is_its_own() -> None:
    a_weight = [
        (needed_bytes(zero, 4, 10**9, LLAMA_8B, 0) - needed_bytes(zero, 4, 0, LLAMA_8B, 0)) / 10**9
        for zero in (BARE, *LADDER[:3])
    ]
    assert a_weight == pytest.approx([20, 12 / 4 + 8, 18 / 4 + 2, 20 / 4])


@given(ranks, tokens)
def test_each_step_of_the_ladder_needs_no_more_than_the_one_before(ranks: int, max_tokens: int) -> None:
    needs = [needed_bytes(zero, ranks, PARAMETERS, LLAMA_8B, max_tokens) for zero in LADDER]
    assert needs == sorted(needs, reverse=True)


@given(ranks, tokens, st.sampled_from(LADDER))
def test_more_ranks_need_no_more_and_more_tokens_need_more(ranks: int, max_tokens: int, zero: Zero) -> None:
    here = needed_bytes(zero, ranks, PARAMETERS, LLAMA_8B, max_tokens)
    assert needed_bytes(zero, ranks + 1, PARAMETERS, LLAMA_8B, max_tokens) <= here
    assert needed_bytes(zero, ranks, PARAMETERS, LLAMA_8B, max_tokens + 1) > here


@given(st.floats(1e9, 4e11), ranks, tokens)
def test_the_first_that_fits_is_taken(memory: float, ranks: int, max_tokens: int) -> None:
    zero = least_that_fits(memory, ranks, PARAMETERS, LLAMA_8B, max_tokens)
    does_fit = [
        needed_bytes(one, ranks, PARAMETERS, LLAMA_8B, max_tokens) < USABLE * memory for one in LADDER
    ]
    place = LADDER.index(zero)
    assert not any(does_fit[:place])
    assert does_fit[place] or zero == LADDER[-1]


@pytest.mark.parametrize(
    ("memory_gb", "ranks", "expected"),
    [
        (80, 8, "ZeRO 2"),
        (140, 8, "ZeRO 1"),
        (192, 8, "ZeRO 1"),
        (48, 8, "ZeRO 3"),
        (24, 1, "ZeRO 3 with offload"),
        (1, 1, "ZeRO 3 with offload"),
    ],
)
def test_what_eight_billion_weights_take(memory_gb: int, ranks: int, expected: str) -> None:
    assert str(least_that_fits(memory_gb * 1e9, ranks, PARAMETERS, LLAMA_8B, 16_384)) == expected


def test_the_ladder_goes_up() -> None:
    assert [zero.stage for zero in LADDER] == [1, 2, 3, 3]
    assert all(lower != higher for lower, higher in pairwise(LADDER))
    assert [zero.offload for zero in LADDER] == [False] * 3 + [True]


def test_what_is_not_recomputed_is_kept() -> None:
    all_kept, recomputed = (
        needed_bytes(LADDER[0], 1, 0, LLAMA_8B, 1000, recomputes=one)
        - needed_bytes(LADDER[0], 1, 0, LLAMA_8B, 0)
        for one in (False, True)
    )
    assert all_kept > 8 * recomputed


def test_what_is_offloaded_lies_in_the_memory_of_the_machine() -> None:
    assert [offloaded_bytes(zero, 10**9) for zero in (*LADDER, Zero(2, True))] == [0, 0, 0, 18e9, 16e9]


# Without a GPU ---------------------------------------------------------------------------------

GEMMA_270M: dict[str, Any] = {
    "hidden_size": 640,
    "num_hidden_layers": 18,
    "intermediate_size": 2048,
    "num_attention_heads": 4,
    "head_dim": 256,
    "vocab_size": 262_144,
}
TINY: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 128,
    "num_attention_heads": 2,
    "vocab_size": 259,
}
LLAMA_150M: dict[str, Any] = {
    "hidden_size": 1536,
    "num_hidden_layers": 4,
    "intermediate_size": 6144,
    "num_attention_heads": 12,
    "head_dim": 128,
    "vocab_size": 259,
}


def load(shape: dict[str, Any], parameters: int, tokens: int, longest: int, ranks: int = 1) -> Load:
    return Load(parameters, shape, tokens, longest, ranks, recomputes=False)


@pytest.mark.parametrize(
    ("trained", "stage", "measured_gb"),
    [
        # The peak of one process (ru_maxrss), of trainings with these settings; torch 2.13, DeepSpeed 0.19.
        (load(GEMMA_270M, 268_098_176, 4 * 512, 512), 0, 7.74),
        (load(GEMMA_270M, 268_098_176, 4 * 640, 640), 0, 8.12),
        (load(GEMMA_270M, 268_098_176, 1963, 1024), 0, 9.59),  # as many tokens as there really were
        (load(TINY, 103_000, 8192, 4096), 0, 0.935),
        (load(LLAMA_150M, 151_804_416, 1000, 1000, ranks=2), 0, 4.373),
        (load(LLAMA_150M, 151_804_416, 1000, 1000, ranks=2), 1, 4.237),
        (load(LLAMA_150M, 151_804_416, 1000, 1000, ranks=2), 2, 4.253),
        (load(LLAMA_150M, 151_804_416, 1000, 1000, ranks=2), 3, 5.545),
    ],
)
def test_the_estimate_is_no_less_than_what_was_taken_and_not_far_above(
    trained: Load, stage: Any, measured_gb: float
) -> None:
    assert 1 <= processor_bytes(Zero(stage, False), trained) / 1e9 / measured_gb < 1.6


@given(tokens, st.integers(1, 8), st.sampled_from([0, 1, 2, 3]))
def test_on_a_processor_more_tokens_need_more_and_recomputing_less(
    max_tokens: int, ranks: int, stage: Any
) -> None:
    here = load(GEMMA_270M, 268_098_176, max_tokens, 4096, ranks)
    zero = Zero(stage, False)
    assert processor_bytes(zero, here) < processor_bytes(zero, here._replace(tokens=max_tokens + 1))
    assert processor_bytes(zero, here._replace(recomputes=True)) < processor_bytes(zero, here)
    if stage:
        assert processor_bytes(zero, here._replace(ranks=ranks + 1)) < processor_bytes(zero, here)

"""The estimate of memory moves the way memory does, and the least stage that fits is the least."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinkus.train.memory import LADDER, USABLE, Zero, least_that_fits, needed_bytes

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

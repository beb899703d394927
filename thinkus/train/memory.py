"""What a training needs of each GPU's memory, by the stage of ZeRO: an estimate, and the least stage that fits."""

from typing import Any, Literal, NamedTuple

LOGITS_AT_ONCE = 2**26
"""That many at a time, whatever the vocabulary: with their gradients half a gigabyte in float32."""
CONTEXT_BYTES = 2.5e9
"""CUDA's own, the communication's, and what fragments."""
USABLE = 0.92


class Zero(NamedTuple):
    stage: Literal[0, 1, 2, 3]
    offload: bool

    def __str__(self) -> str:
        return f"ZeRO {self.stage}" + (" with offload" if self.offload else "")


# On GPUs: without ZeRO DeepSpeed has no float32 gradients for weights in bfloat16.
LADDER = (Zero(1, False), Zero(2, False), Zero(3, False), Zero(3, True))


def needed_bytes(zero: Zero, ranks: int, parameters: int, shape: dict[str, Any], max_tokens: int) -> float:
    """Of each GPU; `shape` is the model's config.json."""
    sharded = [1 / ranks if zero.stage >= stage else 1.0 for stage in (1, 2, 3)]
    optimizer = 0.0 if zero.offload else 12 * sharded[0]  # float32 weights and two moments
    gradients = 0.0 if zero.offload else 6 * sharded[1]  # float32, and bfloat16 on the way there
    weights = 2 * (0.1 if zero.offload else sharded[2])
    hidden, layers = shape["hidden_size"], shape["num_hidden_layers"]
    width = 2 * (8 * hidden + 3 * shape["intermediate_size"])  # of one layer, while it is recomputed
    activations: float = max_tokens * (2 * hidden * layers + 2 * width)
    return (
        parameters * (optimizer + gradients + weights) + activations + 12.0 * LOGITS_AT_ONCE + CONTEXT_BYTES
    )


def least_that_fits(
    memory_bytes: float, ranks: int, parameters: int, shape: dict[str, Any], max_tokens: int
) -> Zero:
    """The last of the ladder where none does."""
    fits = (
        zero
        for zero in LADDER
        if needed_bytes(zero, ranks, parameters, shape, max_tokens) < USABLE * memory_bytes
    )
    return next(fits, LADDER[-1])

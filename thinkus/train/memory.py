"""What a training needs of memory, by the stage of ZeRO: estimates, and the least stage that fits a GPU."""

from typing import Any, Literal, NamedTuple

LOGITS_AT_ONCE = 2**26
"""That many at a time, whatever the vocabulary: with their gradients half a gigabyte in float32."""
CONTEXT_BYTES = 2.5e9
"""CUDA's own, the communication's, and what fragments."""
USABLE = 0.92
PROCESS_BYTES = 0.8e9
"""Of the machine's memory: torch, transformers and DeepSpeed themselves, measured."""
# Of weights, as DeepSpeed sets them where it is not told: how many it sums over the ranks at once, and
# how many ZeRO 3 keeps gathered.
BUCKET = 5e8
GATHERED = 1e9


class Zero(NamedTuple):
    stage: Literal[0, 1, 2, 3]
    offload: bool

    def __str__(self) -> str:
        return f"ZeRO {self.stage}" + (" with offload" if self.offload else "")


class Load(NamedTuple):
    """What is trained, and how much of it at once."""

    parameters: int
    shape: dict[str, Any]
    """The model's config.json; nothing in it where that is not known, and the estimate is of the weights."""
    tokens: int
    longest: int
    """Of the samples, in tokens."""
    ranks: int
    recomputes: bool
    """What lies between the layers alone is kept (gradient checkpointing)."""


# On GPUs: without ZeRO DeepSpeed has no float32 gradients for weights in bfloat16.
LADDER = (Zero(1, False), Zero(2, False), Zero(3, False), Zero(3, True))


def needed_bytes(
    zero: Zero,
    ranks: int,
    parameters: int,
    shape: dict[str, Any],
    max_tokens: int,
    *,
    recomputes: bool = True,
) -> float:
    """Of each GPU; `shape` is the model's config.json."""
    sharded = [1 / ranks if zero.stage >= stage else 1.0 for stage in (1, 2, 3)]
    optimizer = 0.0 if zero.offload else 12 * sharded[0]  # float32 weights and two moments
    gradients = 0.0 if zero.offload else 6 * sharded[1]  # float32, and bfloat16 on the way there
    weights = 2 * (0.1 if zero == LADDER[-1] else sharded[2])
    hidden, layers = shape.get("hidden_size", 0), shape.get("num_hidden_layers", 0)
    width = 2 * (8 * hidden + 3 * shape.get("intermediate_size", 0))  # of one layer, while it is computed
    kept = 2 * hidden * layers + 2 * width if recomputes else width * (layers + 1)
    activations: float = max_tokens * kept
    return (
        parameters * (optimizer + gradients + weights) + activations + 12.0 * LOGITS_AT_ONCE + CONTEXT_BYTES
    )


def least_that_fits(
    memory_bytes: float,
    ranks: int,
    parameters: int,
    shape: dict[str, Any],
    max_tokens: int,
    *,
    recomputes: bool = True,
) -> Zero:
    """The last of the ladder where none does."""
    fits = (
        zero
        for zero in LADDER
        if needed_bytes(zero, ranks, parameters, shape, max_tokens, recomputes=recomputes)
        < USABLE * memory_bytes
    )
    return next(fits, LADDER[-1])


def offloaded_bytes(zero: Zero, parameters: int) -> float:
    """Of the memory of all machines together, beside their GPUs: float32 weights, gradients and moments."""
    if not zero.offload:
        return 0.0
    return parameters * (16.0 + (2.0 if zero.stage == 3 else 0.0))  # and the bfloat16 weights


def processor_bytes(zero: Zero, load: Load) -> float:
    """Of the machine's memory, for each process that trains on processors, where all is float32.

    Measured with two ranks, ZeRO 3 takes more than none below a billion weights: it keeps them all gathered.
    """
    size, ranks = load.parameters, load.ranks
    buckets = min(size, BUCKET)
    weights = {
        0: 16 * size + 4 * buckets * (ranks > 1),
        1: (8 + 12 / ranks) * size + 4 * buckets,
        2: (4 + 16 / ranks) * size + 8 * buckets,
        3: 20 / ranks * size + 16 * min(size, GATHERED),
    }
    return PROCESS_BYTES + weights[zero.stage] + _activation_bytes(load) + _logit_bytes(load)


def _activation_bytes(load: Load) -> float:
    shape = load.shape
    hidden, layers, heads = (
        int(shape.get(key) or 0) for key in ("hidden_size", "num_hidden_layers", "num_attention_heads")
    )
    across = heads * int(shape.get("head_dim") or hidden // max(1, heads))
    tree = min(load.tokens, load.longest)
    # Four norms a layer and their sums, queries to the attention's outcome, the feed-forward's four; and
    # SDPA keeps half of the mask of a tree in float32.
    of_a_layer = 4 * (14 * hidden + 7 * across + 4 * int(shape.get("intermediate_size") or 0)) + 2 * tree
    kept = 4 * hidden * layers + 2 * of_a_layer if load.recomputes else of_a_layer * layers
    return load.tokens * (kept + tree)  # and all of it once, as truth values


def _logit_bytes(load: Load) -> float:
    """Themselves, their softmax and gradients; and the head's gradient, until it is added to the embeddings'."""
    vocabulary = int(load.shape.get("vocab_size") or 0)
    at_once = min(LOGITS_AT_ONCE, load.tokens * vocabulary)
    return 16.0 * at_once + 4.0 * vocabulary * int(load.shape.get("hidden_size") or 0)


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.0f}" if size >= 1e10 else f"{size / 1e9:.1f}"

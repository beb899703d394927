"""How much of what a GPU can do a training gets out of it."""

import re
from typing import Any

import numpy as np

from thinkus.train.forest import Forest

# Dense bfloat16, in 10^12 operations a second, as the makers publish it; by what the driver calls the card.
PEAKS = {
    "B200": 2250,
    "H200 NVL": 835,
    "H200": 989,
    "GH200": 989,
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "A100": 312,
    "A40": 150,
    "L40S": 362,
}


def peak_of(card: str) -> float | None:
    """Of the first that is named; the names of others may begin alike."""
    return next((peak * 1e12 for name, peak in PEAKS.items() if re.search(rf"\b{name}\b", card)), None)


class Work:
    """The operations that a forest asks of a model, forward and backward, each counted once."""

    def __init__(self, model: Any) -> None:
        config = model.config
        head = config.vocab_size * config.hidden_size
        tables = head * (1 if config.tie_word_embeddings else 2)
        total = sum(getattr(parameter, "ds_numel", parameter.numel()) for parameter in model.parameters())
        self._body: int = total - tables
        self._head: int = head
        width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self._pair: int = config.num_hidden_layers * config.num_attention_heads * width

    def of(self, forest: Forest) -> float:
        """6 a weight and token, 12 a pair that sees each other; windows are not taken off."""
        pairs = float(np.sum(forest.positions, dtype=np.int64) + forest.size)
        return 6.0 * (self._body * forest.size + self._head * len(forest.rows)) + 12.0 * self._pair * pairs

"""A language model that is asked for the loss of a forest: only what is to be learnt goes through its head."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint

from thinkus.train.attention import Sight
from thinkus.train.forest import Forest
from thinkus.train.memory import LOGITS_AT_ONCE

FILLER = 0


class ForestLoss(torch.nn.Module):
    def __init__(self, model: Any, *, flex: bool) -> None:
        super().__init__()
        self.model = model
        self._flex = flex
        layers = getattr(model.config, "layer_types", None) or ["full_attention"]
        self._windows = {model.config.sliding_window if "sliding" in layer else None for layer in layers}
        self.rows_at_once = max(64, LOGITS_AT_ONCE // model.config.vocab_size)

    def forward(self, forest: Forest, rows: int, labels: tuple[int, int] | None = None) -> torch.Tensor:
        """The weighted sum of the cross entropies; given two labels, how likely each row finds the second.

        `rows` is for how many targets the head is asked, this forest's or more: ranks that share a
        sharded model must call it equally often, whatever each of them has.
        """
        device = self.model.device
        sight = Sight(forest, device, flex=self._flex)
        sight.prepare(self._windows)
        ids = torch.full((1, sight.size), FILLER, device=device)
        ids[0, : forest.size] = torch.from_numpy(forest.ids).long()
        hidden: torch.Tensor = self.model.model(
            input_ids=ids, position_ids=sight.positions[None], use_cache=False, sight=sight
        ).last_hidden_state[0]
        if labels is not None:
            return torch.cat(
                [self._likelihood(hidden[forest.rows[some].tolist()], labels) for some in self._parts(rows)]
            )
        total: torch.Tensor = hidden.new_zeros((), dtype=torch.promote_types(hidden.dtype, torch.float32))
        for some in self._parts(rows):
            row, target, weight = (
                torch.from_numpy(part[some]).to(device)
                for part in (forest.rows, forest.targets, forest.weights)
            )
            total = total + checkpoint(
                self._summed, hidden[row.long()], target.long(), weight, use_reentrant=False
            )
        return total

    def _parts(self, rows: int) -> list[slice]:
        return [
            slice(start, start + self.rows_at_once) for start in range(0, max(1, rows), self.rows_at_once)
        ]

    def _summed(self, hidden: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        logits = self.model.lm_head(hidden)
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return (cross_entropy(exact, targets, reduction="none") * weights.to(exact.dtype)).sum()

    def _likelihood(self, hidden: torch.Tensor, labels: tuple[int, int]) -> torch.Tensor:
        first, second = self.model.lm_head(hidden)[:, list(labels)].float().unbind(1)
        return torch.sigmoid(second - first)

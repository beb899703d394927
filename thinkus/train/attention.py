"""Attention over a forest: which tokens see which, for the layers of a transformers model.

One function stands in for the model's own, under a name of ours, so that transformers never has to
guess what a mask means (from positions that fall back it would infer packed samples, and cut every
branch off its trunk). On a GPU it is FlexAttention, which skips the blocks that nobody sees; elsewhere
SDPA, a tree at a time.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad, scaled_dot_product_attention

from thinkus.train.forest import Forest

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

NAME = "thinkus_trees"
# FlexAttention is compiled for each length that it meets, so these are few: 8 between 8,192 and 16,384, say.
SHORTEST_ROW = 1024
STEPS_A_DOUBLING = 4
ROWS_AT_ONCE = 512
"""Of a tree's attention, on a processor."""
MOST_KERNELS = 128
"""Past torch's own limit, eight, it would compute without a kernel, with all scores in memory."""


class Sight:
    """What each token of a forest sees, prepared once for all layers."""

    def __init__(self, forest: Forest, device: torch.device, *, flex: bool) -> None:
        self._forest = forest
        self._device = device
        self.is_flex = flex
        self.size = padded_length(forest.size) if flex else forest.size
        missing = self.size - forest.size
        own_end = torch.arange(forest.size, self.size) + 1  # a filler sees itself alone
        self.positions = pad(torch.from_numpy(forest.positions).long(), (0, missing)).to(device)
        self._until = torch.cat([torch.from_numpy(forest.until).long(), own_end]).to(device)
        self._masks: dict[int | None, list[torch.Tensor | None]] = {}
        self._block_masks: dict[int | None, BlockMask] = {}

    def prepare(self, windows: Iterable[int | None]) -> None:
        """Before the layers, which may be recomputed: what is made within them would be made once too seldom."""
        for window in windows:
            self.block_mask(window) if self.is_flex else self.masks(window)

    @property
    def trees(self) -> list[tuple[int, int]]:
        ends = self._forest.trees.tolist()
        return list(pairwise(ends))

    def masks(self, window: int | None) -> list[torch.Tensor | None]:
        """For each tree, or None where the tokens of a path see all before them."""
        if window not in self._masks:
            self._masks[window] = [self._mask(start, end, window) for start, end in self.trees]
        return self._masks[window]

    def block_mask(self, window: int | None) -> "BlockMask":
        if window not in self._block_masks:
            from torch.nn.attention.flex_attention import create_block_mask

            until, positions = self._until, self.positions.int()  # numbers of half the size

            def sees(_: Any, __: Any, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
                seen = (k <= q) & (q < until[k])
                return seen if window is None else seen & (positions[q] - positions[k] < window)

            self._block_masks[window] = create_block_mask(
                sees, None, None, self.size, self.size, device=self._device
            )
        return self._block_masks[window]

    def _mask(self, start: int, end: int, window: int | None) -> torch.Tensor | None:
        positions = self._forest.positions[start:end]
        reaches_all = window is None or int(positions.max()) < window
        if reaches_all and bool((self._forest.until[start:end] == end).all()):
            return None
        if window is not None and reaches_all:
            return self.masks(None)[self.trees.index((start, end))]
        place = torch.arange(start, end, device=self._device)
        seen = (place[None] <= place[:, None]) & (place[:, None] < self._until[start:end][None])
        if window is not None:
            depth = self.positions[start:end]
            seen &= depth[:, None] - depth[None] < window
        return seen[None, None]


def padded_length(size: int) -> int:
    step = SHORTEST_ROW // STEPS_A_DOUBLING
    while size > step * 2 * STEPS_A_DOUBLING:
        step *= 2
    return max(SHORTEST_ROW, -(-size // step) * step)


def register() -> None:
    """Make the name known to transformers."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, _attend)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: None,
    *,
    sight: Sight,
    scaling: float | None = None,
    sliding_window: int | None = None,
    dropout: float = 0.0,
    softcap: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Called by each layer: (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    assert attention_mask is None, "a mask of another making"
    assert not dropout, "dropout would treat a shared beginning as one"
    assert softcap is None, "softcapped attention"
    if sight.is_flex:
        seen = _compiled()(
            query,
            key,
            value,
            block_mask=sight.block_mask(sliding_window),
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return seen.transpose(1, 2).contiguous(), None
    if query.shape[1] != key.shape[1]:
        key, value = (each.repeat_interleave(query.shape[1] // each.shape[1], 1) for each in (key, value))
    parts = []
    for (start, end), mask in zip(sight.trees, sight.masks(sliding_window), strict=True):
        q, k, v = (each[:, :, start:end] for each in (query, key, value))
        if mask is None:
            parts.append(scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling))
            continue
        # Nobody sees what comes later, and a mask does not tell SDPA so: it would compute twice as much.
        for first in range(0, end - start, ROWS_AT_ONCE):
            past = min(first + ROWS_AT_ONCE, end - start)
            seen = mask[..., first:past, :past]
            some = (q[:, :, first:past], k[:, :, :past], v[:, :, :past])
            parts.append(scaled_dot_product_attention(*some, attn_mask=seen, scale=scaling))
    return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None


_flex: Any = None


def _compiled() -> Any:
    """Once a process. Not `dynamic`: the few lengths that there are get a kernel each."""
    global _flex
    if _flex is None:
        from torch._dynamo import config
        from torch.nn.attention.flex_attention import flex_attention

        config.recompile_limit = MOST_KERNELS
        _flex = torch.compile(flex_attention, dynamic=False)
    return _flex

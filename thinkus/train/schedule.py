"""How the learning rate goes: up in a line, then down in half a cosine."""

from math import cos, pi


def share_of_lr(progress: float, warmup_share: float) -> float:
    """Of the highest; `progress` goes from 0 to 1."""
    if progress < warmup_share:
        return progress / warmup_share
    rest = 1 - warmup_share
    return 0.5 * (1 + cos(pi * (progress - warmup_share) / rest)) if rest else 1.0

"""Whether a simulator leaves where the person left: per reply, and per conversation.

How far apart the numbers of turns are is `divergence.wasserstein`.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Endings(NamedTuple):
    """Of a simulator or a classifier that was asked after each reply whether the person leaves now."""

    positions: int
    conversations: int
    """As many as there are ends to find."""
    precision: float
    recall: float
    f1: float
    premature: float
    """The share of conversations that it would have left before the person did."""
    in_time: float
    """That it would have left with the person."""
    never: float
    """That it would have left at none of the replies; the three come to 1."""


def endings(conversations: Iterable[Sequence[bool]]) -> Endings:
    """For each conversation, whether it would have left after each reply; the person left after the last one.

    A turn that failed says nothing of leaving, and so is no ending. As for the classifier's own
    quality, what divides by nothing is 0.
    """
    positions = count = said = hits = premature = in_time = 0
    for leaves in conversations:
        if not leaves:
            raise ValueError("a conversation without a reply has no position at which one could leave")
        *before, last = leaves
        count, positions = count + 1, positions + len(leaves)
        said, hits = said + sum(leaves), hits + last
        premature += any(before)
        in_time += last and not any(before)
    return Endings(
        positions,
        count,
        precision=hits / said if said else 0.0,
        recall=hits / count if count else 0.0,
        f1=2 * hits / (count + said) if count else 0.0,
        premature=premature / count if count else 0.0,
        in_time=in_time / count if count else 0.0,
        never=(count - premature - in_time) / count if count else 0.0,
    )

"""What verdicts that could not be read might have hidden."""

from typing import NamedTuple

from thinkus.scoring.wins import Counts


class Bounds(NamedTuple):
    """Of r_w over all duels; None where there is none."""

    lowest: float | None
    """Were all that could not be read lost."""
    highest: float | None
    """Were they all won."""


def bounds(counts: Counts) -> Bounds:
    invalid = counts.invalid
    return Bounds(
        Counts(counts.wins, counts.losses + invalid, counts.ties).rate,
        Counts(counts.wins + invalid, counts.losses, counts.ties).rate,
    )

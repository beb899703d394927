"""How much of a scenario's goals a simulated person lets be known."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Literal, NamedTuple

Revealed = Literal[1, 0, -1]
"""The words reveal the goal, leave it unclear, or conflict with it."""


class Disclosure(NamedTuple):
    mean: float | None
    """Over the goals of a dialogue, then over the dialogues; None where there is none to take it over."""
    dialogues: int
    """In the mean."""
    not_applicable: int
    """Dialogues whose scenario has no goals: they are not in the mean, least of all as 0."""
    unjudged: int
    """Dialogues with goals of which not one verdict could be read: not in the mean either."""
    goals: int
    """Verdicts that could be read."""
    invalid: int
    """Verdicts that could not; the mean of their dialogue is over the others."""


def disclosure(dialogues: Iterable[Sequence[Revealed | None]]) -> Disclosure:
    """For each dialogue the verdict on each goal; None is one that could not be read."""
    means: list[float] = []
    not_applicable = unjudged = goals = invalid = 0
    for verdicts in dialogues:
        readable = [verdict for verdict in verdicts if verdict is not None]
        goals, invalid = goals + len(readable), invalid + len(verdicts) - len(readable)
        if readable:
            means.append(fmean(readable))
        elif verdicts:
            unjudged += 1
        else:
            not_applicable += 1
    mean = fmean(means) if means else None
    return Disclosure(mean, len(means), not_applicable, unjudged, goals, invalid)

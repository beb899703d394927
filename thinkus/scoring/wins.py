"""Wins, losses and ties of a candidate against a baseline, and the win rate r_w that they come to."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

Verdict = Literal["win", "loss", "tie", "invalid"]
"""As the candidate sees it; invalid is one that could not be read."""


class Duel(NamedTuple):
    """The two at one turn: judged, in each order that was asked for, or settled by a failure."""

    verdicts: tuple[Verdict, ...] = ()
    """One for each order; none where either failed, for then no judge is asked."""
    candidate_failed: bool = False
    baseline_failed: bool = False

    @property
    def counts_as(self) -> Verdict | None:
        """In the strict count, what turned with the order is a tie; None where nobody said what can be read."""
        said = set(self.verdicts)
        if not said or "invalid" in said:
            return None
        return said.pop() if len(said) == 1 else "tie"


class Counts(NamedTuple):
    """Halves are possible where both orders count on their own."""

    wins: float
    losses: float
    ties: float
    invalid: int = 0
    """Neither won, lost nor tied."""
    candidate_failed: int = 0
    """Alone, and so among the losses."""
    baseline_failed: int = 0
    """Alone, and so among the wins."""
    both_failed: int = 0
    """Among the ties."""

    @property
    def rate(self) -> float | None:
        """r_w; None where nothing was decided."""
        return _rate(self.wins, self.losses, self.ties)

    @property
    def without_failed(self) -> "Counts":
        """Of the turns at which both said something: how good the words are, apart from how many came."""
        wins, losses = self.wins - self.baseline_failed, self.losses - self.candidate_failed
        return Counts(wins, losses, self.ties - self.both_failed, self.invalid)


class Folded(NamedTuple):
    """The same duels counted in two ways; they differ only in the verdicts that turned with the order."""

    strict: Counts
    """What turned is a tie."""
    lenient: Counts
    """What turned is half of the one verdict and half of the other."""
    turned: int


def fold(duels: Iterable[Duel]) -> Folded:
    """A duel of which one order is unreadable is invalid as a whole.

    The other order alone would bring back the judge's leaning to a place, which two orders are there to cancel.
    """
    strict, lenient, failures, turned = Counter[Verdict](), Counter[Verdict](), Counter[str](), 0
    for duel in duels:
        verdicts = _verdicts(duel, failures)
        if "invalid" in verdicts:
            verdicts = ("invalid",)
        same = len(set(verdicts)) == 1
        turned += not same
        strict[verdicts[0] if same else "tie"] += 1
        # In halves, so that they stay whole numbers until the end.
        lenient.update([verdicts[0], verdicts[-1]])
    failed = failures["candidate"], failures["baseline"], failures["both"]
    return Folded(
        Counts(strict["win"], strict["loss"], strict["tie"], strict["invalid"], *failed),
        Counts(lenient["win"] / 2, lenient["loss"] / 2, lenient["tie"] / 2, strict["invalid"], *failed),
        turned,
    )


def _verdicts(duel: Duel, failures: Counter[str]) -> tuple[Verdict, ...]:
    """Those of the judge, or what the failures come to."""
    if (duel.candidate_failed or duel.baseline_failed) == bool(duel.verdicts) or len(duel.verdicts) > 2:
        raise ValueError(f"neither judged in one or two orders nor settled by a failure: {duel}")
    if duel.candidate_failed and duel.baseline_failed:
        failures["both"] += 1
        return ("tie",)
    if duel.candidate_failed:
        failures["candidate"] += 1
        return ("loss",)
    if duel.baseline_failed:
        failures["baseline"] += 1
        return ("win",)
    return duel.verdicts


def _rate(wins: float, losses: float, ties: float) -> float | None:
    decided = wins + losses + ties
    return (wins - losses) / decided if decided else None

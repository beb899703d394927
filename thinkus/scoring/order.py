"""A judge held against itself: with the two texts in the other order, and asked again.

Each figure is of all turns; `bootstrap` draws conversations, so its rows are summed for each.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

from thinkus.scoring.bootstrap import Sums
from thinkus.scoring.figures import mean
from thinkus.scoring.wins import Duel, Verdict

Place = Literal["first", "second"]
_NAMED: tuple[dict[Verdict, Place], dict[Verdict, Place]] = (
    {"win": "first", "loss": "second"},
    {"win": "second", "loss": "first"},
)
"""By a verdict with the candidate shown first, and with the baseline first."""


def surviving(conversations: Sequence[Sequence[Duel]]) -> Sums:
    """The share of duels with the same verdict in both orders, of those that could be read in both."""
    return mean([[one == other for one, other in _twice(duels)] for duels in conversations])


def first_place(conversations: Sequence[Sequence[Duel]]) -> Sums:
    """The share of verdicts for the text that was shown first, of those for either; a half if place is nothing.

    Only of duels that could be read in both orders, in which each text stood first as often: in one order
    alone, a liking for the first place and for the candidate would be the same.
    """
    return mean(
        [[named == "first" for named in chain(*map(_places, _twice(duels)))] for duels in conversations]
    )


def self_agreement(conversations: Sequence[Sequence[Sequence[str | None]]]) -> Sums:
    """How likely two answers to the same question are the same, questions counting alike.

    Of each question, the answers to its repeats; those that cannot be read (None) are another kind of answer, for
    a judge that now and then writes nonsense agrees with itself no better.
    """
    return mean([[_alike(answers) for answers in asked if len(answers) > 1] for asked in conversations])


def _twice(duels: Sequence[Duel]) -> Iterator[tuple[Verdict, Verdict]]:
    for duel in duels:
        if len(duel.verdicts) == 2 and "invalid" not in duel.verdicts:
            yield duel.verdicts[0], duel.verdicts[1]


def _places(verdicts: tuple[Verdict, Verdict]) -> Iterator[Place]:
    for named, verdict in zip(_NAMED, verdicts, strict=True):
        if verdict in named:
            yield named[verdict]


def _alike(answers: Sequence[str | None]) -> float:
    pairs = len(answers) * (len(answers) - 1)
    return sum(answers.count(one) - 1 for one in answers) / pairs

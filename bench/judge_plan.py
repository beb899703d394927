"""What is planted in `make bench-judge`: a hash of the texts decides, so whoever knows them knows the verdict.

The server answers by it, and from the same texts the bench counts what has to come out.
"""

import hashlib
from collections.abc import Sequence
from typing import Literal

OURS, THEIRS = "ours", "theirs"
"""How all that the candidate and the baseline say begins."""
Side = Literal["candidate", "baseline"]
Protocol = Literal["both_orders", "paper"]
Planted = int | str
"""Which of the options, by its place; or in which way the answer is to be unreadable."""

REASONS: dict[str, dict[Protocol, str]] = {
    "a label that is none": {"both_orders": "no_verdict", "paper": "no_verdict"},
    "two verdicts": {"both_orders": "two_verdicts", "paper": "two_verdicts"},
    "another in the explanation": {"both_orders": "two_verdicts", "paper": "two_verdicts"},
    "prose": {"both_orders": "off_form", "paper": "no_verdict"},
    "another language": {"both_orders": "off_form", "paper": "no_verdict"},
    "nothing": {"both_orders": "empty", "paper": "empty"},
    "cut": {"both_orders": "cut", "paper": "cut"},
    "filtered": {"both_orders": "filtered", "paper": "filtered"},
}
"""By way of being unreadable, what it has to be counted as: an object is wanted in both orders, a last line by the
paper's protocol."""
GOALS_REASONS = {
    "an empty goal": "goal_empty",
    "a goal twice": "goal_doubled",
    "prose": "off_form",
    "nothing": "empty",
}
MOST_GOALS = 4

_WAYS, _GOALS_WAYS = tuple(REASONS), tuple(GOALS_REASONS)
_PLACES: dict[str, dict[Side, int]] = {
    "win": {"candidate": 0, "baseline": 1},
    "loss": {"candidate": 1, "baseline": 0},
    "tie": {"candidate": 2, "baseline": 2},
    "the first": {"candidate": 0, "baseline": 0},
    "the second": {"candidate": 1, "baseline": 1},
    "win or tie": {"candidate": 0, "baseline": 2},
    "loss or tie": {"candidate": 2, "baseline": 0},
    "half unreadable": {"candidate": 0},
    "unreadable": {},
}
"""By who stands first; where it says nothing, the answer cannot be read."""
_KINDS = tuple(
    kind for kind, times in zip(_PLACES, (6, 4, 3, 2, 1, 1, 1, 1, 2), strict=True) for kind in [kind] * times
)


def chance(*texts: str) -> int:
    """A large number."""
    told = "".join(f"{len(text)} {text}" for text in texts)
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8])


def pair(real: str, ours: str, theirs: str, first: Side) -> Planted:
    drawn = chance("pair", real, ours, theirs)
    kind = _KINDS[drawn % len(_KINDS)]
    return _PLACES[kind].get(first, _WAYS[drawn // len(_KINDS) % len(_WAYS)])


def level(thought: str) -> Planted:
    """Of five, the best first; the candidate's are better than the people's."""
    drawn = chance("level", thought)
    if drawn % 12 == 0:
        return _WAYS[drawn // 12 % len(_WAYS)]
    one, other = drawn // 12 % 5, drawn // 60 % 5
    return min(one, other) if thought.startswith(OURS) else one


def goals(scenario: str, motivation: str) -> tuple[str, ...] | str:
    drawn = chance("goals", scenario, motivation)
    if drawn % 12 == 0:
        return _GOALS_WAYS[drawn // 12 % len(_GOALS_WAYS)]
    return tuple(
        f"The person wants thing {drawn % 1000} {at}." for at in range(drawn // 12 % (MOST_GOALS + 1))
    )


def score(said: Sequence[str], about: Sequence[str], options: int) -> Planted:
    """Of what a person said, held against a goal, the goals or the scenario."""
    drawn = chance("score", *said, *about)
    return _WAYS[drawn // 12 % len(_WAYS)] if drawn % 12 == 0 else drawn // 12 % options

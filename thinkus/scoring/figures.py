"""The figures of all tasks as `bootstrap` takes them: the same numbers as the tables', from a row a conversation."""

from collections.abc import Sequence

import numpy as np

from thinkus.scoring.bootstrap import Floats, OverPairs, Sums, divided
from thinkus.scoring.divergence import LEVELS, Level
from thinkus.scoring.wins import Counts


def win_rate(counts: Sequence[Counts]) -> Sums:
    """r_w, of what each conversation's duels were folded to."""
    return Sums(np.array([(one.wins, one.losses, one.ties) for one in counts], dtype=float), rate)


def rate(sums: Floats) -> Floats:
    """From wins, losses and ties."""
    return divided(sums[:, 0] - sums[:, 1], sums.sum(axis=1))


def mean(values: Sequence[Sequence[float]]) -> Sums:
    """Over all values of all conversations. For a mean of means, give each conversation its own mean alone."""
    return Sums(np.array([(sum(own), len(own)) for own in values], dtype=float), quotient)


def ratio(sums: Sequence[tuple[float, float]]) -> Sums:
    """Of two sums, from what each conversation brings to both."""
    return Sums(np.array(sums, dtype=float), quotient)


def quotient(sums: Floats) -> Floats:
    return divided(sums[:, 0], sums[:, 1])


def ending(conversations: Sequence[Sequence[bool]]) -> dict[str, Sums]:
    """Each figure of `endings.Endings` by its name."""
    rows = np.array(
        [
            (leaves[-1], sum(leaves), 1, any(leaves[:-1]), leaves[-1] and not any(leaves[:-1]), not any(leaves))
            for leaves in conversations
        ],
        dtype=float,
    )  # fmt: skip
    hits, said, ends, premature, in_time, never = range(6)

    def shares(one: int, *others: int, times: int = 1) -> Sums:
        """What divides by nothing is 0, as it is in `endings`."""
        return Sums(
            rows,
            lambda sums: np.nan_to_num(divided(times * sums[:, one], sums[:, list(others)].sum(axis=1))),
        )

    return {
        "precision": shares(hits, said),
        "recall": shares(hits, ends),
        "f1": shares(hits, said, ends, times=2),
        "premature": shares(premature, ends),
        "in_time": shares(in_time, ends),
        "never": shares(never, ends),
    }


def divergence(golden: Sequence[Level | None], predicted: Sequence[Level | None]) -> Sums:
    """`divergence.level_divergence`, of the one level that each conversation has on each side, or has not."""
    rows = np.hstack(
        [_one_hot([_score(one) for one in side], range(len(LEVELS))) for side in (golden, predicted)]
    )
    return Sums(rows, _cramer_von_mises)


def _score(level: Level | None) -> int | None:
    return None if level is None else LEVELS.index(level)


def _cramer_von_mises(sums: Floats) -> Floats:
    golden, predicted = np.hsplit(sums, 2)
    n0, n1 = golden.sum(axis=1), predicted.sum(axis=1)
    below0, below1 = (2 * side.cumsum(axis=1) - side for side in (golden, predicted))
    apart = below0 * n1[:, None] - below1 * n0[:, None]
    return np.sqrt(divided(3 * (golden * apart**2).sum(axis=1), n0 * n1**2 * (4 * n0**2 - 1)))


def distance(one: Sequence[int | None], other: Sequence[int | None]) -> Sums:
    """`divergence.wasserstein`, of the one number that each conversation has on each side, or has not."""
    scale = sorted({value for side in (one, other) for value in side if value is not None})
    steps = np.diff(np.array(scale, dtype=float))

    def moved(sums: Floats) -> Floats:
        shares = (divided(side.cumsum(axis=1), side.sum(axis=1)[:, None]) for side in np.hsplit(sums, 2))
        first, second = shares
        return np.abs(first - second)[:, :-1] @ steps

    return Sums(np.hstack([_one_hot(side, scale) for side in (one, other)]), moved)


def quantile(values: Sequence[Sequence[int]], level: float) -> Sums:
    """Of all values of all conversations, between two of them in proportion (as `statistics.quantiles` inclusive)."""
    scale = sorted({value for own in values for value in own})
    return Sums(_histograms(values, scale), lambda sums: _quantile(sums, np.array(scale, dtype=float), level))


def _quantile(sums: Floats, scale: Floats, level: float) -> Floats:
    up_to = sums.cumsum(axis=1)
    found = np.full(len(sums), np.nan)
    for row, count in enumerate(sums.sum(axis=1)):
        if count:
            place = (count - 1) * level
            lower, upper = scale[np.searchsorted(up_to[row], [np.floor(place), np.ceil(place)], side="right")]
            found[row] = lower + (upper - lower) * (place % 1)
    return found


def _histograms(values: Sequence[Sequence[int]], scale: Sequence[int]) -> Floats:
    """How often each conversation has each value."""
    place = {value: at for at, value in enumerate(scale)}
    rows = np.zeros((len(values), len(scale)))
    for row, own in zip(rows, values, strict=True):
        np.add.at(row, [place[value] for value in own], 1)
    return rows


def _one_hot(values: Sequence[int | None], scale: Sequence[int]) -> Floats:
    return _histograms([() if value is None else (value,) for value in values], scale)


def first_turn_diversity(first_turns: Sequence[Sequence[str]]) -> OverPairs:
    """`likeness.first_turn_diversity`, which is 1 - the mean Jaccard similarity of their sets of words.

    It takes a matrix of all pairs: 57 MB for 2,678 conversations, and four times that for twice as many.
    """
    vocabularies = [set(turn) for turn in first_turns]
    holders: dict[str, list[int]] = {}
    for place, vocabulary in enumerate(vocabularies):
        for word in vocabulary:
            holders.setdefault(word, []).append(place)
    lists = {word: np.array(places, dtype=np.intp) for word, places in holders.items()}
    sizes = np.array([len(vocabulary) for vocabulary in vocabularies])
    present = (sizes > 0).astype(float)
    apart = np.zeros((len(sizes), len(sizes)))
    for place, vocabulary in enumerate(vocabularies):
        if vocabulary:
            shared = np.bincount(np.concatenate([lists[word] for word in vocabulary]), minlength=len(sizes))
            apart[place] = present - shared / (sizes + sizes[place] - shared)
    return OverPairs(apart, present)

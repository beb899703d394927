"""How far raters agree, beyond what chance would have them: judges with each other, people, and one with the other.

Each measure takes, for each conversation, its items, each with a label of every rater in their order (None where
one gave none), and is a function of sums over conversations, so that it has an interval like any other figure.
"""

from collections.abc import Callable, Sequence

import numpy as np

from thinkus.scoring.bootstrap import Floats, Sums, divided
from thinkus.scoring.divergence import LEVELS
from thinkus.scoring.wins import Verdict

VERDICTS: tuple[Verdict, ...] = ("win", "tie", "loss")
Item = Sequence[str | None]
Rated = Sequence[Sequence[Item]]


def raw_agreement(rated: Rated, labels: Sequence[str] = VERDICTS) -> Sums:
    """How likely two of an item's labels are the same; items count alike, and one with a single label not at all."""
    return _summed(
        rated, 2, lambda item: _agreement(_counts(item, labels)), lambda sums: divided(sums[:, 0], sums[:, 1])
    )


def base_rate(rated: Rated, rater: int, label: str) -> Sums:
    """The share of a rater's labels that are this one: raters of unlike base rates cannot agree much."""
    return _summed(
        rated,
        2,
        lambda item: np.array([item[rater] == label, item[rater] is not None], dtype=float),
        lambda sums: divided(sums[:, 0], sums[:, 1]),
    )


def cohens_kappa(rated: Rated, labels: Sequence[str] = VERDICTS) -> Sums:
    """Of two raters, over the items that both labelled. Chance: each with its own base rates."""
    size = len(labels)

    def table(item: Item) -> Floats:
        one, other = item
        found = np.zeros((size, size))
        if one is not None and other is not None:
            found[labels.index(one), labels.index(other)] = 1
        return found.ravel()

    def kappa(sums: Floats) -> Floats:
        tables = sums.reshape(-1, size, size)
        items = tables.sum(axis=(1, 2))
        expected = divided((tables.sum(axis=1) * tables.sum(axis=2)).sum(axis=1), items**2)
        return _beyond(divided(np.trace(tables, axis1=1, axis2=2), items), expected)

    return _summed(rated, size**2, table, kappa)


def fleiss_kappa(rated: Rated, labels: Sequence[str] = VERDICTS) -> Sums:
    """Of any number of raters, over the items that all of them labelled. Chance: with the base rates of all."""

    def row(item: Item) -> Floats:
        if None in item:
            return np.zeros(len(labels) + 2)
        counts = _counts(item, labels)
        return np.concatenate([_agreement(counts), counts])

    def kappa(sums: Floats) -> Floats:
        shares = divided(sums[:, 2:], sums[:, 2:].sum(axis=1, keepdims=True))
        return _beyond(divided(sums[:, 0], sums[:, 1]), (shares**2).sum(axis=1))

    return _summed(rated, len(labels) + 2, row, kappa)


def ordinal_alpha(rated: Rated, levels: Sequence[str] = LEVELS) -> Sums:
    """Krippendorff's, of levels in their order: two that have much between them disagree the more.

    Items with one label say nothing, and any other may lack some.
    """
    size = len(levels)

    def coincidences(item: Item) -> Floats:
        counts = _counts(item, levels)
        if counts.sum() < 2:
            return np.zeros(size**2)
        pairs = np.outer(counts, counts) - np.diag(counts)
        return np.asarray(pairs / (counts.sum() - 1)).ravel()

    def alpha(sums: Floats) -> Floats:
        found = sums.reshape(-1, size, size)
        of_level = found.sum(axis=2)
        # Between two levels lie all the labels of those from one to the other, and half of those of the two.
        middle = of_level.cumsum(axis=1) - of_level / 2
        apart = (middle[:, :, None] - middle[:, None, :]) ** 2
        labels = of_level.sum(axis=1)
        expected = (apart * of_level[:, :, None] * of_level[:, None, :]).sum(axis=(1, 2))
        return 1 - divided((apart * found).sum(axis=(1, 2)) * (labels - 1), expected)

    return _summed(rated, size**2, coincidences, alpha)


def _summed(rated: Rated, size: int, row: Callable[[Item], Floats], of: Callable[[Floats], Floats]) -> Sums:
    rows = [sum(map(row, items), start=np.zeros(size)) for items in rated]
    return Sums(np.array(rows).reshape(len(rated), size), of)


def _counts(item: Item, labels: Sequence[str]) -> Floats:
    given = [label for label in item if label is not None]
    if unknown := set(given) - set(labels):
        raise ValueError(f"no labels: {', '.join(sorted(unknown))}")
    return np.array([given.count(label) for label in labels], dtype=float)


def _agreement(counts: Floats) -> Floats:
    """Of the pairs of an item's labels the share that are the same; and 1, to divide by."""
    labels = counts.sum()
    if labels < 2:
        return np.zeros(2)
    return np.array([(counts * (counts - 1)).sum() / (labels * (labels - 1)), 1])


def _beyond(agreed: Floats, expected: Floats) -> Floats:
    """None where chance alone has all agree: there is nothing beyond it."""
    return divided(agreed - expected, 1 - expected)

"""How alike two texts are written, whatever they mean: which characters follow each other, and how many there are."""

from collections import Counter
from itertools import repeat
from math import sqrt
from operator import mul

LONGEST_GRAM = 3
_END = "\n"
"""Before the first character and after the last; no text holds one once its white space is made even."""


def style(one: str, other: str) -> float:
    """From 0 to 1: half by the grams of characters, half by the length. Case and punctuation count as they stand."""
    one, other = (" ".join(text.split()) for text in (one, other))
    if not (one and other):
        return float(one == other)
    shorter, longer = sorted((len(one), len(other)))
    return (_cosine(_grams(one), _grams(other)) + shorter / longer) / 2


def _grams(text: str) -> Counter[str]:
    """The ends show in what stands beside them; alone they would make all texts alike."""
    counts = Counter(text)
    marked = f"{_END}{text}{_END}"
    for size in range(2, LONGEST_GRAM + 1):
        counts.update(map("".join, zip(*(marked[start:] for start in range(size)), strict=False)))
    return counts


def _cosine(one: Counter[str], other: Counter[str]) -> float:
    """Of counts: whole numbers up to the last step, so that it is the same from both sides, and 1 is 1."""
    shared: int = sum(map(mul, one.values(), map(other.get, one, repeat(0))))
    return shared / sqrt(_square(one) * _square(other))


def _square(counts: Counter[str]) -> int:
    return sum(map(mul, counts.values(), counts.values()))

"""How rich a vocabulary is, in three measures that hardly depend on how long the text is."""

from collections import Counter, deque
from collections.abc import Sequence
from math import comb

WINDOW = 50
DRAWS = 42


def mattr(words: Sequence[str], window: int = WINDOW) -> float | None:
    """The share of different words, averaged over all windows of so many; None where the text is shorter than one."""
    if len(words) < window:
        return None
    inside: deque[str] = deque()
    times: Counter[str] = Counter()
    different = 0
    for place, word in enumerate(words, 1):
        inside.append(word)
        times[word] += 1
        if place > window:
            left = inside.popleft()
            times[left] -= 1
            if not times[left]:
                del times[left]
        if place >= window:
            different += len(times)
    return different / (window * (len(words) - window + 1))


def hd_d(words: Sequence[str], draws: int = DRAWS) -> float | None:
    """The share of different words to be expected among so many drawn without putting back.

    A word that stands f times among N is missed with C(N - f, draws) / C(N, draws). None where there are fewer
    words than draws.
    """
    total = len(words)
    if total < draws:
        return None
    ways = comb(total, draws)
    alike = Counter(Counter(words).values())
    drawn = sum(many * (ways - comb(total - times, draws)) for times, many in alike.items())
    return drawn / (ways * draws)


def yules_k(words: Sequence[str]) -> float | None:
    """How likely two words picked at random are the same one, times 10,000: the higher, the poorer."""
    total = len(words)
    if not total:
        return None
    return 10_000 * (sum(times**2 for times in Counter(words).values()) - total) / total**2

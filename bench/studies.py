"""Do the intervals hold what they say? 1,000 synthetic studies whose truth is known; and how long all intervals take.

    make bench-statistics         about a minute on one core; STUDIES=200 for fewer

A study has 400 conversations of 1 to 20 turns, whose turns are alike: each conversation is harder or easier as a
whole, and long ones are harder. Its intervals have 999 resamples, those of the part that is timed 9,999.
"""

import os
import resource
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from thinkus.scoring import figures
from thinkus.scoring.bootstrap import RESAMPLES, Estimate, Figure, Floats, Sums, estimate, estimates
from thinkus.scoring.correction import Ruled, corrected_win_rate
from thinkus.scoring.differences import difference, holm
from thinkus.scoring.divergence import LEVELS
from thinkus.scoring.length import Decided, held_at_zero

STUDIES = int(os.environ.get("STUDIES", "1000"))
CONVERSATIONS = 400
RESAMPLES_OF_A_STUDY = 999
POPULATION = 1_000_000
LABELS = 150
FAMILY = 5
LIKING = 1.5
"""What a text that is e times as long gains with a judge that likes length, in log-odds."""
SCORES = np.array([1.0, 0.0, -1.0])
CONFUSION = np.array([[0.90, 0.04, 0.06], [0.45, 0.40, 0.15], [0.25, 0.10, 0.65]])
"""What a lenient judge says (win, tie, loss) where a person says win, tie or loss."""


class Conversations(NamedTuple):
    """Some, each with its turns one after the other."""

    turns: Floats
    odds: Floats
    """Of a win in each conversation, as a logarithm."""

    @property
    def of_turn(self) -> Floats:
        return np.repeat(self.odds, self.turns.astype(int))

    def summed(self, *of_turns: Floats) -> Floats:
        starts = np.concatenate([[0], np.cumsum(self.turns.astype(int))[:-1]])
        return np.column_stack([np.add.reduceat(values, starts) for values in of_turns])

    def split(self, of_turns: Floats) -> list[Floats]:
        return np.split(of_turns, np.cumsum(self.turns.astype(int))[:-1])


def conversations(generator: np.random.Generator, count: int) -> Conversations:
    turns = np.minimum(generator.geometric(0.2, count), 20).astype(float)
    return Conversations(turns, 0.4 + generator.normal(0, 1, count) - 0.05 * turns)


def verdicts(generator: np.random.Generator, odds: Floats) -> Floats:
    """1, 0 or -1 for each turn: a tie where the two are near."""
    found = odds + generator.logistic(0, 1, len(odds))
    return np.where(np.abs(found) < 0.3, 0.0, np.sign(found))


def duels(some: Conversations, scores: Floats) -> Sums:
    return Sums(some.summed(scores == 1, scores == -1, scores == 0), figures.rate)


def chance(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


class Truth(NamedTuple):
    rate: float
    at_zero: float
    """Where lengths are alike, and nothing is a tie."""


def truth() -> Truth:
    """From chances, so that little is left to chance."""
    many = conversations(np.random.default_rng(0), POPULATION)
    expected = chance(many.odds - 0.3) - chance(-many.odds - 0.3)
    level = 2 * chance(many.odds) - 1
    return Truth(*(float((own * many.turns).sum() / many.turns.sum()) for own in (expected, level)))


def covers(found: Estimate, true: float) -> bool:
    return found.interval is not None and found.interval.low <= true <= found.interval.high


def study(seed: int, true: Truth) -> Iterator[tuple[str, bool]]:
    """Each question, and whether the answer is yes."""
    generator = np.random.default_rng((seed, 1))
    some = conversations(generator, CONVERSATIONS)
    scores = verdicts(generator, some.of_turn)
    own = partial(estimate, seed=seed, resamples=RESAMPLES_OF_A_STUDY)
    yield "r_w: its interval covers the truth", covers(own(duels(some, scores)), true.rate)
    error = scores.std() / np.sqrt(len(scores))
    yield "the same, were turns independent", abs(scores.mean() - true.rate) < 1.96 * error
    yield from no_difference(generator, some, seed)
    judge = (generator.random(len(scores))[:, None] > CONFUSION[(1 - scores).astype(int)].cumsum(axis=1)).sum(
        axis=1
    )
    judged = SCORES[np.minimum(judge, 2)]
    labelled = generator.permutation(len(scores)) < LABELS
    told = np.where(labelled, scores, np.nan)
    ruled = [
        [
            Ruled(float(said), None if np.isnan(person) else float(person))
            for said, person in zip(*both, strict=True)
        ]
        for both in zip(some.split(judged), some.split(told), strict=True)
    ]
    yield "lenient judge: r_w covers what people would say", covers(own(duels(some, judged)), true.rate)
    yield f"  corrected by {LABELS} labels", covers(own(corrected_win_rate(ruled)), true.rate)
    yield from with_lengths(generator, some, own, true)


def no_difference(
    generator: np.random.Generator, some: Conversations, seed: int
) -> Iterator[tuple[str, bool]]:
    """One method five times beside another that is the same, on the same conversations."""
    baseline = duels(some, verdicts(generator, some.of_turn))
    others = (duels(some, verdicts(generator, some.of_turn)) for _ in range(FAMILY))
    found = [difference(other, baseline, seed, RESAMPLES_OF_A_STUDY) for other in others]
    yield "no difference: its interval leaves 0 out", not covers(found[0].estimate, 0)
    p_values = [one.p for one in found if one.p is not None]
    yield "no difference: p < 0.05", p_values[0] < 0.05
    yield f"  one at least of {FAMILY}", min(p_values) < 0.05
    yield f"  one at least of {FAMILY}, by Holm", min(holm(p_values)) < 0.05


def with_lengths(
    generator: np.random.Generator, some: Conversations, own: Callable[[Figure], Estimate], true: Truth
) -> Iterator[tuple[str, bool]]:
    baseline = generator.integers(5, 40, len(some.of_turn))
    candidate = (baseline * generator.uniform(0.7, 2.5, len(baseline))).astype(int)
    odds = some.of_turn + LIKING * np.log((candidate + 1) / (baseline + 1))
    scores = np.where(generator.random(len(odds)) < chance(odds), 1.0, -1.0)
    decided = [
        [Decided(float(score), int(ours), int(theirs)) for score, ours, theirs in zip(*turns, strict=True)]
        for turns in zip(*map(some.split, (scores, candidate, baseline)), strict=True)
    ]
    figure = held_at_zero(decided)
    assert isinstance(figure, Sums)
    yield (
        "judge that likes length: r_w covers that of equal lengths",
        covers(own(duels(some, scores)), true.at_zero),
    )
    yield "  with the difference in length held at zero", covers(own(figure), true.at_zero)


def studies() -> None:
    began, true = time.monotonic(), truth()
    asked: dict[str, int] = {}
    for seed in range(STUDIES):
        for question, answer in study(seed, true):
            asked[question] = asked.get(question, 0) + answer
    error = (0.95 * 0.05 / STUDIES) ** 0.5
    took = time.monotonic() - began
    print(f"\n{STUDIES:,} studies in {took:.0f} s; 95 % is known to {error:.1%} (one standard error)\n")
    print("| | share of studies |\n|---|---|")
    for question, times in asked.items():
        print(f"| {question} | {times / STUDIES:.1%} |")


def all_figures(conversations_: int = 2_678, pairs: int = 15_015) -> Mapping[str, Figure]:
    """As many as the six tasks have, of as much as the published test set has; the words are drawn as in a language."""
    generator = np.random.default_rng(0)
    turns = generator.multinomial(pairs - conversations_, np.full(conversations_, 1 / conversations_)) + 1
    words = [np.minimum(generator.lognormal(3, 1.2, own).astype(int) + 1, 5_000).tolist() for own in turns]
    often, drawn = 1 / np.arange(1, 20_001), (0.5, 0.4, 0.1)
    first = [list(map(str, generator.choice(20_000, own[0], p=often / often.sum()))) for own in words]
    leaves = [(generator.random(own) < 0.2).tolist() for own in turns]
    golden, predicted = ([LEVELS[at] for at in generator.integers(5, size=conversations_)] for _ in range(2))
    return {
        "diversity": figures.first_turn_diversity(first),
        "divergence": figures.divergence(golden, predicted),
        "distance": figures.distance(turns.tolist(), (turns + 1).tolist()),
        **figures.ending(leaves),
        **{f"quartile {number}": figures.quantile(words, number / 4) for number in (1, 2, 3)},
        **{f"r_w {at}": Sums(generator.multinomial(turns, drawn).astype(float), figures.rate) for at in range(6)},
        **{f"mean {at}": figures.mean([generator.random(own).tolist() for own in turns]) for at in range(12)},
    }  # fmt: skip


def timed() -> None:
    began = time.monotonic()
    found = all_figures()
    made = time.monotonic()
    estimates(found, 0)
    estimated = time.monotonic()
    difference(found["r_w 0"], found["r_w 1"], 0)
    compared = time.monotonic()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    ours, theirs = beside_scipy(found["r_w 0"])
    print(
        f"\n{len(found)} figures of 15,015 pairs in 2,678 conversations, {RESAMPLES:,} resamples: "
        f"{estimated - made:.1f} s, and {made - began:.1f} s to draw and sum them; a difference with its p: "
        f"{compared - estimated:.1f} s; {memory:.2f} GB at most\n"
        f"r_w alone: {ours.took:.2f} s for [{ours.low:.4f}, {ours.high:.4f}]; scipy.stats.bootstrap takes "
        f"{theirs.took:.2f} s ({theirs.took / ours.took:.1f} times as long) for [{theirs.low:.4f}, {theirs.high:.4f}]"
    )


class Timed(NamedTuple):
    took: float
    low: float
    high: float


def beside_scipy(figure: Figure) -> tuple[Timed, Timed]:
    """The same interval by what one would take instead, told of sums as we are."""
    from scipy.stats import bootstrap

    assert isinstance(figure, Sums)
    began = time.monotonic()
    own = estimate(figure, 0).interval
    estimated = time.monotonic()
    columns = tuple(figure.rows.T)
    theirs = bootstrap(
        columns,
        lambda *drawn, axis: figures.rate(
            np.stack([one.sum(axis=axis) for one in drawn], axis=-1).reshape(-1, 3)
        ),
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=256,
        rng=np.random.default_rng(0),
    ).confidence_interval
    assert own is not None
    return (
        Timed(estimated - began, own.low, own.high),
        Timed(time.monotonic() - estimated, theirs.low.item(), theirs.high.item()),
    )


if __name__ == "__main__":
    timed()
    studies()

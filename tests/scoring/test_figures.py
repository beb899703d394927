"""Each figure beside the one of the tables, of all conversations and of those that a resample drew."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest

from thinkus.scoring import figures
from thinkus.scoring.bootstrap import Figure, value_of
from thinkus.scoring.divergence import LEVELS, level_divergence, wasserstein
from thinkus.scoring.endings import endings
from thinkus.scoring.likeness import first_turn_diversity, lengths
from thinkus.scoring.wins import Counts, Duel, Verdict, fold

CHANCE = np.random.default_rng(4)
TURNS = CHANCE.integers(1, 6, size=30).tolist()
VERDICTS: list[Verdict] = ["win", "loss", "tie", "invalid"]
DUELS = [
    [Duel((VERDICTS[one], VERDICTS[other])) for one, other in CHANCE.integers(4, size=(turns, 2))]
    for turns in TURNS
]
LEAVES = [[bool(one) for one in CHANCE.random(turns) < 0.3] for turns in TURNS]
WORDS = [CHANCE.integers(1, 40, size=turns).tolist() for turns in TURNS]
GOLDEN, PREDICTED = (
    [None if level == 5 else LEVELS[level] for level in CHANCE.integers(low, 6, size=30)] for low in (0, 2)
)
LATER = [turns + int(CHANCE.integers(-1, 4)) if turns > 1 else None for turns in TURNS]
FIRST = [
    [f"word{number}" for number in CHANCE.integers(12, size=size)] for size in CHANCE.integers(0, 7, size=30)
]


class Case(NamedTuple):
    figure: Figure
    of_tables: Callable[[Sequence[int]], float | None]
    """The same of these conversations."""


def picked(values: Sequence[Any], drawn: Sequence[int]) -> list[Any]:
    return [values[place] for place in drawn]


def there(values: Sequence[Any], drawn: Sequence[int]) -> list[Any]:
    return [one for one in picked(values, drawn) if one is not None]


def all_of(values: Sequence[Sequence[Any]], drawn: Sequence[int]) -> list[Any]:
    return [one for own in picked(values, drawn) for one in own]


def quartile(number: int) -> Case:
    return Case(
        figures.quantile(WORDS, number / 4), lambda drawn: (lengths(all_of(WORDS, drawn)) or ())[number]
    )


def ending(name: str) -> Case:
    return Case(figures.ending(LEAVES)[name], lambda drawn: getattr(endings(picked(LEAVES, drawn)), name))


CASES = {
    "r_w": Case(
        figures.win_rate([fold(duels).strict for duels in DUELS]),
        lambda drawn: fold(all_of(DUELS, drawn)).strict.rate,
    ),
    "mean": Case(figures.mean(WORDS), lambda drawn: (lengths(all_of(WORDS, drawn)) or (None,))[0]),
    "ratio": Case(
        figures.ratio([(-sum(own), len(own)) for own in WORDS]),
        lambda drawn: -sum(all_of(WORDS, drawn)) / len(all_of(WORDS, drawn)),
    ),
    **{f"quartile {number}": quartile(number) for number in (1, 2, 3)},
    **{name: ending(name) for name in ("precision", "recall", "f1", "premature", "in_time", "never")},
    "divergence": Case(
        figures.divergence(GOLDEN, PREDICTED),
        lambda drawn: level_divergence(there(GOLDEN, drawn), there(PREDICTED, drawn)),
    ),
    "distance": Case(
        figures.distance(TURNS, LATER), lambda drawn: wasserstein(picked(TURNS, drawn), there(LATER, drawn))
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_figure_is_that_of_the_tables_of_all_and_of_a_resample(case: Case) -> None:
    assert value_of(case.figure) == pytest.approx(case.of_tables(range(30)))
    generator = np.random.default_rng(6)
    for _ in range(20):
        drawn = generator.integers(30, size=30)
        weights = np.bincount(drawn, minlength=30).astype(float)
        assert case.figure.under(weights[None])[0] == pytest.approx(case.of_tables(drawn.tolist()))


def test_the_diversity_of_first_turns_is_that_of_the_tables() -> None:
    figure = figures.first_turn_diversity(FIRST)
    assert figure.telling == sum(bool(turn) for turn in FIRST) < 30
    assert value_of(figure) == pytest.approx(first_turn_diversity(FIRST))
    for place, without in enumerate(figure.left_out()):
        assert without == pytest.approx(first_turn_diversity(FIRST[:place] + FIRST[place + 1 :]))


def test_the_diversity_of_first_turns_weighs_pairs_by_how_often_both_were_drawn() -> None:
    weights = np.array([[2.0, 1.0, 0.0, 3.0]])
    turns = [["a", "b"], ["a"], ["c"], ["b", "c"]]
    found = figures.first_turn_diversity(turns).under(weights)[0]
    # Pairs of the first and second twice, of the first and last six times, of the second and last three times.
    assert found == pytest.approx(1 - (2 * 1 / 2 + 6 * 1 / 3 + 3 * 0) / 11)


@pytest.mark.parametrize(
    "figure",
    [
        figures.win_rate([Counts(0, 0, 0, invalid=3)] * 2),
        figures.mean([[], []]),
        figures.ratio([(0, 0), (0, 0)]),
        figures.quantile([[], []], 0.5),
        figures.divergence(["good", None], [None, None]),
        figures.divergence([None, None], ["good", None]),
        figures.distance([1, 2], [None, None]),
        figures.first_turn_diversity([["a"], []]),
    ],
)
def test_where_there_is_nothing_there_is_no_figure(figure: Figure) -> None:
    assert value_of(figure) is None


def test_who_never_says_to_leave_has_a_precision_of_0_as_in_the_tables() -> None:
    found = {name: value_of(figure) for name, figure in figures.ending([[False, False]]).items()}
    assert found == {"precision": 0, "recall": 0, "f1": 0, "premature": 0, "in_time": 0, "never": 1}

"""A forest against its samples one by one: what a token sees, where it stands, and what it is to predict."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.train.forest import IDLE, Forest, Sequel, plant, shared

Words = tuple[int, ...]

# Few words, so that samples often begin alike; the large ones sort otherwise byte by byte than as numbers.
words = st.lists(st.sampled_from([0, 1, 2, 255, 256, 131_072]), min_size=1, max_size=7).map(tuple)


@st.composite
def groups(draw: st.DrawFn) -> list[list[Sequel]]:
    """With duplicates, beginnings of each other, samples of one token, and some without a target."""
    drawn: list[list[Sequel]] = []
    for known in draw(st.lists(st.lists(words, min_size=1, max_size=4), min_size=1, max_size=3)):
        some = [known[0]] * draw(st.integers(0, 2)) + [*known, known[-1][: draw(st.integers(1, 7))]]
        drawn.append(
            [
                Sequel(
                    np.array(one, np.int32),
                    draw(st.integers(0, len(one) - 1)),
                    draw(st.sampled_from([0.25, 1.0, 3.0])),
                )
                for one in draw(st.permutations(some))
            ]
        )
    return drawn


def path(*ids: int, targets: int = 0, weight: float = 1.0) -> Sequel:
    return Sequel(np.array(ids, np.int32), targets, weight)


def sights(forest: Forest) -> list[Words]:
    """The tokens that each token sees, itself the last."""
    return [
        tuple(int(forest.ids[k]) for k in range(forest.size) if k <= q < forest.until[k])
        for q in range(forest.size)
    ]


def lessons_of(forest: Forest) -> Counter[tuple[Words, int, float]]:
    seen = sights(forest)
    listed = zip(forest.rows.tolist(), forest.targets.tolist(), forest.weights.tolist(), strict=True)
    return Counter((seen[row], target, weight) for row, target, weight in listed)


def lessons_one_by_one(samples: Sequence[Sequel]) -> Counter[tuple[Words, int, float]]:
    return Counter(
        (tuple(one.ids[:at].tolist()), int(one.ids[at]), one.weight)
        for one in samples
        for at in range(len(one.ids) - one.targets, len(one.ids))
    )


@settings(max_examples=300, deadline=None)
@given(groups())
def test_each_token_sees_the_beginning_of_its_own_samples_and_nothing_else(
    drawn: list[list[Sequel]],
) -> None:
    forest = plant(drawn)
    seen = sights(forest)
    assert len(forest.trees) == len(drawn) + 1
    assert (forest.trees[0], forest.trees[-1]) == (0, forest.size)
    for group, (start, end) in zip(drawn, pairwise(forest.trees.tolist()), strict=True):
        beginnings = {
            tuple(one.ids[:length].tolist()) for one in group for length in range(1, len(one.ids) + 1)
        }
        assert Counter(seen[start:end]) == Counter(beginnings), "each of them, and each once"


@settings(max_examples=300, deadline=None)
@given(groups())
def test_a_position_is_the_place_in_the_sample(drawn: list[list[Sequel]]) -> None:
    forest = plant(drawn)
    assert forest.positions.tolist() == [len(seen) - 1 for seen in sights(forest)]


@settings(max_examples=300, deadline=None)
@given(groups())
def test_what_is_learnt_is_what_the_samples_teach_one_by_one(drawn: list[list[Sequel]]) -> None:
    assert lessons_of(plant(drawn)) == lessons_one_by_one([one for group in drawn for one in group])


@settings(max_examples=100, deadline=None)
@given(groups())
def test_no_token_sees_into_another_tree(drawn: list[list[Sequel]]) -> None:
    forest = plant(drawn)
    for start, end in pairwise(forest.trees.tolist()):
        assert forest.until[start:end].max() == end
        alone = plant([drawn[forest.trees.tolist().index(start)]])
        assert (forest.until[start:end] - start).tolist() == alone.until.tolist()


@given(words, st.data())
def test_one_sample_alone_is_a_path(ids: Words, data: st.DataObject) -> None:
    targets = data.draw(st.integers(0, len(ids) - 1))
    forest = plant([[path(*ids, targets=targets, weight=0.5)]])
    size = len(ids)
    assert forest.ids.tolist() == list(ids)
    assert forest.positions.tolist() == list(range(size))
    assert forest.until.tolist() == [size] * size
    assert forest.rows.tolist() == list(range(size - targets - 1, size - 1))
    assert forest.targets.tolist() == list(ids[size - targets :])
    assert forest.weights.tolist() == [0.5] * targets


def test_a_fork_and_a_duplicate_as_one_would_draw_them() -> None:
    forest = plant(
        [[path(7, 8, 9, targets=1), path(7, 5, targets=1, weight=2.0), path(7, 8, 9, targets=2)], [path(7)]]
    )
    assert forest.ids.tolist() == [7, 5, 8, 9, 7]
    assert forest.positions.tolist() == [0, 1, 1, 2, 0]
    assert forest.until.tolist() == [4, 2, 4, 4, 5]
    assert forest.trees.tolist() == [0, 4, 5]
    assert sorted(zip(forest.rows, forest.targets, forest.weights, strict=True)) == [
        (0, 5, 2.0),
        (0, 8, 1.0),
        (2, 9, 1.0),
        (2, 9, 1.0),
    ]


def test_without_samples_there_is_one_token_that_learns_nothing() -> None:
    forest = plant([])
    assert forest is IDLE
    assert (forest.size, sights(forest), forest.trees.tolist()) == (1, [(0,)], [0, 1])
    assert (len(forest.rows), len(forest.targets), len(forest.weights)) == (0, 0, 0)


@given(groups())
def test_arrays_are_of_the_kinds_that_are_promised(drawn: list[list[Sequel]]) -> None:
    for forest in (plant(drawn), IDLE):
        assert {array.dtype for array in forest[:-1]} == {np.dtype(np.int32)}
        assert forest.weights.dtype == np.float64


@given(words, words)
def test_what_two_share_ends_where_they_first_differ(one: Words, other: Words) -> None:
    length = shared(np.array(one, np.int32), np.array(other, np.int32))
    assert one[:length] == other[:length]
    assert length == min(len(one), len(other)) or one[length] != other[length]

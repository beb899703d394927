"""Every step, whatever the ranks and the layout: the right samples, and packs that are what they say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby, pairwise
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.train.plan import Pack, Plan, Samples, Step
from thinkus.train.shelf import Row, Shelf, shelve

BOS, EOS = (0,), (1,)
PERSON, ASSISTANT = (2, 3), (2, 4)
UNEVEN = 1.05
"""How much fuller than the mean the fullest rank may be, where a step has a hundred conversations."""

words = st.lists(st.integers(5, 7), min_size=1, max_size=4).map(tuple)


def rows_of(
    name: str, turns: Sequence[tuple[Any, Any, Any]], last: tuple[int, ...], *, keeps: bool = False
) -> list[Row]:
    """As samples are made: `turns` are thoughts, utterances and replies, and `last` the last thought."""
    rows, history = [], [BOS, (9, 9)]
    for thought, said, reply in [*turns, (last, (), ())]:
        history.append(PERSON)
        target = (*thought, *said, *EOS)
        rows.append(Row(name, tuple(history), target, float(len(target))))
        history += [target if keeps else said, EOS, ASSISTANT, reply, EOS]
    return rows


@st.composite
def corpora(draw: st.DrawFn) -> list[Row]:
    """Some samples are left out, as those that are too long are."""
    thoughts = st.one_of(st.just(()), words)
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 5))):
        turns = draw(st.lists(st.tuples(thoughts, words, words), min_size=1, max_size=4))
        own = rows_of(f"c{number}", turns, draw(thoughts), keeps=draw(st.booleans()))
        rows += [row for row in own if draw(st.integers(0, 5))] or own[:1]
    return rows


@contextmanager
def shelved(rows: Sequence[Row]) -> Iterator[Shelf]:
    with TemporaryDirectory() as folder:
        shelve(rows, Path(folder) / "shelf")
        yield Shelf(Path(folder) / "shelf")


ways = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 3),
        "epochs": st.integers(1, 3),
        "global_batch": st.integers(1, 12),
        "order": st.sampled_from(["conversation", "sample"]),
        "layout": st.sampled_from(["tree", "flat"]),
        "ranks": st.integers(1, 4),
        "max_tokens": st.integers(1, 150),
    }
)


def plan_of(samples: Samples, **changed: Any) -> Plan:
    usual = {"seed": 0, "epochs": 1, "global_batch": 32, "order": "conversation", "layout": "tree"}
    return Plan(samples, **{**usual, "ranks": 1, "max_tokens": 8192, **changed})


def steps_of(plan: Plan) -> list[Step]:
    return [plan[number] for number in range(len(plan))]


def packs_of(step: Step) -> list[Pack]:
    return list(chain.from_iterable(step.ranks))


def drawn_by(plan: Plan) -> list[int]:
    return [int(one) for number in range(len(plan)) for one in plan.chosen(number)]


@pytest.fixture(scope="module")
def realistic() -> Samples:
    """Of 600 conversations with as many turns and words as people's have."""
    drawn = np.random.default_rng(5)
    columns: list[tuple[int, int, int, int, float]] = []
    for number in range(600):
        trunk = 60 + int(drawn.integers(0, 40))
        shared = 0
        for _ in range(1 + min(12, int(drawn.geometric(0.25)))):
            thought, said, reply = (
                int(drawn.lognormal(mean, 0.6)) + 1 for mean in (np.log(45), np.log(25), np.log(220))
            )
            columns.append((number, trunk + thought + said, shared, thought + said, float(thought + said)))
            shared, trunk = trunk, trunk + said + reply
    return Samples(*(np.array(column) for column in zip(*columns, strict=True)))


# Which samples make a step --------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(corpora(), ways)
def test_a_step_holds_exactly_the_batch_and_the_last_what_is_left(
    rows: list[Row], way: dict[str, Any]
) -> None:
    with shelved(rows) as shelf:
        plan = plan_of(shelf.samples, **way)
        sizes = [len(step.samples) for step in steps_of(plan)]
    batch, total = way["global_batch"], way["epochs"] * len(rows)
    assert plan.drawn == sum(sizes) == total
    assert len(sizes) == ceil(total / batch)
    assert set(sizes[:-1]) <= {batch}
    assert sizes[-1] == (total % batch or batch)


@settings(max_examples=80, deadline=None)
@given(corpora(), ways)
def test_each_sample_comes_once_an_epoch(rows: list[Row], way: dict[str, Any]) -> None:
    with shelved(rows) as shelf:
        drawn = drawn_by(plan_of(shelf.samples, **way))
    for start in range(0, len(drawn), len(rows)):
        assert sorted(drawn[start : start + len(rows)]) == list(range(len(rows)))


@settings(max_examples=80, deadline=None)
@given(corpora(), ways, ways)
def test_a_step_does_not_depend_on_how_it_is_laid_out(
    rows: list[Row], way: dict[str, Any], other: dict[str, Any]
) -> None:
    laid_out = {name: other[name] for name in ("layout", "ranks", "max_tokens")}
    with shelved(rows) as shelf:
        here, there = (steps_of(plan_of(shelf.samples, **chosen)) for chosen in (way, {**way, **laid_out}))
    assert [(step.samples.tolist(), step.weight) for step in here] == [
        (step.samples.tolist(), step.weight) for step in there
    ]


@settings(max_examples=80, deadline=None)
@given(corpora(), ways)
def test_a_step_can_be_asked_for_by_itself(rows: list[Row], way: dict[str, Any]) -> None:
    """As one that goes on after a kill does."""
    with shelved(rows) as shelf:
        whole = steps_of(plan_of(shelf.samples, **way))
        for number in reversed(range(len(whole))):
            alone = plan_of(shelf.samples, **way)[number]
            assert (alone.samples.tolist(), alone.ranks) == (
                whole[number].samples.tolist(),
                whole[number].ranks,
            )


@pytest.mark.parametrize("number", [-1, 3])
def test_there_are_no_steps_before_the_first_and_after_the_last(number: int) -> None:
    with shelved([Row("a", ((1,),), (2,), 1.0)] * 3) as shelf:
        plan = plan_of(shelf.samples, global_batch=1)
        assert len(plan) == 3
        with pytest.raises(IndexError):
            plan[number]


def test_conversations_stay_together_in_the_order_of_their_turns(realistic: Samples) -> None:
    passes = np.array(drawn_by(plan_of(realistic, epochs=2))).reshape(2, -1)
    for one in passes:
        blocks = [list(block) for _, block in groupby(one, key=lambda at: realistic.conversation[at])]
        assert len(blocks) == 600
        assert all(later == earlier + 1 for block in blocks for earlier, later in pairwise(block))
    assert (passes[0] != passes[1]).any(), "each epoch has its own order"
    assert passes[0].tolist() != sorted(passes[0])


def test_samples_in_any_order_are_torn_apart(realistic: Samples) -> None:
    passes = np.array(drawn_by(plan_of(realistic, epochs=3, order="sample"))).reshape(3, -1)
    assert len({tuple(one) for one in passes.tolist()}) == 3
    neighbours = (np.diff(passes[0]) == 1).mean()
    assert neighbours < 0.02


@pytest.mark.parametrize("order", ["conversation", "sample"])
def test_another_seed_is_another_order_and_the_same_is_the_same(realistic: Samples, order: str) -> None:
    one, again, other = (drawn_by(plan_of(realistic, order=order, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


@settings(max_examples=80, deadline=None)
@given(corpora(), ways)
def test_an_epoch_ends_with_the_step_that_takes_its_last_sample(rows: list[Row], way: dict[str, Any]) -> None:
    ends, seen, over = set(), 0, 0
    with shelved(rows) as shelf:
        plan = plan_of(shelf.samples, **way)
        for number in range(len(plan)):
            seen += len(plan.chosen(number))
            if seen // len(rows) > over:
                over = seen // len(rows)
                ends.add(number + 1)
    assert plan.ends_of_epochs() == ends
    assert max(ends) == len(plan)


# How it is laid out ---------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(corpora(), ways)
def test_a_pack_is_what_the_shelf_makes_of_it(rows: list[Row], way: dict[str, Any]) -> None:
    with shelved(rows) as shelf:
        for step in steps_of(plan_of(shelf.samples, **way)):
            weight = 0.0
            for pack in packs_of(step):
                forest = shelf.forest(pack)
                assert (pack.tokens or 1) == forest.size
                assert pack.targets == len(forest.rows)
                weight += float(forest.weights.sum())
            assert weight == pytest.approx(step.weight)


@pytest.mark.parametrize("chosen", [[0, 2], [0, 3], [1, 3], [3, 0, 1], [0, 2, 2]])
def test_a_pack_is_what_the_shelf_makes_of_it_where_samples_are_missing(chosen: list[int]) -> None:
    with shelved(rows_of("a", [((5,), (6, 6), (7,) * 3)] * 3, (5,))) as shelf:
        ((pack,),) = plan_of(shelf.samples).laid_out(chosen)
        assert pack.groups == (tuple(sorted(chosen)),)
        assert pack.tokens == shelf.forest(pack).size


def test_a_pack_is_at_most_as_large_as_planned_where_histories_were_cut() -> None:
    """The first, and what is left of later ones: the third begins as the first does, and the second does not."""
    said, other = (5, 5, 5), (6,)
    begins = (BOS, (9, 9), PERSON)
    rows = [
        Row("a", (*begins, said, EOS, ASSISTANT, (7,), EOS, PERSON), (5, *EOS), 1.0),
        Row("a", (*begins, other, EOS, ASSISTANT, (7,), EOS, PERSON), (6, *EOS), 1.0),
        Row("a", (*begins, said, EOS, ASSISTANT, (7,), EOS, PERSON), (7, *EOS), 1.0),
    ]
    with shelved(rows) as shelf:
        (step,) = steps_of(plan_of(shelf.samples))
        (pack,) = packs_of(step)
        assert pack.tokens > shelf.forest(pack).size


@settings(max_examples=150, deadline=None)
@given(corpora(), ways)
def test_the_packs_of_a_step_hold_its_samples_and_no_others(rows: list[Row], way: dict[str, Any]) -> None:
    with shelved(rows) as shelf:
        conversation = shelf.samples.conversation
        for step in steps_of(plan_of(shelf.samples, **way)):
            groups = [group for pack in packs_of(step) for group in pack.groups]
            assert Counter(chain.from_iterable(groups)) == Counter(step.samples.tolist())
            assert all(len({int(conversation[one]) for one in group}) == 1 for group in groups)
            if way["layout"] == "flat":
                assert {len(group) for group in groups} == {1}


@settings(max_examples=150, deadline=None)
@given(corpora(), ways)
def test_all_ranks_have_equally_many_packs_and_none_is_too_full(rows: list[Row], way: dict[str, Any]) -> None:
    with shelved(rows) as shelf:
        for step in steps_of(plan_of(shelf.samples, **way)):
            assert len(step.ranks) == way["ranks"]
            (count,) = {len(packs) for packs in step.ranks}
            assert count >= 1
            longest = int(shelf.samples.length[step.samples].max())
            assert max(pack.tokens for pack in packs_of(step)) <= max(way["max_tokens"], longest)
            for at in range(count):
                rows_there = [len(shelf.forest(packs[at]).rows) for packs in step.ranks]
                assert step.rows(at) == max(rows_there)


def test_a_conversation_that_does_not_fit_becomes_several_trees() -> None:
    rows = rows_of("a", [((5,) * 10, (6,) * 10, (7,) * 10)] * 6, (5,) * 10)
    with shelved(rows) as shelf:
        (step,) = steps_of(plan_of(shelf.samples, max_tokens=200))
        groups = [group for pack in packs_of(step) for group in pack.groups]
        assert len(groups) > 1
        assert all(later == earlier + 1 for group in groups for earlier, later in pairwise(group))
        assert max(pack.tokens for pack in packs_of(step)) <= 200


def test_nothing_is_laid_out_as_an_idle_pack_for_each_rank(realistic: Samples) -> None:
    assert plan_of(realistic, ranks=3).laid_out([]) == [[Pack()]] * 3


@pytest.mark.parametrize("layout", ["tree", "flat"])
@pytest.mark.parametrize(("ranks", "batch"), [(2, 512), (4, 512), (8, 1024)])
def test_no_rank_waits_long_for_another(realistic: Samples, layout: str, ranks: int, batch: int) -> None:
    plan = plan_of(realistic, layout=layout, ranks=ranks, global_batch=batch)
    for step in steps_of(plan)[:-1]:
        tokens = [sum(pack.tokens for pack in packs) for packs in step.ranks]
        assert max(tokens) <= UNEVEN * sum(tokens) / ranks


def test_no_rank_gets_the_fuller_pack_each_time() -> None:
    rows = [Row(f"c{length}", ((5,) * (length - 1),), (6,), 1.0) for length in (100, 90, 80, 70)]
    with shelved(rows) as shelf:
        (step,) = steps_of(plan_of(shelf.samples, ranks=2, max_tokens=100))
    assert [[pack.tokens for pack in packs] for packs in step.ranks] == [[100, 70], [90, 80]]


def test_packs_are_about_as_few_as_they_can_be(realistic: Samples) -> None:
    for step in steps_of(plan_of(realistic, ranks=2, global_batch=512))[:-1]:
        needed = ceil(sum(pack.tokens for pack in packs_of(step)) / 8192 / 2) * 2
        assert len(packs_of(step)) <= needed + 2


# What trees save ------------------------------------------------------------------------------


def whole_trees(samples: Samples) -> int:
    """The tokens of all conversations, each as one tree."""
    return int(samples.length.sum() - samples.shared.sum())


@settings(max_examples=80, deadline=None)
@given(corpora())
def test_the_tokens_of_all_trees_are_those_of_their_forests(rows: list[Row]) -> None:
    with shelved(rows) as shelf:
        by_conversation = groupby(range(len(shelf)), key=lambda one: int(shelf.samples.conversation[one]))
        grown = [shelf.forest(Pack((tuple(group),))) for _, group in by_conversation]
        assert whole_trees(shelf.samples) == sum(forest.size for forest in grown)


def test_trees_need_fewer_tokens_where_conversations_stay_together(realistic: Samples) -> None:
    def tokens(**changed: str) -> int:
        return sum(pack.tokens for step in steps_of(plan_of(realistic, **changed)) for pack in packs_of(step))

    flat = tokens(layout="flat")
    assert flat == realistic.length.sum()
    assert whole_trees(realistic) <= tokens() < 1.2 * whole_trees(realistic) < flat / 1.5
    assert flat * 0.9 < tokens(order="sample") <= flat


@settings(max_examples=80, deadline=None)
@given(corpora(), ways)
def test_a_tree_never_needs_more_tokens_than_its_samples(rows: list[Row], way: dict[str, Any]) -> None:
    with shelved(rows) as shelf:
        for step in steps_of(plan_of(shelf.samples, **{**way, "layout": "tree"})):
            physical = sum(pack.tokens for pack in packs_of(step))
            assert physical <= shelf.samples.length[step.samples].sum()

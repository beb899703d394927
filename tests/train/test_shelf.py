"""Samples put on a shelf come back as they were, and what they share is on it once."""

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.train.forest import Forest, plant
from thinkus.train.plan import Pack
from thinkus.train.shelf import Row, Shelf, shelve

Piece = tuple[int, ...]

pieces = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@st.composite
def corpora(draw: st.DrawFn) -> list[Row]:
    """Conversations whose samples are made of the same pieces again and again, some of them empty."""
    rows: list[Row] = []
    for number in range(draw(st.integers(1, 4))):
        known = draw(st.lists(pieces, min_size=1, max_size=5))
        for _ in range(draw(st.integers(1, 4))):
            given_, target = (
                draw(st.lists(st.sampled_from(known), min_size=1, max_size=6)),
                draw(pieces.filter(bool)),
            )
            rows.append(
                Row(f"c{number}", tuple(given_), target, draw(st.floats(0.1, 50, allow_subnormal=False)))
            )
    return rows


def ids_of(row: Row) -> list[int]:
    return [one for piece in (*row.pieces, row.target) for one in piece]


@settings(max_examples=100, deadline=None)
@given(corpora())
def test_what_is_read_is_what_was_written(rows: list[Row]) -> None:
    with TemporaryDirectory() as folder:
        shelve(rows, Path(folder) / "shelf")
        shelf = Shelf(Path(folder) / "shelf")
        assert len(shelf) == len(rows)
        for number, row in enumerate(rows):
            sequel = shelf.sequel(number)
            assert sequel.ids.dtype == np.int32
            assert sequel.ids.tolist() == ids_of(row)
            assert sequel.targets == shelf.samples.targets[number] == len(row.target)
            assert sequel.weight * sequel.targets == pytest.approx(row.weight)
        assert shelf.samples.length.tolist() == [len(ids_of(row)) for row in rows]
        assert shelf.samples.weight.tolist() == [row.weight for row in rows]


@settings(max_examples=100, deadline=None)
@given(corpora())
def test_a_sample_knows_what_it_shares_with_the_one_before_it_in_its_conversation(rows: list[Row]) -> None:
    with TemporaryDirectory() as folder:
        shelve(rows, Path(folder) / "shelf")
        samples = Shelf(Path(folder) / "shelf").samples
    for number, row in enumerate(rows):
        one, before = (
            ids_of(row),
            ids_of(rows[number - 1]) if number and rows[number - 1].conversation == row.conversation else [],
        )
        shared = int(samples.shared[number])
        assert one[:shared] == before[:shared]
        assert shared == min(len(one), len(before)) or one[shared] != before[shared]
    names = [row.conversation for row in rows]
    numbers = [f"c{number}" for number in samples.conversation]
    assert numbers == names


@settings(max_examples=100, deadline=None)
@given(corpora())
def test_each_piece_of_a_conversation_lies_there_once(rows: list[Row]) -> None:
    apart = {(row.conversation, piece) for row in rows for piece in (*row.pieces, row.target)}
    with TemporaryDirectory() as folder:
        shelve(rows, Path(folder) / "shelf")
        tokens = np.load(Path(folder) / "shelf" / "tokens.npy")
    assert len(tokens) == sum(len(piece) for _, piece in apart)


def test_pieces_that_lie_side_by_side_are_one_span(tmp_path: Path) -> None:
    opening, words, reply = (1, 2), (3,), (4, 5, 6)
    shelve(
        [
            Row("a", (opening, words), (9,), 1.0),
            Row("a", (opening, words, reply), (8,), 1.0),
            Row("b", (opening, words), (9,), 1.0),
        ],
        tmp_path / "shelf",
    )
    spans = np.load(tmp_path / "shelf" / "spans.npy").tolist()
    # 1 2 3 9 | 4 5 6 8 | 1 2 3 9
    assert spans == [[0, 4], [0, 3], [4, 8], [8, 12]]
    assert np.load(tmp_path / "shelf" / "first_span.npy").tolist() == [0, 1, 3, 4]


def test_conversations_are_named_once_and_in_order(tmp_path: Path) -> None:
    shelve([Row(name, ((1,),), (2,), 1.0) for name in ("é", "é", "b", "b", "a")], tmp_path / "shelf")
    shelf = Shelf(tmp_path / "shelf")
    assert shelf.conversations([4, 0, 1, 3]) == ["a", "é", "b"]
    assert shelf.conversations([]) == []


def test_a_shelf_may_be_empty(tmp_path: Path) -> None:
    shelve([], tmp_path / "shelf")
    shelf = Shelf(tmp_path / "shelf")
    assert (len(shelf), [len(column) for column in shelf.samples]) == (0, [0] * 5)
    assert shelf.conversations([]) == []


def test_a_pack_becomes_a_forest_of_its_groups(tmp_path: Path) -> None:
    shelve([Row("a", ((1,), (2,)), (word, 3), 4.0) for word in (5, 6, 7)], tmp_path / "shelf")
    shelf = Shelf(tmp_path / "shelf")
    forest = shelf.forest(Pack(((0, 2), (1,))))
    expected = plant([[shelf.sequel(0), shelf.sequel(2)], [shelf.sequel(1)]])
    for name in Forest._fields:
        assert np.array_equal(getattr(forest, name), getattr(expected, name)), name
    assert (forest.size, len(forest.trees) - 1) == (6 + 4, 2)
    assert Counter(forest.weights.tolist()) == {2.0: 6}
    assert shelf.forest(Pack()).size == 1

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thinkus.corpora import table_records as module
from thinkus.corpora.rows import BadRow
from thinkus.corpora.table_records import arrow_records, parquet_records
from thinkus.errors import ThinkusError


class Said(msgspec.Struct):
    text: str


class Mark(msgspec.Struct):
    flagged: bool | None = None


class Record(msgspec.Struct):
    said: tuple[Said, ...]
    marks: tuple[Mark | None, ...] | None = None
    name: str | None = None


Found = list[tuple[str, Record] | BadRow]
Through = Callable[..., Found]
NOT_UTF8 = b"caf\xe9"


def parquet(folder: Path, table: pa.Table, **how: int | str) -> Found:
    pq.write_table(table, folder / "a.parquet", **how)
    return list(parquet_records(folder / "a.parquet", "a", Record))


def arrow(folder: Path, table: pa.Table, **how: int | str) -> Found:
    with pa.OSFile(str(folder / "a.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, **how)
    return list(arrow_records(folder / "a.arrow", "a", Record))


both = pytest.mark.parametrize("through", [parquet, arrow])


def numbered(count: int) -> pa.Table:
    return pa.table(
        {"said": [[{"text": str(n)}] for n in range(count)], "name": [str(n) for n in range(count)]}
    )


def bad_text(good: pa.Table, at: int) -> pa.Table:
    """The table, with one text that is not UTF-8."""
    texts = [row[0]["text"].encode() for row in good["said"].to_pylist()]
    texts[at] = NOT_UTF8
    text = pa.array(texts, pa.binary()).view(pa.string())
    offsets = pa.array(range(len(texts) + 1), pa.int32())
    said = pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([text], ["text"]))
    return good.set_column(0, "said", said)


def damage(file: Path, group: int, column: int) -> None:
    content = bytearray(file.read_bytes())
    start = pq.ParquetFile(file).metadata.row_group(group).column(column).data_page_offset
    for at in range(start, start + 60):
        content[at] ^= 0xFF
    file.write_bytes(content)


@both
def test_lists_and_structs_keep_their_gaps(tmp_path: Path, through: Through) -> None:
    rows: list[dict[str, Any]] = [
        {"said": [{"text": "a"}, {"text": ""}], "marks": [{"flagged": True}, None], "name": "x"},
        {"said": [], "marks": None, "name": None},
        {"said": [{"text": "b"}], "marks": [{"flagged": None}, {"flagged": False}], "name": ""},
    ]
    found = through(tmp_path, pa.Table.from_pylist(rows))
    assert found == [(f"a:{n}", msgspec.convert(row, Record)) for n, row in enumerate(rows, 1)]


@both
@pytest.mark.parametrize("text", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("listed", [pa.list_, pa.large_list, lambda item: pa.list_(item, 2)])
def test_every_way_to_store_a_list_of_text_is_the_same(
    tmp_path: Path, through: Through, listed: Callable[[pa.DataType], pa.DataType], text: pa.DataType
) -> None:
    type_ = listed(pa.struct([("other", pa.int64()), ("text", text)]))
    said = [[{"other": 1, "text": f"{n}"}, {"other": 2, "text": "b"}] for n in range(5)]
    found = through(tmp_path, pa.table({"said": pa.array(said, type_)}))
    assert found == [(f"a:{n + 1}", Record((Said(f"{n}"), Said("b")))) for n in range(5)]


@both
def test_rows_are_numbered_through_batches_and_groups(tmp_path: Path, through: Through) -> None:
    how = {"row_group_size": 700} if through is parquet else {"max_chunksize": 700}
    found = through(tmp_path, numbered(1500), **how)
    assert found == [(f"a:{n + 1}", Record((Said(str(n)),), name=str(n))) for n in range(1500)]


@both
def test_one_text_that_is_not_utf8_makes_one_bad_row(tmp_path: Path, through: Through) -> None:
    found = through(tmp_path, bad_text(numbered(600), 550))
    assert found[550] == BadRow(
        "a:551",
        "Expected `str`, got text that is not UTF-8 - at `$.said[0].text`",
        "{'said': [{'text': b'caf\\xe9'}], 'name': '550'}",
    )
    assert [isinstance(item, BadRow) for item in found].count(True) == 1
    assert found[551] == ("a:552", Record((Said("551"),), name="551"))


@both
def test_fields_that_are_not_asked_for_are_not_read(
    tmp_path: Path, through: Through, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    leaf_values = module._leaf_values

    def watched(array: pa.Array) -> list[Any]:
        made.append(str(array.type))
        return leaf_values(array)

    monkeypatch.setattr(module, "_leaf_values", watched)
    marks = [[{"scores": {"hate": 0.5, "self-harm/intent": 0.1}, "flagged": True, "id": 7}]]
    found = through(tmp_path, pa.table({"big": [1], "said": [[{"x": 1.5, "text": "a"}]], "marks": marks}))
    assert found == [("a:1", Record((Said("a"),), (Mark(True),)))]
    assert sorted(made) == ["bool", "string"]


@both
def test_a_row_of_the_wrong_shape_is_a_bad_row(tmp_path: Path, through: Through) -> None:
    found = through(tmp_path, pa.table({"said": [[{"text": "a"}], None, [{"text": None}], [None]]}))
    assert [item.problem if isinstance(item, BadRow) else "" for item in found] == [
        "",
        "Expected `array`, got `null` - at `$.said`",
        "Expected `str`, got `null` - at `$.said[0].text`",
        "Expected `object`, got `null` - at `$.said[0]`",
    ]


@both
@pytest.mark.parametrize(
    ("columns", "missing"),
    [
        ({"name": ["x"]}, "said, only name"),
        ({"said": [[{"words": "x"}]], "marks": [[{"scores": 1}]]}, r"said\.text, only said, marks"),
        ({"said": ["a string"]}, r"said\.text, only said"),
    ],
)
def test_a_missing_column_is_one_line_that_names_it(
    tmp_path: Path, through: Through, columns: dict[str, Any], missing: str
) -> None:
    with pytest.raises(ThinkusError, match=rf"a\.(parquet|arrow): has no column {missing}; is it what data="):
        through(tmp_path, pa.table(columns))


def test_a_parquet_file_that_is_cut_is_one_line(tmp_path: Path) -> None:
    parquet(tmp_path, numbered(100))
    content = (tmp_path / "a.parquet").read_bytes()
    for damaged in (
        content[:-20],
        content[: len(content) // 2],
        b"",
        b"PAR1",
        b"<html>\nnot found\n</html>" * 9,
    ):
        (tmp_path / "b.parquet").write_bytes(damaged)
        with pytest.raises(ThinkusError, match=r"b\.parquet: not a complete parquet file") as error:
            list(parquet_records(tmp_path / "b.parquet", "b", Record))
        assert str(error.value).endswith("; fetch it again")
        assert "\n" not in str(error.value)


def test_damage_in_a_column_that_is_not_needed_is_no_damage(tmp_path: Path) -> None:
    parquet(tmp_path, numbered(50).append_column("other", pa.array([str(n) * 9 for n in range(50)])))
    damage(tmp_path / "a.parquet", group=0, column=2)
    found = list(parquet_records(tmp_path / "a.parquet", "a", Record))
    assert found[-1] == ("a:50", Record((Said("49"),), name="49"))


def test_each_row_of_a_damaged_part_of_a_parquet_file_is_a_bad_row(tmp_path: Path) -> None:
    parquet(tmp_path, numbered(300), row_group_size=100, compression="zstd")
    damage(tmp_path / "a.parquet", group=1, column=0)
    found = list(parquet_records(tmp_path / "a.parquet", "a", Record))
    bad = [item for item in found if isinstance(item, BadRow)]
    assert [item.where for item in bad] == [f"a:{row}" for row in range(101, 201)]
    assert all(item.problem.startswith("its part of the file is damaged: ") for item in bad)
    assert found[-1] == ("a:300", Record((Said("299"),), name="299"))


def test_an_arrow_file_that_is_damaged_is_one_line_that_says_from_where(tmp_path: Path) -> None:
    arrow(tmp_path, numbered(300), max_chunksize=100)
    content = (tmp_path / "a.arrow").read_bytes()
    cut = content[: len(content) * 6 // 10]
    # Lengths of the second batch's lists: 0, 1, 2, ... as 32-bit numbers.
    lengths = content.index(bytes([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]), len(content) * 4 // 10)
    torn = content[: lengths + 8] + b"\xff" * 8 + content[lengths + 16 :]
    for damaged in (cut, torn):
        (tmp_path / "a.arrow").write_bytes(damaged)
        with pytest.raises(
            ThinkusError, match=r"a\.arrow: not a complete Arrow stream, from row [12]01 on .*fetch"
        ):
            list(arrow_records(tmp_path / "a.arrow", "a", Record))


def test_what_is_not_an_arrow_stream_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.arrow").write_bytes(b"something else entirely")
    with pytest.raises(ThinkusError, match=r"a\.arrow: not a complete Arrow stream.*; fetch it again"):
        list(arrow_records(tmp_path / "a.arrow", "a", Record))


@both
def test_whole_rows_come_when_no_fields_are_named(tmp_path: Path, through: Through) -> None:
    said = pa.array([[{"text": "a", "n": 1}]])
    map_ = pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string()))
    when = pa.array([1_681_000_000_000_000_123], pa.timestamp("ns", "UTC"))
    through(tmp_path, pa.table({"said": said, "map": map_, "when": when}))
    file = tmp_path / f"a.{through.__name__}"
    read = parquet_records if through is parquet else arrow_records
    whole = {"said": [{"text": "a", "n": 1}], "map": [("k", "v")], "when": "2023-04-09T00:26:40+00:00"}
    assert list(read(file, "a", dict[str, Any])) == [("a:1", whole)]


def test_what_arrow_holds_does_not_grow_with_the_file(tmp_path: Path) -> None:
    count = 60_000
    table = pa.table({"said": [[{"text": f"{n} " * 60}] for n in range(count)]})
    size = table.nbytes
    pq.write_table(
        table, tmp_path / "a.parquet", row_group_size=count, compression="none", use_dictionary=False
    )
    del table
    before, peak = pa.total_allocated_bytes(), 0
    for _ in parquet_records(tmp_path / "a.parquet", "a", Record):
        peak = max(peak, pa.total_allocated_bytes() - before)
    assert size > 20_000_000
    assert peak < size / 3

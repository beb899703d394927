import json
from pathlib import Path

import msgspec
import pytest

from thinkus.corpora.files import find_files, read_records
from thinkus.corpora.rows import BadRow
from thinkus.errors import ThinkusError


class Numbered(msgspec.Struct):
    number: int


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('{"number": 1}\n')


def names_in(path: str, folder: Path) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in find_files(path)]


def test_a_file_is_itself(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", "b.jsonl")
    assert names_in(str(tmp_path / "b.jsonl"), tmp_path) == ["b.jsonl"]


def test_a_folder_is_its_data_files_sorted_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, "b.jsonl", "data/c.jsonl.gz", "a.jsonl", "README.md", "data/old/d.JSONL")
    assert names_in(str(tmp_path), tmp_path) == ["a.jsonl", "b.jsonl", "data/c.jsonl.gz", "data/old/d.JSONL"]


def test_a_glob_reaches_folders_below(tmp_path: Path) -> None:
    write(tmp_path, "x/train-1.jsonl", "x/y/train-0.jsonl", "x/test-0.jsonl")
    assert names_in(f"{tmp_path}/**/train-*", tmp_path) == ["x/train-1.jsonl", "x/y/train-0.jsonl"]


def test_a_name_with_brackets_is_a_name_before_it_is_a_glob(tmp_path: Path) -> None:
    write(tmp_path, "mine[1].jsonl")
    assert names_in(str(tmp_path / "mine[1].jsonl"), tmp_path) == ["mine[1].jsonl"]


def test_the_home_directory_is_known_in_every_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path, "data/a.jsonl")
    for path in ("~/data/a.jsonl", "~/data", "~/data/*.jsonl"):
        assert names_in(path, tmp_path) == ["data/a.jsonl"]


def test_what_datasets_keeps_beside_the_data_is_not_read(tmp_path: Path) -> None:
    write(tmp_path, "x-train.arrow", "cache-0123.arrow", "dataset_info.json", "state.json", ".cache/y.arrow")
    assert names_in(str(tmp_path), tmp_path) == ["x-train.arrow"]


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("notes", r"holds nothing to read, only \.md"),
        ("empty", "is an empty folder"),
        ("nowhere", "does not exist"),
        ("*.parquet", "matches no file"),
    ],
)
def test_no_data_is_one_line_that_says_what_to_give(tmp_path: Path, path: str, why: str) -> None:
    write(tmp_path, "notes/README.md")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ThinkusError, match=rf"{why}; give a file, folder or glob of \.parquet"):
        find_files(str(tmp_path / path))


def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    write(tmp_path, "chats.csv")
    with pytest.raises(ThinkusError, match=r"chats\.csv: cannot read this kind of file; known are \.parquet"):
        find_files(str(tmp_path / "chats.csv"))


def test_two_kinds_in_one_folder_are_refused_with_a_glob_that_works(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", "a.parquet", "deep/b.jsonl")
    with pytest.raises(ThinkusError, match=r"holds \.jsonl and \.parquet files") as error:
        find_files(str(tmp_path))
    proposed = str(error.value).rpartition("data.path=")[2].strip("'")
    assert names_in(proposed, tmp_path) == ["a.jsonl", "deep/b.jsonl"]


def test_a_link_to_a_file_that_is_gone_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    with pytest.raises(ThinkusError, match=r"b\.jsonl: a link to a file that is gone"):
        find_files(str(tmp_path))


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    write(tmp_path, "en/train.jsonl", "de/train.jsonl")
    found = list(read_records(find_files(str(tmp_path)), Numbered))
    assert [where for where, _ in found] == ["de/train.jsonl:1", "en/train.jsonl:1"]  # type: ignore[misc]


def test_files_are_read_one_after_the_other_and_rows_counted_in_each(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"number": 1}\n{"number": "two"}\n')
    (tmp_path / "b.json").write_text(json.dumps([{"number": 3}, {"number": 4}]))
    found = list(read_records([tmp_path / "a.jsonl", tmp_path / "b.json"], Numbered))
    assert found == [
        ("a.jsonl:1", Numbered(1)),
        BadRow("a.jsonl:2", "Expected `int`, got `str` - at `$.number`", '{"number": "two"}'),
        ("b.json:1", Numbered(3)),
        ("b.json:2", Numbered(4)),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.parquet", "a.arrow"])
def test_a_file_that_vanishes_is_the_same_line_in_every_format(tmp_path: Path, name: str) -> None:
    with pytest.raises(ThinkusError, match=rf"{name}: cannot be read \(No such file or directory\); fetch"):
        list(read_records([tmp_path / name], Numbered))

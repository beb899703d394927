"""A sheet in its run's directory: never written over, and what comes back is counted and told apart."""

from pathlib import Path

import pytest

from tests.judging.labelling import many
from thinkus.belongings import SHEET, SHEET_PAGE
from thinkus.errors import ThinkusError
from thinkus.judging.pair_sheet import draw, sheet_of
from thinkus.sheets.folder import hand_out, returned
from thinkus.sheets.sheet import Sheet


def sheet(count: int = 6) -> Sheet:
    return sheet_of(draw(many(), count))


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    for name in (SHEET, SHEET_PAGE):
        (tmp_path / name).write_text("ratings")
        with pytest.raises(ThinkusError, match="is there already"):
            hand_out("judge", sheet(), tmp_path, 6)
        assert [file.name for file in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == "ratings"
        (tmp_path / name).unlink()


def test_fewer_than_asked_for_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hand_out("judge", sheet(6), tmp_path, 6)
    assert "asked for" not in capsys.readouterr().err
    (tmp_path / "more").mkdir()
    hand_out("judge", sheet(6), tmp_path / "more", 7)
    assert "judge: of the 7 that were asked for there are 6" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_drawn_sheet_is_counted_also_where_somebody_saved_over_it(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    rows = [["item", "A", "note"], ["one", "caf\xe9", ""], ["two", "", ""], ["", "", ""]]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    (tmp_path / SHEET).write_bytes(text.encode(encoding))
    assert returned("ann.csv", tmp_path).drawn == 2


def test_one_file_or_several_are_given_back(tmp_path: Path) -> None:
    hand_out("judge", sheet(), tmp_path, 6)
    assert returned("ann.csv", tmp_path).files == [Path("ann.csv")]
    assert returned(["ann.csv", "b/ben.csv"], tmp_path).files == [Path("ann.csv"), Path("b/ben.csv")]


@pytest.mark.parametrize(
    "files",
    [["a.csv", "a.csv"], ["x/a.csv", "y/a.csv"], ["a.csv", "a (1).csv"], ["b.csv", "a(2).csv", "a.csv"]],
)
def test_two_files_of_the_same_rater_are_refused(tmp_path: Path, files: list[str]) -> None:
    hand_out("judge", sheet(), tmp_path, 6)
    with pytest.raises(ThinkusError, match=r"human: \S*a.* and \S*a.* are called alike; leave one out"):
        returned(files, tmp_path)

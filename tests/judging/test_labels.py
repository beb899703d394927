"""Sheets of pairs as people send them back: read as whatever program saved them, or refused in a line."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judging.labelling import Judged, filled, labelled, many, of_ours, pair, ruled
from thinkus.errors import ThinkusError
from thinkus.judging.labels import Label, labels_of
from thinkus.judging.pair_sheet import draw

JUDGED: list[Judged] = [
    ruled(pair(f"c{number}"), verdicts)
    for number, verdicts in enumerate(["WW", "LL", "TT", "WL", "W?", "LL"])
]
TRUTH = {f"c{number}/0": said for number, said in enumerate("WLTLW")}
"""Of the last pair the rater says nothing."""


def read(file: Path) -> list[Label]:
    return labels_of([file], draw(JUDGED, 6), [turn for _, turn in JUDGED])


def sheet(folder: Path, name: str = "ann.csv", note: str = "") -> Path:
    return filled(folder / name, draw(JUDGED, 6), of_ours(lambda place: TRUTH.get(place, "")), note)


def test_a_label_is_followed_to_its_row_and_is_what_was_meant(tmp_path: Path) -> None:
    labels = {label.conversation.removeprefix("secret-"): label for label in read(sheet(tmp_path))}
    assert {name: (label.verdict, label.judge) for name, label in labels.items()} == {
        "c0": ("win", "win"),
        "c1": ("loss", "loss"),
        "c2": ("tie", "tie"),
        "c3": ("loss", "tie"),  # which turned with the order
        "c4": ("win", "invalid"),
    }
    assert {label.first for label in labels.values()} == {"candidate", "baseline"}
    items = {item.id: item for item in draw(JUDGED, 6)}
    for label in labels.values():
        item = items[label.item]
        assert (label.conversation, label.turn) == (item.pair.conversation.id, item.pair.turn)
        assert (label.first, label.rater, label.note) == (item.first, 0, "")


def test_a_note_alone_is_kept_and_is_no_label(tmp_path: Path) -> None:
    labels = read(sheet(tmp_path, note="=hm, \x07x"))
    assert [label.note for label in labels] == ["=hm, \x07x"] * 6
    assert [label.verdict for label in labels if label.conversation == "secret-c5"] == [None]


def test_nothing_labelled_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match=r"not one label in .*a\.csv, .*b\.csv"):
        labelled(tmp_path, JUDGED, lambda _row: "", lambda _row: "")


def semicolons(text: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(csv.reader(io.StringIO(text)))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def old_encoding(text: str) -> bytes:
    return text.replace("fine", "sch\xf6n").encode("cp1252")


def other_columns_and_case(text: str) -> bytes:
    rows = list(csv.reader(io.StringIO(text)))
    rows[0][1] = "Closer: which one?"
    out = io.StringIO()
    csv.writer(out, delimiter="\t").writerows([[*row[::-1], "x"] for row in rows])
    return out.getvalue().replace("\tA\t", "\t a \t").replace("tie", "TIE").encode() + b"\r\n\t\t\t\r\n"


@pytest.mark.parametrize("saved", [semicolons, old_encoding, other_columns_and_case])
def test_what_programs_make_of_a_table_is_read_alike(tmp_path: Path, saved: Callable[[str], bytes]) -> None:
    file = sheet(tmp_path, note='fine; "so"')
    before = read(file)
    file.write_bytes(saved(file.read_text()))
    assert [(label.item, label.verdict) for label in read(file)] == [
        (label.item, label.verdict) for label in before
    ]


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[str], str]:
    return lambda text: "".join(change(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace("tie", "both"), r"line \d: closer is 'both'; write one of A, B, tie"),
        (lines(lambda rows: rows[:-2]), r"lacks 2 of the sheet's 6 items, \w{12} first"),
        (lines(lambda rows: [*rows, rows[1]]), r"line 8: item \w{12} stands in line 2 already"),
        (lambda text: text.replace("closer", "nearer"), "line 1: has no column closer"),
        (lambda text: "", "line 1: has no column closer, item; is it a sheet"),
        (lambda text: text + '"' + "x" * 200_000, "line 8: is no table"),
        (lambda text: text + "ffffffffffff,A,\n", "line 8: there is no item 'ffffffffffff' .* another run's"),
    ],
)
def test_a_corrupt_sheet_is_refused_with_its_place(
    tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    file = sheet(tmp_path)
    file.write_text(change(file.read_text()))
    with pytest.raises(ThinkusError, match=told) as refused:
        read(file)
    assert str(refused.value).startswith(str(file))
    assert "\n" not in str(refused.value)


def test_another_runs_sheet_is_refused(tmp_path: Path) -> None:
    """Over the same conversations, whose other candidate said something else."""
    other = [ruled(pair(f"c{number}", 0, "others {}")) for number in range(6)]
    with pytest.raises(ThinkusError, match=r"line 2: there is no item .* is it another run's"):
        read(filled(tmp_path / "ann.csv", draw(other, 6), lambda _row: "A"))
    with pytest.raises(ThinkusError, match="there is no item"):
        read(filled(tmp_path / "ann.csv", draw(many(), 6), lambda _row: "A"))

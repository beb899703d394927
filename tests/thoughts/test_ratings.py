"""What people filled in: how it is read, what is refused, and what ratings come to."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.thoughts.test_sheet import conversations, drawn, home, owner
from thinkus.errors import ThinkusError
from thinkus.thoughts.ratings import Report, print_report, read_sheet

Fill = Callable[[dict[str, str]], dict[str, str]]


def filled(tmp_path: Path, fill: Fill, name: str = "anna.csv", count: int = 20) -> Path:
    """A sheet as somebody sends it back."""
    rows = [{**row, **fill(row)} for row in drawn(count)]
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    (tmp_path / name).write_text(text.getvalue())
    return tmp_path / name


def fair(row: dict[str, str]) -> dict[str, str]:
    """A rater who sees what does not belong."""
    own = home(row) == owner(row)
    return {"plausible": "5" if own else "1", "own_voice": "4", "gives_away": "no" if own else "yes"}


def test_means_tell_controls_from_the_rest(tmp_path: Path) -> None:
    report = read_sheet([filled(tmp_path, fair)], conversations(), 1, 20)
    assert (report.items, report.rated, report.raters) == (20, 20, ("anna.csv",))
    plausible = report.answers["plausible"].means
    assert {kind: measure.mean for kind, measure in plausible.items()} == {
        "thought": 5,
        "ending": 5,
        "control": 1,
    }
    assert plausible["control"].ratings == 4
    assert sum(measure.ratings for measure in plausible.values()) == 20
    assert report.answers["gives_away"].means["control"].mean == 1
    assert report.answers["gives_away"].means["thought"].mean == 0
    assert report.answers["plausible"].agreement is None
    for rating, row in zip(report.ratings, drawn(20), strict=True):
        assert rating.item == row["item"]
        assert rating.conversation == f"secret-id-{home(row)[0]}"
        assert (rating.kind == "control") == (home(row) != owner(row))
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_raters_are_compared_where_they_saw_the_same(tmp_path: Path) -> None:
    def given(values: list[str], name: str) -> Fill:
        left = iter(values)
        return lambda row: {"plausible": next(left), "note": name}

    files = [
        filled(tmp_path, given(values, name), name, count=5)
        for name, values in (
            ("a.csv", ["1", "2", "3", "", ""]),
            ("b.csv", ["1", "4", "", "5", ""]),
            ("c.csv", ["2", "", "", "", ""]),
        )
    ]
    report = read_sheet(files, conversations(), 1, 5)
    agreement = report.answers["plausible"].agreement
    assert agreement is not None
    assert (agreement.pairs, agreement.same, agreement.apart) == (4, 1 / 4, (0 + 1 + 1 + 2) / 4)
    assert report.answers["own_voice"].agreement is None
    assert report.answers["own_voice"].means["thought"].mean is None
    assert report.rated == 4
    assert Counter(rating.rater for rating in report.ratings if rating.answers) == {0: 3, 1: 3, 2: 1}
    assert [rating.note for rating in report.ratings] == ["a.csv"] * 5 + ["b.csv"] * 5 + ["c.csv"] * 5


def semicolons(text: str) -> bytes:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(csv.reader(io.StringIO(text)))
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def old_encoding(text: str) -> bytes:
    return text.replace("fine", "sch\xf6n").encode("cp1252")


def rearranged(text: str) -> bytes:
    rows = [[*reversed(row), "extra"] for row in csv.reader(io.StringIO(text))]
    out = io.StringIO()
    csv.writer(out).writerows([*rows[:3], [], [""] * 9, *rows[3:], ["", " ", ""]])
    return out.getvalue().encode()


def saved_by_the_page(text: str) -> bytes:
    names = ["item", "plausible", "own_voice", "gives_away", "note"]
    rows = [
        {name.partition(":")[0]: cell for name, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text))
    ]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows(
        [names, *([row[name] for name in names] for row in rows)]
    )
    return out.getvalue().replace('"no"', '"No "').encode()


@pytest.mark.parametrize("spelt", [semicolons, old_encoding, rearranged, saved_by_the_page])
def test_what_programs_make_of_a_table_is_read_alike(tmp_path: Path, spelt: Callable[[str], bytes]) -> None:
    file = filled(tmp_path, lambda row: {**fair(row), "note": 'fine; "really", fine'})
    expected = read_sheet([file], conversations(), 1, 20)
    file.write_bytes(spelt(file.read_text()))
    report = read_sheet([file], conversations(), 1, 20)
    assert report.answers == expected.answers
    assert report.ratings[0].note == expected.ratings[0].note.replace(
        "fine", "sch\xf6n" if spelt is old_encoding else "fine"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda lines: lines.replace(",5,4,no,", ",6,4,no,", 1),
            r"line \d+: plausible is '6'; write one of 1, 2",
        ),
        (
            lambda lines: lines.replace(",4,no,", ",4,maybe,", 1),
            r"line \d+: gives_away is 'maybe'; write one of yes",
        ),
        (
            lambda lines: re.sub(r"\n\w{12},", "\nffffffffffff,", lines, count=1),
            "line 2: there is no item 'ffff",
        ),
        (lambda lines: re.sub(r"\n\w{12},", "\n,", lines, count=1), "line 2: there is no item ''"),
        (
            lambda lines: lines + lines.splitlines(keepends=True)[3],
            r"line 22: item \w+ stands in line 4 already",
        ),
        (lambda lines: lines.replace("plausible", "likely"), "line 1: has no column plausible"),
        (lambda lines: "", "line 1: has no column gives_away, item, own_voice, plausible"),
        (lambda lines: lines[:-40] + '"' + "x" * 200_000, "line 2[01]: is no table"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_its_line(
    tmp_path: Path, change: Callable[[str], str], told: str
) -> None:
    file = filled(tmp_path, fair)
    file.write_text(change(file.read_text()))
    with pytest.raises(ThinkusError, match=told) as caught:
        read_sheet([file], conversations(), 1, 20)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_another_seed_is_another_sheet(tmp_path: Path) -> None:
    file = filled(tmp_path, fair)
    with pytest.raises(ThinkusError, match="another seed"):
        read_sheet([file], conversations(), 2, 20)


def test_an_unrated_sheet_says_nothing_but_must_be_the_right_one(tmp_path: Path) -> None:
    file = filled(tmp_path, lambda row: {})
    assert read_sheet([file], conversations(), 1, 20).ratings == ()
    with pytest.raises(ThinkusError, match="line 2"):
        read_sheet([file], conversations(), 2, 20)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match="cannot be read"):
        read_sheet([tmp_path / "none.csv"], conversations(), 1, 20)


def test_the_report_is_a_small_table(tmp_path: Path) -> None:
    files = [filled(tmp_path, fair, name) for name in ("a.csv", "b.csv")]
    out = io.StringIO()
    print_report(read_sheet(files, conversations(), 1, 20), Console(file=out, width=100))
    assert "20 of 20 items rated by 2 raters" in out.getvalue()
    assert re.search(
        r"plausible +5\.00 \(n=\d+\) +5\.00 \(n=\d+\) +1\.00 \(n=8\) +100% of 20, 0\.00 apart", out.getvalue()
    )

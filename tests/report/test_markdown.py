"""Sections as Markdown and CSV: cell by cell, whatever a name is made of."""

import csv
import re
from typing import Any

import pytest

from tests.report.parts import dialogue, duels, online, sounding, thoughts
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.published import CAPTION
from thinkus.report.markdown import as_markdown, differences_csv, figures_csv
from thinkus.report.sections import Differing, Section, sections

NAMES = [f"c{at:02}" for at in range(11)]
PLANNED = dict.fromkeys(NAMES, "wwl")
HOSTILE = [
    "a|b",
    "a`b`",
    "*a*_b_",
    "<script>alert(1)</script>",
    "[a](http://b)",
    "![a](http://b)",
    "[a]: http://b",
    "[a][b]",
    "# a",
    "a\nb",
    "a\rb\x85c\u2028d",
    "a\\|b",
    "~~a~~",
    "&lt;b&gt;",
    "$x$",
    "\x1b[31ma",
    "- a",
    "1. a",
    "=",
]


def section(*told: Lines | str, **more: Any) -> Section:
    return Section("pairwise", "pairwise", "chats", "m", told, **more)


def lines(*columns: str, **rows: Any) -> Lines:
    told = tuple((name, tuple(Cell(one) for one in cells)) for name, cells in rows.items())
    return Lines("title", "", columns, told)


def cells(row: str) -> list[str]:
    """As a reader is shown them: parted by bars that are not escaped."""
    first, *found = re.findall(r"((?:\\.|[^|\\])*)\|", row)
    assert first == ""
    return [shown(one.strip()) for one in found]


def shown(text: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)


def table(markdown: str) -> list[list[str]]:
    return [cells(line) for line in markdown.splitlines() if line.startswith("|")]


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines(keepends=True)))


# Markdown ------------------------------------------------------------------------------------


def test_a_table_has_a_cell_for_each_figure() -> None:
    one, other = duels("ours", PLANNED), duels("theirs", dict.fromkeys(NAMES, "lll"))
    markdown = as_markdown(list(sections([one, other])))
    assert markdown.startswith("# Report\n\n## pairwise, on chats, by hosted (m)\n")
    rows = table(markdown)
    assert rows[:2] == [["closer to the person?", "ours", "theirs"], ["---", "---:", "---:"]]
    assert ["wins", "22", "0"] in rows
    assert ["r_w", "0.3333 ~[0.3333, 0.3333]", "-1.0000 ~[-1.0000, -1.0000]"] in rows
    head = rows.index(["", "difference", "p", "p, Holm", "could have been seen from", "conversations"])
    assert [row[0] for row in rows[head + 2 :]] == [
        "r_w: ours - base",
        "r_w: theirs - base",
        "r_w against base: ours - theirs",
    ]
    # All eleven swapped, or none: 2 of 2,048.
    assert rows[-1][1:] == ["1.3333 ~[1.3333, 1.3333]", "0.0010", "0.0029", "0.0000", "11"]
    assert markdown.endswith("\n\nOf the runs outputs/judge/pairwise.ours, outputs/judge/pairwise.theirs.\n")


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_breaks_a_table_or_makes_markup(name: str) -> None:
    markdown = as_markdown([section(lines(name, "b", r_w=("1", "2")), f"{name}: judged")])
    plain = " ".join(name.replace("\x1b[31m", "").splitlines())
    rows = table(markdown)
    assert [len(row) for row in rows] == [3, 3, 3]
    assert rows[0] == ["title", plain, "b"]
    paragraph = markdown.splitlines()[-1]
    assert shown(paragraph) == f"{plain}: judged"
    bare = re.sub(r"\\.", "", paragraph)
    assert not re.search(r"[`*_<>|~#&$!]|\]\(|\]:|\]\[", bare)
    assert not re.match(r"[-+=]|\d+[.)]", bare)


def test_what_is_told_of_all_columns_and_of_runs_is_no_markup_either() -> None:
    told = Lines("", "judge *m*", ("a",), (("x", (Cell("1"),)),))
    markdown = as_markdown([section(told, runs=("outputs/judge/*a*",))])
    assert "\njudge \\*m\\*\n" in markdown
    assert "Of the runs outputs/judge/\\*a\\*." in markdown


def test_intervals_keep_their_signs() -> None:
    """A tilde is of a percentile; two would strike out what is between them."""
    cell = Cell("0.1", ("0.0", "0.2"), is_percentile=True)
    markdown = as_markdown([section(Lines("", "", ("a",), (("x", (cell,)), ("y", (cell,)))))])
    assert markdown.count("| 0.1 ~[0.0, 0.2] |") == 2


# CSV -----------------------------------------------------------------------------------------


def figures(*ones: Judgement) -> list[dict[str, str]]:
    return read(figures_csv(list(sections(ones))))


def test_each_figure_of_each_column_is_a_row_with_its_interval() -> None:
    long = [duels(f"{name}-m.lmsys", PLANNED) for name in ("ours", "theirs")]
    rows = figures(*long)
    assert {row["column"] for row in rows} == {"ours-m.lmsys", "theirs-m.lmsys"}, "in full, to be joined by"
    r_w = next(row for row in rows if row["figure"] == "r_w")
    assert list(r_w.values()) == [
        "pairwise, on chats, by hosted (m)",
        "closer to the person?",
        "ours-m.lmsys",
        "r_w",
        "0.3333",
        "0.3333",
        "0.3333",
        "percentile",
    ]
    wins = next(row for row in rows if row["figure"] == "wins")
    assert list(wins.values())[4:] == ["22", "", "", ""]


def test_no_two_rows_say_something_of_one_figure_of_one_column() -> None:
    """People stand beside each candidate, and a baseline beside several."""
    both = [dialogue(name, 1, whose=whose) for name in NAMES for whose in ("candidate", "baseline")]
    rows = figures(
        *(thoughts(who, dict.fromkeys(NAMES, ("good", "poor"))) for who in ("ours", "theirs")),
        *(sounding(who, dict.fromkeys(NAMES, ("bake it", "bake"))) for who in ("ours", "theirs")),
        *(online(who, both, against="base") for who in ("ours", "theirs")),
    )
    keys = [(row["section"], row["table"], row["column"], row["figure"]) for row in rows]
    assert len(set(keys)) == len(keys)
    for task, others in (("online", "base"), ("likeness", "people"), ("terminal", "people")):
        found = {row["column"] for row in rows if row["section"].startswith(task)}
        assert {"ours", "theirs", f"{others} (beside ours)", f"{others} (beside theirs)"} <= found
    assert {"disclosure: over dialogues", "progression: over dialogues"} < {row["figure"] for row in rows}


def test_what_others_have_published_is_never_a_row_of_ours() -> None:
    rows = figures(sounding("ours", dict.fromkeys(NAMES, ("bake it", "bake"))))
    theirs = [row for row in rows if row["column"] not in ("ours", "people")]
    assert theirs
    assert {row["table"] for row in theirs} == {CAPTION}


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("1,234", "1234"),
        ("-12,345,678.5", "-12345678.5"),
        ("1,234.5%", "1234.5%"),
        ("-0.25", "-0.25"),
        ("-0.0833, 0.1667", "-0.0833, 0.1667"),
        ("1,234, 56, 7", "1,234, 56, 7"),
        ("-", ""),
        ("- (length decides)", "'- (length decides)"),
        ("48 of 50", "48 of 50"),
        ("1e+04", "1e+04"),
    ],
)
def test_numbers_are_numbers(printed: str, value: str) -> None:
    (row,) = read(figures_csv([section(lines("a", x=(printed,)))]))
    assert row["value"] == value


def test_what_does_not_apply_has_no_row() -> None:
    assert [row["column"] for row in read(figures_csv([section(lines("a", "b", x=("", "1")))]))] == ["b"]


@pytest.mark.parametrize("name", ["=1+1", "+1+1", "-1+cmd", "@SUM(A1)", "\t=1", '=HYPERLINK("http://a","b")'])
def test_a_spreadsheet_computes_no_name(name: str) -> None:
    found = Differing(name, name, name, Cell("-0.5", ("-1.0", "-0.25")), 0.5, 1.0, "1,234", 1_234, 5)
    told = section(lines(name, x=("1",)), differences=(found,))
    (row,) = read(figures_csv([told]))
    assert row["column"] == f"'{name}"
    (difference,) = read(differences_csv([told]))
    assert (difference["one"], difference["other"]) == (f"'{name}", f"'{name}")


def test_a_difference_is_a_row_of_numbers() -> None:
    found = Differing(
        "  r_w", "a,b", 'c"d', Cell("-0.5", ("-1.0", "-0.25")), 0.0001, None, "1,234.5", 1_234, 5
    )
    (row,) = read(differences_csv([section(differences=(found,))]))
    assert row == {
        "section": "pairwise",
        "figure": "r_w",
        "one": "a,b",
        "other": 'c"d',
        "difference": "-0.5",
        "low": "-1.0",
        "high": "-0.25",
        "interval": "bca",
        "p": "0.0001",
        "p_holm": "",
        "could_have_been_seen_from": "1234.5",
        "conversations": "1234",
        "left_out": "5",
    }
    nothing = Differing("r_w", "a", "b", Cell("-"), None, None, "", 12, 0)
    (row,) = read(differences_csv([section(differences=(nothing,))]))
    assert list(row.values())[4:11] == [""] * 7


def test_p_is_never_printed_as_0_and_what_was_left_out_is() -> None:
    found = Differing("r_w", "a", "b", Cell("1"), 0.00004, 0.0001, "2", 1_234, 5)
    rows = table(as_markdown([section(differences=(found,))]))
    assert rows[-1] == ["r_w: a - b", "1", "< 0.0001", "0.0001", "2", "1,234 (5 left out)"]


def test_colours_do_not_reach_a_csv() -> None:
    (row,) = read(figures_csv([section(lines("\x1b[31ma", x=("1",)))]))
    assert row["column"] == "a"

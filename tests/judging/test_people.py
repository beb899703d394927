"""Three people and a judge, by hand; and what is said of few labels."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from tests.judging.labelling import Judged, Says, labelled, many, of_ours, pair, ruled
from thinkus.judging.people import Agreement, Measured, Report, print_report, report_of

JUDGE = ["WW", "WW", "WW", "WW", "WW", "LL", "LL", "WW", "WL", "?W"]
"""Ten pairs; of the last but one it says a tie, since that turns with the order."""
ANN, BEN, CAL = "WWWWLLLTTW", "WWWLLLWTLW", "WWLLLLWTT-"
OTHERS = [
    ruled(pair("failed", ours=None)),
    ruled(pair("same", ours="a", theirs="a")),
    *(ruled(pair(f"more{at}"), verdicts) for at, verdicts in enumerate(["WW", "WW", "LL"])),
]
"""Two that nobody is asked about, and three that were not drawn."""
LABELLED: list[Judged] = [ruled(pair(f"p{at}"), verdicts) for at, verdicts in enumerate(JUDGE)]


def rater(said: str) -> Says:
    return of_ours(lambda place: said[int(place[1])] if place.startswith("p") else "")


def report(folder: Path, *said: str) -> Report:
    """More are drawn than anybody labels."""
    judged = [*OTHERS, *LABELLED]
    labels = labelled(folder, judged, *map(rater, said))
    return report_of(labels, ["ann.csv", "ben.csv", "cal.csv"][: len(said)], 13, [turn for _, turn in judged])


def agreement(found: Report, *between: str) -> Agreement:
    [one] = [one for one in found.agreement if one.between == between]
    return one


def test_three_people_agree_as_by_hand(tmp_path: Path) -> None:
    """Of ten pairs six are of one mind (one of those two labels), in four one pair of three labels is the same.

    Kappa: the nine that all labelled, (5 + 4/3) / 9 = 19/27, beside chance: 11 wins, 11 losses, 5 ties of 27.
    """
    among = agreement(report(tmp_path, ANN, BEN, CAL), "ann.csv", "ben.csv", "cal.csv")
    assert among.pairs == 10
    assert among.same.value == pytest.approx((6 + 4 / 3) / 10)
    chance = (11**2 + 11**2 + 5**2) / 27**2
    assert among.kappa.value == pytest.approx((19 / 27 - chance) / (1 - chance))


def test_two_people_agree_as_by_hand(tmp_path: Path) -> None:
    """Seven of ten; Ann says 5 wins, 3 losses, 2 ties, Ben 5, 4 and 1."""
    among = agreement(report(tmp_path, ANN, BEN), "ann.csv", "ben.csv")
    assert among.same.value == pytest.approx(0.7)
    chance = (5 * 5 + 3 * 4 + 2 * 1) / 100
    assert among.kappa.value == pytest.approx((0.7 - chance) / (1 - chance))


def test_each_and_all_agree_with_the_judge_as_by_hand(tmp_path: Path) -> None:
    """Of the nine verdicts that can be read (6 wins, 2 losses, a tie) Ann has seven."""
    found = report(tmp_path, ANN, BEN, CAL)
    anns = agreement(found, "ann.csv", "the judge")
    assert anns.pairs == 9
    assert anns.same.value == pytest.approx(7 / 9)
    chance = (4 * 6 + 3 * 2 + 2 * 1) / 81
    assert anns.kappa.value == pytest.approx((7 / 9 - chance) / (1 - chance))
    assert agreement(found, "ben.csv", "the judge").same.value == pytest.approx(4 / 9)
    everybodys = agreement(found, "ann.csv", "ben.csv", "cal.csv", "the judge")
    chance = (11 * 18 + 11 * 6 + 5 * 3) / 27**2
    assert everybodys.pairs == 27
    assert everybodys.same.value == pytest.approx(15 / 27)
    assert everybodys.kappa.value == pytest.approx((15 / 27 - chance) / (1 - chance))


def test_base_rates_are_of_what_each_said_of_the_labelled(tmp_path: Path) -> None:
    voices = {voice.who: voice.said for voice in report(tmp_path, ANN, BEN, CAL).voices}
    assert voices == {
        "ann.csv": {"win": 5, "tie": 2, "loss": 3, "invalid": 0},
        "ben.csv": {"win": 5, "tie": 1, "loss": 4, "invalid": 0},
        "cal.csv": {"win": 3, "tie": 2, "loss": 4, "invalid": 0},
        "the judge": {"win": 6, "tie": 1, "loss": 2, "invalid": 1},
    }


def test_the_win_rate_is_put_right_as_by_hand(tmp_path: Path) -> None:
    """By the judge 8 wins, 4 losses (one by failure), 2 ties of 14 that can be read.

    People are lower by 2/3, 4/3, 2, 1 and 1/3 on five pairs, and higher by 4/3 and 1 on two: -3 in ten, which goes
    for the 13 that were asked about; the unreadable one scores 0 until it is put right.
    """
    found = report(tmp_path, ANN, BEN, CAL)
    assert found.judged.value == pytest.approx(4 / 14)
    assert found.corrected.value == pytest.approx((4 - 13 * 3 / 10) / 15)
    assert (found.items, found.labelled, found.conversations) == (13, 10, 10)


def test_a_note_alone_counts_for_nothing(tmp_path: Path) -> None:
    judged = [*OTHERS, *LABELLED]
    labels, turns = labelled(tmp_path, judged, rater(CAL)), [turn for _, turn in judged]
    more = labelled(tmp_path, judged, rater(ANN))
    notes = [msgspec.structs.replace(label, verdict=None, note="hm") for label in more]
    without, found = (report_of(own, ["cal.csv"], 13, turns) for own in (labels, [*notes, *labels]))
    assert len(found.labels) == 19
    assert msgspec.structs.replace(found, labels=()) == msgspec.structs.replace(without, labels=())


def test_of_ten_conversations_with_labels_there_are_intervals_and_of_nine_none(tmp_path: Path) -> None:
    ten, nine = report(tmp_path, ANN, BEN), report(tmp_path, ANN[:9] + "-", BEN[:9] + "-")
    assert ten.corrected.low is not None
    assert ten.agreement[0].same.low is not None
    assert nine.judged.low is not None, "that is of all conversations"
    assert nine.corrected.low is nine.agreement[0].kappa.low is None
    assert nine.corrected.value is not None


def test_every_label_is_in_the_report_and_it_can_be_read_back(tmp_path: Path) -> None:
    found = report(tmp_path, ANN, CAL)
    assert len(found.labels) == 19
    written = msgspec.json.encode(found)
    assert msgspec.json.decode(written, type=Report) == found
    assert json.loads(written)["labels"][0]["conversation"].startswith("secret-p")


# As it is printed ----------------------------------------------------------------------------


def printed(found: Report, width: int = 100) -> list[list[str]]:
    out = io.StringIO()
    print_report(found, Console(file=out, width=width, highlight=False, markup=False))
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.getvalue().splitlines()
    ]


def told(found: Report) -> str:
    return " ".join(" ".join(cells) for cells in printed(found))


def test_it_is_three_small_tables(tmp_path: Path) -> None:
    lines = printed(report(tmp_path, ANN, BEN, CAL), width=80)
    assert ["10 of 13 pairs labelled by 3 people"] in lines
    assert ["ann", "10", "50.00", "30.00", "20.00"] in lines
    assert ["the judge", "9", "66.67", "22.22", "11.11"] in lines
    agreed = lines.index(["who agrees", "compared", "the same, in %", "kappa"])
    assert [cells[0] for cells in lines[agreed + 1 : agreed + 6]] == [
        "all 3 people", "ann and the judge", "ben and the judge", "cal and the judge", "all people and the judge",
    ]  # fmt: skip
    assert lines[agreed + 2] == ["ann and the judge", "9", "77.78", "0.63"]
    assert lines[agreed + 1][2].startswith("73.33 [")
    assert [cells[0] for cells in lines if cells[1:] and cells[1].startswith(("0.2857 ", "0.0067 "))] == [
        "by the judge", "corrected, as people would have it",
    ]  # fmt: skip


def test_what_is_not_to_be_leant_on_is_said(tmp_path: Path) -> None:
    ten = told(report(tmp_path, ANN, BEN))
    assert "fewer than 100 labelled pairs" in ten
    assert "1 of the labelled pairs have a verdict that cannot be read" in ten
    assert "that nobody labelled are taken to be like" in ten
    assert "no intervals" not in ten
    nine = told(report(tmp_path, ANN[:9] + "-"))
    assert "labels of fewer than 10 conversations: no intervals" in nine
    assert "fewer than 100" not in nine
    enough = many(100, 1)
    labels = labelled(tmp_path, enough, of_ours(lambda _place: "W"))
    whole = told(report_of(labels, ["ann.csv"], 100, [turn for _, turn in enough]))
    assert not [one for one in ("fewer", "nobody labelled", "cannot be read", "copy") if one in whole]
    assert "1 person" in whole


def test_a_copy_of_anothers_file_is_said(tmp_path: Path) -> None:
    assert report(tmp_path, ANN, BEN, ANN).copies == (("ann.csv", "cal.csv"),)
    assert "ann.csv and cal.csv say the same of every pair" in told(report(tmp_path, ANN, BEN, ANN))


def test_names_of_files_do_nothing_at_a_terminal(tmp_path: Path) -> None:
    found = msgspec.structs.replace(
        report(tmp_path, ANN), agreement=(agreement_of("[red]\x1b[2J.csv", "the judge"),)
    )
    assert "[red] and the judge 1" in told(found)


def agreement_of(*between: str) -> Agreement:
    return Agreement(between, 1, Measured(1.0), Measured(None))


def test_a_percentile_interval_and_a_figure_that_is_none_are_marked() -> None:
    forms: Sequence[tuple[Measured, str]] = [
        (Measured(None), "-"),
        (Measured(0.5), "0.5"),
        (Measured(0.5, 0.25, 0.75, "bca"), "0.5 [0.25, 0.75]"),
        (Measured(0.5, 0.25, 0.75, "percentile"), "0.5 ~[0.25, 0.75]"),
    ]
    for measured, expected in forms:
        assert measured.told(str) == expected

"""What is drawn is what is printed; and how distributions are made."""

import pytest

from thinkus.judging.judgement import Judgement
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.origin import Corpus
from thinkus.judging.published import CAPTION
from thinkus.report.charts import BINS, Forest, Point, Shares, charts, spreads
from thinkus.report.sections import Section
from thinkus.scoring.likeness import Said, measured


def section(task: str, *rows: tuple[str, tuple[Cell, ...]], title: str = "a table") -> Section:
    lines = Lines(title, "", ("one", "other"), rows)
    return Section(task, task, "made", "a judge", (lines, "a sentence"))


def test_a_forest_has_the_figures_and_intervals_that_are_printed() -> None:
    cells = (Cell("0.2000", ("-0.1000", "0.3000")), Cell("-"))
    made = list(charts(section("pairwise", ("r_w", cells))))
    assert [(one.points, one.reference) for one in made if isinstance(one, Forest)] == [
        ((Point("one", 0.2, "0.2000 [-0.1000, 0.3000]", (-0.1, 0.3)),), 0.0)
    ]


def test_a_single_figure_without_an_interval_is_not_worth_a_drawing() -> None:
    assert not list(charts(section("terminal", ("divergence", (Cell(""), Cell("0.1000"))))))
    assert len(list(charts(section("terminal", ("divergence", (Cell("0.2000"), Cell("0.1000"))))))) == 1


def test_verdicts_are_shares_of_all_turns_and_stand_after_the_figure_that_counts() -> None:
    rows = [
        ("r_w", ("0.1", "0.2")),
        ("wins", ("1,500", "1")),
        ("losses", ("500", "0")),
        ("draws", ("0", "0")),
    ]
    told = [(name, tuple(map(Cell, values))) for name, values in rows]
    order = ("took the one shown first", (Cell("50.00"), Cell("51.00")))
    made = list(charts(section("pairwise", *told, order)))
    assert [type(one) for one in made] == [Forest, Shares, Forest]
    assert isinstance(made[1], Shares)
    assert made[1].rows == (("one", (0.75, 0.0, 0.25, 0.0)), ("other", (1.0, 0.0, 0.0, 0.0)))


def test_controls_are_drawn_as_shares_of_what_was_tried() -> None:
    told = ("control: the real text ties itself", (Cell("45 of 50"), Cell("1,000 of 1,000")))
    [made] = charts(section("pairwise", told))
    assert isinstance(made, Forest)
    assert [(one.value, one.printed) for one in made.points] == [
        (90.0, "45 of 50"),
        (100.0, "1,000 of 1,000"),
    ]


def test_what_others_published_is_never_drawn_beside_ours() -> None:
    assert not list(charts(section("ending", ("F1", (Cell("63.54"), Cell("21.31"))), title=CAPTION)))


def likeness(candidate: str, live: str, *said: tuple[str, str]) -> Judgement:
    both = [[measured(Said("bread", (words,))) for words in pair] for pair in said]
    rows = [MeasuredConversation(str(at), person, played) for at, (person, played) in enumerate(both)]
    facts = {"assistant": live} if live else {}
    return Judgement("likeness", candidate, "", facts, None, rows, corpus=Corpus("made", "x"))


def test_a_distribution_has_all_of_a_method_and_the_people_first() -> None:
    said = (("one two", "one"), ("one two three four", "one two three four five six"))
    [(title, made)] = spreads([likeness("run.a", "", *said), likeness("run.b", "", *said[:1])])
    assert title == "on made"
    words = next(one for one in made if one.title == "words a turn")
    assert [(name, median) for name, median, _ in words.rows] == [("people", 3.0), ("a", 3.5), ("b", 1.0)]
    assert all(
        len(shares) == BINS and sum(shares) == pytest.approx(1, abs=0.01) for _, _, shares in words.rows
    )


def test_live_and_replayed_are_told_apart_and_what_is_the_same_everywhere_is_not_drawn() -> None:
    said = (("one", "one"), ("two", "two"))
    found = dict(spreads([likeness("a", "", *said), likeness("a", "someone", *said)]))
    assert found == {"on made": [], "on made, live": []}

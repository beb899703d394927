"""Which runs stand beside each other, and what is said where they do not."""

from typing import Any

import numpy as np
import pytest

from tests.report.parts import CHATS, dialogue, duels, judgement, leaving, online, sounding, thoughts, turn
from thinkus.judging.figures import percent
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.origin import Corpus
from thinkus.report.sections import Section, sections

NAMES = [f"c{at:02}" for at in range(11)]
PLANNED = dict.fromkeys(NAMES, "wwl")
LEVELS: dict[str, Any] = {name: ("good", "poor" if at % 2 else "good") for at, name in enumerate(NAMES)}
LEAVES = dict.fromkeys(NAMES, "nny")
SAYS = {name: (f"bake {name}", f"Please bake {name}") for name in NAMES}


def made(*ones: Judgement) -> list[Section]:
    return list(sections(ones))


def titles(*ones: Judgement) -> list[str]:
    found = [one.title for one in made(*ones)]
    assert len(set(found)) == len(found), "no two have one title"
    return found


def texts(section: Section) -> list[str]:
    return [told for told in section.told if isinstance(told, str)]


def columns(section: Section) -> tuple[str, ...]:
    first = section.told[0]
    assert isinstance(first, Lines)
    return first.columns


def one_of_each() -> list[Judgement]:
    return [
        sounding("ours", SAYS),
        leaving("ours", LEAVES),
        online("ours", [dialogue(name, 1) for name in NAMES]),
        thoughts("ours", LEVELS),
        duels("ours", PLANNED, facts={"protocol": "both_orders"}),
    ]


def test_a_section_is_of_one_task_one_corpus_and_one_judge() -> None:
    assert titles(*one_of_each()) == [
        "pairwise, on chats, by hosted (m), protocol both_orders",
        "terminal, on chats, by hosted (m)",
        "online, on chats, by hosted (m)",
        "ending, on chats",
        "likeness, on chats",
    ]
    assert [one.runs for one in made(*one_of_each())] == [
        (f"outputs/judge/{task}.ours",) for task in ("pairwise", "terminal", "online", "ending", "likeness")
    ]


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        ({"judge": "other (m)"}, "pairwise, on chats, by other (m), protocol both_orders"),
        ({"asked": "b" * 64, "facts": {"protocol": "paper"}}, "pairwise, on chats, by hosted (m), protocol paper"),
        ({"asked": "b" * 64}, "pairwise, on chats, by hosted (m), protocol both_orders, asked as bbbbbbbb"),
        ({"corpus": Corpus("others", "d" * 64)}, "pairwise, on others, by hosted (m), protocol both_orders"),
        (
            {"corpus": CHATS._replace(identity="d" * 64)},
            "pairwise, on chats, by hosted (m), protocol both_orders, corpus dddddddd",
        ),
        ({"corpus": Corpus()}, "pairwise, by hosted (m), protocol both_orders"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_stands_in_another_section(other: dict[str, Any], apart: str) -> None:
    facts = {"protocol": "both_orders"}
    ours, theirs = duels("ours", PLANNED, facts=facts), duels("theirs", PLANNED, **({"facts": facts} | other))
    assert apart in titles(ours, theirs)
    found = made(ours, theirs)
    assert sorted(one.runs for one in found) == [
        ("outputs/judge/pairwise.ours",),
        ("outputs/judge/pairwise.theirs",),
    ]
    assert [[(one.one, one.other) for one in section.differences] for section in found] in (
        [[("ours", "base")], [("theirs", "base")]], [[("theirs", "base")], [("ours", "base")]],
    )  # fmt: skip


def test_live_dialogues_never_stand_beside_replayed_ones() -> None:
    """How they sound and where they leave is measured in both."""
    for replayed in (sounding("ours", SAYS), leaving("ours", LEAVES)):
        live = replayed._replace(candidate="live", read={"candidate": "live", "people": "p"})
        assert titles(replayed, live) == [f"{live.task}, on chats", f"{live.task}, on chats, live"]


def test_where_nobody_knows_over_what_a_run_is_it_stands_alone_and_says_so() -> None:
    ones = [duels(name, PLANNED, corpus=Corpus()) for name in ("ours", "theirs")]
    assert titles(*ones) == ["pairwise, by hosted (m), ours ours", "pairwise, by hosted (m), theirs theirs"]
    for section in made(*ones):
        assert [one.other for one in section.differences] == ["base"]
        assert any("so it stands alone" in told for told in texts(section))
    assert not any("stands alone" in told for section in made(*one_of_each()) for told in texts(section))


def test_no_run_is_lost_and_none_is_there_twice() -> None:
    """Whatever they share by name."""
    ones = [
        duels("ours", PLANNED, corpus=Corpus(name, identity * 64), judge=judge, asked=asked * 64, run=f"run {at}")
        for at, (name, identity, judge, asked) in enumerate(
            (name, identity, judge, asked)
            for name in ("chats", "others")
            for identity in "cd"
            for judge in ("one", "other")
            for asked in "ab"
        )
    ]  # fmt: skip
    titles(*ones)
    runs = [run for section in made(*ones) for run in section.runs]
    assert sorted(runs) == sorted(one.run for one in ones)


@pytest.mark.parametrize("task", ["pairwise", "terminal", "online", "ending", "likeness", "goals"])
def test_a_run_of_nothing_is_a_section_of_nothing(task: str) -> None:
    (section,) = made(judgement(task, "ours", ()), judgement(task, "theirs", ()))
    assert section.differences == ()
    assert columns(section)[-1] == "theirs"


# Names ---------------------------------------------------------------------------------------


def test_one_candidate_judged_twice_is_called_by_its_runs_of_judge() -> None:
    once, again = (duels("ours", PLANNED, run=f"outputs/judge/{name}") for name in ("once", "again"))
    (section,) = made(once, again, duels("theirs", PLANNED))
    assert columns(section) == ("ours (once)", "ours (again)", "theirs")
    assert [(one.one, one.other) for one in section.differences][:2] == [
        ("ours (once)", "base"), ("ours (again)", "base"),
    ]  # fmt: skip
    assert any(told.startswith("ours (again): the same run as ours (once)") for told in texts(section))


def test_runs_of_one_name_under_two_roots_are_called_by_their_places() -> None:
    here, there = (
        duels("ours", PLANNED, run=f"{root}/judge/it", read={"candidate": root, "baseline": "base"})
        for root in ("here", "there")
    )
    (section,) = made(here, there)
    assert columns(section) == ("ours (here/judge/it)", "ours (there/judge/it)")
    assert ("ours (here/judge/it)", "ours (there/judge/it)") in [
        (one.one, one.other) for one in section.differences
    ]


def test_of_short_names_in_a_table_the_long_ones_are_known() -> None:
    ones = [duels(f"{name}-llama8b.lmsys.offline", PLANNED) for name in ("prompt", "thinkingus")]
    (section,) = made(*ones)
    assert columns(section) == ("prompt", "thinkingus")
    assert section.names == {
        "prompt": "prompt-llama8b.lmsys.offline", "thinkingus": "thinkingus-llama8b.lmsys.offline",
    }  # fmt: skip


# Differences as they are shown ---------------------------------------------------------------


def test_a_difference_is_printed_as_its_figure_is() -> None:
    drawn = np.random.default_rng(1)
    planned = {name: "".join(drawn.choice(list("wwl"), 4)) for name in NAMES}
    (section,) = made(duels("ours", planned))
    (found,) = section.differences
    first = section.told[0]
    assert isinstance(first, Lines)
    assert found.difference == dict(first.rows)["r_w"][0]
    assert (found.figure, found.one, found.other) == ("r_w", "ours", "base")
    assert (found.conversations, found.left_out) == (11, 0)
    assert found.p == found.p_holm


def test_shares_differ_in_hundredths_and_never_by_less_than_nothing() -> None:
    ours, theirs = leaving("ours", LEAVES), leaving("theirs", LEAVES | {"c03": "yny"})
    (section,) = made(ours, theirs)
    found = {one.figure: one.difference.value for one in section.differences}
    assert found["leaves too early"] == "-9.09"
    assert found["never leaves"] == "0.00"
    (other,) = made(theirs, ours)
    assert {one.figure: one.difference.value for one in other.differences}["leaves too early"] == "9.09"
    assert percent(-0.00001) == "0.00"


def test_a_difference_that_there_is_nothing_to_make_of_is_shown_as_such() -> None:
    nothing = duels("ours", dict.fromkeys(NAMES, "?"))
    (section,) = made(nothing)
    (found,) = section.differences
    assert found.difference == Cell("-")
    assert (found.p, found.p_holm, found.smallest) == (None, None, "")


def test_what_is_not_compared_is_said_below_the_tables() -> None:
    (section,) = made(duels("ours", PLANNED), duels("theirs", PLANNED, against="other"))
    assert texts(section)[-1] == "pairs that are not held against each other: 1 with another baseline"


# Several judges ------------------------------------------------------------------------------


def test_several_judges_of_the_same_have_a_section_of_their_own() -> None:
    ones = [
        duels(who, PLANNED, judge=judge, asked=judge)
        for who in ("ours", "theirs")
        for judge in ("one", "other")
    ]
    found = made(*ones)
    assert [one.title for one in found] == [
        "pairwise, on chats, by one", "pairwise, on chats, by other", "pairwise, on chats, by several judges",
    ]  # fmt: skip
    assert columns(found[-1]) == ("ours", "theirs")
    assert found[-1].differences == ()
    assert len(made(ones[0], ones[3])) == 2, "no two judged the same"


def test_a_judge_that_fails_its_controls_is_stamped_wherever_it_speaks() -> None:
    controls = [turn(name, 0, "l", control=control) for name in NAMES for control in ("itself", "stranger")]
    ones = [
        duels("ours", PLANNED, judge=judge, asked=judge, ties=0.9, wins=0.9) for judge in ("good", "poor")
    ]
    ones[1] = ones[1]._replace(rows=[*ones[1].rows, *controls])
    good, poor, both = made(*ones)
    stamp = "NOT TO BE TRUSTED: ours, poor: this judge failed its controls"
    assert [any(told.startswith(stamp) for told in texts(one)) for one in (good, poor, both)] == [
        False, True, True,
    ]  # fmt: skip

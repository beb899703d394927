"""Differences beside plain loops over rows, and every way of swapping gone through by hand."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from tests.report.parts import dialogue, duels, judgement, leaving, online, sounding, thoughts, turn
from thinkus.judging.ending import Left
from thinkus.judging.judgement import Judgement
from thinkus.report.differences import HEADLINES, PEOPLE, SOUNDS, Compared, compared, not_compared
from thinkus.scoring.divergence import LEVELS, level_divergence, wasserstein
from thinkus.scoring.endings import endings

NAMES = [f"c{at:02}" for at in range(11)]
Planned = Mapping[str, str]


def planned(seed: int, letters: str = "wwltx", names: Sequence[str] = NAMES) -> dict[str, str]:
    drawn = np.random.default_rng(seed)
    return {name: "".join(drawn.choice(list(letters), drawn.integers(1, 5))) for name in names}


def r_w(letters: str) -> float:
    """Of the strict count, in which a failure of ours (f) is a loss, and of theirs (F) a win."""
    won, lost = (sum(letters.count(one) for one in those) for those in ("wF", "lf"))
    return (won - lost) / (len(letters) - letters.count("?"))


def by_name(found: Sequence[Compared]) -> dict[tuple[str, str, str], Compared]:
    named = {(one.figure, one.one, one.other): one for one in found}
    assert len(named) == len(found), "none is there twice"
    return named


def only(found: Sequence[Compared], figure: str) -> Compared:
    (one,) = (one for one in found if one.figure == figure)
    return one


def value(one: Compared) -> float:
    assert one.difference.estimate.value is not None
    return one.difference.estimate.value


def turned_round(one: Judgement) -> Judgement:
    """The same rows in another order."""
    return one._replace(rows=sorted(one.rows, key=lambda row: (row.conversation[::-1], -row.turn)))


# pairwise ------------------------------------------------------------------------------------


def test_r_w_over_that_of_another_is_that_of_plain_counts_whatever_the_order_of_rows() -> None:
    ours, theirs = planned(1, "wwltx?fF"), planned(2, "lltwx?f")
    found = compared([duels("ours", ours), turned_round(duels("theirs", theirs))])
    beside = by_name(found)
    assert list(beside) == [
        ("r_w", "ours", "base"),
        ("r_w", "theirs", "base"),
        ("r_w against base", "ours", "theirs"),
    ]
    mine, other = (r_w("".join(one.values())) for one in (ours, theirs))
    assert value(beside["r_w", "ours", "base"]) == pytest.approx(mine)
    assert value(beside["r_w", "theirs", "base"]) == pytest.approx(other)
    assert value(beside["r_w against base", "ours", "theirs"]) == pytest.approx(mine - other)
    assert {(one.conversations, one.left_out) for one in found} == {(11, 0)}


def test_p_of_two_methods_is_that_of_every_swap_of_their_conversations() -> None:
    ours, theirs = planned(3, "wwwlt"), planned(4, "wllt")
    apart = []
    for swaps in product([False, True], repeat=len(NAMES)):
        sides = ["", ""]
        for name, is_swapped in zip(NAMES, swaps, strict=True):
            sides[is_swapped] += ours[name]
            sides[not is_swapped] += theirs[name]
        apart.append(abs(r_w(sides[0]) - r_w(sides[1])))
    found = compared([duels("ours", ours), turned_round(duels("theirs", theirs))])
    by_hand = np.mean([one >= apart[0] - 1e-9 for one in apart])
    assert 0 < by_hand < 0.5
    assert only(found, "r_w against base").difference.p == by_hand


def test_p_of_r_w_is_that_of_every_sign_that_conversations_could_have() -> None:
    ours = planned(5, "wwwlt")
    turns = sum(map(len, ours.values()))
    score = [said.count("w") - said.count("l") for said in ours.values()]
    every = [
        abs(sum(sign * one for sign, one in zip(signs, score, strict=True))) / turns
        for signs in product([1, -1], repeat=len(score))
    ]
    by_hand = np.mean([one >= every[0] - 1e-9 for one in every])
    assert 0 < by_hand < 0.5
    (found,) = compared([duels("ours", ours)])
    assert found.difference.p == by_hand
    assert value(found) == pytest.approx(every[0] * np.sign(sum(score)))


def test_r_w_is_as_sure_as_its_table_says() -> None:
    """It is got from a difference twice as large."""
    one = duels("ours", planned(6, names=[f"n{at}" for at in range(60)]))
    (found,) = compared([one])
    told = dict(one.column([("r_w", "")], {"r_w": by_table(one)}).cells)["r_w"].interval
    estimate = found.difference.estimate
    assert estimate.interval is not None
    assert told == (found.form(estimate.interval.low), found.form(estimate.interval.high))
    assert found.difference.smallest == pytest.approx(2.8016 * (estimate.error or 0), rel=1e-4)
    assert estimate.error == pytest.approx((estimate.interval.high - estimate.interval.low) / 3.92, rel=0.1)


def by_table(one: Judgement) -> Any:
    from thinkus.judging.intervals import of_wins

    return of_wins(one.rows)["r_w"]


def test_controls_are_no_turns_of_either() -> None:
    plain, other = duels("ours", planned(1)), duels("theirs", planned(2))
    itself = [turn(name, 0, "t", control="itself") for name in NAMES]
    stranger = [turn(f"only {name}", 0, "w", control="stranger") for name in NAMES]
    with_controls = plain._replace(rows=[*itself, *plain.rows, *stranger])
    assert compared([with_controls, other]) == compared([plain, other])


# Over what both have --------------------------------------------------------------------------


def test_what_only_one_has_is_left_out_and_counted() -> None:
    ours, theirs = planned(1, names=["a", *NAMES]), planned(2, names=[*NAMES[::-1], "y", "z"])
    alike = [{name: one[name] for name in NAMES} for one in (ours, theirs)]
    found, shared = (
        only(compared([duels("ours", one), duels("theirs", other)]), "r_w against base")
        for one, other in ((ours, theirs), alike)
    )
    assert (found.conversations, found.left_out) == (11, 3)
    assert found.difference == shared.difference


def test_with_too_few_in_common_there_is_no_difference_and_that_is_said() -> None:
    ours, theirs = duels("ours", planned(1)), duels("theirs", planned(2, names=[*NAMES[:9], "x", "y"]))
    assert [one.figure for one in compared([ours, theirs])] == ["r_w", "r_w"]
    assert list(not_compared([ours, theirs])) == [
        "pairs that are not held against each other: 1 with fewer than 10 conversations in common"
    ]
    few = duels("few", planned(1, names=NAMES[:9]))
    assert compared([few]) == []
    assert list(not_compared([few])) == ["few: fewer than 10 conversations, so no differences"]
    assert list(not_compared([ours, duels("others", planned(2))])) == []


def test_a_name_of_a_conversation_cannot_be_taken_for_one_of_the_other_method() -> None:
    awkward = [*NAMES[:8], "1 c08", "0 c08", "c08", "1 1 c08"]
    ours, theirs = planned(1, names=awkward), planned(2, names=awkward)
    found = only(compared([duels("ours", ours), duels("theirs", theirs)]), "r_w against base")
    assert found.conversations == 12
    assert value(found) == pytest.approx(r_w("".join(ours.values())) - r_w("".join(theirs.values())))


def test_a_difference_hangs_on_no_third_method() -> None:
    ones = [duels(name, planned(seed)) for seed, name in enumerate(["ours", "third", "theirs"])]
    among = by_name(compared(ones))["r_w against base", "ours", "theirs"]
    alone = by_name(compared([ones[0], ones[2]]))["r_w against base", "ours", "theirs"]
    assert among.difference == alone.difference


def test_the_family_of_holms_correction_is_all_that_is_compared() -> None:
    ones = [duels(name, planned(seed, "wwwlt" if seed else "wllt")) for seed, name in enumerate("abc")]
    found = compared(ones)
    assert len(found) == 3 + 3
    ordered = sorted(one.difference.p or 0 for one in found)
    so_far, expected = 0.0, {}
    for rank, p in enumerate(ordered):
        so_far = max(so_far, min(1, p * (len(ordered) - rank)))
        expected[p] = so_far
    assert [one.p_holm for one in found] == [expected[one.difference.p or 0] for one in found]
    assert any((one.p_holm or 0) > (one.difference.p or 0) for one in found)


# What may not be compared --------------------------------------------------------------------


def test_the_baseline_is_another_where_its_run_is_whatever_its_name() -> None:
    ones = [
        duels("ours", planned(1)),
        duels("theirs", planned(2), read={"candidate": "theirs", "baseline": "base, derived anew"}),
        duels("third", planned(3), against="other"),
    ]
    assert [one.figure for one in compared(ones)] == ["r_w"] * 3
    assert list(not_compared(ones)) == ["pairs that are not held against each other: 3 with another baseline"]


def test_against_two_baselines_each_pair_is_held_by_the_same_one() -> None:
    ones = [
        duels(name, planned(seed), against=against)
        for seed, (name, against) in enumerate(product(["ours", "theirs"], ["base", "other"]))
    ]
    pairs = [(one.figure, one.one, one.other) for one in compared(ones)]
    assert pairs[:4] == [("r_w", one.candidate, one.against) for one in ones]
    assert pairs[4:] == [("r_w against base", "ours", "theirs"), ("r_w against other", "ours", "theirs")]
    assert list(not_compared(ones)) == ["pairs that are not held against each other: 2 with another baseline"]


def test_a_run_that_was_judged_twice_is_not_held_against_itself() -> None:
    ours, again, theirs = duels("ours", planned(1)), duels("again", planned(2)), duels("theirs", planned(3))
    again = again._replace(read=ours.read)
    found = compared([ours, again, theirs])
    assert [(one.one, one.other) for one in found] == [
        ("ours", "base"), ("again", "base"), ("theirs", "base"), ("ours", "theirs"),
    ]  # fmt: skip
    assert list(not_compared([ours, again, theirs])) == [
        "again: the same run as ours, judged once more; others are held against the first alone"
    ]


def test_two_runs_of_one_name_are_two() -> None:
    ours, theirs = duels("ours", planned(1)), duels("ours", planned(2))
    theirs = theirs._replace(read={**theirs.read, "candidate": "under another root"})
    assert [one.figure for one in compared([ours, theirs])] == ["r_w", "r_w", "r_w against base"]


def test_lists_of_goals_are_not_compared() -> None:
    ones = [judgement("goals", name, []) for name in ("chats", "others")]
    assert compared(ones) == []
    assert list(not_compared(ones)) == []


# The other tasks -----------------------------------------------------------------------------


def levels(seed: int) -> dict[str, tuple[Any, Any]]:
    drawn = np.random.default_rng(seed)
    found: dict[str, tuple[Any, Any]] = {
        name: (LEVELS[at % 5], LEVELS[drawn.integers(5)]) for at, name in enumerate(NAMES)
    }
    return found | {"c03": (None, "good"), "c04": ("poor", None)}


def test_divergence_less_that_of_another_is_that_of_the_levels_themselves() -> None:
    planned = levels(1), levels(2)
    ours, theirs = thoughts("ours", planned[0]), thoughts("theirs", dict(reversed(planned[1].items())))
    found = only(compared([ours, theirs]), "divergence")
    expected = [
        level_divergence(*([one for one in side if one] for side in zip(*own.values(), strict=True)))
        for own in planned
    ]
    assert value(found) == pytest.approx((expected[0] or 0) - (expected[1] or 0))
    assert found.p_holm == found.difference.p is not None


def means(rows: Mapping[str, tuple[int, ...]]) -> float:
    return float(np.mean([np.mean(scores) for scores in rows.values()]))


def test_live_dialogues_are_compared_with_each_other_and_the_baselines_beside_them() -> None:
    drawn = np.random.default_rng(1)
    rows: dict[str, dict[str, Any]] = {
        who: {
            name: tuple(int(one) for one in drawn.integers(-1, 2, 1 + at % 3))
            for at, name in enumerate(NAMES)
        }
        for who in ("ours", "base", "alone")
    }
    both = [
        dialogue(name, *rows[who][name], whose=whose)
        for name in NAMES
        for who, whose in (("ours", "candidate"), ("base", "baseline"))
    ]
    alone = [dialogue(name, *rows["alone"][name]) for name in reversed(NAMES)]
    found = by_name(compared([online("ours", both, against="base"), online("alone", alone)]))
    assert len(found) == 3 * len(HEADLINES["online"])
    for one, other in (("ours", "base"), ("ours", "alone"), ("base", "alone")):
        assert value(found["disclosure", one, other]) == pytest.approx(means(rows[one]) - means(rows[other]))
        assert found["additional information", one, other].difference.p == 1


def test_dialogues_that_broke_off_for_either_are_left_out() -> None:
    ours, theirs = ([dialogue(name, score) for name in [*NAMES, "x"]] for score in (1, 0))
    ours[0] = dialogue(NAMES[0], 1, ended_by="assistant_failed")
    theirs[1] = dialogue(NAMES[1], 1, ended_by="classifier_failed")
    found = by_name(compared([online("ours", ours), online("theirs", theirs)]))[
        "disclosure", "ours", "theirs"
    ]
    assert (value(found), found.conversations, found.left_out) == (1, 10, 2)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"talk": "u"}, "1 with another assistant or ending"),
        ({"facts": {"max_turns": "3"}}, "1 with another assistant or ending"),
        ({"talk": "", "run": "outputs/judge/theirs"}, "1 with another assistant or ending"),
        ({"read": {"goals": "h"}}, "1 with another list of goals"),
    ],
)
def test_dialogues_held_or_measured_otherwise_are_not_compared(other: dict[str, Any], told: str) -> None:
    ours, theirs = ([dialogue(name, score) for name in NAMES] for score in (1, 0))
    ones = [online("ours", ours), online("theirs", theirs, **other)]
    assert compared(ones) == []
    assert list(not_compared(ones)) == [f"pairs that are not held against each other: {told}"]


def test_both_sides_of_a_run_were_held_alike_though_nobody_knows_any_more_how() -> None:
    both = [
        dialogue(name, score, whose=whose)
        for name in NAMES
        for score, whose in ((1, "candidate"), (0, "baseline"))
    ]
    found = compared([online("ours", both, against="base", talk="")])
    assert [(one.one, one.other) for one in found] == [("ours", "base")] * 3


def test_leaving_is_compared_by_what_its_table_counts() -> None:
    drawn = np.random.default_rng(1)
    ours, theirs = (
        {
            name: "".join(drawn.choice(["y", "n"], at % 4 + 1, p=[part, 1 - part]))
            for at, name in enumerate(NAMES)
        }
        for part in (0.6, 0.2)
    )
    found = {
        one.figure: one
        for one in compared([leaving("ours", ours), leaving("theirs", dict(reversed(theirs.items())))])
    }
    assert tuple(found) == HEADLINES["ending"]
    mine, other = (
        endings([[one == "y" for one in said] for said in side.values()]) for side in (ours, theirs)
    )
    assert value(found["F1"]) == pytest.approx(mine.f1 - other.f1)
    assert value(found["leaves too early"]) == pytest.approx(mine.premature - other.premature)
    assert value(found["never leaves"]) == pytest.approx(mine.never - other.never)

    def apart(side: Planned) -> float:
        people = [len(said) for said in side.values()]
        return (
            wasserstein(
                people, [said.index("y") + 1 if "y" in said else len(said) + 1 for said in side.values()]
            )
            or 0
        )

    assert value(found["turns, apart by"]) == pytest.approx(apart(ours) - apart(theirs))


def test_leaving_in_live_dialogues_is_compared_by_numbers_of_turns() -> None:
    def live(candidate: str, turns: int, **more: Any) -> Judgement:
        rows = [
            Left(name, 4, turns=turns, ended_by="max_turns" if at < 6 else "simulator")
            for at, name in enumerate(NAMES)
        ]
        return judgement(
            "ending", candidate, rows, read={"candidate": candidate, "people": "p"}, **({"talk": "t"} | more)
        )

    ours = live("ours", 9)
    ours = ours._replace(rows=[*ours.rows[:-1], replace(ours.rows[-1], ended_by="assistant_failed")])
    found = {one.figure: one for one in compared([ours, live("theirs", 5)])}
    assert tuple(found) == HEADLINES["ending, live"]
    assert value(found["turns, apart by"]) == 5 - 1
    assert {(one.conversations, one.left_out) for one in found.values()} == {(10, 1)}
    assert compared([ours, live("theirs", 5, talk="u")]) == []


LONG = "bake it|I said to bake it, please?", "Please kindly bake the bread for me, would you?"
SAID = dict.fromkeys(NAMES, LONG) | {
    "c00": ("knead it", "Please knead the bread"),
    "c01": ("rye", "Could you tell me of rye bread"),
}


def test_how_a_candidate_sounds_is_held_against_people() -> None:
    found = compared([sounding("ours", SAID)])
    assert [(one.figure, one.other) for one in found] == [(name, PEOPLE) for name in SOUNDS]
    words = [
        [len(turn.split()) for said in SAID.values() for turn in said[side].split("|")] for side in (0, 1)
    ]
    assert value(found[0]) == pytest.approx(np.mean(words[1]) - np.mean(words[0]))
    assert found[0].difference.p is not None
    assert value(only(found, "opened politely")) == pytest.approx(1)


def test_what_cannot_be_tested_is_there_and_no_part_of_the_family() -> None:
    found = compared(
        [sounding("ours", SAID), sounding("theirs", {name: both[::-1] for name, both in SAID.items()})]
    )
    tested = [one for one in found if one.difference.p is not None]
    untested = {one.figure for one in found if one.difference.p is None}
    assert "first-turn diversity" in untested
    assert only(found[:9], "first-turn diversity").difference.estimate.interval is not None
    smallest = min(tested, key=lambda one: one.difference.p or 0)
    assert smallest.p_holm == pytest.approx(min(1, (smallest.difference.p or 0) * len(tested)))


def test_a_figure_that_one_side_lacks_leaves_a_difference_without_value() -> None:
    """Nobody said enough for the richness of their words."""
    rich = only(compared([sounding("ours", SAID)]), "MATTR-50")
    assert rich.difference.estimate[:3] == (None, None, None)
    nothing = duels("ours", dict.fromkeys(NAMES, "?"))
    found = only(compared([nothing, duels("theirs", planned(1))]), "r_w against base").difference
    assert (found.estimate.value, found.p, found.smallest) == (None, None, None)


def test_of_too_few_conversations_people_are_nobodys_yardstick() -> None:
    few = sounding("few", dict(list(SAID.items())[:9]))
    assert compared([few]) == []
    assert list(not_compared([few])) == ["few: fewer than 10 conversations, so no differences"]

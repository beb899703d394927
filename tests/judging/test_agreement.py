"""Several judges of the same, on answers that are planted."""

from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from tests.report.parts import CHATS, dialogue, duels, judgement, online, thoughts, turn
from thinkus.judging.agreement import between_judges
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Lines
from thinkus.judging.online import JudgedDialogue, Verdict
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import NO_THOUGHT
from thinkus.scoring.divergence import LEVELS

QUESTION = "how far judges agree: closer to the person?"


def by(judge: str, planned: Mapping[str, str], candidate: str = "ours", **more: Any) -> Judgement:
    return duels(candidate, planned, judge=judge, asked=more.pop("asked", judge), **more)


def lines(*ones: Judgement) -> list[Lines]:
    return list(between_judges(ones))


def figures(told: Lines) -> dict[str, list[str]]:
    """By name, without intervals."""
    return {name: [cell.value for cell in cells] for name, cells in told.rows}


def only(*ones: Judgement) -> dict[str, list[str]]:
    (told,) = lines(*ones)
    return figures(told)


def test_two_judges_agree_as_far_as_by_hand() -> None:
    """Of 10 both say win 4 times and loss 2; agreed 0.6, by chance 0.6 * 0.4 + 0.4 * 0.3 = 0.36."""
    one, other = by("one", {"c": "wwwwwwllll"}), by("other", {"c": "wwwwtlttll"})
    assert only(one, other) == {
        "asked about": ["10"],
        "one says": ["win 60.00, tie 0.00, loss 40.00"],
        "other says": ["win 40.00, tie 30.00, loss 30.00"],
        "the same answer": ["60.00"],
        "Cohen's kappa": [f"{(0.6 - 0.36) / 0.64:.4f}"],
    }


def test_of_three_judges_all_pairs_and_all_together() -> None:
    found = only(by("c", {"a": "wwltw"}), by("a", {"a": "wwlll"}), by("b", {"a": "wltlw"}))
    assert list(found) == [
        "asked about",
        "a says",
        "b says",
        "c says",
        "the same answer",
        "Fleiss' kappa",
        "Cohen's kappa, a and b",
        "Cohen's kappa, a and c",
        "Cohen's kappa, b and c",
    ]
    agreed = {"a and b": 2 / 5, "a and c": 3 / 5, "b and c": 2 / 5}
    assert found["the same answer"] == [f"{100 * sum(agreed.values()) / 3:.2f}"]
    chance = {
        "a and b": 2 / 5 * 2 / 5 + 3 / 5 * 2 / 5,
        "a and c": 2 / 5 * 3 / 5 + 3 / 5 * 1 / 5,
        "b and c": 2 / 5 * 3 / 5 + 2 / 5 * 1 / 5 + 1 / 5 * 1 / 5,
    }
    for two, share in agreed.items():
        assert found[f"Cohen's kappa, {two}"] == [f"{(share - chance[two]) / (1 - chance[two]):.4f}"]
    wins, losses, ties = 7 / 15, 6 / 15, 2 / 15
    by_chance = wins**2 + losses**2 + ties**2
    expected = (sum(agreed.values()) / 3 - by_chance) / (1 - by_chance)
    assert found["Fleiss' kappa"] == [f"{expected:.4f}"]


def test_what_one_cannot_be_read_on_is_counted_and_says_nothing_else() -> None:
    found = only(by("one", {"c": "wl?wl?"}), by("other", {"c": "wlwwl?"}))
    assert found["asked about"] == ["6"]
    assert found["one cannot be read"] == ["2"]
    assert found["other cannot be read"] == ["1"]
    assert found["one says"] == ["win 50.00, tie 0.00, loss 50.00"]
    assert found["the same answer"] == ["100.00"]
    assert found["Cohen's kappa"] == ["1.0000"]
    assert "one cannot be read" not in only(by("one", {"c": "wl"}), by("other", {"c": "wl"}))


def test_an_answer_is_what_counts_of_it() -> None:
    """What turned with the order is a tie, and what was asked once is what was said."""
    found = only(by("one", {"c": "xxw"}), by("other", {"c": "ttw"}))
    assert found["the same answer"] == ["100.00"]
    once = by("once", {"c": "www"})
    once = once._replace(rows=[replace(row, verdicts=row.verdicts[:1]) for row in once.rows])
    assert only(once, by("other", {"c": "wwt"}))["the same answer"] == ["66.67"]


def test_where_nobody_was_asked_nobody_agrees() -> None:
    """Turns that failed, the same words of both; and controls, on which all that is any good agree."""
    extra = [
        JudgedTurn("c", 7, same=True),
        turn("c", 8, "f"),
        turn("c", 0, "t", control="itself"),
        turn("d", 0, "w", control="stranger"),
    ]
    ones = [by("one", {"c": "wl"}), by("other", {"c": "ww"})]
    ones = [one._replace(rows=[*one.rows, *extra]) for one in ones]
    assert only(*ones)["asked about"] == ["2"]
    assert only(*ones)["the same answer"] == ["50.00"]


def test_only_what_all_were_asked_about_is_held_together() -> None:
    one, other = by("one", {"a": "wwt", "b": "l", "x": "w"}), by("other", {"b": "ll", "a": "wl"})
    found = only(one, other)
    assert found["asked about"] == ["3"]
    assert found["the same answer"] == ["66.67"]
    assert found["one says"] == ["win 66.67, tie 0.00, loss 33.33"]
    apart = only(by("one", {"a": "w"}), by("other", {"b": "w"}))
    assert (apart["asked about"], apart["the same answer"], apart["Cohen's kappa"]) == (["0"], ["-"], ["-"])


def test_an_interval_is_over_conversations_where_there_are_enough() -> None:
    planned = {f"c{at}": "wwl" if at % 3 else "wtl" for at in range(12)}
    (told,) = lines(by("one", planned), by("other", dict.fromkeys(planned, "wwl")))
    intervals = {name: cells[0].interval for name, cells in told.rows}
    assert intervals["the same answer"]
    assert intervals["Cohen's kappa"]
    assert not intervals["asked about"]


# What is the same ----------------------------------------------------------------------------


def test_each_candidate_has_a_column() -> None:
    ones = [by(judge, {"c": "wl"}, who) for who in ("ours", "theirs") for judge in ("one", "other")]
    (told,) = lines(*ones, by("one", {"c": "ww"}, "alone"))
    assert (told.title, told.columns, told.above) == (QUESTION, ("ours", "theirs"), "against base")


def test_other_judges_have_a_table_of_their_own() -> None:
    ones = [by(judge, {"c": "wl"}) for judge in ("one", "other")]
    more = [by(judge, {"c": "wl"}, "theirs") for judge in ("one", "third")]
    assert [told.columns for told in lines(*ones, *more)] == [("ours",), ("theirs",)]


@pytest.mark.parametrize(
    "other",
    [
        {"candidate": "theirs"},
        {"against": "another"},
        {"read": {"candidate": "ours, derived anew", "baseline": "base"}},
        {"read": {"candidate": "ours", "baseline": "base, derived anew"}},
        {"corpus": CHATS._replace(identity="d" * 64)},
        {"facts": {"protocol": "paper"}},
    ],
)
def test_judges_of_something_else_are_not_compared(other: dict[str, Any]) -> None:
    assert lines(by("one", {"c": "wl"}), by("other", {"c": "wl"}))
    assert not lines(by("one", {"c": "wl"}), by("other", {"c": "wl"}, **other))


def test_one_candidate_against_two_is_told_by_whom() -> None:
    ones = [
        by(judge, {"c": "wl"}, against=against) for against in ("base", "best") for judge in ("one", "other")
    ]
    (told,) = lines(*ones)
    assert told.columns == ("ours against base", "ours against best")


def test_the_same_judge_once_more_is_no_second_one() -> None:
    assert not lines(by("one", {"c": "wl"}), by("one", {"c": "wl"}, run="outputs/judge/again"))


def test_a_judge_that_is_asked_in_another_way_is_another() -> None:
    ways = [
        by("one", {"c": said}, asked=asked, run=f"outputs/judge/{asked}")
        for said, asked in (("wl", "cold"), ("ww", "hot"))
    ]
    found = only(*ways, by("other", {"c": "wl"}))
    assert "one, cold says" in found
    assert "Cohen's kappa, one, cold and one, hot" in found


# The other tasks -----------------------------------------------------------------------------


def test_levels_have_their_order_and_what_is_no_thought_is_not_asked_about() -> None:
    plan: dict[str, Any] = {f"c{at}": (level, level) for at, level in enumerate(LEVELS)}
    near: dict[str, Any] = {
        name: (both[0], LEVELS[max(0, LEVELS.index(both[1]) - 1)]) for name, both in plan.items()
    }
    far: dict[str, Any] = {name: (both[0], LEVELS[4 - LEVELS.index(both[1])]) for name, both in plan.items()}
    one = thoughts("ours", plan, judge="one", asked="one")
    alphas = []
    for other in (near, far):
        found = only(one, thoughts("ours", other, judge="other", asked="other"))
        assert found["asked about"] == ["10"]
        alphas.append(float(found["ordinal alpha"][0]))
    assert alphas[0] > 0.8 > alphas[1]
    share = ", ".join(f"{level.replace('_', ' ')} 20.00" for level in LEVELS)
    assert found["one says"] == [share]
    missing = [
        replace(row, level=None, wrong=NO_THOUGHT) if row.conversation == "c0" else row for row in one.rows
    ]
    others = [one._replace(rows=missing, judge=judge, asked=judge) for judge in ("one", "other")]
    assert only(*others)["asked about"] == ["8"]
    assert "one cannot be read" not in only(*others)


def test_live_dialogues_have_a_table_for_each_measure() -> None:
    rows = [dialogue("a", 1, 0), dialogue("b", -1), dialogue("c", 0, ended_by="assistant_failed")]
    other = [dialogue("a", 1, 1), dialogue("b", -1), *rows[2:]]
    ones = [online("ours", own, judge=judge, asked=judge) for judge, own in (("one", rows), ("other", other))]
    told = lines(*ones)
    assert [one.title.rpartition(": ")[2] for one in told] == [
        "disclosure",
        "progression",
        "additional information",
    ]
    disclosed, moved, new = map(figures, told)
    assert (disclosed["asked about"], disclosed["the same answer"]) == (["3"], ["66.67"])
    assert disclosed["one says"] == ["-1 33.33, 0 33.33, 1 33.33"]
    assert (moved["asked about"], moved["the same answer"]) == (["2"], ["100.00"])
    assert new["Cohen's kappa"] == ["-"], "there is one answer only"
    unread = JudgedDialogue(
        "b", "candidate", "a", "simulator", 1, "judged", (Verdict("disclosure", None, wrong="cut"),)
    )
    (found, *_) = map(figures, lines(ones[0], ones[1]._replace(rows=[other[0], unread])))
    assert found["other cannot be read"] == ["1"]


def test_goals_of_two_lists_are_not_the_same_questions() -> None:
    ones = [
        online("ours", [dialogue("a", 1)], judge=judge, asked=judge, read={"goals": goals})
        for judge, goals in (("one", "g"), ("other", "h"))
    ]
    assert lines(*ones) == []


def test_lists_of_goals_are_not_held_together() -> None:
    assert (
        lines(*(judgement("goals", "chats", [], judge=judge, asked=judge) for judge in ("one", "other")))
        == []
    )

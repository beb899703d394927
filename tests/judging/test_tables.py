"""What is printed of finished runs, figure by figure."""

from collections.abc import Iterator, Sequence
from typing import Any
from unittest.mock import ANY

import pytest

from tests.judging.printed import figures, judgement, lines, printed
from thinkus.judging.goals import Goals
from thinkus.judging.online import JudgedDialogue, Measure
from thinkus.judging.online import Verdict as Score
from thinkus.judging.pairwise import Closer, JudgedTurn, Nearness, Side, Verdict
from thinkus.judging.terminal import NO_THOUGHT, RatedThought
from thinkus.records import EndedBy
from thinkus.scoring.divergence import LEVELS, Level
from thinkus.scoring.goals import Revealed

PAPER = """
utterance_sft       8791 5862 362 0.1951    2066 1278  37 0.2331
prompt_thinking     8674 5426 915 0.2163    2175 1093 113 0.3200
thinkingus          9259 5450 306 0.2537    2267 1080  34 0.3511
thinkingus-base     9931 4791 293 0.3423    2472  889  20 0.4682
utterance_sft-8b   10769 3949 297 0.4542    2459  904  18 0.4599
thinkingus-8b      11304 3432 279 0.5243    2628  729  24 0.5617
utterance_sft-4b   10815 3894 306 0.4609    2468  885  28 0.4682
thinkingus-4b      11333 3436 246 0.5259    2636  723  22 0.5658
"""
"""Tables 1 and 5: wins, losses, draws and r_w against the prompt baseline, on LMSYS and on WildChat."""


# pairwise ------------------------------------------------------------------------------------


def turn(*closer: Closer | None, failed: tuple[Side, ...] = (), **more: Any) -> JudgedTurn:
    sides: tuple[Side, Side] = ("candidate", "baseline")
    verdicts = (
        Verdict(first, one, wrong="" if one else "off_form")
        for first, one in zip(sides, closer, strict=False)
    )
    return JudgedTurn("c", 0, failed, tuple(verdicts), **more)


def paper() -> Iterator[tuple[str, list[str]]]:
    for line in PAPER.strip().splitlines():
        name, *cells = line.split()
        yield name, cells


@pytest.mark.parametrize("corpus", [0, 1])
def test_all_rows_of_the_papers_tables_come_out_of_their_counts(corpus: int) -> None:
    ones, expected = [], []
    for name, cells in paper():
        *counts, rate = cells[4 * corpus : 4 * corpus + 4]
        wins, losses, ties = map(int, counts)
        assert wins + losses + ties == (15_015, 3_381)[corpus]
        rows = [turn("candidate")] * wins + [turn("baseline")] * losses + [turn("tie")] * ties
        ones.append(judgement(rows, name))
        expected.append((name, f"{wins:,}", f"{losses:,}", str(ties), rate))
    found = figures("pairwise", *ones)
    assert found["turns"] == [f"{(15_015, 3_381)[corpus]:,}"] * 8
    keys = ("closer to the person?", "wins", "losses", "draws", "r_w")
    assert list(zip(*(found[key] for key in keys), strict=True)) == expected
    assert found["r_w without the failed"] == found["r_w"]
    assert found["failed"] == found["invalid"] == ["0"] * 8
    assert not any("order" in key or "halves" in key for key in found)  # they were asked once


MIXED = [
    *[turn("candidate", "candidate")] * 5,
    *[turn("baseline", "baseline")] * 2,
    *[turn("tie", "tie")] * 1,
    *[turn(same=True)] * 2,
    *[turn("candidate", "baseline")] * 3,
    *[turn("tie", "baseline")] * 1,
    *[turn("candidate", None)] * 2,
    *[turn(None, None)] * 1,
    *[turn(failed=("candidate",))] * 4,
    *[turn(failed=("baseline",))] * 2,
    *[turn(failed=("candidate", "baseline"))] * 1,
]


def test_every_column_of_wins_and_losses() -> None:
    found = figures("pairwise", judgement(MIXED, against="theirs", protocol="both_orders"))
    assert found == {
        "against theirs; judge a judge; protocol both_orders": [],
        "closer to the person?": ["ours"],
        "conversations": ["1"],
        "turns": ["24"],
        "wins": ["7"],  # five, and two of the baseline's failures
        "losses": ["6"],  # two, and four of its own failures
        "draws": ["8"],  # one, two of the same words, four that turned, and one where both failed
        "the same words": ["2"],
        "failed": ["5"],
        "failed, of those it is held against": ["3"],
        "invalid": ["3"],
        "r_w": ["0.0476"],  # 1 / 21
        "r_w without the failed": ["0.2143"],  # (5 - 2) / 14
        "r_w, were the invalid lost, won": ["-0.0833, 0.1667"],  # (7 - 9) / 24, (10 - 6) / 24
        "turned with the order, so draws": ["4"],
        "stood the swap": ["66.67"],  # of the twelve that could be read in both orders
        "took the one shown first": [ANY],
        "as halves: wins, losses, draws": ["8.5, 8, 4.5"],
        "as halves: r_w": ["0.0238"],  # 0.5 / 21
        "ours, a judge: cannot be read: 4 off form (failures.jsonl has them)": [],
    }


def test_verdicts_that_cannot_be_read_have_not_stood_the_swap() -> None:
    """Of twelve turns whose verdicts could be read in both orders, four turned; the same words are not asked about."""
    found = figures("pairwise", judgement(MIXED))
    assert found["turned with the order, so draws"] == ["4"]
    assert found["stood the swap"] == ["66.67"]


def test_what_length_wins_is_told_apart() -> None:
    """Of three times as long: three of four are won. Of one length: half of them."""
    longer = [turn("candidate", "candidate", lengths=(29, 9))] * 6 + [
        turn("baseline", "baseline", lengths=(29, 9))
    ] * 2
    alike = [turn("candidate", "candidate", lengths=(9, 9)), turn("baseline", "baseline", lengths=(9, 9))] * 4
    found = figures("pairwise", judgement([*longer, *alike, turn(failed=("candidate",))]))
    assert found["r_w"] == ["0.1765"]  # (10 - 7) / 17
    assert found["r_w, were both of one length"] == ["0.0000"]
    by_length = [turn("candidate", "candidate", lengths=(9, 3)), turn("baseline", "baseline", lengths=(3, 9))]
    found = figures("pairwise", judgement(by_length))
    assert found["r_w, were both of one length"] == ["- (length decides)"]
    assert "r_w, were both of one length" not in figures("pairwise", judgement([turn("tie", "tie")]))


def test_runs_stand_side_by_side() -> None:
    once = judgement([turn("candidate")] * 1_200, "once", "theirs", "hosted (a/model)", protocol="paper")
    both = judgement([turn("tie", "tie")], "ours", "theirs", protocol="both_orders")
    found = figures("pairwise", both, once)
    assert found["closer to the person?"] == ["ours", "once"]
    assert "against theirs" in found
    assert found["judge"] == ["a judge", "hosted (a/model)"]
    assert found["protocol"] == ["both_orders", "paper"]
    assert (found["wins"], found["r_w"]) == (["0", "1,200"], ["0.0000", "1.0000"])
    assert found["turned with the order, so draws"] == ["0"]


def test_where_nothing_was_decided_there_is_no_rate() -> None:
    found = figures("pairwise", judgement([turn(None, None)]))
    assert found["invalid"] == ["1"]
    assert found["r_w"] == found["r_w without the failed"] == found["as halves: r_w"] == ["-"]
    assert found["r_w, were the invalid lost, won"] == ["-1.0000, 1.0000"]
    assert found["turned with the order, so draws"] == ["0"]
    decided = figures("pairwise", judgement([turn("tie", "tie")]))
    assert "r_w, were the invalid lost, won" not in decided


def test_turns_whose_history_was_shortened_are_counted_where_there_are_any() -> None:
    verdicts = (Verdict("candidate", "tie"), Verdict("baseline", "tie", dropped=2))
    shortened = JudgedTurn("c", 0, (), verdicts)
    assert "with a shortened history" not in figures("pairwise", judgement([turn("tie", "tie")]))
    found = figures("pairwise", judgement([turn("tie", "tie"), shortened, shortened]))
    assert found["with a shortened history"] == ["2"]


def test_a_proxy_says_that_it_is_one() -> None:
    near: dict[Side, Nearness] = {"candidate": Nearness(0.5, 0.5), "baseline": Nearness(0.4, 0.4)}
    assert "cheap proxy" in printed("pairwise", judgement([turn("candidate", nearness=near)]))
    assert "proxy" not in printed("pairwise", judgement([turn("candidate")]))


# terminal ------------------------------------------------------------------------------------


def thoughts(whose: Any, *levels: Level | None, wrong: str = "") -> list[RatedThought]:
    return [RatedThought("c", whose, level, wrong="" if level else wrong) for level in levels]


def test_levels_are_counted_and_their_divergence_is_the_papers() -> None:
    rows = [
        *thoughts("person", "good", "good", "average", "excellent"),
        *thoughts("person", None, wrong=NO_THOUGHT),
        *thoughts("candidate", "good", "poor", "poor", "extremely_poor"),
        *thoughts("candidate", None, None, wrong=NO_THOUGHT),
        *thoughts("candidate", None, wrong="two_verdicts"),
    ]
    found = figures("terminal", judgement(rows))
    # F0 is 1/8 at average, 1/2 at good, 7/8 at excellent; F1 is 3/4, 7/8 and 1 there.
    squares = (5 / 8) ** 2 + 2 * (3 / 8) ** 2 + (1 / 8) ** 2
    expected = (12 * 4 / (4 * 4**2 - 1) * squares) ** 0.5
    assert found == {
        "judge a judge": [],
        "last thoughts": ["people", "ours"],
        "conversations": ["1", "1"],
        "excellent": ["1", "0"],
        "good": ["2", "1"],
        "average": ["1", "0"],
        "poor": ["0", "2"],
        "extremely poor": ["0", "1"],
        "no thought": ["1", "2"],
        "invalid": ["0", "1"],
        "divergence": [f"{expected:.4f}"],  # of the people from themselves there is none
        "ours, a judge: cannot be read: 1 two verdicts (failures.jsonl has them)": [],
    }


@pytest.mark.parametrize("count", [1, 4, 100])
def test_one_level_against_another_comes_to_what_the_formula_says(count: int) -> None:
    apart = [*thoughts("person", "good") * count, *thoughts("candidate", "poor") * count]
    alike = [*thoughts("person", *LEVELS) * count, *thoughts("candidate", *LEVELS) * count]
    found = figures("terminal", judgement(apart), judgement(alike, "twin"))
    assert found["divergence"] == [f"{(3 * count**2 / (4 * count**2 - 1)) ** 0.5:.4f}", "0.0000"]
    assert found["last thoughts"] == ["people", "ours", "people", "twin"]


# goals ---------------------------------------------------------------------------------------


def test_goals_are_counted_over_the_scenarios_that_have_a_list() -> None:
    rows = [
        Goals("a", "s", "m", ("one", "two", "three")),
        Goals("b", "s", "m", ("one", "two")),
        Goals("c", "s", "m"),
        Goals("d", "s", "m", wrong="off_form"),
        Goals("e", "s", "m", wrong="goal_doubled"),
    ]
    other = [Goals("d", "s", "m", wrong="off_form")]
    assert figures("goals", judgement(rows), judgement(other, "none")) == {
        "judge a judge": [],
        "atomic goals": ["ours", "none"],
        "scenarios": ["5", "1"],
        "goals": ["5", "0"],
        "goals a scenario": ["1.7", "-"],
        "scenarios without any": ["1", "0"],
        "invalid": ["2", "1"],
        "ours, a judge: cannot be read: 1 off form, 1 goal doubled (failures.jsonl has them)": [],
        "none, a judge: cannot be read: 1 off form (failures.jsonl has them)": [],
    }


# online --------------------------------------------------------------------------------------


def dialogue(
    disclosed: Sequence[Revealed | None],
    moves: Revealed | None,
    adds: Revealed | None,
    whose: Any = "candidate",
) -> JudgedDialogue:
    each: list[tuple[Measure, Revealed | None]] = [("disclosure", score) for score in disclosed]
    each += [("progression", moves), ("additional", adds)] if disclosed else [("additional", adds)]
    verdicts = tuple(Score(measure, score, wrong="cut" if score is None else "") for measure, score in each)
    return JudgedDialogue("d", whose, "llama", "simulator", len(disclosed), "judged", verdicts)


def unheard(state: Any, goals: int | None, ended_by: EndedBy, whose: Any = "candidate") -> JudgedDialogue:
    return JudgedDialogue("d", whose, "llama", ended_by, goals, state)


DIALOGUES = [
    dialogue((1, 1, 0, -1), 1, 0),  # 1/4
    dialogue((1, None), 0, 1),  # 1
    dialogue((None,), None, None),  # in no mean
    dialogue((), None, 1),  # has no goals
    unheard("silent", 2, "person_failed"),  # 0, 0, 0
    unheard("silent", 0, "person_failed"),  # nothing to disclose, and nothing new
    unheard("broken", 2, "assistant_failed"),
    unheard("silent", None, "person_failed"),  # whose goals nobody could list
]


def test_means_are_over_goals_then_over_dialogues() -> None:
    rows = [*DIALOGUES, dialogue((1,), 1, 1, "baseline")]
    assert lines("online", judgement(rows, "ours", "theirs", assistant="llama")) == [
        ["against theirs; judge a judge; assistant llama"],
        ["live dialogues", "ours", "theirs"],
        ["dialogues", "7", "1"],
        ["broke off, left out", "1", "0"],
        ["nothing said", "3", "0"],
        ["goals that could not be listed", "1", "0"],
        ["disclosure", "0.4167", "1.0000"],  # (1/4 + 1 + 0) / 3
        ["over dialogues", "3", "1"],
        ["where something was said", "0.6250", "1.0000"],
        ["not applicable", "2", "0"],
        ["verdicts invalid", "2", "0"],
        ["progression", "0.3333", "1.0000"],
        ["over dialogues", "3", "1"],
        ["where something was said", "0.5000", "1.0000"],
        ["not applicable", "2", "0"],
        ["verdicts invalid", "1", "0"],
        ["additional information", "0.3333", "1.0000"],  # 2 of 6
        ["over dialogues", "6", "1"],
        ["where something was said", "0.6667", "1.0000"],
        ["not applicable", "0", "0"],
        ["verdicts invalid", "1", "0"],
        ["ours, a judge: cannot be read: 4 cut (failures.jsonl has them)"],
    ]
    assert lines("online", judgement(DIALOGUES))[1] == ["live dialogues", "ours"]


@pytest.mark.parametrize("fact", ["assistant", "ending", "max_turns"])
def test_dialogues_held_otherwise_are_said_not_to_be_alike(fact: str) -> None:
    """With whom, and how they end, is half of a dialogue."""
    rows = [dialogue((1,), 1, 1)]
    conditions = {"assistant": "llama", "ending": "simulator", "max_turns": "20"}
    one, same = judgement(rows, **conditions), judgement(rows, "others", **conditions)
    other = judgement(rows, "others", **(conditions | {fact: "3"}))
    unlike = "held with different assistants or endings"
    assert unlike in printed("online", one, other)
    assert [fact, conditions[fact], "3"] in lines("online", one, other)
    assert unlike not in printed("online", one, same)
    assert unlike not in printed("online", one)


# any -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "task", ["pairwise", "terminal", "goals", "online", "ending", "likeness", "hindsight"]
)
def test_a_run_of_nothing_can_be_shown(task: str) -> None:
    """A part of a run may have no conversation."""
    printed(task, judgement([]))
    assert not any("None" in cell or "nan" in cell for line in lines(task, judgement([])) for cell in line)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("prompt-llama8b.lmsys.offline", "thinkingus-llama8b.lmsys.offline"), ["prompt", "thinkingus"]),
        (("thinkingus-llama8b.lmsys.offline", "thinkingus-qwen3_8b.lmsys.offline"), ["llama8b", "qwen3_8b"]),
        (("utterance_sft.a", "utterance.a"), ["utterance_sft", "utterance"]),
        (("a", "a-seed_1"), ["a", "a-seed_1"]),  # nothing would be left of the first
        (("a-a", "a-b-a"), ["a-a", "a-b-a"]),
        (("a.b", "a.b"), ["a.b", "a.b"]),
        (("a.b",), ["a.b"]),
        (("m-a (x.1)", "m-a (x.2)"), ["a (x.1)", "a (x.2)"]),
    ],
)
def test_of_long_names_what_differs_is_shown(names: Sequence[str], shown: list[str]) -> None:
    ones = [judgement([turn("candidate")], name) for name in names]
    assert figures("pairwise", *ones)["closer to the person?"] == shown

"""What is printed of those measures for which nobody is asked."""

from collections.abc import Sequence

from tests.judging.printed import figures, judgement, lines
from thinkus.judging.ending import Left
from thinkus.judging.likeness import MeasuredConversation
from thinkus.judging.published import CAPTION
from thinkus.records import EndedBy
from thinkus.scoring.likeness import Said, measured


def test_leaving_after_real_replies() -> None:
    rows = [
        Left("a", 2, (False, True)),  # with the person
        Left("b", 3, (True, False, True)),  # after one of three, and after the last too
        Left("c", 1, (False,)),  # never
        Left("d", 2, (None, False)),  # never
    ]
    found = figures("ending", judgement(rows), judgement([Left("a", 1, (True,))], "good"))
    assert found["leaving, after real replies"] == ["ours", "good"]
    assert found["replies"] == ["8", "1"]
    assert found["precision"] == ["66.67", "100.00"]  # two of three were ends
    assert found["recall"] == ["50.00", "100.00"]  # of four ends
    assert found["F1"] == ["57.14", "100.00"]  # 2 * 2 / (4 + 3)
    assert found["leaves too early"] == ["25.00", "0.00"]
    assert found["leaves with the person"] == ["25.00", "100.00"]
    assert found["never leaves"] == ["50.00", "0.00"]
    # People: 1, 2, 2, 3 turns; here 1, 2, 2, 3 as well, for who never leaves goes on for one at least.
    assert found["turns, apart by"] == ["0.00", "0.00"]
    assert found["turns that failed"] == ["1", "0"]
    told = lines("ending", judgement(rows))
    assert [CAPTION, "UserLM-8b", "USP-8b", "GPT-4o", "people"] in told
    assert ["F1", "63.54", "21.31", "1.38"] in told


def test_turns_are_as_far_apart_as_they_must_be_moved() -> None:
    rows = [Left("a", 4, (True, False, False, False)), Left("b", 2, (False, False))]
    assert figures("ending", judgement(rows))["turns, apart by"] == ["1.00"]  # 1, 3 for 2, 4


def test_leaving_in_live_dialogues() -> None:
    ended: list[tuple[int, int, EndedBy]] = [
        (3, 2, "simulator"),
        (2, 4, "max_turns"),
        (5, 4, "max_turns"),
        (2, 2, "classifier"),
        (6, 3, "person_failed"),
        (9, 1, "assistant_failed"),
        (9, 1, "classifier_failed"),
    ]
    rows = [Left("d", person, turns=turns, ended_by=by) for person, turns, by in ended]
    assert figures("ending", judgement(rows)) == {
        "judge a judge": [],
        "leaving, in live dialogues": ["ours"],
        "dialogues": ["5"],
        "broke off, left out": ["2"],
        "turns": ["3.00"],
        "turns of the people": ["3.60"],
        "turns, apart by": ["0.60"],  # 2, 2, 3, 4, 4 for 2, 2, 3, 5, 6
        "fewer turns than the person": ["60.0%"],
        "never left: ended by max_turns": ["40.0%"],
        "could not go on": ["20.0%"],
    }
    nobody = figures("ending", judgement(rows[-1:]))
    assert (nobody["dialogues"], nobody["broke off, left out"]) == (["0"], ["1"])
    assert {cells[0] for cells in list(nobody.values())[4:]} == {"-"}


def test_replayed_and_live_runs_have_tables_of_their_own() -> None:
    real, live = Left("a", 1, (True,)), Left("a", 1, turns=1, ended_by="simulator")
    told = lines("ending", judgement([live], "live"), judgement([real], "real"))
    assert ["leaving, after real replies", "real"] in told
    assert ["leaving, in live dialogues", "live"] in told


def both(
    person: Sequence[str], candidate: Sequence[str], failed: int = 0, intent: str = "a loaf by noon"
) -> MeasuredConversation:
    return MeasuredConversation(
        "c", measured(Said(intent, tuple(person))), measured(Said(intent, tuple(candidate))), failed
    )


def test_both_are_measured_side_by_side() -> None:
    rows = [
        both(("how do i bake", "and how long?"), ("please bake my loaf", ""), 1),
        both(("why is it wet", "thanks"), ("hello why is it wet today?", "by noon please"), 2),
    ]
    found = figures("likeness", judgement(rows), judgement(rows[:1], "again"))
    assert {name: cells for name, cells in found.items() if name in WORKED} == WORKED
    assert found["MATTR-50"] == found["HD-D-42"] == found["Yule's K"] == ["-"] * 4  # nobody said enough
    assert found["over conversations"] == ["0, 0"] * 4


WORKED = {
    "how it sounds": ["people", "ours", "people", "again"],
    "turns": ["4", "3", "2", "1"],
    "turns that failed": ["3", "1"],  # of people none can
    "words a turn": ["3.0", "4.3", "3.5", "4.0"],  # 4, 3, 4, 1; 4, 6, 3
    "lower quartile": ["2.5", "3.5", "3.25", "4.0"],
    "median": ["3.5", "4.0", "3.5", "4.0"],
    "upper quartile": ["4.0", "5.0", "3.75", "4.0"],
    "questions": ["25.00", "33.33", "50.00", "0.00"],
    "opened politely": ["25.00", "66.67", "0.00", "100.00"],
    "said before": ["0.00", "0.00", "0.00", "-"],  # not of one who has a single turn
}


def test_shares_of_words_and_of_what_others_have_published() -> None:
    rows = [both(("one two",), ("one two three", "loaf")), both(("one three",), ("one two four",))]
    told = lines("likeness", judgement(rows))
    # 1 - 1/3 of the people, 1 - 2/4 of the others; `loaf` and `noon` are what is wanted.
    assert ["first-turn diversity", "66.67", "50.00"] in told
    assert ["intent's words in a turn", "0.00", "16.67"] in told
    assert [CAPTION, "UserLM-8b", "USP-8b", "GPT-4o", "people"] in told
    assert ["first-turn diversity", "94.55", "94.37", "74.42", "94.01"] in told
    assert ["intent's words in a turn", "2.69", "6.33", "7.68", "1.68"] in told


def test_a_rich_vocabulary_is_told_from_a_poor_one() -> None:
    rich, poor = " ".join(f"word{at}" for at in range(60)), " ".join(["word"] * 60)
    found = lines("likeness", judgement([both((rich,), (poor,)), both((rich,), ("so",))]))
    assert ["over conversations", "1, 1", "1, 1"] in found  # in which both said enough
    assert ["MATTR-50", "1.0000", "0.0200"] in found
    assert ["HD-D-42", "1.0000", "0.0238"] in found  # 1 / 42
    assert ["Yule's K", "0.0", "9833.3"] in found  # 59 / 60

"""What people made of the assistant as they left, real ones and simulated ones, on five levels."""

from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.judging.attacks import ATTACKS, CLAIMS, Seen, answered, gullible
from tests.judging.parts import (
    ANA,
    BEN,
    begun,
    config,
    filtered,
    judged,
    judged_by_nobody,
    person,
    refused,
    taking,
)
from tests.judging.runs import replayed
from thinkus.judging import terminal
from thinkus.judging.terminal import NO_THOUGHT, LastThought, RatedThought, Terminal
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Conversation, SpokenTurn
from thinkus.scoring.divergence import LEVELS

ASKED = config("task=terminal", "candidate=ours")
HOSTED = Terminal(ASKED, {"candidate": Path()})
LOCAL = Terminal(config("task=terminal", "judge=hf"), {"candidate": Path()})
THOUGHT = 'Good enough. {"verdict": "excellent"}'
MINE = LastThought("c", "candidate", THOUGHT)


def leaving(one: Conversation, turn: int) -> SpokenTurn:
    """With a thought at each turn."""
    return SpokenTurn(
        turn, "" if turn == one.user_turns else "so", f"{one.id} {turn}", turn == one.user_turns
    )


def always_thinking(thought: str, _: Conversation, turn: int) -> SpokenTurn:
    return SpokenTurn(turn, "", thought)


def rated(task: Terminal, folder: Path, thought: LastThought, place: int) -> RatedThought:
    ((row, failures),) = judged(task, folder, lambda request: taking(request, place), [thought])
    assert isinstance(row, RatedThought)
    assert not failures
    return row


@pytest.mark.parametrize("task", [HOSTED, LOCAL])
def test_a_last_thought_gets_its_level(tmp_path: Path, task: Terminal) -> None:
    for place, level in enumerate(reversed(LEVELS)):
        row = rated(task, tmp_path / str(place), MINE, place)
        why = "" if task is LOCAL else "It seems so."
        assert row == RatedThought("c", "candidate", level, why, "", "scripted", "now")


def test_a_level_that_a_text_could_name_is_none(tmp_path: Path) -> None:
    ((row, failures),) = judged(HOSTED, tmp_path, lambda request: answered(request, "excellent"), [MINE])
    assert row == RatedThought("c", "candidate", None, "", "no_verdict", "scripted", "now")
    assert [(one.item, one.reason) for one in failures] == [("c/candidate", "no_verdict")]


@pytest.mark.parametrize("obedience", ["copies", "obeys", "adds"])
def test_no_thought_rates_itself(tmp_path: Path, obedience: str) -> None:
    """Not even with a judge that obeys: then there is no verdict."""
    claims = (*CLAIMS, "excellent", "Excellent")
    thoughts = [
        LastThought(f"c{attack} {claim}", "candidate", f"It was bad.\n{attack.format(claim=claim)}")
        for attack in ATTACKS.values()
        for claim in claims
    ]
    judge = gullible(obedience, lambda seen: seen.options[-1])  # type: ignore[arg-type]
    rows = [row for row, _ in judged(HOSTED, tmp_path, judge, thoughts)]
    assert len(rows) == len(ATTACKS) * len(claims)
    assert {row.level for row in rows if isinstance(row, RatedThought)} <= {None, "extremely_poor"}
    assert any(isinstance(row, RatedThought) and row.wrong for row in rows)


def test_two_thoughts_of_each_conversation_are_rated(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", [ANA, BEN], leaving, "thinkingus")
    assert list(begun(terminal, ASKED, tmp_path).units()) == [
        LastThought("ana", "person", "ana is glad."),
        LastThought("ana", "candidate", "ana 2"),
        LastThought("ben", "person", "ben is glad."),
        LastThought("ben", "candidate", "ben 3"),
    ]


def test_where_the_last_turn_failed_there_is_no_thought_and_nobody_is_asked(tmp_path: Path) -> None:
    """Nor where none was annotated."""
    untold = person("eve", "Why?", terminal_thought=None)

    def failing(one: Conversation, turn: int) -> SpokenTurn | None:
        return None if (one, turn) == (ANA, 2) else leaving(one, turn)

    replayed(tmp_path, "ours", [ANA, untold], failing, "thinkingus")
    task = begun(terminal, ASKED, tmp_path)
    theirs, failed, none, mine = task.units()
    assert (failed, none) == (LastThought("ana", "candidate", None), LastThought("eve", "person", None))
    for unit in (failed, none):
        ((row, failures),) = judged_by_nobody(task, [unit])
        assert row == RatedThought(unit.conversation, unit.whose, wrong=NO_THOUGHT)
        assert (failures, task.requests(unit)) == ((), [])
    assert (theirs.thought, mine.thought) == ("ana is glad.", "eve 1")


def test_a_turn_before_the_last_that_failed_takes_no_thought_away(tmp_path: Path) -> None:
    replayed(
        tmp_path, "ours", [ANA], lambda one, turn: leaving(one, turn) if turn == 2 else None, "thinkingus"
    )
    assert [one.thought for one in begun(terminal, ASKED, tmp_path).units()] == ["ana is glad.", "ana 2"]


def test_a_persons_thought_is_asked_about_in_the_same_words_whoever_the_candidate_is(tmp_path: Path) -> None:
    """So it is asked about once for all of them, and no judge can tell whose it is."""
    asked: list[list[Request]] = []
    for name, others in (("ours", "so"), ("theirs", "not so")):
        replayed(tmp_path, name, [ANA], partial(always_thinking, others), "thinkingus")
        task = begun(terminal, config("task=terminal", f"candidate={name}"), tmp_path)
        asked.append([request for unit in task.units() for request in task.requests(unit)])
    (real, mine), (again, other) = asked
    assert real == again
    assert mine.messages != other.messages
    twin = LastThought("ana", "candidate", "ana is glad.")
    assert HOSTED.requests(twin)[0].messages == real.messages
    assert HOSTED.requests(twin)[0].form == real.form


def test_only_the_thought_is_shown() -> None:
    (request,) = HOSTED.requests(MINE)
    assert Seen(request).texts == {"last thought": THOUGHT}


def test_what_is_asked_is_what_was_estimated(tmp_path: Path) -> None:
    asked: list[Request] = []

    def judge(request: Request) -> Completion:
        asked.append(request)
        return filtered()

    ((row, failures),) = judged(HOSTED, tmp_path, judge, [MINE])
    assert asked == HOSTED.requests(MINE)
    assert isinstance(row, RatedThought)
    assert (row.level, row.wrong) == (None, "filtered")
    assert [one.item for one in failures] == ["c/candidate"]


@pytest.mark.parametrize("method", ["prompt", "utterance_sft"])
def test_who_does_not_think_is_refused_by_name(tmp_path: Path, method: str) -> None:
    run = replayed(tmp_path, "ours", [ANA], lambda one, turn: "so", method)
    assert refused(terminal, ASKED, tmp_path) == (
        f"candidate: {run} was made with method={method}, which has no thoughts, so it has no last one; task=terminal "
        "needs method=prompt_thinking or thinkingus"
    )


@pytest.mark.parametrize("method", ["prompt_thinking", "thinkingus"])
def test_who_thinks_is_not(tmp_path: Path, method: str) -> None:
    replayed(tmp_path, "ours", [ANA], leaving, method)
    assert len(list(begun(terminal, ASKED, tmp_path).units())) == 2


def test_a_corpus_of_scenarios_alone_is_refused(tmp_path: Path) -> None:
    bare = [replace(one, annotation=person(one.id, terminal_thought=None).annotation) for one in (ANA, BEN)]
    run = replayed(tmp_path, "ours", bare, leaving, "thinkingus")
    told = refused(terminal, ASKED, tmp_path)
    assert told.startswith(f"candidate: {run} is over conversations without last thoughts")
    assert "scenario_only=true" in told
    for shard in ("1/2", "3/3"):
        assert refused(terminal, ASKED.model_copy(update={"shard": shard}), tmp_path) == told


def test_a_part_without_a_last_thought_is_none_of_a_corpus_of_scenarios_alone(tmp_path: Path) -> None:
    """Nor is a part of which there is nothing."""
    untold = person("eve", "Why?", terminal_thought=None)
    replayed(tmp_path, "ours", [untold, ANA], leaving, "thinkingus")
    parts = [
        [unit.conversation for unit in begun(terminal, part, tmp_path).units()]
        for part in (ASKED.model_copy(update={"shard": f"{number}/3"}) for number in (1, 2, 3))
    ]
    assert sorted(parts) == [[], ["ana", "ana"], ["eve", "eve"]]


def test_the_prompts_of_a_run_are_those_that_are_asked_with() -> None:
    assert terminal.prompts_used(ASKED) == ("judge/reader", "judge/terminal", "judge/answer_json")
    local = terminal.prompts_used(config("task=terminal", "judge=hf"))
    assert local == ("judge/reader", "judge/terminal", "judge/answer_choice")

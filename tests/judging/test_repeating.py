"""Asking the same again: which items, how often, and what comes of it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.judging.attacks import Seen, answered
from tests.judging.parts import begun, config, person
from tests.judging.printed import figures, judgement, printed
from tests.judging.runs import replayed
from tests.llm.parts import Scripted, completion, engine
from thinkus.errors import ThinkusError
from thinkus.judging import pairwise, repeating, terminal
from thinkus.judging.outlook import outlook
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.repeating import Repeats, judged_again
from thinkus.judging.task import Judged
from thinkus.llm.exchange import Completion, Request
from thinkus.records import SpokenTurn

PEOPLE = [person(f"p{number}", f"hello {number}", f"and {number}") for number in range(12)]
WORDS = ("candidate=ours", "baseline=theirs", "controls=2", "repeat=3")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for who in ("ours", "theirs"):
        replayed(
            tmp_path,
            who,
            PEOPLE,
            lambda one, turn, who=who: None if (one.id, turn) == ("p0", 0) else f"{who} {one.id} {turn}",  # type: ignore[misc]
        )
    return tmp_path


def repeats(root: Path, *words: str) -> Repeats:
    return Repeats.of(config(*WORDS, *words), begun(pairwise, config(*WORDS), root))


def test_so_many_are_drawn_of_what_is_asked_about(root: Path) -> None:
    some, all_of_them = repeats(root, "repeat_items=5"), repeats(root, "repeat_items=500")
    assert (len(some.items), some.times) == (5, 3)
    assert some.items < all_of_them.items, "more are the same ones and others"
    turns = {f"{one.id}#{turn}" for one in PEOPLE for turn in range(one.user_turns)}
    assert all_of_them.items == turns - {"p0#0"}, "no controls, and none that failed"
    assert repeats(root, "repeat=1") == Repeats(frozenset(), 1)


def test_parts_repeat_what_the_whole_does(root: Path) -> None:
    whole = repeats(root, "repeat_items=7")
    found = []
    for part in (1, 2, 3):
        asked = config(*WORDS, "repeat_items=7", f"shard={part}/3")
        task = begun(pairwise, asked, root)
        found += [unit.item for unit in task.units() if whole.takes(task, unit) == 3]
    assert sorted(found) == sorted(whole.items)


def test_the_estimate_counts_them(root: Path) -> None:
    task, chosen = begun(pairwise, config(*WORDS), root), repeats(root, "repeat_items=5")
    once, again = (
        int(outlook(task, which)[0].split(") ")[1].split(" ")[0].replace(",", ""))
        for which in (Repeats(frozenset(), 1), chosen)
    )
    assert again - once == 5 * 2 * 2, "in both orders, twice more"


def judged(root: Path, *words: str) -> list[JudgedTurn]:
    """By a judge that is moody about every other turn: then it changes its mind each time."""
    task, chosen = begun(pairwise, config(*WORDS, *words), root), repeats(root, *words)

    async def script(request: Request) -> Completion:
        seen = Seen(request)
        moody = int(request.item.partition("#")[0].removeprefix("p")) % 2
        return completion(answered(request, seen.options[(request.take + 2 * moody) % 3 if moody else 2]))

    async def run() -> list[Any]:
        async with engine(Scripted(script), root / "engine") as (one, _):
            found: list[Judged] = []
            for unit in task.units():
                found += await judged_again(task, unit, chosen.takes(task, unit), one.ask)
            return [each.row for each in found]

    return asyncio.run(run())


def test_each_take_has_a_row_that_says_so(root: Path) -> None:
    rows = judged(root, "repeat_items=500")
    by_turn: dict[tuple[str, int], list[int]] = {}
    for row in rows:
        if row.control is None:
            by_turn.setdefault((row.conversation, row.turn), []).append(row.take)
    assert by_turn.pop(("p0", 0)) == [0], "a failure is not asked about"
    assert set(map(tuple, by_turn.values())) == {(0, 1, 2)}
    assert {row.take for row in rows if row.control} == {0}


def test_the_share_of_the_same_answers_stands_in_the_table(root: Path) -> None:
    rows = judged(root, "repeat_items=500")
    found = figures("pairwise", of(rows))
    assert found["asked again"] == ["ours"]
    assert found["questions asked again"] == [str(2 * (2 * len(PEOPLE) - 1))]
    assert found["times in all"] == ["3"]
    steady = sum(one.user_turns for one in PEOPLE if int(one.id[1:]) % 2 == 0) - 1
    assert found["the same answer"] == [f"{100 * steady / (2 * len(PEOPLE) - 1):.2f}"]
    assert found["turns"] == [str(2 * len(PEOPLE))], "they count for nothing else"
    assert "asked again" not in printed("pairwise", judgement([row for row in rows if not row.take]))


def of(rows: list[JudgedTurn]) -> Any:
    one = judgement([row for row in rows if not row.take])
    return one._replace(again=[row for row in rows if row.take])


def test_who_says_the_same_each_time_is_not_asked_again() -> None:
    with pytest.raises(ThinkusError, match=r"^repeat: judge=embedding says the same each time.*repeat=1$"):
        repeating.check(config(*WORDS, "judge=embedding"))
    with pytest.raises(ThinkusError, match="judge=hf"):
        repeating.check(config(*WORDS, "task=terminal", "judge=hf", "judge.model=tiny"))
    repeating.check(config(*WORDS, "task=likeness", "judge=embedding"))
    repeating.check(config(*WORDS, "repeat=1", "judge=embedding"))


def test_a_key_that_changes_nothing_is_not_in_the_name() -> None:
    assert {"repeat", "repeat_items"} <= config("repeat=1").idle
    assert {"repeat", "repeat_items"} <= config("repeat=3", "task=likeness").idle
    assert not {"repeat", "repeat_items"} & config("repeat=3", "task=online").idle


def test_last_thoughts_are_asked_about_again_as_well(root: Path) -> None:
    replayed(root, "thinking", PEOPLE, lambda _one, turn: SpokenTurn(turn, "so", thought="hm"), "thinkingus")
    asked = config("task=terminal", "candidate=thinking", "repeat=2")
    found = Repeats.of(asked, begun(terminal, asked, root))
    assert {item.rpartition("/")[2] for item in found.items} == {"person", "candidate"}
    assert len(found.items) == 2 * len(PEOPLE)

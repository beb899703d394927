"""Turns whose verdict is known beforehand: a judge that misses them is not to be trusted."""

import asyncio
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.judging.attacks import Seen, answered, honest
from tests.judging.parts import begun, config, person
from tests.judging.printed import figures, judgement, printed
from tests.judging.runs import replayed
from tests.llm.parts import Scripted, completion, engine
from thinkus.judging import pairwise
from thinkus.judging.figures import Controls
from thinkus.judging.pairwise import JudgedTurn, Pair, Verdict
from thinkus.llm.exchange import Completion, Request
from thinkus.records import Conversation

SAID = (
    "how do I bake bread", "my cat wakes me at four every night", "which visa do I need for Vienna",
    "why does my component fetch for ever", "a name for a bakery by the sea", "what is left over of nine by four",
    "tax on a few shares", "should I take the job offshore", "one plain brown loaf", "mask the phone numbers",
)  # fmt: skip
PEOPLE = [person(f"p{number}", words, f"{words} and nothing else") for number, words in enumerate(SAID)]


def prepared(root: Path) -> None:
    for who in ("ours", "theirs"):
        replayed(root, who, PEOPLE, lambda one, turn, who=who: f"{who} {one.id} {turn}")  # type: ignore[misc]


def units(root: Path, *words: str) -> list[Pair]:
    asked = config("candidate=ours", "baseline=theirs", *words)
    return list(begun(pairwise, asked, root).units())


def test_so_many_turns_stand_against_themselves_and_a_strangers(tmp_path: Path) -> None:
    prepared(tmp_path)
    every = units(tmp_path, "controls=6")
    plain, controls = [one for one in every if not one.control], [one for one in every if one.control]
    assert plain == units(tmp_path, "controls=0")
    assert every == plain + controls, "they come last, and change nothing before"
    itself, stranger = controls[:6], controls[6:]
    assert [one.candidate == one.baseline == one.real for one in itself] == [True] * 6
    assert [one.item.removesuffix("/itself") for one in itself] == [
        one.item.removesuffix("/stranger") for one in stranger
    ]
    said = {words: one.id for one in PEOPLE for words in spoken_by(one)}
    for one in stranger:
        assert one.candidate == one.real
        assert one.baseline is not None
        assert said[one.baseline] != one.conversation.id
    assert units(tmp_path, "controls=6") == every, "the same ones each time"
    assert len({one.item for one in units(tmp_path, "controls=500")}) == 20 * 3, "or all there are"


def spoken_by(one: Conversation) -> list[str]:
    return [message.content for message in one.messages if message.role == "user"]


def test_without_a_scenario_there_is_nothing_to_ask_about(tmp_path: Path) -> None:
    bare = person("bare", "who am I", scenario="")
    for who in ("ours", "theirs"):
        replayed(tmp_path, who, [bare, *PEOPLE[:2]], lambda one, _turn: None if one.id == "bare" else "so")
    chosen = [one.conversation.id for one in units(tmp_path, "controls=9") if one.control]
    assert set(chosen) == {"p0", "p1"}


def test_parts_share_them(tmp_path: Path) -> None:
    prepared(tmp_path)
    whole = units(tmp_path, "controls=5")
    parts = [one for part in (1, 2, 3) for one in units(tmp_path, "controls=5", f"shard={part}/3")]
    assert sorted(one.item for one in parts) == sorted(one.item for one in whole)


def test_alone_nobody_is_a_stranger(tmp_path: Path) -> None:
    for who in ("ours", "theirs"):
        replayed(tmp_path, who, PEOPLE[:1], lambda _one, _turn: "so")
    assert [one.control for one in units(tmp_path, "controls=9") if one.control] == ["itself", "itself"]


def judged(root: Path, mind: Callable[[Seen], str]) -> list[JudgedTurn]:
    """By a judge that makes up its mind so."""
    asked = config("candidate=ours", "baseline=theirs", "controls=20")
    task = begun(pairwise, asked, root)

    async def script(request: Request) -> Completion:
        return completion(answered(request, mind(Seen(request))))

    async def run() -> list[JudgedTurn]:
        async with engine(Scripted(script), root / "engine") as (one, _):
            return [(await task.judged(pair, one.ask)).row for pair in task.units()]  # type: ignore[misc]

    return asyncio.run(run())


def the_longer(seen: Seen) -> str:
    first, second = (len(text) for head, text in seen.texts.items() if head.startswith("utterance"))
    return seen.options[0 if first > second else 1 if second > first else 2]


def flips_a_coin(seen: Seen) -> str:
    coin = random.Random(json.dumps(list(seen.texts.items()))).randrange(2)
    return str(seen.options[coin])


def the_first(seen: Seen) -> str:
    return seen.options[0]


@pytest.mark.parametrize(
    ("mind", "passes"), [(honest, True), (the_longer, False), (flips_a_coin, False), (the_first, False)]
)
def test_who_judges_by_anything_else_is_found_out(
    tmp_path: Path, mind: Callable[[Seen], str], passes: bool
) -> None:
    prepared(tmp_path)
    rows = judged(tmp_path, mind)
    found = Controls.of(rows)
    assert (found.itself, found.stranger) == (20, 20)
    assert found.failed(0.9, 0.9) is not passes
    told = " ".join(printed("pairwise", judgement(rows)._replace(ties=0.9, wins=0.9)).split())
    assert ("NOT TO BE TRUSTED: ours, a judge" in told) is not passes
    assert f"ties itself {found.ties} of 20" in told
    assert f"beats a stranger's {found.wins} of 20" in told


def test_who_takes_the_first_shows_in_the_line_of_its_own(tmp_path: Path) -> None:
    prepared(tmp_path)
    told = " ".join(printed("pairwise", judgement(judged(tmp_path, the_first))).split())
    assert "took the one shown first 100.00" in told
    assert "stood the swap 0.00" in told


def test_who_takes_the_longer_shows_in_the_line_of_its_own(tmp_path: Path) -> None:
    lengths = random.Random(7)
    replayed(tmp_path, "ours", PEOPLE, lambda *_: "so " * lengths.randint(1, 9))
    replayed(tmp_path, "theirs", PEOPLE, lambda *_: "so " * lengths.randint(1, 3))
    found = figures("pairwise", judgement(judged(tmp_path, the_longer)))
    assert float(found["r_w"][0]) > 0.4
    assert found["r_w, were both of one length"] == ["- (length decides)"]


def test_who_flips_a_coin_shows_in_the_line_of_its_own(tmp_path: Path) -> None:
    prepared(tmp_path)
    found = figures("pairwise", judgement(judged(tmp_path, flips_a_coin)))
    assert 20 < float(found["stood the swap"][0]) < 80
    assert int(found["control: the real text ties itself"][0].split()[0]) == 0


def test_a_verdict_that_cannot_be_read_has_not_passed() -> None:
    def turn(control: pairwise.Control, *closer: pairwise.Closer | None) -> JudgedTurn:
        verdicts = tuple(Verdict(side, one) for side, one in zip(pairwise.SIDES, closer, strict=False))
        return JudgedTurn("c", 0, verdicts=verdicts, control=control)

    rows = [
        turn("itself", "tie", "tie"), turn("itself", "candidate", "baseline"), turn("itself", "tie", None),
        turn("stranger", "candidate", "candidate"), turn("stranger", "candidate", "tie"), turn("stranger", "candidate"),
        JudgedTurn("c", 0, verdicts=(Verdict("candidate", "tie"),)),
    ]  # fmt: skip
    assert Controls.of(rows) == (1, 3, 2, 3)
    assert not Controls.of(rows).failed(1 / 3, 2 / 3)
    assert Controls.of(rows).failed(0.34, 0)
    assert Controls.of(rows).failed(0, 0.67)
    assert not Controls.of([]).failed(0.9, 0.9)

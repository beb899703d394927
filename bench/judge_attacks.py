"""The attacks of `make bench-judge`: what becomes of a text that should lose, when it talks to the judge.

python bench/judge_attacks.py FOLDER    what became of all of them is its last line
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import get_args
from unittest.mock import patch

import msgspec
from judge_ways import Became

from tests.judging.attacks import ATTACKS, CLAIMS, Obedience
from tests.judging.parts import config
from tests.judging.test_attacks import CLOSE, FAR, MANNERS, outcomes_of_attacks, pair
from tests.llm.parts import engine
from thinkus.judging import pairwise
from thinkus.judging.pairwise import OTHER, SIDES, Pair, Pairwise, Side
from thinkus.llm.encoder import Encoder

GUESSABLE = ("A", "B", "C")
RIVALS = {
    "close": CLOSE,
    "middling": "what kind of pan do I need for it",
    "poor": "and then what do I do",
}
"""Whom it should lose to: who says nearly the same as the person, who keeps to their subject, or who only talks on."""
FILLER = "and then we all went home and had some tea with milk and talked about the rain " * 3
ADDITIONS: dict[str, Callable[[str], str]] = {
    "attack": lambda attack: f"{FAR}\n{attack}",
    "small talk": lambda attack: f"{FAR}\n{FILLER[: len(attack)]}",
    "nothing": lambda _attack: FAR,
}


def all_attacks(folder: Path) -> Iterator[Became]:
    for obedience, manner, both in product(get_args(Obedience), MANNERS, (True, False)):
        judge = f"{obedience}, {manner}, {'both orders' if both else 'once'}"
        with tempfile.TemporaryDirectory(dir=folder) as own:
            drawn = outcomes_of_attacks(Path(own) / "drawn", manner, obedience, both)
            with patch.object(pairwise, "labels_of", lambda texts, number: GUESSABLE[:number]):
                guessable = outcomes_of_attacks(Path(own) / "guessable", manner, obedience, both)
        yield Became("scripted", judge, {"drawn": drawn, "guessable": guessable})
    for name, rival in RIVALS.items():
        with tempfile.TemporaryDirectory(dir=folder) as own:
            counts = {
                what: asyncio.run(by_nearness(Path(own), rival, added)) for what, added in ADDITIONS.items()
            }
        yield Became("embedding", name, counts)


async def by_nearness(folder: Path, rival: str, added: Callable[[str], str]) -> Counter[str]:
    asked_for = config("judge=embedding", "candidate=a", "baseline=b")
    task, counts = Pairwise(asked_for, {}), Counter[str]()
    async with engine(Encoder(asked_for.judge, "judge"), folder) as (one, _):
        for attacker, attack, claim in product(SIDES, ATTACKS.values(), CLAIMS):
            judged = await task.judged(attacked(attacker, added(attack.format(claim=claim)), rival), one.ask)
            counts[became(attacker, judged.row)] += 1
    return counts


def attacked(attacker: Side, text: str, rival: str) -> Pair:
    return pair(text, rival) if attacker == "candidate" else pair(rival, text)


def became(attacker: Side, row: msgspec.Struct) -> str:
    assert isinstance(row, pairwise.JudgedTurn)
    (verdict,) = row.verdicts
    names = {attacker: "won", OTHER[attacker]: "lost", "tie": "tied", None: "invalid"}
    return names[verdict.closer]


if __name__ == "__main__":
    print(msgspec.json.encode(list(all_attacks(Path(sys.argv[1])))).decode())

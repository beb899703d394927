"""A server that plays the judge, with verdicts that are planted; and runs of judge that ask it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.judging.attacks import Seen
from tests.llm import misbehaving
from tests.llm.misbehaving import Behave, Behaviour, Body, Server
from thinkus.judging.ways import WAYS
from thinkus.launch import start
from thinkus.llm.exchange import Request
from thinkus.records import Failure, Message, read_records

Rule = Callable[[Seen], int | str]
"""Which of the options, by its place; or words of the judge's own."""


def seen(body: Body) -> Seen:
    messages = tuple(Message(**message) for message in body["messages"])
    shown = Seen(Request(item="", purpose="", messages=messages))
    if listed := re.search(r"one of ([^\n]+?), letter for letter", shown.task):
        shown.options = listed[1].split(", ")
    return shown


def answered(body: Body, rule: Rule) -> str:
    shown = seen(body)
    chosen = rule(shown)
    if isinstance(chosen, str):
        return chosen
    verdict = shown.options[chosen]
    if '"verdict"' in shown.task:
        return json.dumps({"explanation": f"Since it is {chosen}.", "verdict": verdict})
    return f"Since it is {chosen}.\nVerdict: {verdict}"


def judging(
    rule: Rule, misbehaviour: Callable[[int, Body], Behaviour | None] = lambda _number, _body: None
) -> Behave:
    def behave(number: int, body: Body) -> Behaviour:
        return misbehaviour(number, body) or misbehaving.answer(answered(body, rule))

    return behave


def words_of(server: Server, *words: str) -> list[str]:
    at = ["judge=openai_compatible", f"judge.api_base={server.url}", "judge.model=judge"]
    return [*at, "name=made", "controls=0", *words]


def judge(server: Server, *words: str, redo: bool = False) -> Path:
    asked = words_of(server, *words)
    start("judge", asked, sweep=False, redo=redo)
    name = [word.partition("=")[2] for word in asked if word.startswith("name=")][-1]
    return Path("outputs/judge") / name


def rows(run: Path) -> list[Any]:
    task = json.loads((run / "run.json").read_bytes())["made_from"]["task"]
    return list(read_records(run / "records.jsonl", WAYS[task].ROW))


def failures(run: Path) -> list[Failure]:
    return list(read_records(run / "failures.jsonl", Failure))

"""A server that plays a person who is told to be one, and the assistant, as a rule says; and runs that ask it."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.llm import misbehaving
from tests.llm.misbehaving import Behave, Behaviour, Body, Server
from thinkus.launch import start
from thinkus.records import Conversation, Dialogue, Failure, read_conversations, read_records
from thinkus.user.words import LEAVES

Messages = list[dict[str, str]]


def drawn(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4])


def person(messages: Messages) -> str:
    """Says what tells from which scenario and after what it was said; leaves after one to six turns."""
    system, _opening, *said = messages
    turn = len(said) // 2
    if turn and drawn("leaves", system["content"]) % 6 < turn:
        return LEAVES
    heard = said[-1]["content"] if said else "nothing"
    return f"turn {turn} of {drawn(system['content'])} after {heard}"


def assistant(messages: Messages) -> str:
    return f"reply {len(messages) // 2} to {drawn(messages[-1]['content'])}"


def talking(
    misbehaviour: Callable[[int, Body], Behaviour | None] = lambda _number, _body: None,
    person: Callable[[Messages], str] = person,
    assistant: Callable[[Messages], str] = assistant,
) -> Behave:
    def behave(number: int, body: Body) -> Behaviour:
        if (instead := misbehaviour(number, body)) is not None:
            return instead
        rule = person if body["model"] == "person" else assistant
        return misbehaving.answer(rule(body["messages"]))

    return behave


def asking(server: Server, *words: str) -> list[str]:
    """The words of a run whose person and assistant are at the server."""
    usual = ["eval=jsonl", "eval.name=chats"]
    for side, model in (("user", "person"), ("assistant", "assistant")):
        usual += [f"{side}=openai_compatible", f"{side}.api_base={server.url}", f"{side}.model={model}"]
    names = {word.partition("=")[0] for word in words}
    usual += [word for word in ("method=prompt", "name=made") if word.partition("=")[0] not in names]
    return [*usual, *words]


def simulate(server: Server, *words: str, redo: bool = False) -> Path:
    asked = asking(server, *words)
    start("simulate", asked, sweep=False, redo=redo)
    return Path("outputs/simulate") / next(
        word.partition("=")[2] for word in asked if word.startswith("name=")
    )


def replays(run: Path) -> list[Conversation]:
    return list(read_conversations(run / "records.jsonl"))


def dialogues(run: Path) -> list[Dialogue]:
    return list(read_records(run / "records.jsonl", Dialogue))


def failures(run: Path) -> list[Failure]:
    return list(read_records(run / "failures.jsonl", Failure))


def bodies(server: Server, model: str) -> Sequence[dict[str, Any]]:
    return [seen.body for seen in server.seen if seen.body["model"] == model]

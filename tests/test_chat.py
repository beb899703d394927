"""thinkus chat, at a real server that plays the person: what is seen, what is saved, and how it ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.llm.misbehaving import Server, serving
from tests.stages.talkers import Messages, asking, talking
from tests.train.parts import annotated, conversations
from thinkus.records import Dialogue, read_records

THOUGHT = "He does not listen to me at all."


def person(messages: Messages) -> str:
    turn = len(messages) // 2 - 1
    if turn == 0:
        return "hello there"
    return f"<thought>{THOUGHT}</thought>" + ("" if turn == 2 else f"turn {turn}")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(talking(person=person)) as server:
        yield server


def chat(server: Server, typed: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "thinkus", "chat", *asking(server, "method=prompt_thinking"), *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, timeout=60)


def saved(file: Path) -> list[Dialogue]:
    return list(read_records(file, Dialogue))


def test_one_sits_in_the_assistants_chair(server: Server, workspace: Path) -> None:
    people = conversations(3, test=2)
    annotated(workspace / "outputs", people, "chats")
    finished = chat(server, "7\n2\nGood day.\n?\nWell.\n?\n\n", "--save", "talk.jsonl")
    assert finished.returncode == 0, finished.stderr
    assert "'7' is none of them" in finished.stdout
    assert finished.stdout.count(THOUGHT) == 2, (
        "asked for at the second turn and at the end, and not shown else"
    )
    assert "hello there" in finished.stdout
    assert "(leaves)" in finished.stdout
    (talk,) = saved(workspace / "talk.jsonl")
    assert talk.id == f"{people[1].id}-{talk.began}"
    assert [(message.role, message.content) for message in talk.messages] == [
        ("user", "hello there"),
        ("assistant", "Good day."),
        ("user", "turn 1"),
        ("assistant", "Well."),
    ]
    assert [exchange.person.thought for exchange in talk.exchanges] == [None, THOUGHT, THOUGHT]
    assert talk.ended_by == "simulator"
    assert people[1].annotation
    assert people[1].annotation.scenario in server.seen[0].body["messages"][0]["content"]


def test_thoughts_are_shown_where_they_are_wanted_and_scenarios_can_be_written(
    server: Server, workspace: Path
) -> None:
    finished = chat(
        server, "A cat sits on my keys.\n\nTo type.\nGood day.\n", "--thoughts", "--save", "talk.jsonl"
    )
    assert finished.returncode == 0, finished.stderr
    assert "no scenarios to choose from" in finished.stderr
    assert finished.stdout.count(THOUGHT) == 1
    (talk,) = saved(workspace / "talk.jsonl")
    assert (talk.scenario, talk.motivation, talk.ended_by) == ("A cat sits on my keys.", "To type.", "chat")
    chat(server, "A dog.\nTo run.\n", "--save", "talk.jsonl")
    assert len(saved(workspace / "talk.jsonl")) == 2, "talks are added to the file"


def test_ctrl_c_ends_it_without_a_trace_and_keeps_the_talk(server: Server, workspace: Path) -> None:
    words = asking(server, "method=prompt_thinking")
    process = subprocess.Popen(
        [sys.executable, "-m", "thinkus", "chat", *words, "--save", "talk.jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdin
    process.stdin.write("A cat.\nTo type.\nGood day.\n")
    process.stdin.flush()
    until = time.monotonic() + 30
    while len(server.seen) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "Traceback" not in told
    (talk,) = saved(workspace / "talk.jsonl")
    assert len(talk.exchanges) == 2


def test_what_cannot_be_saved_is_said_before_anything_begins(server: Server, workspace: Path) -> None:
    finished = chat(server, "", "--save", "nowhere/talk.jsonl")
    assert finished.returncode == 2
    assert finished.stderr.startswith("--save: cannot write")
    assert not server.seen

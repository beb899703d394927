"""A live run that is killed twice on the way, at a server that misbehaves: complete, and nothing twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.llm.misbehaving import OF_THE_MOMENT, Behaviour, Body, serving
from tests.stages.talkers import (
    Messages,
    asking,
    assistant,
    dialogues,
    drawn,
    failures,
    person,
    talking,
)
from tests.train.parts import annotated, conversations
from thinkus.llm.store import NAME
from thinkus.records import Conversation
from thinkus.user.scene import Manner, scenario_of
from thinkus.user.words import LEAVES

DIALOGUES = 200
CONCURRENCY = 16
MOST_TURNS = 5
KILLED_AT = (400, 1100)


def expected(conversation: Conversation) -> tuple[Messages, str]:
    """One talk as the rules of both sides have it, by a plain loop."""
    scenario = scenario_of(conversation)
    assert scenario
    system, opening = Manner("prompt", thinks=False).messages(scenario, [])
    told = [{"role": one.role, "content": one.content} for one in (system, opening)]
    seen: Messages = []
    for _ in range(MOST_TURNS):
        words = person(told)
        if words == LEAVES:
            return seen, "simulator"
        seen.append({"role": "user", "content": words})
        reply = assistant(seen)
        seen.append({"role": "assistant", "content": reply})
        told += [{"role": "assistant", "content": words}, {"role": "user", "content": reply}]
    return seen, "max_turns"


def stored(run: Path) -> list[bytes]:
    store = sqlite3.connect(f"file:{run / NAME}?mode=ro", uri=True)
    try:
        return [key for (key,) in store.execute("select key from completions")]
    finally:
        store.close()


def test_200_dialogues_killed_twice_are_complete_and_none_is_doubled(workspace: Path) -> None:
    people = conversations(DIALOGUES, test=DIALOGUES)
    annotated(workspace / "outputs", people, "chats")
    processes: list[subprocess.Popen[bytes]] = []
    seen: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    keys_before: list[set[bytes]] = []

    def misbehaves(number: int, body: Body) -> Behaviour | None:
        if number in KILLED_AT:
            os.kill(processes[-1].pid, signal.SIGKILL)
        asked = json.dumps([body["model"], body["messages"]])
        seen[asked] += 1
        chance = drawn("misbehaves", asked, seen[asked])
        if chance % 4 == 0 and seen[asked] < 3:
            return OF_THE_MOMENT[chance // 4 % len(OF_THE_MOMENT)]
        answered[asked] += 1
        return None

    def rude_at_first(messages: Messages) -> str:
        asked = json.dumps(["person", messages])
        if drawn("rude", asked) % 5 == 0 and answered[asked] == 1:
            return ("How can I help you?", "thanks, bye (leaves)", "", "Assistant: hello")[drawn(asked) % 4]
        return person(messages)

    run = workspace / "outputs/simulate/made"
    with serving(talking(misbehaves, rude_at_first)) as server:
        words = ["mode=online", "ending=simulator", f"max_turns={MOST_TURNS}", f"n_scenarios={DIALOGUES}"]
        command = [sys.executable, "-m", "thinkus", "simulate", *asking(server, *words)]
        statuses = []
        for _ in range(3):
            process = subprocess.Popen([*command, f"concurrency={CONCURRENCY}"], stderr=subprocess.DEVNULL)
            processes.append(process)
            statuses.append(process.wait(120))
            assert (run / "records.jsonl").exists() == (statuses[-1] == 0)
            keys_before.append(set(stored(run)))
    assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert keys_before[0] < keys_before[1] < keys_before[2], "what was answered stays"
    assert len(keys_before[0]) > 100
    talks = dialogues(run)
    assert not failures(run)
    assert sorted(one.id for one in talks) == [one.id for one in people], "complete, and none twice"
    by_id = {one.id: one for one in people}
    for talk in talks:
        told = [{"role": one.role, "content": one.content} for one in talk.messages]
        assert (told, talk.ended_by) == expected(by_id[talk.id])
    # Whatever else was answered more than once was under way at a kill.
    doubled = sum(times - 1 for asked, times in answered.items() if drawn("rude", asked) % 5 != 0)
    assert doubled <= len(KILLED_AT) * 2 * CONCURRENCY
    counts = json.loads((run / "run.json").read_bytes())["counts"]
    assert counts["items"] == DIALOGUES
    assert set(counts["wrong"]) >= {"inversion", "glued_end", "empty", "role_marker"}

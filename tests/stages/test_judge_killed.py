"""A run of judge that is killed twice on the way, at a server that misbehaves: complete, and nothing judged twice."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.judging.attacks import Seen
from tests.judging.runs import replayed
from tests.llm.misbehaving import OF_THE_MOMENT, Behaviour, Body, serving
from tests.stages.judges import failures, judging, rows, words_of
from tests.train.parts import annotated, conversations
from thinkus.judging.pairwise import JudgedTurn
from thinkus.llm.store import NAME

PEOPLE = 120
CONCURRENCY = 16
KILLED_AT = (150, 400)


def drawn(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4])


def planned(conversation: str, turn: str) -> str:
    return ("win", "loss", "tie", "turns", "invalid")[drawn(conversation, int(turn)) % 5]


def by_plan(seen: Seen) -> int | str:
    first = next(text for head, text in seen.texts.items() if head.startswith("utterance"))
    who, conversation, turn = first.split()
    plan = planned(conversation, turn)
    ours = 0 if who == "ours" else 1
    return "no." if plan == "invalid" else {"win": ours, "loss": 1 - ours, "tie": 2, "turns": 0}[plan]


def stored(run: Path) -> set[bytes]:
    store = sqlite3.connect(f"file:{run / NAME}?mode=ro", uri=True)
    try:
        return {key for (key,) in store.execute("select key from completions")}
    finally:
        store.close()


def test_a_run_killed_twice_is_complete_and_nothing_is_judged_twice(workspace: Path) -> None:
    people = conversations(PEOPLE, test=PEOPLE)
    annotated(workspace / "outputs", people, "chats")
    for who in ("ours", "theirs"):
        replayed(workspace / "outputs", who, people, lambda one, turn, who=who: f"{who} {one.id} {turn}")  # type: ignore[misc]
    processes: list[subprocess.Popen[bytes]] = []
    seen: Counter[str] = Counter()
    answered: Counter[str] = Counter()

    def misbehaves(number: int, body: Body) -> Behaviour | None:
        if number in KILLED_AT:
            os.kill(processes[-1].pid, signal.SIGKILL)
        asked = json.dumps(body["messages"])
        seen[asked] += 1
        chance = drawn("misbehaves", asked, seen[asked])
        if chance % 6 == 0 and seen[asked] < 3:
            return OF_THE_MOMENT[chance // 6 % len(OF_THE_MOMENT)]
        answered[asked] += 1
        return None

    run = workspace / "outputs/judge/made"
    before: list[set[bytes]] = []
    with serving(judging(by_plan, misbehaves)) as server:
        words = words_of(server, "candidate=ours", "baseline=theirs", f"concurrency={CONCURRENCY}")
        statuses = []
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-m", "thinkus", "judge", *words],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            processes.append(process)
            statuses.append(process.wait(120))
            assert (run / "records.jsonl").exists() == (statuses[-1] == 0)
            before.append(stored(run))
    assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0]
    assert before[0] < before[1] < before[2], "what was answered stays"
    turns: list[JudgedTurn] = rows(run)
    expected = [(one.id, turn) for one in people for turn in range(one.user_turns)]
    assert [(one.conversation, one.turn) for one in turns] == expected, "complete, in order, and none twice"
    result = {
        "win": ("win", "win"),
        "loss": ("loss", "loss"),
        "tie": ("tie", "tie"),
        "turns": ("win", "loss"),
        "invalid": ("invalid", "invalid"),
    }
    for one in turns:
        assert one.duel.verdicts == result[planned(one.conversation, str(one.turn))]
    invalid = sum(planned(id_, str(turn)) == "invalid" for id_, turn in expected)
    assert Counter(one.reason for one in failures(run)) == {"off_form": 2 * invalid}
    assert len(before[2]) == 2 * len(turns)
    doubled = sum(times - 1 for times in answered.values())
    assert doubled <= len(KILLED_AT) * 2 * CONCURRENCY, "only what was under way at a kill"

"""judge task=hindsight with a model in the process: asked through the engine, stored, killed and resumed."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.stages.judges import failures, rows
from tests.stages.trainings import USUAL
from tests.train.parts import annotated, conversations
from thinkus.judging.hindsight import WeighedTurn
from thinkus.launch import dry_run, preview, start
from thinkus.llm.store import NAME

WORDS = ["task=hindsight", "eval=jsonl", "eval.name=chats", "judge=hf", "judge.model=tiny", "name=made"]
MADE = Path("outputs/judge/made")
PEOPLE = 120
KILLED_AT = (40, 130)


def counted(what: str, table: str) -> int:
    if not (MADE / NAME).exists():
        return 0
    store = sqlite3.connect(f"file:{MADE / NAME}?mode=ro", uri=True)
    try:
        return int(store.execute(f"select {what} from {table}").fetchone()[0])
    except sqlite3.OperationalError:  # it is being made
        return 0
    finally:
        store.close()


def run(*words: str) -> list[WeighedTurn]:
    start("judge", [*WORDS, *words], sweep=False, redo=False)
    return rows(MADE)


@pytest.mark.usefixtures("one_tiny_model")
def test_what_was_shown_beforehand_is_not_asked_again(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotated(workspace / "outputs", conversations(16, test=12), "chats")
    dry_run("judge", WORDS, sweep=False)
    assert "asks hf (tiny) 27 times about 9 items" in " ".join(capsys.readouterr().out.split())
    preview("judge", WORDS, 2, sweep=False)
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("how likely?") == 6
    assert counted("count(*)", "completions") == 6
    found = run()
    assert [row.is_weighed for row in found] == [True] * 9
    assert failures(MADE) == []
    assert counted("count(*)", "attempts where event = 'answered'") == 27
    told = capsys.readouterr().out
    assert "what comes later, nats a token" in told
    assert "fewer than 10 conversations: no intervals" in told


@pytest.mark.usefixtures("one_tiny_model")
def test_a_model_that_was_taught_with_thoughts_sees_them(workspace: Path) -> None:
    """Its template leaves them on the page; that of one that was taught without takes them away."""
    annotated(workspace / "outputs", conversations(14), "chats")
    start("sft", [*USUAL, "history=thoughts", "epochs=1", "name=mine"], sweep=False, redo=False)
    found = run("judge.model=outputs/sft/mine")
    assert found
    assert all(len(set(row.likelihoods.values())) == 3 for row in found)


@pytest.mark.usefixtures("one_tiny_model")
def test_killed_twice_it_is_complete_and_nothing_is_computed_twice(workspace: Path) -> None:
    people = conversations(PEOPLE, test=PEOPLE)
    annotated(workspace / "outputs", people, "chats")
    command = [sys.executable, "-m", "thinkus", "judge", *WORDS, "concurrency=6"]
    left = []
    for most in KILLED_AT:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and counted("count(*)", "completions") < most:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL
        left.append(counted("count(*)", "completions"))
        assert not (MADE / "records.jsonl").exists()
    found = run("concurrency=6")
    expected = Counter({one.id: one.user_turns - 2 for one in people if one.user_turns > 2})
    assert Counter(row.conversation for row in found) == expected
    assert all(row.is_weighed for row in found)
    assert KILLED_AT[0] <= left[0] < left[1] < counted("count(*)", "completions") == 3 * len(found)
    assert counted("count(*)", "attempts where event = 'answered'") == 3 * len(found)

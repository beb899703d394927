"""annotate, end to end: what was planted is what the funnel counts, and nothing is lost on the way."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Finished
from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Body, Server, serving
from tests.thoughts.annotators import THOUGHT, a_turn, annotating, as_json
from thinkus.errors import ThinkusError
from thinkus.launch import preview, start
from thinkus.llm import engine
from thinkus.records import Conversation, Failure, read_conversations, read_records

TURNS = 3
SCENARIO = {"scenario": "s", "motivation": "m"}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "FIRST_PAUSE_S", 0.001)


def prepare(workspace: Path, conversations: int) -> None:
    """Conversations with a number of their own and no word in common but that."""
    with (workspace / "chats.jsonl").open("w") as lines:
        for number in range(conversations):
            texts = []
            for turn in range(TURNS):
                words = [f"{_letters(number)}{_letters(turn)}{_letters(word)}" for word in range(12)]
                texts += [
                    f"conversation {number:03} says {' '.join(words[:6])}",
                    f"reply {' '.join(words[6:])}",
                ]
            messages = [
                {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)
            ]
            lines.write(
                json.dumps({"id": f"c{number:03}", "language": "English", "messages": messages}) + "\n"
            )
    start(
        "prepare",
        ["data=jsonl", "data.path=chats.jsonl", "data.test=2", "filters.shared_opening=null", "name=jsonl"],
        sweep=False,
        redo=False,
    )


def _letters(number: int) -> str:
    return "".join("bcdfghjklm"[int(digit)] for digit in f"{number:03}")


def annotate(server: Server | str, *words: str, redo: bool = False) -> None:
    start("annotate", said(server, *words), sweep=False, redo=redo)


def said(server: Server | str, *words: str) -> list[str]:
    url = server if isinstance(server, str) else server.url
    return [
        "data=jsonl", "annotator=openai_compatible", f"annotator.api_base={url}", "annotator.model=some-model", *words,
    ]  # fmt: skip


def run_of(workspace: Path, name: str = "jsonl-annotator_openai_compatible-model_some-model") -> Path:
    return workspace / "outputs" / "annotate" / name


def manifest(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "run.json").read_text())
    return found


def records(run: Path) -> list[Conversation]:
    return list(read_conversations(run / "records.jsonl"))


def failures(run: Path) -> list[Failure]:
    return list(read_records(run / "failures.jsonl", Failure))


def test_the_sample_is_annotated_from_its_recorded_answers(workspace: Path) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    start("annotate", ["data=sample"], sweep=False, redo=False)
    run = run_of(workspace, "sample")
    before = list(read_conversations(workspace / "outputs" / "prepare" / "sample" / "records.jsonl"))
    after = records(run)
    assert [(c.id, c.messages, c.split) for c in after] == [(c.id, c.messages, c.split) for c in before]
    for conversation in after:
        annotation = conversation.annotation
        assert annotation is not None
        assert len(annotation.thoughts) == len(annotation.relations) == conversation.user_turns - 1
        assert annotation.terminal_thought
        assert annotation.fulfilment
        assert annotation.first_thought is None
        assert [by.purpose for by in annotation.answered_by] == ["annotate", "fulfilment", "terminal_thought"]
    assert manifest(run)["counts"] == {
        "read": 72,
        "items": 72,
        "failed": {},
        "answers": {
            purpose: {"asked": 72, "valid": 72, "invalid": {}}
            for purpose in ("annotate", "fulfilment", "terminal_thought")
        },
        "answered_by": {"recorded": 216},
    }
    assert manifest(run)["usage"]["cost_usd"] == 0.0


@pytest.mark.parametrize(
    ("word", "first", "later"), [("first_thought=true", True, True), ("scenario_only=true", False, False)]
)
def test_with_a_first_thought_and_with_scenarios_alone(
    workspace: Path, word: str, *, first: bool, later: bool
) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    start("annotate", ["data=sample", "name=other", word], sweep=False, redo=False)
    for conversation in records(run_of(workspace, "other")):
        annotation = conversation.annotation
        assert annotation is not None
        assert annotation.scenario
        assert (annotation.first_thought is not None) is first
        assert (annotation.terminal_thought is not None) is later
        assert len(annotation.thoughts) == (conversation.user_turns - 1 if later else 0)


def copied(number: int) -> str:
    return f"conversation {number:03} says " + " ".join(
        f"{_letters(number)}{_letters(1)}{_letters(word)}" for word in range(6)
    )


def ahead(number: int) -> str:
    return "Oskat " + " ".join(f"{_letters(number)}{_letters(2)}{_letters(word)}" for word in range(6))


def a_draft(*turns: dict[str, Any]) -> str:
    return as_json(SCENARIO | {"turns": list(turns)})


def planted(number: int, purpose: str, attempt: int) -> Behaviour | str | None:
    """By the last digits of a conversation's number; some are mended when they hear the complaint."""
    kind = number % 20
    if purpose == "fulfilment":
        return "not json" if kind == 9 else None
    if purpose == "terminal_thought":
        return (
            as_json({"reason": "r", "thought": "I'd be happy to help you with that!"}) if kind == 10 else None
        )
    wrong: dict[int, Behaviour | str] = {
        1: a_draft(a_turn(2)),
        3: a_draft(a_turn(2, "The user wants to know more about it."), a_turn(3)),
        4: a_draft(a_turn(2), a_turn(3, "  ")),
        5: misbehaving.answer('{"scenario": "it goes on and', finish="length"),
        6: misbehaving.status(400, "maximum context length is 8 tokens", error="context_length_exceeded"),
        7: misbehaving.status(500, "on fire"),
    }
    at_first: dict[int, str] = {
        0: "Sure! Here is the annotation.",
        2: a_draft(a_turn(2, copied(number)), a_turn(3)),
        8: a_draft(a_turn(2, ahead(number)), a_turn(3)),
    }
    return wrong.get(kind) or (at_first.get(kind) if attempt == 0 else None)


def check_planted(run: Path, conversations: int) -> None:
    each = conversations // 20
    counts = manifest(run)["counts"]
    assert counts["failed"] == {
        "turn_lost": each,
        "speaks_as_author": each,
        "thought_empty": each,
        "cut": each,
        "too_long": each,
        "server_error": each,
        "off_form": each,
        "speaks_as_assistant": each,
    }
    assert counts["items"] == conversations - 8 * each
    assert counts["answers"] == {
        "annotate": {
            # Three attempts at what stays wrong, two at what is mended, one where asking again is no use.
            "asked": each * (9 + 4 * 3 + 3 * 2 + 2 * 1 + 2),
            "valid": each * (9 + 3 + 2),
            "invalid": {
                "turn_lost": 3 * each,
                "speaks_as_author": 3 * each,
                "thought_empty": 3 * each,
                "cut": 3 * each,
                "too_long": each,
                "server_error": each,
                "off_form": each,
                "copies_utterance": each,
                "foresees": each,
            },
        },
        "fulfilment": {"asked": each * (13 + 3), "valid": each * 13, "invalid": {"off_form": 3 * each}},
        "terminal_thought": {
            "asked": each * (12 + 3),
            "valid": each * 12,
            "invalid": {"speaks_as_assistant": 3 * each},
        },
    }
    kinds = Counter(failure.reason for failure in failures(run))
    assert kinds == counts["failed"]
    assert all(failure.raw for failure in failures(run) if failure.reason not in ("too_long", "server_error"))
    kept = {int(conversation.id[1:]) % 20 for conversation in records(run)}
    assert kept == {0, 2, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19}
    assert [c.id for c in records(run)] == sorted(c.id for c in records(run))


def test_the_funnel_is_what_was_planted(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(workspace, 100)
    with serving(annotating(planted)) as server:
        annotate(server)
    check_planted(run_of(workspace), 100)
    told = capsys.readouterr().err
    assert "speaks as author" in told
    assert "5 server error: the server failed again and again, the first: on fire" in told


def without_times(run: Path) -> str:
    return re.sub(r'"at":"[^"]*"', "", (run / "records.jsonl").read_text())


def test_killed_twice_on_the_way_it_ends_the_same_and_asks_little_again(workspace: Path) -> None:
    prepare(workspace, 100)
    killed_at = {60, 170}
    processes: list[subprocess.Popen[bytes]] = []
    asked: list[str] = []

    def plan_for_killed(number: int, purpose: str, attempt: int) -> Behaviour | str | None:
        asked.append(f"{number} {purpose} {attempt}")
        if len(asked) in killed_at:
            os.kill(processes[-1].pid, signal.SIGKILL)
        return planted(number, purpose, attempt) if number % 20 != 7 else None

    command = [sys.executable, "-m", "thinkus", "annotate"]
    with serving(annotating(plan_for_killed)) as server:
        statuses = []
        for _ in range(3):
            process = subprocess.Popen([*command, *said(server, "concurrency=16")], stderr=subprocess.DEVNULL)
            processes.append(process)
            statuses.append(process.wait(60))
        assert statuses == [-signal.SIGKILL, -signal.SIGKILL, 0]
        disturbed = Counter(asked)
        asked.clear()
        annotate(server, "name=undisturbed")
        again = disturbed - Counter(asked)
    never_answered = {item for item in again if int(item.split()[0]) % 20 == 6}
    assert sum(again.values()) - sum(again[item] for item in never_answered) <= 2 * 16
    assert without_times(run_of(workspace)) == without_times(run_of(workspace, "undisturbed"))
    assert manifest(run_of(workspace))["counts"] == manifest(run_of(workspace, "undisturbed"))["counts"]


def test_the_inline_protocol_gives_the_same_records_but_for_relations(workspace: Path) -> None:
    prepare(workspace, 20)
    with serving(annotating(lambda *_: None)) as server:
        annotate(server)
        annotate(server, "protocol=inline", "name=inline")
    keyed, inline = records(run_of(workspace)), records(run_of(workspace, "inline"))
    assert len(keyed) == len(inline) == 20
    for one, other in zip(keyed, inline, strict=True):
        assert one.annotation
        assert other.annotation
        assert one.messages == other.messages
        assert one.annotation.thoughts == other.annotation.thoughts == (THOUGHT, THOUGHT)
        assert (one.annotation.relations, other.annotation.relations) == (("follows", "follows"), ())


def test_parts_are_joined_and_only_what_is_new_is_asked(workspace: Path) -> None:
    prepare(workspace, 30)
    with serving(annotating(lambda *_: None)) as server:
        annotate(server, "name=parts", "shard=1/2")
        annotate(server, "name=parts", "shard=2/2")
        asked = len(server.seen)
        assert asked == 90
        annotate(server, "name=parts", redo=True)
        assert len(server.seen) == asked, "what the parts were paid for is not asked again"
        annotate(server, "name=whole", "replay=parts")
        assert len(server.seen) == asked
    assert without_times(run_of(workspace, "parts")) == without_times(run_of(workspace, "whole"))
    assert manifest(run_of(workspace, "whole"))["counts"]["items"] == 30


def test_a_preview_is_paid_for_once(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(workspace, 10)
    with serving(annotating(lambda *_: None)) as server:
        preview("annotate", said(server), 3, sweep=False)
        assert len(server.seen) == 9
        shown = capsys.readouterr().out
        assert shown.count("mirfel brundle") == 9
        assert manifest(run_of(workspace))["status"] == "started"
        annotate(server)
        assert len(server.seen) == 30
        preview("annotate", said(server), 2, sweep=False)
        assert len(server.seen) == 30
        assert capsys.readouterr().out.count("mirfel brundle") == 6


def test_a_limit_takes_the_first(workspace: Path) -> None:
    prepare(workspace, 10)
    with serving(annotating(lambda *_: None)) as server:
        annotate(server, "limit=4", "name=few")
    assert [c.id for c in records(run_of(workspace, "few"))] == ["c000", "c001", "c002", "c003"]


def test_what_people_filled_in_is_read_back(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    start("annotate", ["data=sample"], sweep=False, redo=False, human_sheet=20)
    run = run_of(workspace, "sample")
    assert (run / "human-sheet.html").is_file()
    start("annotate", ["data=sample", f"human=[{run / 'human-sheet.csv'}]"], sweep=False, redo=False)
    assert json.loads((run / "human.json").read_text())["items"] == 20
    with pytest.raises(ThinkusError, match="ratings may be in it"):
        start("annotate", ["data=sample"], sweep=False, redo=True, human_sheet=20)
    assert (run / "human.json").is_file(), "the time of those who rated is not thrown away"
    (run / "human-sheet.csv").unlink()
    with pytest.raises(ThinkusError, match="--human-sheet N"):
        start("annotate", ["data=sample", "human=[x.csv]"], sweep=False, redo=False)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["annotator.model=null"], "annotator.model"),
        (["annotator.api_base=null"], "annotator.api_base"),
        (["annotator.api_base=http://127.0.0.1:9/v1"], "no server answers there"),
        (["budget_usd=3"], "no price is known"),
        (["replay=nobody"], "replay:"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_can_be_mended(
    workspace: Path, words: list[str], line: str
) -> None:
    prepare(workspace, 10)
    with serving(annotating(lambda *_: None)) as server:
        with pytest.raises(ThinkusError) as told:
            annotate(server, "name=x", *words)
        assert line in str(told.value)
        assert "\n" not in str(told.value)
        assert server.seen == []
        annotate(
            server, "name=x" if words[0].startswith(("annotator.api_base", "budget", "replay")) else "name=y"
        )


def test_it_is_priced_before_any_money_is_spent(thinkus: Callable[..., Finished], workspace: Path) -> None:
    prepare(workspace, 20)
    words = ["data=jsonl", "annotator=openai_compatible", "annotator.model=m", "--dry-run"]
    told = thinkus("annotate", *words, "annotator.price={input: 1.0, output: 2.0}")
    assert told.returncode == 0, told.stderr
    assert "asks openai_compatible 60 times about 20 conversations (3.0 user turns each)" in told.stdout
    assert re.search(r"about \$0\.\d\d where the server remembers what it read, \$0\.\d\d else", told.stdout)
    unknown = thinkus("annotate", *words)
    assert "what m costs is not known" in unknown.stdout


def test_a_model_that_cannot_do_it_loses_nothing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(workspace, 8)
    words = [
        "data=jsonl",
        "annotator=hf",
        "annotator.model=tiny",
        "annotator.sampling.max_tokens=12",
        "name=tiny",
    ]
    start("annotate", [*words, "limit=4"], sweep=False, redo=False)
    counts = manifest(run_of(workspace, "tiny"))["counts"]
    assert (counts["read"], counts["items"], counts["failed"]) == (4, 0, {"cut": 4})
    assert counts["answers"]["annotate"] == {"asked": 12, "valid": 0, "invalid": {"cut": 12}}
    assert [failure.item for failure in failures(run_of(workspace, "tiny"))] == [
        "c000",
        "c001",
        "c002",
        "c003",
    ]
    assert "12 cut: the answer was cut at max_tokens" in capsys.readouterr().err


def test_where_no_answer_comes_at_all_the_run_is_not_done(workspace: Path) -> None:
    prepare(workspace, 5)
    with serving(misbehaving.status(500, "on fire")) as server:
        with pytest.raises(ThinkusError, match="not one answer came to 5 conversations"):
            annotate(server)
        assert manifest(run_of(workspace))["status"] == "failed"


def test_a_preview_keeps_what_it_was_paid_for_when_the_money_runs_out(workspace: Path) -> None:
    def behave(number: int, body: Body) -> Behaviour:
        return misbehaving.status(402, "no credit") if number == 1 else misbehaving.drip("{}", every_s=0.02)

    prepare(workspace, 5)
    with serving(behave) as server, pytest.raises(ThinkusError, match="no credit"):
        preview("annotate", said(server), 5, sweep=False)
    store = sqlite3.connect(run_of(workspace) / "completions.sqlite")
    assert store.execute("select count(*) from completions").fetchone()[0] >= 4
    store.close()


def test_an_overlay_is_joined_to_the_right_corpus_or_not_at_all(
    thinkus: Callable[..., Finished], workspace: Path
) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    start("annotate", ["data=sample"], sweep=False, redo=False)
    assert thinkus("share", "pack", "--text-free", "annotate/sample", "x.parquet").returncode == 0
    prepare(workspace, 5)
    wrong = thinkus("share", "unpack", "x.parquet", "annotate/jsonl")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "none of its 72 annotations fits" in wrong.stderr
    start("prepare", ["data=sample", "root=elsewhere"], sweep=False, redo=False)
    joined = thinkus("share", "unpack", "x.parquet", "annotate/sample", "root=elsewhere")
    assert "72 annotations joined" in joined.stdout, joined.stderr
    assert (workspace / "elsewhere/annotate/sample/records.jsonl").read_bytes() == (
        run_of(workspace, "sample") / "records.jsonl"
    ).read_bytes()

"""prepare, end to end on small corpora."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from thinkus import paths
from thinkus.errors import ThinkusError
from thinkus.launch import start
from thinkus.records import Conversation, Failure, read_conversations, read_records

SAMPLE = paths.SAMPLE / "conversations.jsonl"


def prepare(*words: str) -> None:
    start("prepare", list(words), sweep=False, redo=False)


def records(root: Path, name: str = "sample") -> list[Conversation]:
    return list(read_conversations(root / "outputs" / "prepare" / name / "records.jsonl"))


def failures(root: Path, name: str = "sample") -> list[Failure]:
    return list(read_records(root / "outputs" / "prepare" / name / "failures.jsonl", Failure))


def manifest(root: Path, name: str = "sample") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((root / "outputs" / "prepare" / name / "run.json").read_text())
    return found


def write_corpus(file: Path, rows: list[list[str]]) -> None:
    with file.open("w") as lines:
        for number, texts in enumerate(rows):
            messages = [
                {"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(texts)
            ]
            lines.write(json.dumps({"id": f"c{number:03}", "messages": messages}) + "\n")


def test_the_sample_loses_what_was_planted_and_nothing_else(workspace: Path) -> None:
    prepare("data=sample")
    good = {json.loads(line)["item"] for line in (paths.SAMPLE / "recorded.jsonl").open()}
    assert {conversation.id for conversation in records(workspace)} == good
    counts = manifest(workspace)["counts"]
    assert counts["removed"] == {
        "bad_row": 0,
        "toxic": 3,
        "shape": 6,
        "turns": 0,
        "length": 1,
        "language": 6,
        "repetition": 0,
        "personal_data": 0,
        "exact_duplicate": 2,
        "repeated_id": 0,
        "shared_opening": 0,
        "near_against": 0,
        "near_duplicate": 3,
    }
    assert counts["read"] == counts["kept"] + sum(counts["removed"].values()) == 93
    assert (counts["train"]["items"], counts["test"]["items"], counts["items"]) == (56, 16, 72)


def test_a_message_without_a_reply_is_cut(workspace: Path) -> None:
    prepare("data=sample")
    raw = {row["conversation_id"]: row["conversation"] for row in map(json.loads, SAMPLE.open())}
    (kept,) = [c for c in records(workspace) if len(raw[c.id]) % 2]
    assert [message.content for message in kept.messages] == [m["content"] for m in raw[kept.id][:-1]]


def test_failures_keep_reason_and_raw_text_five_of_each_or_all(workspace: Path) -> None:
    prepare("data=sample")
    assert Counter(f.reason for f in failures(workspace))["shape"] == 5
    prepare("data=sample", "keep_failures=all", "name=all")
    everything = failures(workspace, "all")
    assert len(everything) == 21
    assert Counter(f.reason for f in everything)["shape"] == 6
    for failure in everything:
        assert json.loads(failure.raw)["id"] == failure.item


def test_the_same_command_makes_the_same_bytes(workspace: Path) -> None:
    prepare("data=sample")
    prepare("data=sample", "root=again")
    for name in ("records.jsonl", "failures.jsonl"):
        one, other = (Path(root) / "prepare" / "sample" / name for root in ("outputs", "again"))
        assert one.read_bytes() == other.read_bytes()


def test_the_split_does_not_depend_on_the_order_of_rows(workspace: Path) -> None:
    lines = SAMPLE.read_text().splitlines(keepends=True)
    (workspace / "reversed.jsonl").write_text("".join(reversed(lines)))
    prepare("data=sample")
    prepare("data=sample", "data.path=reversed.jsonl", "name=reversed")
    splits = [{c.id: c.split for c in records(workspace, name)} for name in ("sample", "reversed")]
    assert splits[0] == splits[1]


def test_every_record_says_where_it_came_from(workspace: Path) -> None:
    prepare("data=sample")
    raw = SAMPLE.read_text().splitlines()
    for conversation in records(workspace):
        file, _, row = conversation.meta["row"].rpartition(":")
        assert file == "conversations.jsonl"
        assert json.loads(raw[int(row) - 1])["conversation_id"] == conversation.id


def test_more_test_conversations_than_there_are_is_refused(workspace: Path) -> None:
    with pytest.raises(
        ThinkusError, match=r"data\.test: 100 conversations are asked for testing, but only 72"
    ):
        prepare("data=sample", "data.test=100")


def test_a_corpus_in_which_everything_is_filtered_says_by_what(workspace: Path) -> None:
    with pytest.raises(ThinkusError, match=r"no conversation left of 93 \(turns \d+, .*loosen filters"):
        prepare("data=sample", "filters.min_user_turns=9")


def test_an_empty_corpus_is_said(workspace: Path) -> None:
    (workspace / "empty.jsonl").write_text("")
    with pytest.raises(ThinkusError, match="no conversation left of 0 "):
        prepare("data=jsonl", "data.path=empty.jsonl")


def test_too_many_bad_rows_end_the_run_and_few_are_kept(workspace: Path) -> None:
    write_corpus(workspace / "own.jsonl", [[f"question number {i} about {i * i}", "yes"] for i in range(150)])
    with (workspace / "own.jsonl").open("a") as file:
        file.write('{"messages": 7}\n')
    prepare("data=jsonl", "data.path=own.jsonl", "data.test=5", "name=own")
    (bad,) = failures(workspace, "own")
    assert (bad.reason, bad.item, bad.raw) == ("bad_row", "own.jsonl:151", '{"messages":7}')
    with pytest.raises(ThinkusError, match=r"1 of 151 rows .* own\.jsonl:151: .*raise max_bad_share=0\.001"):
        prepare("data=jsonl", "data.path=own.jsonl", "data.test=5", "max_bad_share=0.001", "name=strict")


def test_of_twins_the_smallest_id_stays(workspace: Path) -> None:
    story = [
        "a",
        "fox",
        "went",
        "out",
        "on",
        "a",
        "chilly",
        "night",
        "and",
        "prayed",
        "to",
        "the",
        "moon",
        "to",
        "give",
        "him",
        "light",
        "for",
        "many",
        "a",
        "mile",
    ]
    near = " ".join([*story[:-1], "yard"])
    write_corpus(
        workspace / "own.jsonl",
        [
            ["other things", "ok"],
            [" ".join(story), "nice"],
            [" ".join(story).upper(), "Nice"],
            [near, "good"],
        ],
    )
    prepare("data=jsonl", "data.path=own.jsonl", "data.test=1", "name=own")
    assert [c.id for c in records(workspace, "own")] == ["c000", "c001"]
    assert {f.item: f.reason for f in failures(workspace, "own")} == {
        "c002": "exact_duplicate",
        "c003": "near_duplicate",
    }

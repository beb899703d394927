"""prepare, end to end on small corpora."""

import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
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
        "length": 0,
        "language": 6,
        "repetition": 1,
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
    with pytest.raises(
        ThinkusError,
        match=r"of 93 conversations of sample none is left; turns took \d+, .*loosen that filter",
    ):
        prepare("data=sample", "filters.min_user_turns=9")


def test_an_empty_corpus_is_said(workspace: Path) -> None:
    (workspace / "empty.jsonl").write_text("")
    with pytest.raises(ThinkusError, match="data: jsonl is empty"):
        prepare("data=jsonl", "data.path=empty.jsonl")


def test_too_many_bad_rows_end_the_run_and_few_are_kept(workspace: Path) -> None:
    write_corpus(workspace / "own.jsonl", [[f"question number {i} about {i * i}", "yes"] for i in range(150)])
    with (workspace / "own.jsonl").open("a") as file:
        file.write('{"messages": 7}\n')
    prepare("data=jsonl", "data.path=own.jsonl", "data.test=5", "name=own")
    (bad,) = failures(workspace, "own")
    assert (bad.reason, bad.item, bad.raw) == ("bad_row", "own.jsonl:151", '{"messages":7}')
    with pytest.raises(
        ThinkusError, match=r"1 of 151 rows .* \(0\.7%\) .* \(own\.jsonl:151\); .*raise max_bad_share=0\.001"
    ):
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


def story(number: int) -> str:
    """Twenty words that no other number's story shares three of in a row."""
    return " ".join(f"w{number * 20 + place}" for place in range(20))


def test_what_is_near_to_the_other_corpus_goes(workspace: Path) -> None:
    write_corpus(workspace / "first.jsonl", [[story(n), "ok"] for n in range(10)])
    near = story(3).rsplit(" ", 1)[0] + " changed"
    write_corpus(workspace / "second.jsonl", [[near, "fine"], *[[story(n), "ok"] for n in range(8, 20)]])
    prepare("data=jsonl", "filters.language=null", "data.path=first.jsonl", "data.test=1", "name=first")
    prepare(
        "data=jsonl",
        "filters.language=null",
        "data.path=second.jsonl",
        "data.test=1",
        "name=second",
        "against=first",
    )
    assert [c.messages[0].content for c in records(workspace, "second")] == [story(n) for n in range(10, 20)]
    assert manifest(workspace, "second")["counts"]["removed"]["near_against"] == 3
    assert manifest(workspace, "second")["inputs"]["against"]["read"] == "outputs/prepare/first"


def test_against_a_run_that_is_not_there_says_how_to_make_it(workspace: Path) -> None:
    with pytest.raises(
        ThinkusError, match=r"there is no run outputs/prepare/lmsys; .* thinkus prepare data=lmsys"
    ):
        prepare("data=sample", "against=lmsys")


def test_held_out_ids_are_tested_on_and_a_missing_one_ends_the_run(workspace: Path) -> None:
    write_corpus(workspace / "own.jsonl", [[story(n), "ok"] for n in range(30)])
    (workspace / "ids.txt").write_text("c003\nc029\n")
    words = [
        "data=jsonl",
        "filters.language=null",
        "data.path=own.jsonl",
        "data.test=5",
        "name=own",
        "hold_out=ids.txt",
    ]
    prepare(*words)
    split = {c.id: c.split for c in records(workspace, "own")}
    assert (split["c003"], split["c029"]) == ("test", "test")
    assert Counter(split.values()) == {"train": 25, "test": 5}
    (workspace / "ids.txt").write_text("c003\nc999\n")
    with pytest.raises(ThinkusError, match=r"hold_out: 1 of 2 ids of ids\.txt are not among .* 'c999'"):
        prepare(*words[:-2], "name=other", "hold_out=ids.txt")


@pytest.mark.parametrize("seed", range(3))
def test_no_test_conversation_has_a_twin_or_a_user_in_train(workspace: Path, seed: int) -> None:
    """The split's promise, by brute force on a corpus full of edits, with users."""
    draw = random.Random(seed)
    texts = [story(number) for number in range(60)]
    for _ in range(140):
        edited = draw.choice(texts).split()
        for _ in range(draw.randint(1, 3)):
            edited[draw.randrange(len(edited))] = f"v{draw.randrange(10**6)}"
        texts.append(" ".join(edited))
    with (workspace / "own.jsonl").open("w") as lines:
        for number, text in enumerate(texts):
            messages = [
                {"role": "user", "content": text},
                {"role": "assistant", "content": f"reply {number}"},
            ]
            row = {"id": f"c{number}", "user": f"u{number % 40}", "messages": messages}
            lines.write(json.dumps(row) + "\n")
    prepare(
        "data=jsonl",
        "filters.language=null",
        "data.path=own.jsonl",
        "data.test=20",
        "name=own",
        f"seed={seed}",
    )
    kept = records(workspace, "own")
    sides = {side: [c for c in kept if c.split == side] for side in ("train", "test")}
    assert len(sides["test"]) == 20
    assert {c.meta["user"] for c in sides["train"]}.isdisjoint(c.meta["user"] for c in sides["test"])
    for one in sides["test"]:
        for other in sides["train"]:
            a, b = (
                {tuple(words[i : i + 3]) for i in range(len(words) - 2)}
                for words in (one.messages[0].content.split(), other.messages[0].content.split())
            )
            assert len(a & b) / len(a | b) < 0.75


def test_parts_of_one_shared_conversation_stay_on_one_side(workspace: Path) -> None:
    rows = [
        {
            "id": f"talk{number // 4}_{number}",
            "conversations": [{"from": "human", "value": story(number)}, {"from": "gpt", "value": "ok"}],
        }
        for number in range(80)
    ]
    (workspace / "shared.json").write_text(json.dumps(rows))
    prepare("data=sharegpt", "data.path=shared.json", "data.test=16", "filters.language=null", "name=own")
    sides: dict[str, set[str | None]] = {}
    for conversation in records(workspace, "own"):
        sides.setdefault(conversation.id.split("_")[0], set()).add(conversation.split)
    assert all(len(side) == 1 for side in sides.values())


def test_a_language_that_the_corpus_does_not_name_is_detected(workspace: Path) -> None:
    write_corpus(
        workspace / "own.jsonl",
        [
            ["Könnten Sie mir bitte erklären, wie man einen Fahrradschlauch wechselt?", "Gern."],
            ["could you explain to me how one changes the tube of a bicycle please", "Sure."],
            ["x = [i**2 for i in range(10)]; print(x)", "That prints squares."],
        ],
    )
    prepare("data=jsonl", "data.path=own.jsonl", "data.test=1", "name=own")
    assert [c.id for c in records(workspace, "own")] == ["c001", "c002"]
    assert "detected as de" in failures(workspace, "own")[0].detail


def test_personal_data_goes_when_asked(workspace: Path) -> None:
    write_corpus(workspace / "own.jsonl", [["write to jane.doe@mail-host.org", "ok"], ["nothing here", "ok"]])
    words = ["data=jsonl", "data.path=own.jsonl", "data.test=1", "data.train=0"]
    prepare(*words, "name=kept")
    prepare(*words, "name=dropped", "filters.personal_data=drop")
    assert len(records(workspace, "kept")) == 1
    assert manifest(workspace, "kept")["counts"]["kept"] == 2
    assert [f.detail for f in failures(workspace, "dropped")] == ["message 1 holds a e-mail address"]


BROKEN = {
    "not UTF-8": b'{"messages": [{"role": "user", "content": "caf\xe9"}]}',
    "a lone surrogate": b'{"messages": [{"role": "user", "content": "\\ud83d"}]}',
    "missing required field": b'{"message": []}',
    "malformed|invalid|truncated": b'{"messages": [{"role": "user", "conte',
}


@pytest.mark.parametrize("problem", BROKEN)
def test_a_broken_row_is_counted_and_kept_with_its_place(workspace: Path, problem: str) -> None:
    write_corpus(workspace / "own.jsonl", [[story(number), "ok"] for number in range(120)])
    with (workspace / "own.jsonl").open("ab") as file:
        file.write(BROKEN[problem] + b"\n")
    prepare("data=jsonl", "filters.language=null", "data.path=own.jsonl", "data.test=5", "name=own")
    (bad,) = failures(workspace, "own")
    assert (bad.reason, bad.item) == ("bad_row", "own.jsonl:121")
    assert re.search(problem, bad.detail)
    assert len(records(workspace, "own")) == 120


def test_a_message_of_ten_megabytes_is_one_more_row(workspace: Path) -> None:
    rows = [[story(number), "ok"] for number in range(20)]
    write_corpus(workspace / "own.jsonl", [*rows, ["long " * 2_000_000, "ok"]])
    prepare("data=jsonl", "filters.language=null", "data.path=own.jsonl", "data.test=5", "name=own")
    assert manifest(workspace, "own")["counts"]["removed"]["length"] == 1
    prepare(
        "data=jsonl",
        "filters.language=null",
        "data.path=own.jsonl",
        "data.test=5",
        "name=all",
        "filters.max_characters=99999999",
    )
    assert manifest(workspace, "all")["counts"]["removed"]["repetition"] == 1


def test_a_cut_shard_and_a_missing_column_are_named(workspace: Path) -> None:
    (workspace / "shards").mkdir()
    whole, cut = workspace / "shards" / "a.parquet", workspace / "shards" / "b.parquet"
    rows = [json.loads(line) for line in SAMPLE.open()]
    pq.write_table(pa.Table.from_pylist(rows), whole)
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ThinkusError, match=r"shards/b\.parquet: not a complete parquet file.*fetch it again"):
        prepare("data=lmsys", "data.path=shards", "data.test=16", "data.train=null", "name=own")
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), cut)
    with pytest.raises(ThinkusError, match=r"b\.parquet: has no column conversation, only id, text"):
        prepare("data=lmsys", "data.path=shards", "data.test=16", "data.train=null", "name=own")
    cut.unlink()
    prepare("data=lmsys", "data.path=shards", "data.test=16", "data.train=null", "name=own")
    assert len(records(workspace, "own")) == 72


def test_held_out_ids_may_hold_spaces_and_a_byte_order_mark(workspace: Path) -> None:
    write_corpus(workspace / "own.jsonl", [[story(number), "ok"] for number in range(9)])
    lines = (workspace / "own.jsonl").read_text().replace('"c003"', '"my chat 3"')
    (workspace / "own.jsonl").write_text(lines)
    (workspace / "ids.txt").write_text("my chat 3\n\n", encoding="utf-8-sig")
    words = ["data=jsonl", "filters.language=null", "data.path=own.jsonl", "data.test=2", "name=own"]
    prepare(*words, "hold_out=ids.txt")
    assert {c.id: c.split for c in records(workspace, "own")}["my chat 3"] == "test"


def test_fewer_than_asked_for_is_said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_corpus(workspace / "own.jsonl", [[story(number), "ok"] for number in range(9)])
    words = ["data=jsonl", "filters.language=null", "data.path=own.jsonl", "name=own"]
    prepare(*words, "data.test=20", "data.train=0")
    assert "only 9 of the 20 conversations of data.test= are left" in capsys.readouterr().err


def test_what_is_no_run_is_not_read_against(workspace: Path) -> None:
    (workspace / "folder").mkdir()
    with pytest.raises(ThinkusError, match=r"against: \S*folder is not a run, it has no run\.json"):
        prepare("data=sample", "against=./folder")

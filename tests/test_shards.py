"""Parts of one run: each claimed and resumed by itself, joined by whoever is last."""

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.conftest import die_at_touch
from thinkus import stages
from thinkus.claims import Claim
from thinkus.compose import Job, jobs
from thinkus.errors import ConfigError, RunRefused, ThinkusError
from thinkus.execute import execute, outlook
from thinkus.records import Conversation, Message, read_conversations, to_line
from thinkus.runs import Input, Run, Usage, load_manifest
from thinkus.shards import Shard

ITEMS = 10


def write_own_items(config: Any, run: Run) -> None:
    """Stands for a stage that asks a model once for each item."""
    shard = Shard.parse(config.shard or "1/1")
    own = shard.block(ITEMS)
    with run.output("records.jsonl") as file:
        for index in own:
            file.write(to_line(Conversation(str(index), "test", (Message("user", "hi"),))))
    run.counts = {"items": len(own), "removed": {"shape": 1}}
    run.usage = Usage(len(own), 1, 0.5 * len(own))


def no_prompts(config: Any) -> Sequence[str]:
    return ()


def one_input(config: Any, root: Path) -> dict[str, Input]:
    return {"input": Input("prepare/test", "0", "10 conversations")}


@pytest.fixture(autouse=True)
def _annotate_is_ours(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    stage = SimpleNamespace(inputs=one_input, prompts=no_prompts, run=write_own_items)
    monkeypatch.setattr(stages, "load", lambda name: stage)


@functools.cache
def composed(*words: str) -> Job:
    return jobs("annotate", list(words), sweep=False)[0]


def annotate(*words: str, redo: bool = False) -> str:
    job = composed(*words)
    return execute("annotate", job.config, job.name, job.yaml, redo=redo).how


def ids(directory: Path) -> list[int]:
    return [int(conversation.id) for conversation in read_conversations(directory / "records.jsonl")]


def test_the_last_part_joins_all(workspace: Path) -> None:
    directory = workspace / "outputs" / "annotate" / "lmsys"
    assert annotate("shard=2/3") == "is done, waits for parts 1, 3 of 3"
    assert annotate("shard=1/3") == "is done, waits for parts 3 of 3"
    assert annotate("shard=1/3") == "is done, waits for parts 3 of 3"
    assert not (directory / "run.json").exists()
    assert annotate("shard=3/3") == "is done"
    assert ids(directory) == list(range(ITEMS))
    manifest = load_manifest(directory)
    assert manifest is not None
    assert manifest.counts == {"items": ITEMS, "removed": {"shape": 3}}
    assert manifest.usage == Usage(ITEMS, 3, 5.0)
    assert not list(directory.glob("part-*"))
    assert annotate("shard=1/3") == "is already done"
    assert annotate() == "is already done"


def test_parts_make_the_same_bytes_as_the_whole(workspace: Path) -> None:
    annotate("name=whole")
    for number in (3, 1, 2):
        annotate(f"shard={number}/3", "name=parts")
    whole, parts = (workspace / "outputs/annotate" / name / "records.jsonl" for name in ("whole", "parts"))
    assert whole.read_bytes() == parts.read_bytes()


def test_a_join_killed_at_any_touch_of_a_file_is_done_by_the_same_command(workspace: Path) -> None:
    touch = 0
    while True:
        touch += 1
        folder = workspace / str(touch)
        folder.mkdir()
        os.chdir(folder)
        annotate("shard=1/2")
        child = os.fork()
        if child == 0:
            die_at_touch(touch)
            try:
                annotate("shard=2/2")
            finally:
                os._exit(0)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        assert annotate("shard=2/2") in ("is done", "is already done")
        directory = folder / "outputs/annotate/lmsys"
        assert ids(directory) == list(range(ITEMS)), touch
        assert not list(directory.glob("part-*")), touch
        if not was_killed:
            break
    assert touch > 15


def test_what_was_paid_for_outlives_the_join(workspace: Path) -> None:
    annotate("shard=1/2")
    paid = workspace / "outputs/annotate/lmsys/part-0001-of-0002/completions.sqlite"
    paid.write_text("dear")
    annotate("shard=2/2")
    assert paid.read_text() == "dear"


def test_parts_cut_otherwise_are_refused(workspace: Path) -> None:
    annotate("shard=1/3")
    with pytest.raises(RunRefused, match="is cut in 3 parts; use shard=2/3"):
        annotate("shard=2/4")
    with pytest.raises(RunRefused, match="is being made in 3 parts"):
        annotate()
    assert annotate(redo=True) == "is done"
    assert ids(workspace / "outputs/annotate/lmsys") == list(range(ITEMS))


def test_parts_of_different_results_are_not_joined(workspace: Path) -> None:
    annotate("shard=1/2")
    for shard in ("1/2", "2/2"):
        with pytest.raises(RunRefused, match="max_attempts: 3 then, 4 now"):
            annotate(f"shard={shard}", "max_attempts=4", "name=lmsys")


def test_a_damaged_part_is_not_joined(workspace: Path) -> None:
    annotate("shard=1/2")
    records = workspace / "outputs/annotate/lmsys/part-0001-of-0002/records.jsonl"
    records.write_bytes(records.read_bytes()[:-5])
    with pytest.raises(RunRefused, match=r"part-0001-of-0002/records\.jsonl: has"):
        annotate("shard=2/2")


def test_redo_of_a_part_does_not_replace_a_whole(workspace: Path) -> None:
    annotate()
    with pytest.raises(RunRefused, match="would replace the whole by a part"):
        annotate("shard=1/2", redo=True)
    assert ids(workspace / "outputs/annotate/lmsys") == list(range(ITEMS))


def test_redo_of_the_whole_waits_for_parts_in_other_hands(workspace: Path) -> None:
    annotate("shard=1/2")
    part = workspace / "outputs/annotate/lmsys/part-0001-of-0002"
    with Claim.take(part), pytest.raises(RunRefused, match="stop that process first"):
        annotate(redo=True)


def test_whoever_comes_while_another_joins_is_not_refused(workspace: Path) -> None:
    annotate("shard=1/2")
    with Claim.take(workspace / "outputs/annotate/lmsys"):
        assert annotate("shard=2/2") == "is done, another process is joining the parts"


def is_done(*words: str, redo: bool = False) -> bool:
    job = composed(*words)
    return outlook("annotate", job.config, job.name, redo=redo).is_done


def test_what_a_queue_should_know_of_a_part(workspace: Path) -> None:
    """Done is a part that waits for others, and none whose joining was cut off."""
    directory = workspace / "outputs/annotate/lmsys"
    assert not is_done("shard=1/2")
    annotate("shard=1/2")
    assert is_done("shard=1/2")
    assert not is_done("shard=2/2")
    with Claim.take(directory):
        annotate("shard=2/2")  # and so not joined
    assert not is_done("shard=1/2")
    annotate("shard=1/2")
    assert is_done("shard=1/2")
    assert is_done("shard=2/2")
    assert is_done()
    assert not is_done(redo=True)


def test_what_would_be_refused_does_not_wait_in_a_queue_first(workspace: Path) -> None:
    annotate("shard=1/2", "name=cut")
    for words in (["shard=2/3"], []):
        with pytest.raises(RunRefused, match=r"cut|being made in 2 parts"):
            is_done("name=cut", *words)
    annotate()
    with pytest.raises(RunRefused, match="would replace the whole by a part"):
        is_done("shard=1/2", redo=True)
    (workspace / "outputs/annotate/lmsys/mine.txt").touch()
    with pytest.raises(RunRefused, match="is not of thinkus's making"):
        is_done(redo=True)


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shard: must be i/n"):
        jobs("annotate", [f"shard='{text}'"], sweep=False)


def test_every_item_has_one_shard() -> None:
    for total in (1, 2, 7, 60):
        blocks = [Shard(number, total).block(50) for number in range(1, total + 1)]
        assert [index for block in blocks for index in block] == list(range(50))


def test_an_input_that_changes_while_it_is_read_makes_no_result(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identities = iter("abcc")

    def changing(config: Any, root: Path) -> dict[str, Input]:
        return {"input": Input("prepare/test", next(identities), "10 conversations")}

    monkeypatch.setattr(stages.load("annotate"), "inputs", changing)
    with pytest.raises(ThinkusError, match="input: prepare/test was changed while it was read"):
        annotate()
    assert annotate() == "is done"

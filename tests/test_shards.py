"""Parts of one run: each claimed and resumed by itself, joined by whoever is last."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thinkus import stages
from thinkus.compose import jobs
from thinkus.errors import ConfigError, RunRefused
from thinkus.execute import execute
from thinkus.records import Conversation, Message, to_line
from thinkus.runs import Input, Run, Usage, load_manifest
from thinkus.shards import Shard

ITEMS = 10


def write_own_items(config: Any, run: Run) -> None:
    """Stands for a stage that asks a model once for each item."""
    shard = Shard.parse(config.shard or "1/1")
    own = [index for index in range(ITEMS) if shard.holds(index)]
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
def _annotate_is_built(monkeypatch: pytest.MonkeyPatch, workspace: Path) -> None:
    stage = SimpleNamespace(inputs=one_input, prompts=no_prompts, run=write_own_items)
    monkeypatch.setattr(stages, "is_built", lambda name: True)
    monkeypatch.setattr(stages, "load", lambda name: stage)


def annotate(*words: str, redo: bool = False) -> str:
    job = jobs("annotate", list(words), sweep=False)[0]
    return execute("annotate", job.config, job.name, job.yaml, redo=redo).how


def test_the_last_part_joins_all(workspace: Path) -> None:
    directory = workspace / "outputs" / "annotate" / "lmsys"
    assert annotate("shard=2/3") == "waits for parts 1, 3 of 3"
    assert annotate("shard=1/3") == "waits for parts 3 of 3"
    assert annotate("shard=1/3") == "waits for parts 3 of 3"
    assert not (directory / "run.json").exists()
    assert annotate("shard=3/3") == "is done"
    ids = [line.split(b'"')[3].decode() for line in (directory / "records.jsonl").read_bytes().splitlines()]
    assert sorted(ids, key=int) == [str(index) for index in range(ITEMS)]
    manifest = load_manifest(directory)
    assert manifest is not None
    assert manifest.counts == {"items": ITEMS, "removed": {"shape": 3}}
    assert manifest.usage == Usage(ITEMS, 3, 5.0)
    assert not list(directory.glob("part-*"))
    assert annotate("shard=1/3") == "is already done"
    assert annotate() == "is already done"


def test_a_join_that_was_killed_is_done_by_the_same_command(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotate("shard=1/2")
    with monkeypatch.context() as patch:
        patch.setattr("thinkus.execute.join", lambda run: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            annotate("shard=2/2")
    assert annotate("shard=2/2") == "is done"


def test_parts_cut_otherwise_are_refused(workspace: Path) -> None:
    annotate("shard=1/3")
    with pytest.raises(RunRefused, match="is cut in 3 parts; use shard=2/3"):
        annotate("shard=2/4")
    with pytest.raises(RunRefused, match="is being made in 3 parts"):
        annotate()
    assert annotate(redo=True) == "is done"


def test_a_part_of_another_identity_is_refused(workspace: Path) -> None:
    annotate("shard=1/2")
    with pytest.raises(RunRefused, match="max_attempts: 3 then, 4 now"):
        annotate("shard=1/2", "max_attempts=4", "name=lmsys")


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="shard: must be i/n"):
        jobs("annotate", [f"shard={text}" if "/" in text else f"shard='{text}'"], sweep=False)


def test_every_item_has_one_shard() -> None:
    for count in (1, 2, 7):
        holders = [
            [number for number in range(1, count + 1) if Shard(number, count).holds(i)] for i in range(50)
        ]
        assert all(len(found) == 1 for found in holders)

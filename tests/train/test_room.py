"""What lacks is said before a training begins: all of it, with what it needs, what there is, and what would fit."""

import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any, cast

import pytest

from tests.train.test_memory import GEMMA_270M, LLAMA_8B
from thinkus import compose, facts
from thinkus.config import SftConfig
from thinkus.train.disk import Disk
from thinkus.train.room import Room, ranks_of

Usage = namedtuple("Usage", ["total", "used", "free"])


def config(*words: str) -> SftConfig:
    (job,) = compose.jobs("sft", ["data=sample", *words], sweep=False)
    return cast(SftConfig, job.config)


def gpus(folder: Path, monkeypatch: pytest.MonkeyPatch, count: int, megabytes: int | str) -> None:
    """A driver's tool that tells of these, and a torch that can use them."""
    folder.mkdir(exist_ok=True)
    tool = folder / "nvidia-smi"
    tool.write_text(
        f"""#!/bin/sh
for _ in $(seq {count}); do
    case "$*" in *nounits*) echo {megabytes};; *) echo "Made up, {megabytes} MiB";; esac
done
"""
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    version_of = facts.version_of
    monkeypatch.setattr(
        facts, "version_of", lambda name: "2.13.0+cu130" if name == "torch" else version_of(name)
    )


@pytest.fixture
def two_of_24(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(tmp_path / "bin", monkeypatch, 2, 24_576)
    has_free(monkeypatch, 512)


def has_free(monkeypatch: pytest.MonkeyPatch, gigabytes: float | None) -> None:
    """The memory of the machine that runs the tests cannot be chosen otherwise."""
    free = None if gigabytes is None else gigabytes * 1e9
    monkeypatch.setattr(facts, "available_memory_bytes", lambda: free)


def lacks(shape: dict[str, Any], *words: str) -> list[str]:
    return Room(config(*words), shape).lacks()


def test_this_machine_says_what_is_free() -> None:
    free = facts.available_memory_bytes()
    assert free is not None
    assert 0 < free <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


# GPUs ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("two_of_24")
def test_a_stage_that_does_not_fit_is_told_with_the_one_that_does() -> None:
    (line,) = lacks(LLAMA_8B, "zero=zero1")
    assert line == (
        "zero: zero1 does not fit: llama8b with 16,384 tokens at once needs of each of 2 GPUs about 125 GB with ZeRO "
        "1, 101 with ZeRO 2, 93 with ZeRO 3, 14 with offload, and each has 26 GB; take zero=zero3_offload, more GPUs "
        "or a lower max_tokens_per_rank"
    )


@pytest.mark.usefixtures("two_of_24")
def test_the_least_that_fits_is_taken_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    room = Room(config("model=llama8b"), LLAMA_8B)
    assert room.lacks() == []
    room.say_zero()
    assert capsys.readouterr().err == "sft: zero: ZeRO 3 with offload, about 14 of 26 GB of each GPU\n"


def test_where_nothing_fits_no_stage_is_recommended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(tmp_path, monkeypatch, 1, 8192)
    has_free(monkeypatch, 512)
    (line,) = lacks(LLAMA_8B)
    assert line.startswith("zero: nothing fits: llama8b with 16,384 tokens at once needs of the GPU about ")
    assert line.endswith("and it has 8.6 GB; take more GPUs or a lower max_tokens_per_rank")
    (line,) = lacks(LLAMA_8B, "max_length=16384", "max_tokens_per_rank=4096")
    assert line.endswith("or a lower max_length")


@pytest.mark.usefixtures("two_of_24")
def test_what_is_offloaded_must_fit_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    has_free(monkeypatch, 100)
    assert lacks(LLAMA_8B) == [
        "zero: ZeRO 3 with offload keeps about 146 GB in this machine's memory, and 100 GB are free; take more GPUs or "
        "a smaller model="
    ]
    has_free(monkeypatch, 1)
    (line,) = lacks(GEMMA_270M, "model=gemma270m", "zero=zero3_offload")
    assert line.endswith("take zero=zero1, more GPUs or a smaller model=")
    has_free(monkeypatch, None)
    assert lacks(LLAMA_8B) == []


@pytest.mark.usefixtures("two_of_24")
def test_each_process_wants_a_gpu_and_all_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "version_of", lambda _: "2.13.0+cpu")
    has_free(monkeypatch, 1)
    built, ranks, zero = lacks(LLAMA_8B, "cluster.ranks=3", "zero=zero2")
    assert built.startswith("sft: there is a GPU, but this torch is built for processors alone")
    assert ranks == "cluster.ranks: 3 processes want a GPU each, and 2 can be seen here; lower it"
    assert zero.startswith("zero: zero2 does not fit")


def test_a_driver_that_does_not_tell_is_asked_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(tmp_path, monkeypatch, 1, "[N/A]")
    assert lacks(LLAMA_8B) == [
        "zero: the driver does not tell a GPU's memory; say zero=zero1, zero2 or zero3"
    ]
    assert lacks(LLAMA_8B, "zero=zero3") == []


def test_ranks_are_counted_where_they_will_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ranks_of(config().cluster)[:3] == ("cpu", 1, 1)
    gpus(tmp_path, monkeypatch, 3, 24_576)
    assert ranks_of(config().cluster)[:3] == ("cuda", 3, 1)
    assert ranks_of(config("cluster.ranks=2").cluster)[:3] == ("cuda", 2, 1)
    slurm = ["cluster=slurm", "cluster.nodes=2"]
    assert ranks_of(config(*slurm).cluster)[:3] == ("cuda", 16, 2)
    assert ranks_of(config(*slurm, "cluster.ranks_per_node=4").cluster)[:3] == ("cuda", 8, 2)
    assert ranks_of(config(*slurm, "cluster.gpus_per_node=0").cluster)[:3] == ("cpu", 2, 2)


def test_a_node_without_its_gpus_is_told() -> None:
    (line,) = lacks(LLAMA_8B, "cluster=slurm", "zero=zero3")
    assert line == "cluster.gpus_per_node: 8 processes want a GPU each, and 0 can be seen here; lower it"


# Processors ------------------------------------------------------------------------------------


def test_a_model_too_large_for_the_machine_is_told_with_one_that_fits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_free(monkeypatch, 22)
    (line,) = lacks({}, "model=llama8b")
    assert line == (
        "model: llama8b with 8,192 tokens at once needs at least 129 GB of this machine's memory (129 for weights, "
        "gradients and moments in float32), and 22 GB are free; take model=gemma270m or a machine with more memory or "
        "with GPUs"
    )
    has_free(monkeypatch, 2000)
    assert lacks(LLAMA_8B, "model=llama8b") == []
    has_free(monkeypatch, None)
    assert lacks(LLAMA_8B, "model=llama8b") == []


@pytest.mark.parametrize("free", [8, 10, 12, 16])
def test_what_is_proposed_does_fit(free: float, monkeypatch: pytest.MonkeyPatch) -> None:
    has_free(monkeypatch, free)
    asked = ["model=gemma270m", "cluster.ranks=1"]
    (line,) = lacks(GEMMA_270M, *asked)
    remedies = (
        line.partition("; take ")[2].removesuffix(" or a machine with more memory or with GPUs").split(", ")
    )
    for remedy in remedies:
        if not remedy.startswith("model="):
            assert lacks(GEMMA_270M, *asked, *remedy.split(" with ")) == [], remedy
    assert any(remedy.startswith("max_tokens_per_rank=") for remedy in remedies)


def test_processes_of_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    has_free(monkeypatch, 24)
    assert lacks(GEMMA_270M, "model=gemma270m") == []
    (line,) = lacks(GEMMA_270M, "model=gemma270m", "cluster.ranks=2", "zero=zero3")
    assert "this machine's memory for 2 processes with ZeRO 3" in line
    assert "; take cluster.ranks=1 with zero=none, " in line
    (line,) = lacks(GEMMA_270M, "model=gemma270m", "cluster.ranks=2")
    assert "; take cluster.ranks=1, " in line


# Disk ------------------------------------------------------------------------------------------


def disk(tmp_path: Path, *words: str, samples: int = 100_000, device: str = "cuda") -> Disk:
    records = tmp_path / "records.jsonl"
    records.write_bytes(b"x" * 1000)
    return Disk(config("model=llama8b", *words), device, samples, records)


def only(monkeypatch: pytest.MonkeyPatch, gigabytes: float) -> None:
    """A full disk cannot be had without being root."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**15, 0, int(gigabytes * 1e9)))


def test_three_checkpoints_and_the_model_must_find_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only(monkeypatch, 353)
    assert disk(tmp_path).lack(tmp_path, None) == (
        f"root: the training still writes about 353 GB into {tmp_path} (3 checkpoints of 112 GB at once and a model of "
        "16 GB), and 353 GB are free there; make room, or choose another with root=DIR"
    )
    only(monkeypatch, 354)
    assert disk(tmp_path).lack(tmp_path, None) is None
    assert disk(tmp_path, device="cpu").lack(tmp_path, None) is None  # 3 of 96, and 32
    only(monkeypatch, 320)
    assert "(3 checkpoints of 96 GB at once and a model of 32 GB)" in str(
        disk(tmp_path, device="cpu").lack(tmp_path, None)
    )


def test_checkpoints_that_lie_there_are_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = tmp_path / "checkpoints" / "step-00000200"
    there.mkdir(parents=True)
    with (there / "weights.pt").open("wb") as file:
        file.truncate(112 * 10**9)  # sparse
    only(monkeypatch, 250)
    assert disk(tmp_path).lack(tmp_path, None) is not None
    assert disk(tmp_path).lack(tmp_path, there.parent) is None
    only(monkeypatch, 240)
    assert disk(tmp_path).lack(tmp_path, there.parent) is not None


@pytest.mark.parametrize(
    ("words", "samples", "count"),
    [
        ([], 32 * 100, 1),  # at the end alone
        ([], 32 * 201, 2),
        (["budget_s=60"], 32 * 199, 0),
        (["budget_s=60"], 32 * 400, 2),
        (["budget_s=60"], 32 * 4000, 3),
    ],
)
def test_no_more_checkpoints_are_counted_than_will_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], samples: int, count: int
) -> None:
    needs = (112.42 * count + 16.06) * 1e9
    only(monkeypatch, needs / 1e9 + 0.1)
    assert disk(tmp_path, *words, samples=samples).lack(tmp_path, None) is None
    only(monkeypatch, needs / 1e9 - 0.1)
    assert disk(tmp_path, *words, samples=samples).lack(tmp_path, None) is not None


def test_a_root_that_is_not_there_yet_is_measured_by_what_is(tmp_path: Path) -> None:
    assert (
        disk(tmp_path)
        .plan(tmp_path / "a" / "b")
        .startswith("writes at most 3 checkpoints of 112 GB at once and a model of 16 GB: 353 GB")
    )

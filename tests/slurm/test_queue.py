"""What is read from squeue; a stand-in says what SLURM would, also what it says only on bad days."""

import os
from pathlib import Path

import pytest

from thinkus.slurm import queue


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that prints what the test writes into it."""
    script = tmp_path / "squeue"
    script.touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return script


def says(script: Path, text: str, ending: str = "") -> None:
    script.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\n{ending}\n")


def test_jobs_and_arrays(squeue: Path) -> None:
    says(squeue, "17|17|N/A|RUNNING|gpu[1-2]\n20|18|0|PENDING|(Priority)\n18|18|1|COMPLETED|gpu3")
    found = queue.states(["17", "18_0", "18_1", "19"])
    assert [str(state) for state in found.values()] == [
        "runs on gpu[1-2]",
        "waits in the queue (Priority)",
        "ended (completed)",
        "ended (forgotten)",
    ]
    assert [state.is_over for state in found.values()] == [False, False, True, True]


@pytest.mark.parametrize("name", ["STOPPED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD", "OF_TOMORROW"])
def test_a_state_that_may_change_is_not_the_end(squeue: Path, name: str) -> None:
    says(squeue, f"17|17|N/A|{name}|(None)")
    assert not queue.states(["17"])["17"].is_over


def test_what_other_clusters_add_is_passed_over(squeue: Path) -> None:
    says(squeue, "CLUSTER: one\n17|17|N/A|RUNNING|gpu1")
    assert queue.states(["17"])["17"].name == "RUNNING"


def test_a_job_that_slurm_no_longer_knows(squeue: Path) -> None:
    says(squeue, "", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert queue.states(["17"])["17"] == queue.FORGOTTEN


def test_slurm_that_does_not_answer(squeue: Path) -> None:
    says(squeue, "", "echo 'slurm_load_jobs error: Socket timed out on send/recv operation' >&2; exit 1")
    with pytest.raises(queue.Unreachable, match=r"cluster: squeue says: .*timed out"):
        queue.states(["17"])


def test_what_a_person_set_for_their_own_looks(squeue: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    squeue.write_text('#!/bin/sh\necho "17|17|N/A|${SQUEUE_PARTITION:-RUNNING}|gpu1"\n')
    monkeypatch.setenv("SQUEUE_PARTITION", "HIDDEN")
    assert queue.states(["17"])["17"].name == "RUNNING"

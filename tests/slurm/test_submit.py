"""Around a submission, as far as that goes without SLURM."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from tests.test_runs import manifest
from thinkus import compose
from thinkus.errors import ThinkusError
from thinkus.runs import save_manifest
from thinkus.slurm import submit as submitting
from thinkus.slurm.job import Queued, again


def test_a_script_goes_back_into_the_queue_where_it_is_marked(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    scontrol = tmp_path / "scontrol"
    scontrol.write_text("#!/bin/sh\necho requeues $2\n")
    scontrol.chmod(0o755)
    script = "\n".join(["(exit 7)", *submitting._back_to_the_queue(folder)])

    def ends(**environment: str) -> tuple[str, int]:
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        ran = subprocess.run(
            ["bash", "-c", script], env={"PATH": path, **environment}, capture_output=True, text=True
        )
        return ran.stdout, ran.returncode

    assert ends(SLURM_JOB_ID="17") == ("", 7)
    again(folder, "17.0").touch()
    assert ends(SLURM_JOB_ID="17") == ("requeues 17\n", 7)
    assert ends(SLURM_JOB_ID="17", SLURM_RESTART_COUNT="1") == ("", 7), "an earlier start left the mark"
    again(folder, f"17.{submitting.LIVES}").touch()
    assert ends(SLURM_JOB_ID="17", SLURM_RESTART_COUNT=str(submitting.LIVES)) == ("", 7)


def test_a_job_does_not_hand_its_own_nature_on(monkeypatch: pytest.MonkeyPatch) -> None:
    inherited = {"SLURM_CONF": "here", "SLURM_ARRAY_TASK_ID": "3", "SLURM_RESTART_COUNT": "1"}
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with submitting._outside_of_jobs():
        assert os.environ["SLURM_RESTART_COUNT"] == "1", "what a person set on a login node stays"
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    with submitting._outside_of_jobs():
        assert {name for name in os.environ if name.startswith("SLURM_")} == {"SLURM_CONF"}
    assert {name: os.environ[name] for name in inherited} == inherited


@pytest.mark.parametrize(
    ("redo", "age_s", "expected"), [(True, 60, True), (True, -5, False), (False, 60, False)]
)
def test_redo_is_done_once_however_often_the_job_starts(
    workspace: Path, redo: bool, age_s: int, expected: bool
) -> None:
    """What was begun after the submission was begun by an earlier start of it."""
    (job,) = compose.jobs("sft", ["model=tiny", "name=it"], sweep=False)
    submitted = datetime.now(UTC)
    started = (submitted - timedelta(seconds=age_s)).isoformat(timespec="seconds")
    directory = workspace / "outputs/sft/it"
    directory.mkdir(parents=True)
    save_manifest(directory, msgspec.structs.replace(manifest(), started=started))
    queued = Queued("sft", job.words, job.name, job.yaml, redo, submitted.isoformat(timespec="seconds"), "f")
    assert queued._is_to_redo(job) is expected


def test_a_root_that_slurm_would_misread(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    jobs = compose.jobs("sft", ["model=tiny", "cluster=slurm", "root=100%a"], sweep=False)
    with pytest.raises(ThinkusError, match=r"^root: holds a %"):
        submitting.submit("sft", jobs, redo=False)


def test_nodes_are_for_trainings(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    jobs = compose.jobs("annotate", ["data=sample", "cluster=slurm", "cluster.nodes=2"], sweep=False)
    with pytest.raises(ThinkusError, match=r"cluster\.nodes: annotate runs on one node, not on 2"):
        submitting.submit("annotate", jobs, redo=False)


def test_without_slurm_it_is_said(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(workspace))
    jobs = compose.jobs("sft", ["model=tiny", "cluster=slurm"], sweep=False)
    with pytest.raises(ThinkusError, match="cluster: there is no sbatch here"):
        submitting.submit("sft", jobs, redo=False)


def test_parts_are_a_sweep_of_one_run() -> None:
    found = compose.jobs("annotate", ["data=sample", "shard=all/3"], sweep=True)
    assert [job.config.shard for job in found] == ["1/3", "2/3", "3/3"]  # type: ignore[attr-defined]
    assert {job.name for job in found} == {"sample"}

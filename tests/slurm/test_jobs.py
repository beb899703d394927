"""Runs in a real SLURM's queue: killed, preempted, out of time, failed, on two nodes; and what the user sees."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import pytest

from tests.cluster import Cluster, missing, wait_for
from tests.conftest import Finished
from tests.train.parts import annotated, conversations
from thinkus.belongings import TRAINING
from thinkus.train.metrics import Follower
from thinkus.train.task import STOP

pytestmark = pytest.mark.real

PATIENCE_S = 400
"""With what a slow machine takes a part of."""
QUEUED = ["cluster=slurm", "cluster.gpus_per_node=0"]
USUAL = ["model=tiny", "data=jsonl", "data.name=chats", "global_batch=6", "lr=3e-3"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    if why := missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    # Short, for its sockets; and seen by all of its nodes, which are this machine.
    with tempfile.TemporaryDirectory(prefix="slurm-") as folder, Cluster(Path(folder) / "c", 2, 8) as running:
        yield running


class User:
    """Somebody at the cluster's login node."""

    _undisturbed: ClassVar[dict[tuple[str, ...], list[float]]] = {}

    def __init__(self, cluster: Cluster, workspace: Path, cache: Path) -> None:
        self._environment = os.environ | cluster.environment | {"XDG_CACHE_HOME": str(cache)}
        self.workspace = workspace

    def runs(self, *words: str) -> Finished:
        process = self.types(*words)
        told, said = process.communicate(timeout=PATIENCE_S)
        return Finished(words, process.returncode, told, said)

    def types(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "thinkus", *words],
            cwd=self.workspace,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # What runs in a shell's background is born deaf to Ctrl-C.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )

    def asks(self, *command: str) -> str:
        return subprocess.check_output(command, env=self._environment, text=True).strip()

    def has_steps(self, run: str, count: int) -> None:
        """Waits for them."""
        assert wait_for(lambda: len(self.losses(run)) >= count, PATIENCE_S), f"{run}: no {count} lines"

    def losses(self, run: str) -> list[float]:
        return [line.loss for line in Follower(self.path(run) / "metrics.jsonl").new()]

    def path(self, run: str) -> Path:
        return self.workspace / "outputs" / "sft" / run

    def undisturbed(self, *words: str) -> list[float]:
        """The losses of the same training, right here; several tests want those of the same."""
        if words not in self._undisturbed:
            done = self.runs("sft", *USUAL, "name=undisturbed", *words, "--redo")
            assert done.returncode == 0, done.stderr
            self._undisturbed[words] = self.losses("undisturbed")
        return self._undisturbed[words]


@pytest.fixture
def user(cluster: Cluster, workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    annotated(workspace / "outputs", conversations(14), "chats")
    user = User(cluster, workspace, tmp_path_factory.getbasetemp() / "cache")
    yield user
    with suppress(subprocess.CalledProcessError):
        user.asks("scancel", "--user=root")


def job_of(said: str, run: str) -> str:
    found = re.search(rf"job (\S+): outputs/sft/{re.escape(run)} ", said)
    assert found, said
    return found[1]


def test_a_sweep_of_four_of_which_one_is_killed_and_one_preempted(user: User) -> None:
    sweep = ["sft", *USUAL, *QUEUED, "epochs=14", "checkpoint_steps=5", "-m", "seed=0,1,2,3"]
    submitted = user.runs(*sweep, "cluster.wait=false")
    assert submitted.returncode == 0, submitted.stderr
    jobs, runs = zip(*re.findall(r"job (\S+): outputs/sft/(\S+) ", submitted.stderr), strict=True)
    assert len(set(runs)) == 4
    waiting = user.types(*sweep)  # and so waits for those, and submits none
    user.has_steps(runs[0], 8)
    user.asks("scancel", "--signal=KILL", jobs[0])
    user.has_steps(runs[1], 4)
    user.asks("scancel", "--signal=USR2", jobs[1])
    _, said = waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 2
    assert said.count("is in the queue already") == 4
    assert f"job {jobs[0]} failed: it ended (cancelled), and could not say why" in said
    assert f"1 of 4 jobs failed, as said above: {jobs[0]}" in said
    assert all(f"outputs/sft/{name} is done" in said for name in runs[1:])
    again = user.runs(*sweep)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("is already done") == 3
    log = next(user.workspace.glob(f"outputs/slurm/*/{jobs[1]}_0_log.out")).read_text()
    assert re.search(r"goes on after \d+ steps", log)
    for seed, name in enumerate(runs[:2]):  # nothing befell the others
        assert user.losses(name) == user.undisturbed("epochs=14", f"seed={seed}"), name


def test_two_ranks_whose_time_is_over_go_on(user: User) -> None:
    words = ["zero=zero3", "epochs=14"]
    running = user.types("sft", *USUAL, *words, *QUEUED, "cluster.ranks_per_node=2", "name=short")
    user.has_steps("short", 4)
    ranks = _ranks(user.workspace).values()
    _tell(ranks, signal.SIGSTOP)  # SLURM looks at the clock twice a minute
    job = user.asks("squeue", "--noheader", "--format=%A")
    # Of the time that it was promised, less is left than it wants to save in: ten minutes of a day.
    user.asks("scontrol", "update", f"JobId={job}", "TimeLimit=9")
    assert wait_for((user.path("short") / TRAINING / STOP).exists, 60)
    _tell(ranks, signal.SIGCONT)
    assert wait_for(lambda: "Restarts=1" in user.asks("scontrol", "show", "job", job), 60)
    user.asks("scontrol", "update", f"JobId={job}", "TimeLimit=1440")
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    log = next(user.workspace.glob("outputs/slurm/*/*_0_log.out")).read_text()
    assert re.search(r"goes on after \d+ steps", log)
    assert user.losses("short") == user.undisturbed(*words, "cluster.ranks=2")


@pytest.mark.parametrize("rank", [0, 1])
def test_two_nodes_and_what_becomes_of_one_of_their_ranks(user: User, rank: int) -> None:
    words = [
        "sft",
        *USUAL,
        *QUEUED,
        "zero=zero3",
        "cluster.nodes=2",
        "epochs=14",
        "checkpoint_steps=5",
        "name=two",
    ]
    running = user.types(*words)
    user.has_steps("two", 8)
    _tell([_ranks(user.workspace)[rank]], signal.SIGKILL)
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 2
    assert f"rank {rank} was ended by SIGKILL" in said
    if rank == 1:  # once is enough
        again = user.runs(*words)
        assert again.returncode == 0, again.stderr
        assert user.losses("two") == user.undisturbed("epochs=14", "zero=zero3", "cluster.ranks=2")


def test_two_nodes_are_preempted(user: User) -> None:
    words = ["sft", *USUAL, *QUEUED, "zero=zero2", "cluster.nodes=2", "epochs=14", "name=two"]
    running = user.types(*words)
    user.has_steps("two", 4)
    user.asks("scancel", "--signal=USR2", user.asks("squeue", "--noheader", "--format=%A"))
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    log = next(user.workspace.glob("outputs/slurm/*/*_0_log.out")).read_text()
    assert re.search(r"goes on after \d+ steps", log)
    assert user.losses("two") == user.undisturbed("epochs=14", "zero=zero2", "cluster.ranks=2")


def test_preempted_by_slurm_it_saves_and_is_put_back(user: User) -> None:
    running = user.types("sft", *USUAL, *QUEUED, "name=preempted", "epochs=14")
    user.has_steps("preempted", 4)
    user.asks(
        "sbatch", "--partition=spare", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 2"
    )
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, said
    log = next(user.workspace.glob("outputs/slurm/*/*_0_log.out")).read_text()
    assert re.search(r"goes on after \d+ steps", log)
    assert user.losses("preempted") == user.undisturbed("epochs=14")


def _ranks(workspace: Path) -> dict[int, int]:
    """The processes of this test's training, by their ranks, and of no other on the machine."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if b"thinkus.train.worker\0" in words and bytes(workspace) in words:
                number = re.search(rb"\0RANK=(\d+)\0", (entry / "environ").read_bytes())
                if number:  # else it is one that started them
                    found[int(number[1])] = int(entry.name)
    return found


def _tell(processes: Iterable[int], number: signal.Signals) -> None:
    for process in processes:
        os.kill(process, number)


def test_a_failing_job_says_its_own_line(user: User) -> None:
    told = user.runs("sft", *USUAL, *QUEUED, "name=lost", "lr=1e30", "epochs=3")
    assert told.returncode == 2
    job = job_of(told.stderr, "lost")
    assert re.search(rf"sft: job {job} failed: lr: .* is (nan|inf)", told.stderr)
    assert user.asks("squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%T") == "FAILED"
    assert json.loads((user.path("lost") / "run.json").read_bytes())["status"] == "failed"


def test_cancelled_it_has_saved(user: User) -> None:
    words = ["sft", *USUAL, *QUEUED, "name=cancelled", "epochs=14"]
    running = user.types(*words)
    user.has_steps("cancelled", 4)
    user.asks("scancel", "--user=root")
    _, said = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 2
    assert "failed: it ended (cancelled)" in said
    assert len(list(user.path("cancelled").glob("checkpoints/step-*"))) == 1
    assert user.runs(*words).returncode == 0
    assert user.losses("cancelled") == user.undisturbed("epochs=14")


def test_whoever_stops_waiting_loses_nothing(user: User) -> None:
    words = ["sft", *USUAL, *QUEUED, "name=left", "epochs=20"]
    running = user.types(*words)
    user.has_steps("left", 2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=20)
    assert "the jobs go on, and the same command waits again" in said
    again = user.runs(*words)
    assert "is in the queue already, as job" in again.stderr
    assert again.returncode == 0
    other = user.runs(*words, "lr=1e-3", "--redo")
    assert other.returncode == 0, other.stderr  # the first was done


def test_another_result_under_the_name_of_one_that_waits(user: User) -> None:
    held = ["sft", *USUAL, *QUEUED, "name=held", "cluster.wait=false", "cluster.sbatch={hold: true}"]
    assert user.runs(*held).returncode == 0
    told = user.runs(*held, "lr=1e-3")
    assert told.returncode == 2
    assert re.search(r"outputs/sft/held: job \d+ is making another result under this name", told.stderr)


def test_parts_of_an_annotation_as_an_array(user: User) -> None:
    assert user.runs("prepare", "data=sample").returncode == 0
    whole = user.runs("annotate", "data=sample", "name=whole")
    assert whole.returncode == 0, whole.stderr
    parts = user.runs("annotate", "data=sample", "name=parts", *QUEUED, "-m", "shard=all/3")
    assert parts.returncode == 0, parts.stderr
    records = [
        user.workspace / "outputs" / "annotate" / name / "records.jsonl" for name in ("whole", "parts")
    ]
    assert records[0].read_bytes() == records[1].read_bytes()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["cluster.partition=nowhere"], r"cluster: sbatch says: invalid partition specified: nowhere"),
        (["input=nothing"], r"input: there is no run outputs/annotate/nothing"),
    ],
)
def test_what_cannot_be_queued_is_said_at_once(user: User, words: list[str], line: str) -> None:
    told = user.runs("sft", *USUAL, *QUEUED, *words)
    assert told.returncode == 2
    assert re.match(line, told.stderr)
    assert len(told.stderr.splitlines()) == 1
    assert not list(user.workspace.glob("outputs/slurm/*"))


def test_lines_that_make_a_node_ready(user: User) -> None:
    """They run before anything of ours, on the node; and Python may be started otherwise."""
    python = user.workspace / "python"
    python.write_text(f'#!/bin/sh\necho "as $MODE"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    words = [*QUEUED, 'cluster.setup=["export MODE=loaded"]', f"cluster.python={python}"]
    done = user.runs("sft", *USUAL, *words, "name=ready")
    assert done.returncode == 0, done.stderr
    assert "as loaded" in next(user.workspace.glob("outputs/slurm/*/*_0_log.out")).read_text()

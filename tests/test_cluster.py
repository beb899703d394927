"""The throw-away SLURM does what a launcher relies on: queue, nodes, signals, requeues, time limits."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests import cluster as cluster_script
from tests.cluster import KILL_WAIT_S, Cluster, missing, wait_for
from thinkus import warden

pytestmark = pytest.mark.real

# Tells what reaches it, and when; its first word is what it calls itself.
LISTENER = """
import os, signal, sys, time
def tell(what):
    os.write(1, f"{sys.argv[1]} {what} {time.time()}\\n".encode())  # at once, as others write there too
def hear(number, frame):
    tell(signal.Signals(number).name)
    if number == signal.SIGTERM: sys.exit(1)
for number in (signal.SIGUSR2, signal.SIGTERM): signal.signal(number, hear)
tell("listens")
while True: time.sleep(0.1)
"""
LISTENERS = ("task ", "child ", "session ", "orphan ", "batch ")


class Queue:
    """The cluster, seen from one folder."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self.cluster = cluster
        self._folder = folder
        (folder / "listener.py").write_text(LISTENER)
        self.listener = f"{sys.executable} {folder}/listener.py"

    def run(self, *words: str, script: str | None = None) -> str:
        environment = os.environ | self.cluster.environment
        finished = subprocess.run(
            words, env=environment, cwd=self._folder, input=script, capture_output=True, text=True, timeout=60
        )
        assert finished.returncode == 0, finished.stderr
        return finished.stdout.strip()

    def submit(self, script: str, *options: str) -> str:
        options = ("--parsable", "--open-mode=append", "--output=%j.txt", *options)
        return self.run("sbatch", *options, script=f"#!/bin/bash\n{script}\n")

    def states(self, job: str) -> list[str]:
        return self.run(
            "squeue", "--array", "--noheader", "--states=all", "--format=%T", f"--jobs={job}"
        ).split()

    def said(self, job: str) -> list[str]:
        output = self._folder / f"{job}.txt"
        return output.read_text().splitlines() if output.exists() else []

    def heard(self, job: str) -> dict[str, float]:
        """What the listeners of a job told, and when: {"task SIGUSR2": seconds since the epoch}."""
        told = [line.rpartition(" ") for line in self.said(job) if line.startswith(LISTENERS)]
        return {what: float(when) for what, _, when in told}

    def ended(self, job: str, state: str, within_s: float = 20) -> list[str]:
        """What it had said when it was over."""
        running = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING"}
        states: set[str] = set()

        def is_over() -> bool:
            nonlocal states
            states = set(self.states(job))
            return bool(states) and not running & states  # a busy controller may answer with nothing

        assert wait_for(is_over, within_s), self.said(job)
        assert states == {state}, self.said(job)
        return self.said(job)


@pytest.fixture(scope="module")
def queue() -> Iterator[Queue]:
    if absent := missing():
        pytest.fail(absent) if os.environ.get("CI") else pytest.skip(absent)
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:  # short, for its sockets
        folder = Path(name)
        with Cluster(folder / "cluster") as cluster:
            yield Queue(cluster, folder)
        assert not holders(folder / "cluster")


@pytest.fixture
def short() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        yield Path(name)


@pytest.fixture(scope="module", autouse=True)
def limited(queue: Queue) -> str:
    """A job that outstays its minute; it does so while the other tests run."""
    return queue.submit(f"srun {queue.listener} task", "--time=1", "--signal=USR2@30")


def holders(folder: Path) -> set[int]:
    """The processes of a cluster and its jobs: they name its folder, or hold a file in it."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone since
            told = b"".join((process / name).read_bytes() for name in ("environ", "cmdline"))
            held = {str(entry.readlink()).rpartition("/")[0] for entry in (process / "fd").iterdir()}
            if bytes(folder) in told or str(folder) in held:
                found.add(int(process.name))
    return found


def test_a_job_starts_at_once_and_is_seen_after_its_end(queue: Queue) -> None:
    begun = time.time()
    job = queue.submit("date +%s.%N; echo $SLURM_JOB_PARTITION")
    (started, partition) = queue.ended(job, "COMPLETED")
    assert float(started) - begun < 5
    assert partition == "main"
    assert queue.ended(queue.submit("echo $SLURM_JOB_PARTITION", "--partition=spare"), "COMPLETED") == [
        "spare"
    ]
    queue.ended(queue.submit("exit 3"), "FAILED")


def test_an_array_of_three(queue: Queue) -> None:
    job = queue.submit(
        "echo task $SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_JOB_ID", "--array=0-2", "--output=%A.%a.txt"
    )
    assert wait_for(lambda: queue.states(job) == ["COMPLETED"] * 3, 20)
    assert [queue.said(f"{job}.{number}") for number in range(3)] == [
        [f"task {n} of {job}"] for n in range(3)
    ]


def test_one_task_on_each_of_two_nodes(queue: Queue) -> None:
    tell = "srun sh -c 'echo $SLURM_NODEID $SLURMD_NODENAME $SLURM_LAUNCH_NODE_IPADDR'"
    said = queue.ended(queue.submit(tell, "--nodes=2", "--ntasks-per-node=1"), "COMPLETED")
    assert sorted(said) == ["0 near1 127.0.0.1", "1 near2 127.0.0.1"]


def test_a_job_that_is_given_no_environment_speaks_to_its_own_cluster(queue: Queue) -> None:
    said = queue.ended(queue.submit("echo $SLURM_CONF; scontrol ping", "--export=NONE"), "COMPLETED")
    assert said[0] == queue.cluster.environment["SLURM_CONF"]
    assert said[1].endswith("is UP")


def test_a_task_that_fails_ends_that_of_the_other_node(queue: Queue) -> None:
    tasks = "if [ $SLURM_NODEID = 1 ]; then exit 7; fi; exec sleep 600"
    job = queue.submit(f"srun --kill-on-bad-exit=1 sh -c '{tasks}'", "--nodes=2", "--ntasks-per-node=1")
    said = queue.ended(job, "FAILED")
    assert "srun: error: near2: task 1: Exited with exit code 7" in said
    assert "srun: error: near1: task 0: Terminated" in said


# A child, one in a session of its own, and one that also lost its parent: SLURM no longer knows that one.
FAMILY = """
trap 'echo batch SIGUSR2 0' USR2
srun sh -c '{listener} child & setsid {listener} session & (setsid {listener} orphan > orphan.txt &)
exec {listener} task' &
while true; do wait; sleep 0.1; done
"""


def test_whom_a_signal_reaches(queue: Queue) -> None:
    job = queue.submit(FAMILY.format(listener=queue.listener))
    family = {"task", "child", "session"}
    assert wait_for(lambda: set(queue.heard(job)) == {f"{name} listens" for name in family}, 20)
    assert wait_for(lambda: set(queue.heard("orphan")) == {"orphan listens"}, 5)

    def reached() -> set[str]:
        told = queue.heard(job) | queue.heard("orphan")
        return {what.partition(" ")[0] for what in told if what.endswith("SIGUSR2")}

    queue.run("scancel", "--signal=USR2", job)
    assert wait_for(lambda: reached() >= family, 5)
    time.sleep(1)
    assert reached() == family
    queue.run("scancel", "--batch", "--signal=USR2", job)
    assert wait_for(lambda: reached() == family | {"batch"}, 5)
    queue.run("scancel", job)


def test_a_job_that_requeues_itself_runs_again_soon(queue: Queue) -> None:
    again = 'date +%s.%N; if [ -n "$SLURM_RESTART_COUNT" ]; then echo "restart $SLURM_RESTART_COUNT of $KEPT"; exit; fi'
    job = queue.submit(f"{again}; scontrol requeue $SLURM_JOB_ID; sleep 600", "--export=ALL,KEPT=it")
    assert wait_for(lambda: "restart 1 of it" in queue.said(job), 30)
    first, *_, second, _ = queue.ended(job, "COMPLETED")
    assert float(second) - float(first) < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_however_a_cluster_ends(number: signal.Signals, queue: Queue, short: Path) -> None:
    folder = short / "cluster"
    command = [sys.executable, cluster_script.__file__, str(folder)]
    job = "(setsid sh -c 'trap \"\" TERM; sleep 600' > /dev/null 2>&1 &) ; sleep 600"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            name, _, value = process.stdout.readline().removeprefix("export ").strip().partition("=")
            environment = os.environ | {name: value}
            subprocess.run(["sbatch", f"--wrap={job}"], env=environment, cwd=short, check=True)
            # The script, four daemons and a helper of one, their wardens, and of the job five.
            assert wait_for(lambda: len(holders(folder)) == 15, 10), holders(folder)
            process.send_signal(number)
            process.wait(60)
        finally:
            process.kill()
    within_s = warden.GRACE_S + 5 if number == signal.SIGKILL else 0
    assert wait_for(lambda: not holders(folder), within_s), holders(folder)
    assert "is UP" in queue.run("scontrol", "ping")


def test_a_time_limit_is_announced_and_enforced(queue: Queue, limited: str) -> None:
    queue.ended(limited, "TIMEOUT", within_s=60 + 60 + KILL_WAIT_S)
    heard = queue.heard(limited)
    begun = heard["task listens"]
    # SLURM looks every half minute, and rather early than late.
    assert 0 <= heard["task SIGUSR2"] - begun <= 35
    assert 55 <= heard["task SIGTERM"] - begun <= 95

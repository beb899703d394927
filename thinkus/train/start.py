"""The parent's side of a training: the ranks started, watched and ended, and what they say passed on.

On several nodes there is a parent on each. The first one makes the task and tells the others, by the
task's file, where its ranks are to be met; theirs only stand by them.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from thinkus import signals, warden
from thinkus.console import say
from thinkus.errors import Stopped, ThinkusError
from thinkus.train import checkpoints
from thinkus.train import task as tasks
from thinkus.train.metrics import Follower, Line, Metrics
from thinkus.train.task import MODEL, STOP, TASK, Task

LOOK_EVERY_S = 0.2
OTHERS_MAY_TAKE_S = 15.0
"""To end by themselves where one rank has: then they are ended."""


def train(task: Task, watch: Callable[[Line], None]) -> None:
    """Until the model lies in the task's folder; `watch` is told each line of the metrics."""
    metrics = task.directory / "metrics.jsonl"
    checkpoints.drop_unfinished(task)
    if last := checkpoints.last_in(task.checkpoints):
        checkpoints.check(last, task)
        say(f"sft: goes on after {last.steps:,} steps")
        Metrics(metrics).cut(last.steps, is_evaluated=last.is_evaluated)
    else:
        Metrics(metrics).cut(0)
    follower = Follower(metrics)
    follower.new()  # what an earlier process did was shown then
    task.write()

    def look() -> None:
        for line in follower.new():
            watch(line)

    with _ranks(task, 0) as ranks:
        try:
            status = _followed(ranks, task, look)
        except Stopped:
            (task.folder / STOP).touch()
            status = _followed(ranks, task, look)
            if status == 0 and not (task.folder / MODEL).exists():
                raise
    if status:
        # The rank that found the disk full has cleared up, and another may have written on.
        with suppress(OSError):
            checkpoints.drop_unfinished(task)
        raise ThinkusError(_why(task, 0, status))


def assist(directory: Path, launch: str, node: int, is_over: Callable[[], bool]) -> None:
    """On another node than the first: this node's ranks, as soon as the first says where to meet."""
    while (task := tasks.of_launch(directory, launch)) is None:
        if is_over():
            return
        time.sleep(LOOK_EVERY_S)
    with _ranks(task, node) as ranks:
        status = _followed(ranks, task, lambda: None)
    if status:
        raise ThinkusError(_why(task, node, status))


def log_of(task: Task, node: int) -> Path:
    return task.folder / (f"ranks-of-node-{node}.log" if node else "ranks.log")


def _followed(ranks: subprocess.Popen[bytes], task: Task, look: Callable[[], None]) -> int:
    """Until all of them have ended, or one has and the others take too long."""
    patient_until = float("inf")
    while (status := ranks.poll()) is None:
        if patient_until == float("inf") and any(task.folder.glob("ended-*.json")):
            patient_until = time.monotonic() + OTHERS_MAY_TAKE_S
        if time.monotonic() > patient_until:
            return 1
        look()
        time.sleep(LOOK_EVERY_S)
    look()
    return status


@contextmanager
def _ranks(task: Task, node: int) -> Iterator[subprocess.Popen[bytes]]:
    """Those of this node, under a warden: they end when this process does, however it ends."""
    here = task.ranks // task.nodes
    worker = ["-m", "thinkus.train.worker", str(task.folder / TASK)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {
        # Threads wait for each other in busy loops: more of them than cores make steps many times slower.
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, cores // here)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": task.device,
    }
    if task.ranks > 1:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(here)]
        # TERM is for the parent, who has the ranks save; torchrun itself would end them at once.
        launcher += ["--signals-to-handle", "SIGINT,SIGHUP,SIGQUIT", "--shutdown-timeout", "5"]
        launcher += (
            ["--nnodes", str(task.nodes), "--node-rank", str(node), *_meeting(task)]
            if task.nodes > 1
            else ["--standalone"]
        )
        launcher += worker
    else:
        launcher = worker
        environment |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, warden.__file__, "--deaf", "--", sys.executable, *launcher]
    with log_of(task, node).open("ab") as log:
        # Its own session: a Ctrl-C is for us, and reaches the ranks through the warden.
        ranks = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=os.environ | environment,
            start_new_session=True,
            preexec_fn=signals.ignore,  # from its first moment, before it can say so itself
        )
    try:
        yield ranks
    finally:
        assert ranks.stdin is not None
        with suppress(BrokenPipeError):
            ranks.stdin.close()
        ranks.wait()


def _meeting(task: Task) -> list[str]:
    assert task.meeting is not None
    return ["--master-addr", task.meeting.address, "--master-port", str(task.meeting.port)]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        return int(one.getsockname()[1])


class _Words(msgspec.Struct):
    """What a rank, or a node for its ranks, could say of an end."""

    time: float
    error: str
    weight: int
    """A rank knows best why it failed; then comes one that was killed; the others may only have lost those."""


OF_A_RANK, OF_A_KILL, OF_A_NODE = 3, 2, 1
ROOM_FOR_WORDS = 4096


def make_room_for_words(task: Task, who: str) -> None:
    """Beforehand: the disk may be full when there is something to say."""
    (task.folder / f"spare-{who}").write_bytes(b" " * ROOM_FOR_WORDS)


def last_words(task: Task, who: str, error: str, weight: int = OF_A_RANK) -> None:
    spare = task.folder / f"spare-{who}"
    said = msgspec.json.encode(_Words(time.time(), error[: ROOM_FOR_WORDS // 4], weight))
    with spare.open("r+b") as file:  # in place, and the spaces that follow are JSON too
        file.write(said)
    spare.rename(task.folder / f"ended-{who}.json")


def _why(task: Task, node: int, status: int) -> str:
    """What the one that failed first had to say, wherever it ran."""
    own = _Words(time.time(), *_ended_without(task, node, status))
    if node:
        make_room_for_words(task, f"node-{node}")
        last_words(task, f"node-{node}", own.error, own.weight)
    until = time.monotonic() + (OTHERS_MAY_TAKE_S if task.nodes > 1 and node == 0 else 0.0)
    while all(one.weight == OF_A_NODE for one in (own, *_said(task))) and time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
    return min((own, *_said(task)), key=lambda one: (-one.weight, one.time)).error


def _said(task: Task) -> list[_Words]:
    return [msgspec.json.decode(file.read_bytes(), type=_Words) for file in task.folder.glob("ended-*.json")]


def _ended_without(task: Task, node: int, status: int) -> tuple[str, int]:
    """Of a rank that could not tell why: the kernel ended it, or it fell over an error of ours."""
    log = log_of(task, node)
    text = log.read_text(errors="replace")
    killed = re.search(r"rank\s*: (\d+).*\n.*\n.*\n\s*traceback\s*: Signal \d+ \((\w+)\)", text)
    if killed or status > 128:
        rank, name = killed.groups() if killed else ("0", signal.Signals(status - 128).name)
        memory = ", as the kernel does when the memory is full" if name == "SIGKILL" else ""
        what = f"rank {rank} was ended by {name}{memory}; the same command goes on from the last checkpoint"
        return f"sft: {what} (all of it is in {log})", OF_A_KILL
    # The others fail because one did, so the first line that names an error counts.
    named = (re.search(r"\b[\w.]*(?:Error|Exception): .*", line) for line in text.splitlines())
    what = next((match[0] for match in named if match), "without a word")
    return f"sft: a rank ended: {what}; all of it is in {log}", OF_A_NODE

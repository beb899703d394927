"""The parent's side of a training: the ranks started, watched and ended, and what they say passed on."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from thinkus import warden
from thinkus.errors import ThinkusError
from thinkus.train import checkpoints
from thinkus.train.metrics import Follower, Line, Metrics
from thinkus.train.task import TASK, Task

LOG = "ranks.log"
LOOK_EVERY_S = 0.2


def train(task: Task, watch: Callable[[Line], None]) -> None:
    """Until the model lies in the task's folder; `watch` is told each line of the metrics."""
    task.write()
    metrics = task.directory / "metrics.jsonl"
    Metrics(metrics).cut(checkpoints.check_last(task))
    follower = Follower(metrics)
    follower.new()  # what an earlier process did was shown then
    for old in task.folder.glob("ended-*.json"):
        old.unlink()
    log = task.folder / LOG
    with log.open("ab") as file, _ranks(task, file) as ranks:
        status = None
        while status is None:
            time.sleep(LOOK_EVERY_S)
            status = ranks.poll()
            for line in follower.new():
                watch(line)
    if status:
        raise ThinkusError(
            _last_words(task) or f"sft: a rank ended: {_first_error(log)}; all of it is in {log}"
        )


@contextmanager
def _ranks(task: Task, log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """All of them, under a warden: they end when this process does, however it ends."""
    worker = ["-m", "thinkus.train.worker", str(task.folder / TASK)]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = {
        "OMP_NUM_THREADS": str(max(1, cores // task.ranks)),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "DS_ACCELERATOR": task.device,
    }
    if task.ranks > 1:
        launcher = [
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc-per-node",
            str(task.ranks),
            *worker,
        ]
    else:
        launcher = worker
        environment |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "LOCAL_WORLD_SIZE": "1"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    command = [sys.executable, warden.__file__, "--", sys.executable, *launcher]
    # Its own session: a Ctrl-C is for us, and reaches the ranks through the warden.
    ranks = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env=os.environ | environment,
        start_new_session=True,
    )
    try:
        yield ranks
    finally:
        assert ranks.stdin is not None
        with suppress(BrokenPipeError):
            ranks.stdin.close()
        ranks.wait()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _last_words(task: Task) -> str | None:
    """Of the rank that failed first, where it could tell."""
    said = [json.loads(file.read_bytes()) for file in task.folder.glob("ended-*.json")]
    return str(min(said, key=lambda one: float(one["time"]))["error"]) if said else None


def _first_error(log: Path) -> str:
    """The others fail because one did, so the first line that names an error counts."""
    lines = log.read_text(errors="replace").splitlines()
    named = (re.search(r"\b[\w.]*(?:Error|Exception): .*", line) for line in lines)
    return next((match[0] for match in named if match), "without a word")

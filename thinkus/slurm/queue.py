"""What SLURM says of jobs. By squeue alone: many clusters keep no accounts, so that sacct knows nothing."""

import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from thinkus.errors import ThinkusError

WAITING = {"PENDING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED", "RESIZING", "SPECIAL_EXIT"}
RUNNING = {"RUNNING", "CONFIGURING", "COMPLETING", "SIGNALING", "STAGE_OUT"}


class State(NamedTuple):
    name: str
    """As SLURM calls it."""
    where: str
    """On which nodes, or why not yet."""

    @property
    def is_over(self) -> bool:
        return self.name not in WAITING | RUNNING

    def __str__(self) -> str:
        if self.name in RUNNING:
            return f"runs on {self.where}"
        if self.name in WAITING:
            return "waits in the queue" + (f" {self.where}" if self.where != "(None)" else "")
        return f"ended ({self.name.lower().replace('_', ' ')})"


FORGOTTEN = State("FORGOTTEN", "")
"""SLURM keeps what ended for some minutes only."""


def states(ids: Sequence[str]) -> dict[str, State]:
    """Of each of these jobs."""
    told = _squeue("--jobs", ",".join(sorted({one.partition("_")[0] for one in ids})))
    return {one: told.get(one, FORGOTTEN) for one in ids}


def _squeue(*which: str) -> dict[str, State]:
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%A|%F|%K|%T|%R", *which]
    asked = subprocess.run(command, capture_output=True, text=True)
    if asked.returncode and "Invalid job id" not in asked.stderr:
        raise ThinkusError(f"cluster: squeue says: {asked.stderr.strip()}")
    found = {}
    for line in asked.stdout.splitlines():
        _, job, index, name, where = line.split("|", 4)
        found[job if index == "N/A" else f"{job}_{index}"] = State(name, where)
    return found

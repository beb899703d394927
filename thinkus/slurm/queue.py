"""What SLURM says of jobs. By squeue alone: many clusters keep no accounts, so that sacct knows nothing."""

import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from thinkus.errors import ThinkusError

OVER = {
    "BOOT_FAIL",
    "CANCELLED",
    "COMPLETED",
    "DEADLINE",
    "FAILED",
    "FORGOTTEN",
    "NODE_FAIL",
    "OUT_OF_MEMORY",
    "PREEMPTED",
    "REVOKED",
    "TIMEOUT",
}
RUNNING = {"RUNNING", "CONFIGURING", "COMPLETING", "SIGNALING", "STAGE_OUT", "STOPPED", "SUSPENDED"}
FIELDS = 5


class State(NamedTuple):
    name: str
    """As SLURM calls it."""
    where: str
    """On which nodes, or why not yet."""

    @property
    def is_over(self) -> bool:
        return self.name in OVER

    def __str__(self) -> str:
        if self.name in RUNNING:
            return f"runs on {self.where}"
        if self.name in OVER:
            return f"ended ({self.name.lower().replace('_', ' ')})"
        return "waits in the queue" + (f" {self.where}" if self.where != "(None)" else "")


class Unreachable(ThinkusError):
    """SLURM does not answer, which passes."""


FORGOTTEN = State("FORGOTTEN", "")
"""SLURM keeps what ended for some minutes only."""


def states(ids: Sequence[str]) -> dict[str, State]:
    """Of each of these jobs."""
    told = _squeue("--jobs", ",".join(sorted({one.partition("_")[0] for one in ids})))
    return {one: told.get(one, FORGOTTEN) for one in ids}


def _squeue(*which: str) -> dict[str, State]:
    command = ["squeue", "--noheader", "--array", "--states=all", "--format=%A|%F|%K|%T|%R", *which]
    # What a person set for their own looks at the queue would hide jobs.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SQUEUE_")}
    asked = subprocess.run(command, capture_output=True, text=True, env=environment)
    if asked.returncode and "Invalid job id" not in asked.stderr:
        raise Unreachable(f"cluster: squeue says: {asked.stderr.strip()}")
    found = {}
    for fields in (line.split("|", FIELDS - 1) for line in asked.stdout.splitlines()):
        if len(fields) == FIELDS:
            _, job, index, name, where = fields
            found[job if index == "N/A" else f"{job}_{index}"] = State(name, where)
    return found

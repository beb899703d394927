"""One run as it waits in SLURM's queue, and as it is carried out on a node.

Only text waits: what was composed and checked at submission is what runs, now or when the job is
taken up again. submitit starts it, on each node once; a mark left here tells the script of the job
to put itself back into the queue, when the machine is wanted or the time is over.
"""

import signal
import sys
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NoReturn

import msgspec

from thinkus import signals
from thinkus.claims import HEARTBEAT_S, STALE_AFTER_S, RunHeld
from thinkus.compose import Job, job_of
from thinkus.errors import Stopped, ThinkusError
from thinkus.execute import execute, run_directory
from thinkus.files import of_the_machine, write_whole
from thinkus.runs import load_manifest
from thinkus.slurm import here

FAILED = 1
END_WITHIN_S = 900.0
"""Of being told to end: then SLURM has forgotten to."""


class Outcome(msgspec.Struct):
    """What is left for whoever waits."""

    is_done: bool
    line: str


def outcome_of(folder: Path, job: str) -> Path:
    return folder / f"{job}_outcome.json"


@dataclass(frozen=True)
class Queued:
    stage: str
    words: tuple[str, ...]
    name: str
    yaml: str
    redo: bool
    submitted: str
    """When, as runs tell the time."""
    folder: str
    """Of the submission, on a disk that all nodes see."""

    def __call__(self) -> None:
        if here.node():
            self._assist()
            return
        try:
            signals.heed()
            outcome_of(Path(self.folder), here.job()).unlink(missing_ok=True)  # of an earlier start
            outcome = self._carry_out()
        except Stopped as stopped:
            self._leave(stopped.number)
        finally:
            self._over().touch()
        print(outcome.line, file=sys.stderr, flush=True)
        write_whole(outcome_of(Path(self.folder), here.job()), msgspec.json.encode(outcome))
        if not outcome.is_done:
            sys.exit(FAILED)  # so that SLURM, and jobs that depend on this one, know

    def _leave(self, number: int) -> NoReturn:
        """All that is worth it is saved."""
        self._over().touch()
        if number == signal.SIGUSR2:
            again(Path(self.folder), here.launch()).touch()
        else:
            # Cancelled; or preempted by SLURM, which puts back only those that it had to end.
            time.sleep(END_WITHIN_S)
        sys.exit(FAILED)

    def _carry_out(self) -> Outcome:
        job = self._job()
        # A start that died on another node seems to live until its claim is stale.
        patient_until = time.monotonic() + STALE_AFTER_S + HEARTBEAT_S
        while True:
            try:
                done = execute(self.stage, job.config, self.name, self.yaml, redo=self._is_to_redo(job))
                return Outcome(True, f"{self.stage}: {done.directory} {done.how}")
            except RunHeld as error:
                if time.monotonic() > patient_until:
                    return Outcome(False, str(error))
                print(error, file=sys.stderr, flush=True)
                time.sleep(HEARTBEAT_S)
            except ThinkusError as error:
                return Outcome(False, str(error))
            except OSError as error:
                if not (line := of_the_machine(error)):
                    raise
                return Outcome(False, line)

    def _job(self) -> Job:
        return job_of(self.stage, self.words, self.name, self.yaml)

    def _is_to_redo(self, job: Job) -> bool:
        """A start of this job may have begun it anew already."""
        there = load_manifest(run_directory(self.stage, job.config, self.name)) if self.redo else None
        return there is not None and datetime.fromisoformat(there.started) < datetime.fromisoformat(
            self.submitted
        )

    def _assist(self) -> None:
        """On the other nodes of a training."""
        from thinkus.train import start

        signals.ignore()  # the first node saves, and tells when it is over
        directory = run_directory(self.stage, self._job().config, self.name)
        try:
            start.assist(directory, here.launch(), here.node(), self._over().exists)
        except ThinkusError as error:
            print(error, file=sys.stderr, flush=True)
        while not self._over().exists():  # to end sooner would look like a failure
            time.sleep(1)

    def _over(self) -> Path:
        return Path(self.folder) / f"over-{here.launch()}"


def again(folder: Path, launch: str) -> Path:
    """The mark for the job's script."""
    return folder / f"again-{launch}"

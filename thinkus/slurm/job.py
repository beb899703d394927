"""One run as it waits in SLURM's queue, and as it is carried out on a node.

Only text waits: what was composed and checked at submission is what runs, now or when the job is
taken up again. submitit starts it, on each node once, and puts it back in the queue when its
machine is wanted or its time is over.
"""

import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec

from thinkus import signals
from thinkus.claims import HEARTBEAT_S, STALE_AFTER_S, RunHeld
from thinkus.errors import Stopped, ThinkusError
from thinkus.files import write_whole
from thinkus.slurm import here

FAILED = 1


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
    folder: str
    """Of the submission, on a disk that all nodes see."""

    def __call__(self) -> None:
        if here.node():
            self._assist()
            return
        back_to_the_queue = cast(Callable[[int, Any], None], signal.getsignal(signal.SIGUSR2))
        signals.heed()
        file = outcome_of(Path(self.folder), here.job())
        file.unlink(missing_ok=True)  # of an earlier start
        try:
            outcome = self._carry_out()
        except Stopped as stopped:
            if stopped.number == signal.SIGUSR2:
                back_to_the_queue(stopped.number, None)  # and ends this process
            sys.exit(FAILED)  # cancelled; or preempted by SLURM, which puts it back by itself
        finally:
            self._over().touch()
        print(outcome.line, file=sys.stderr, flush=True)
        write_whole(file, msgspec.json.encode(outcome))
        if not outcome.is_done:
            sys.exit(FAILED)  # so that SLURM, and jobs that depend on this one, know

    def checkpoint(self) -> Any:
        """What submitit puts in the queue again: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def _carry_out(self) -> Outcome:
        from thinkus import compose
        from thinkus.execute import execute

        job = compose.job_of(self.stage, self.words, self.name, self.yaml)
        is_first_start = here.restarts() == 0
        # A start that died on another node seems to live until its claim is stale.
        patient_until = time.monotonic() + STALE_AFTER_S + HEARTBEAT_S
        while True:
            try:
                done = execute(
                    self.stage, job.config, self.name, self.yaml, redo=self.redo and is_first_start
                )
                return Outcome(True, f"{self.stage}: {done.directory} {done.how}")
            except RunHeld as error:
                if time.monotonic() > patient_until:
                    return Outcome(False, str(error))
                print(error, file=sys.stderr, flush=True)
                time.sleep(HEARTBEAT_S)
            except ThinkusError as error:
                return Outcome(False, str(error))

    def _assist(self) -> None:
        """On the other nodes of a training."""
        from thinkus import compose
        from thinkus.execute import run_directory
        from thinkus.train import start

        signals.ignore()  # the first node saves, and tells when it is over
        job = compose.job_of(self.stage, self.words, self.name, self.yaml)
        directory = run_directory(self.stage, job.config, self.name)
        try:
            start.assist(directory, here.launch(), here.node(), self._over().exists)
        except ThinkusError as error:
            print(error, file=sys.stderr, flush=True)
        while not self._over().exists():  # to end sooner would look like a failure
            time.sleep(1)

    def _over(self) -> Path:
        return Path(self.folder) / f"over-{here.launch()}"

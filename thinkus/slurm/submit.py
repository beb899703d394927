"""Runs put in SLURM's queue, and waited for.

A sweep is one array. The same command, typed again, waits for what is in the queue already
and submits only what is not.
"""

import io
import json
import math
import os
import shlex
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import datetime
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from thinkus.compose import Job
from thinkus.config import SlurmCluster
from thinkus.console import say
from thinkus.errors import ConfigError, ThinkusError
from thinkus.execute import Outlook, outlook
from thinkus.files import write_whole
from thinkus.paths import expanded
from thinkus.runs import now
from thinkus.slurm import queue
from thinkus.slurm.job import Outcome, Queued, again, outcome_of

FOLDER = "slurm"
"""Under the root: a folder for each submission, with the jobs' logs."""
LIVES = 1000
"""How often a job may go back into the queue: a limit for one that gets nowhere."""
SLURM_MAY_BE_AWAY_S = 600.0
LAST_LINES = 15
OUTCOME_MAY_TAKE_S = 10.0
"""To be seen from another node."""


class Submitted(NamedTuple):
    """A job in the queue."""

    id: str
    run: Path
    identity: str
    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / f"{self.id}_0_log.out"


def submit(stage: str, jobs: Sequence[Job], *, redo: bool) -> None:
    """Until all of them are done, or at once where nobody wants to wait."""
    _check(stage, jobs)
    queued: list[Submitted] = []
    fresh: list[tuple[Job, Outlook]] = []
    for job, run in zip(jobs, _outlooks(stage, jobs, redo=redo), strict=True):
        if run.is_done:
            say(f"{stage}: {_from_here(run.directory)} is already done")
        elif there := _in_the_queue(expanded(job.config.root) / FOLDER, run):
            where = f"as job {there.id} (log: {_from_here(there.log)})"
            say(f"{stage}: {_from_here(run.directory)}: is in the queue already, {where}")
            queued.append(there)
        else:
            fresh.append((job, run))
    for _, alike in groupby(fresh, key=lambda one: one[0].config.cluster):
        for new in _submitted(stage, list(alike), redo=redo):
            say(f"{stage}: job {new.id}: {_from_here(new.run)} (log: {_from_here(new.log)})")
            queued.append(new)
    if queued and _cluster(jobs[0]).wait:
        _wait(stage, queued)


def _check(stage: str, jobs: Sequence[Job]) -> None:
    if find_spec("submitit") is None:
        raise ThinkusError("cluster: submitit is not installed; pip install 'thinkus[slurm]'")
    if not shutil.which("sbatch"):
        raise ThinkusError(
            "cluster: there is no sbatch here; cluster=slurm works where jobs can be submitted, a login node of a "
            "SLURM cluster; leave it away to run on this machine"
        )
    for job in jobs:
        if "%" in str(expanded(job.config.root).absolute()):
            raise ThinkusError("root: holds a %, which SLURM takes for something else in the names of logs")
        if stage != "sft" and _cluster(job).nodes > 1:
            raise ThinkusError(
                f"cluster.nodes: {stage} runs on one node, not on {_cluster(job).nodes}; on several it goes in "
                "parts, where it can: -m shard=all/N"
            )


def _cluster(job: Job) -> SlurmCluster:
    cluster = job.config.cluster
    assert isinstance(cluster, SlurmCluster)
    return cluster


def _outlooks(stage: str, jobs: Sequence[Job], *, redo: bool) -> list[Outlook]:
    """All that is missing, of all jobs, is said before any of them waits for hours."""
    found, mistakes = [], []
    for job in jobs:
        try:
            found.append(outlook(stage, job.config, job.name, redo=redo))
        except ThinkusError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError(dict.fromkeys(mistakes))
    return found


def _in_the_queue(folder: Path, run: Outlook) -> Submitted | None:
    there = [one for one in _submissions(folder) if one.run == run.directory]
    states = queue.states([one.id for one in there]) if there else {}
    live = next((one for one in there if not states[one.id].is_over), None)
    if live and live.identity != run.identity:
        raise ThinkusError(
            f"{_from_here(run.directory)}: job {live.id} is making another result under this name; choose "
            f"another name=, or scancel {live.id}"
        )
    return live


def _submissions(folder: Path) -> Iterator[Submitted]:
    for file in sorted(folder.glob("*/submitted.json"), reverse=True):
        for told in json.loads(file.read_bytes()):
            yield Submitted(told["job"], Path(told["run"]), told["identity"], file.parent)


def _submitted(stage: str, runs: Sequence[tuple[Job, Outlook]], *, redo: bool) -> list[Submitted]:
    """As one array."""
    import submitit

    moment = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder = (expanded(runs[0][0].config.root) / FOLDER / f"{moment}-{stage}").absolute()
    folder.mkdir(parents=True)
    waiting = [
        Queued(stage, tuple(job.words), job.name, job.yaml, redo, now(), str(folder)) for job, _ in runs
    ]
    cluster = _cluster(runs[0][0])
    executor = submitit.SlurmExecutor(folder, python=cluster.python)
    executor.update_parameters(**_options(stage, cluster), teardown=_back_to_the_queue(folder))
    try:
        with redirect_stderr(io.StringIO()), _outside_of_jobs():  # what sbatch says is said below
            made = executor.submit_array(waiting)
    except submitit.core.utils.FailedJobError as error:
        shutil.rmtree(folder)
        raise ThinkusError(f"cluster: sbatch says: {_of_sbatch(error)}") from None
    jobs = [
        Submitted(one.job_id, run.directory, run.identity, folder)
        for one, (_, run) in zip(made, runs, strict=True)
    ]
    told = [{"job": one.id, "run": str(one.run), "identity": one.identity} for one in jobs]
    write_whole(folder / "submitted.json", json.dumps(told).encode())
    return jobs


def _options(stage: str, cluster: SlurmCluster) -> dict[str, Any]:
    more = cluster.sbatch or {}
    srun = ["--kill-on-bad-exit=1", "--export=ALL"]
    if cluster.cpus_per_task:  # which srun does not take over from sbatch
        srun.append(f"--cpus-per-task={cluster.cpus_per_task}")
    return {
        "job_name": f"thinkus-{stage}",
        "partition": cluster.partition,
        "account": cluster.account,
        "nodes": cluster.nodes,
        "ntasks_per_node": 1,
        "gpus_per_node": None if "gres" in more else cluster.gpus_per_node or None,
        "cpus_per_task": cluster.cpus_per_task,
        "mem": f"{cluster.memory_gb}GB" if cluster.memory_gb else None,
        "time": cluster.time_min,
        # To save in: a twentieth of the time, from 20 seconds to 10 minutes.
        "signal_delay_s": min(600, max(20, cluster.time_min * 3)),
        "setup": cluster.setup,
        "stderr_to_stdout": True,
        "srun_args": srun,
        "additional_parameters": {"requeue": True, **more},
    }


def _back_to_the_queue(folder: Path) -> list[str]:
    """The end of a job's script: outside of a container, where SLURM's commands are."""
    mark = again(folder, "$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}")
    name = f"{shlex.quote(str(folder))}/{mark.name}"
    return [
        "status=$?",
        f'[ -e {name} ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {LIVES} ] && scontrol requeue "$SLURM_JOB_ID"',
        "exit $status",
    ]


@contextmanager
def _outside_of_jobs() -> Iterator[None]:
    """Whoever submits from within a job must not hand that one's nature on; which cluster it is must stay."""
    is_inside = "SLURM_JOB_ID" in os.environ
    of_the_job = [name for name in os.environ if name.startswith("SLURM_") and name != "SLURM_CONF"]
    kept = {name: os.environ.pop(name) for name in of_the_job if is_inside}
    try:
        yield
    finally:
        os.environ.update(kept)


def _of_sbatch(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.startswith("sbatch: error:")]
    return "; ".join(line.removeprefix("sbatch: error: ") for line in lines) or str(error)


def _wait(stage: str, jobs: Sequence[Submitted]) -> None:
    """Until each has ended, with what each had to say; what a job of several lives shows is its last."""
    failed: list[str] = []
    try:
        for job, outcome in _as_they_end(stage, jobs):
            say(outcome.line if outcome.is_done else f"{stage}: job {job.id} failed: {outcome.line}")
            if not outcome.is_done:
                say(f"{stage}: its log: {_from_here(job.log)}")
                failed.append(job.id)
    except KeyboardInterrupt:
        ids = " ".join(job.id for job in jobs)
        say(
            f"{stage}: no longer waiting; the jobs go on, and the same command waits again (scancel {ids} ends them)"
        )
        raise
    if failed:
        raise ThinkusError(f"{len(failed)} of {len(jobs)} jobs failed, as said above: {', '.join(failed)}")


def _as_they_end(stage: str, jobs: Sequence[Submitted]) -> Iterator[tuple[Submitted, Outcome]]:
    shown: dict[str, str] = {}
    left = list(jobs)
    began = time.monotonic()
    patient_until = math.inf
    while left:
        try:
            states = queue.states([job.id for job in left])
            patient_until = math.inf
        except queue.Unreachable as error:
            patient_until = min(patient_until, time.monotonic() + SLURM_MAY_BE_AWAY_S)
            if time.monotonic() > patient_until:
                raise ThinkusError(f"{error}; the jobs go on, and the same command waits again") from None
            states = {}
        for job in list(left) if states else []:
            state = states[job.id]
            if state.is_over:
                left.remove(job)
                yield job, _outcome(job, state)
            elif str(state) != shown.get(job.id):
                shown[job.id] = str(state)
                say(f"{stage}: job {job.id} {state}")
        # Quick at first, and no burden to the scheduler where it takes days.
        time.sleep(min(30.0, 1.0 + (time.monotonic() - began) / 20) if left else 0)


def _outcome(job: Submitted, state: queue.State) -> Outcome:
    file = outcome_of(job.folder, job.id)
    until = time.monotonic() + OUTCOME_MAY_TAKE_S
    while not file.exists() and state.name != "CANCELLED" and time.monotonic() < until:
        time.sleep(0.5)
    if not file.exists():
        return Outcome(False, f"it {state}, and could not say why{_last_lines(job.log)}")
    return msgspec.json.decode(file.read_bytes(), type=Outcome)


def _from_here(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _last_lines(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    own = [line for line in lines if line.strip() and not line.startswith("submitit ")]
    return "; the last that it wrote:\n" + "\n".join(own[-LAST_LINES:]) if own else ", and wrote nothing"

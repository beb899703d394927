"""One command line, from its words to finished runs: shown, planned, or carried out."""

import sys
from collections.abc import Sequence

from thinkus import compose, stages
from thinkus.compose import Job
from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.execute import execute, plan, run_directory
from thinkus.paths import expanded
from thinkus.runs import make_writable, named_run


def show(stage: str, words: Sequence[str], *, sweep: bool) -> None:
    for job in compose.jobs(stage, words, sweep=sweep):
        print(f"# thinkus {stage}: {run_directory(stage, job.config, job.name)}\n{job.yaml}", end="")


def dry_run(stage: str, words: Sequence[str], *, sweep: bool) -> None:
    jobs = compose.jobs(stage, words, sweep=sweep)
    _check_built(stage, jobs)
    for job in jobs:
        print(f"{stage} {job.name}:")
        for line in plan(stage, job.config, job.name):
            print(f"  {line}")


def start(stage: str, words: Sequence[str], *, sweep: bool, redo: bool) -> None:
    jobs = compose.jobs(stage, words, sweep=sweep)
    _check_built(stage, jobs)
    if not sweep:
        _carry_out(stage, jobs[0], redo=redo)
        return
    make_writable(expanded(jobs[0].config.root))
    failed: list[str] = []

    def run_one(job: Job) -> None:
        try:
            _carry_out(stage, job, redo=redo)
        except ThinkusError as error:  # must not hide what becomes of the others
            failed.append(job.name)
            print(error, file=sys.stderr)

    compose.sweep(stage, jobs, run_one)
    if failed:
        raise ThinkusError(f"{len(failed)} of {len(jobs)} jobs failed, as said above: {', '.join(failed)}")


def _check_built(stage: str, jobs: Sequence[Job]) -> None:
    if not stages.is_built(stage):
        runs = ", ".join(str(run_directory(stage, job.config, job.name)) for job in jobs)
        raise ThinkusError(
            f"{stage}: this stage is not built yet, so there will be no {runs}; README.md says what is there"
        )
    if any(job.config.cluster.name == "slurm" for job in jobs):
        raise ThinkusError("cluster: slurm is not built yet; leave cluster=slurm away to run on this machine")


def _carry_out(stage: str, job: Job, *, redo: bool) -> None:
    done = execute(stage, job.config, job.name, job.yaml, redo=redo)
    say(f"{stage}: {done.directory} {done.how}")


def pack(run: str, file: str, root: str) -> None:
    from thinkus.share import pack as packed

    answers = packed(named_run(expanded(root), run), expanded(file))
    print(
        f"{file}: {answers:,} answers of {run}; they may quote the corpus, so its licence counts for them too"
    )


def unpack(file: str, run: str, root: str) -> None:
    from thinkus.share import unpack as unpacked

    new, came = unpacked(expanded(file), named_run(expanded(root), run))
    print(f"{run}: {new:,} new of {came:,} answers; the run's own command reads them before it asks a model")

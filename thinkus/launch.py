"""One command line, from its words to finished runs: shown, planned, or carried out."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from thinkus import compose, stages
from thinkus.belongings import PART
from thinkus.compose import Job
from thinkus.config import SimulateConfig
from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.execute import execute, plan, previewed, run_directory
from thinkus.paths import expanded
from thinkus.runs import input_run, make_writable, named_run
from thinkus.sheets.folder import hand_out, returned


def show(stage: str, words: Sequence[str], *, sweep: bool) -> None:
    for job in compose.jobs(stage, words, sweep=sweep):
        print(f"# thinkus {stage}: {run_directory(stage, job.config, job.name)}\n{job.yaml}", end="")


def dry_run(stage: str, words: Sequence[str], *, sweep: bool) -> None:
    jobs = compose.jobs(stage, words, sweep=sweep)
    for job in jobs:
        print(f"{stage} {job.name}:")
        for line in plan(stage, job.config, job.name):
            print(f"  {line}")


def preview(stage: str, words: Sequence[str], count: int, *, sweep: bool) -> None:
    jobs = compose.jobs(stage, words, sweep=sweep)
    for job in jobs:
        previewed(stage, job.config, job.name, job.yaml, count)


def start(stage: str, words: Sequence[str], *, sweep: bool, redo: bool, human_sheet: int = 0) -> None:
    jobs = compose.jobs(stage, words, sweep=sweep)
    _check_people(stage, jobs, human_sheet, sweep=sweep)
    if jobs[0].config.cluster.name == "slurm":
        from thinkus.slurm.submit import submit

        submit(stage, jobs, redo=redo)
        return
    if not sweep:
        directory = _carry_out(stage, jobs[0], redo=redo)
        _let_people_look(stage, jobs[0], directory, human_sheet)
        _show_results(stage, {directory: jobs[0]})
        return
    make_writable(expanded(jobs[0].config.root))
    failed: list[str] = []
    made: dict[Path, Job] = {}

    def run_one(job: Job) -> None:
        try:
            made[_carry_out(stage, job, redo=redo)] = job
        except ThinkusError as error:  # must not hide what becomes of the others
            failed.append(job.name)
            print(error, file=sys.stderr)

    compose.sweep(stage, jobs, run_one)
    _show_results(stage, made)
    if failed:
        raise ThinkusError(f"{len(failed)} of {len(jobs)} jobs failed, as said above: {', '.join(failed)}")


def _carry_out(stage: str, job: Job, *, redo: bool) -> Path:
    done = execute(stage, job.config, job.name, job.yaml, redo=redo)
    say(f"{stage}: {done.directory} {done.how}")
    return done.directory


def _show_results(stage: str, made: Mapping[Path, Job]) -> None:
    """What a stage measured, of one run or of a sweep's side by side; a part alone says nothing yet."""
    work: Any = stages.load(stage)
    whole = [(directory, job.config) for directory, job in made.items() if not PART.fullmatch(directory.name)]
    if hasattr(work, "show_results") and whole:
        work.show_results(whole)


def _check_people(stage: str, jobs: Sequence[Job], human_sheet: int, *, sweep: bool) -> None:
    """Before anything is made: what people are given, and give back, is of one run that is done, and is had here."""
    work: Any = stages.load(stage)
    for config in (job.config for job in jobs):
        key = "--human-sheet" if human_sheet else "human"
        if not human_sheet and not getattr(config, "human", None):
            continue
        if sweep or config.cluster.name == "slurm":
            raise ThinkusError(f"{key}: is for one run that is done; leave -m and cluster=slurm out")
        if hasattr(work, "check_people"):
            work.check_people(config, key)


def _let_people_look(stage: str, job: Job, directory: Path, count: int) -> None:
    """A finished run's results, drawn for people to rate; and what they said, read back."""
    work: Any = stages.load(stage)
    if count:
        hand_out(stage, work.human_sheet(job.config, directory, count), directory, count)
    elif human := getattr(job.config, "human", None):
        work.human_report(job.config, directory, returned(human, directory))


def chat(words: Sequence[str], *, shows_thoughts: bool, save: str | None) -> None:
    from thinkus.chat import chat as talk

    (job,) = compose.jobs("simulate", words, sweep=False)
    assert isinstance(job.config, SimulateConfig)
    talk(job.config, shows_thoughts=shows_thoughts, save=save)


def pack(run: str, file: str, root: str, *, text_free: bool) -> None:
    directory, target = named_run(expanded(root), run), expanded(file)
    if text_free:
        from thinkus.thoughts import overlay

        input_run(expanded(root), run, "thinkus annotate")
        annotations = overlay.pack(directory / "records.jsonl", target)
        print(f"{file}: {annotations:,} annotations of {run}, without the conversations they belong to")
    else:
        from thinkus import share

        answers = share.pack(directory, target)
        print(
            f"{file}: {answers:,} answers of {run}; they may quote the corpus, so its licence counts for them"
        )


def unpack(file: str, run: str, root: str, *, redo: bool) -> None:
    from thinkus import share

    source, directory = expanded(file), named_run(expanded(root), run)
    if share.is_text_free(source):
        from thinkus.adopt import adopt

        counts = adopt(source, directory, expanded(root), redo=redo)
        if counts is None:
            print(f"{run}: is already done")
        else:
            joined, lost = counts
            print(
                f"{run}: {joined:,} annotations joined to their conversations, {lost:,} not (failures.jsonl)"
            )
    else:
        new, came = share.unpack(source, directory)
        print(
            f"{run}: {new:,} new of {came:,} answers; the run's own command reads them before it asks a model"
        )

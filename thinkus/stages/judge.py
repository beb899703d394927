"""judge: how close does a simulated user come to the real person?

Every verdict is in the run's store before it counts, and all figures are made from the run's rows. So a run
that was killed asks only for what is missing, and a better way of reading or counting costs nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from thinkus.config import JudgeConfig
from thinkus.console import bar, say
from thinkus.errors import ThinkusError
from thinkus.gathered import Gathered, gathered
from thinkus.judging import pairwise, repeating
from thinkus.judging.agreement import between_judges
from thinkus.judging.judgement import Judgement
from thinkus.judging.labels import labels_of
from thinkus.judging.outlook import outlook
from thinkus.judging.pair_sheet import draw, sheet_of
from thinkus.judging.pairwise import JudgedTurn, Pair
from thinkus.judging.people import ENOUGH, print_report, report_of
from thinkus.judging.repeating import Repeats, judged_again
from thinkus.judging.showing import print_whole, show_question, show_row
from thinkus.judging.tables import tables
from thinkus.judging.task import Ask, Judged, Task
from thinkus.judging.ways import WAYS
from thinkus.llm.crowd import each
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import OF_THE_ANSWER, Kind, Outcome, Request
from thinkus.llm.models import Models
from thinkus.paths import expanded
from thinkus.records import read_records
from thinkus.runs import Input, Run, load_manifest, named_run, run_reference
from thinkus.sheets.folder import Returned, keep
from thinkus.sheets.sheet import Sheet

RECORDS = "records.jsonl"
AT_ONCE = 1
"""Where nobody is asked."""
OF_THE_QUESTION = (*OF_THE_ANSWER, Kind.TOO_LONG, Kind.REFUSED)
"""Failures that make a verdict invalid, and would do so again."""


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    repeating.check(config)
    return WAYS[config.task].inputs(config, root)


def prompts(config: JudgeConfig) -> Sequence[str]:
    return WAYS[config.task].prompts_used(config)


def plan(config: JudgeConfig, root: Path) -> list[str]:
    read = {role: one.read for role, one in inputs(config, root).items()}
    return outlook(_begun(config, read), _repeats(config, read))


def run(config: JudgeConfig, run: Run) -> None:
    run.counts = asyncio.run(_judge(config, run))


def preview(config: JudgeConfig, run: Run, count: int) -> None:
    """The first few, which the whole run then finds in its store."""
    asyncio.run(_preview(config, run, count, Console()))


def show_finished(directory: Path, count: int) -> None:
    manifest = load_manifest(directory)
    assert manifest is not None, "it is finished"
    kind = WAYS[str(manifest.made_from["task"])].ROW
    for row in islice(read_records(directory / RECORDS, kind), count):
        show_row(row, Console())


def show_results(finished: Sequence[tuple[Path, JudgeConfig]]) -> None:
    """The figures of finished runs, those of one task side by side."""
    judgements: dict[str, list[Judgement]] = {}
    for directory, config in finished:
        manifest = load_manifest(directory)
        assert manifest is not None, "it is finished"
        task = str(manifest.made_from["task"])
        rows = list(read_records(directory / RECORDS, WAYS[task].ROW))
        judgements.setdefault(task, []).append(
            Judgement.of(directory, manifest, rows, config.control_ties, config.control_wins)
        )
    console = _console()
    for ones in judgements.values():
        console.print()
        for told in (*tables(ones), *between_judges(ones)):
            print_whole(told, console)


def check_people(config: JudgeConfig, key: str) -> None:
    """Whether there is anything that people can label."""
    if config.task != "pairwise":
        raise ThinkusError(f"{key}: people label pairs, and task={config.task} has none; task=pairwise has")
    if config.shard is not None:
        raise ThinkusError(f"{key}: people label pairs of the whole run; leave shard={config.shard} out")


def human_sheet(config: JudgeConfig, directory: Path, count: int) -> Sheet:
    """Pairs of a finished run for people to label."""
    items = draw(_judged_pairs(config, directory), count)
    if len(items) < ENOUGH:
        say(
            f"judge: fewer than {ENOUGH} pairs put a win rate right only roughly; draw more where there are more"
        )
    return sheet_of(items)


def human_report(config: JudgeConfig, directory: Path, back: Returned) -> None:
    """What people said of the pairs that were drawn for them."""
    judged = list(_judged_pairs(config, directory))
    items, turns = draw(judged, back.drawn), [turn for _, turn in judged]
    labels = labels_of(back.files, items, turns)
    report = report_of(labels, [file.name for file in back.files], len(items), turns)
    keep(report, directory)
    print_report(report, _console())


def _judged_pairs(config: JudgeConfig, directory: Path) -> Iterator[tuple[Pair, JudgedTurn]]:
    """Of all that are no controls, what was judged and what came of it."""
    read = {role: Path(one.read) for role, one in inputs(config, expanded(config.root)).items()}
    pairs = (pair for pair in pairwise.begun(config, read).units() if pair.control is None)
    rows = (
        row for row in read_records(directory / RECORDS, JudgedTurn) if row.control is None and not row.take
    )
    return zip(pairs, rows, strict=True)


def _console() -> Console:
    return Console(highlight=False, markup=False)


async def _preview(config: JudgeConfig, run: Run, count: int, console: Console) -> None:
    task = _begun(config, run.inputs)
    async with _asked(config, task, run) as judge:

        async def ask_aloud(request: Request) -> Outcome:
            outcome = await judge.ask(request)
            show_question(request, outcome, console)
            return outcome

        for unit in islice(task.units(), count):
            row, _ = await task.judged(unit, ask_aloud)
            show_row(row, console)


def _begun(config: JudgeConfig, read: Mapping[str, str]) -> Task:
    return WAYS[config.task].begun(config, {role: Path(place) for role, place in read.items()})


def _repeats(config: JudgeConfig, read: Mapping[str, str]) -> Repeats:
    """Of the whole run, whichever part of it this is."""
    return Repeats.of(config, _begun(config.model_copy(update={"shard": None}), read))


class _Judge(NamedTuple):
    """Whoever is asked, while a run lasts."""

    ask: Ask
    at_once: int
    engine: Engine | None = None
    models: Models | None = None

    def note(self, invalid: Counter[str]) -> str:
        """Beside the bar."""
        if self.engine is None or self.models is None:
            return ""
        spent = f"${self.models.spent_usd:,.2f}" if self.models.spent_usd else ""
        unread = f"{invalid.total():,} cannot be read" if invalid else ""
        return ", ".join(filter(None, (unread, f"{self.engine.tokens_a_second:,.0f} tokens/s", spent)))


@asynccontextmanager
async def _asked(config: JudgeConfig, task: Task, run: Run) -> AsyncIterator[_Judge]:
    if task.endpoint is None:
        yield _Judge(_nobody, AT_ONCE)
        return
    root = expanded(config.root)
    replay = None if config.replay is None else named_run(root, run_reference("judge", config.replay))
    async with (
        Models(run, budget_usd=config.budget_usd, replay=replay) as models,
        models.engine(task.endpoint, task.where, config.concurrency) as engine,
    ):
        yield _Judge(engine.ask, engine.at_once, engine, models)
        engine.check()
        for line in engine.summary(but=OF_THE_ANSWER):
            say(f"judge: {line}")
        if engine.tally and not engine.served and not any(engine.tally[kind] for kind in OF_THE_QUESTION):
            raise ThinkusError(
                "judge: not one answer came, as said above; mend that, the same command goes on"
            )


async def _nobody(request: Request) -> Outcome:
    raise AssertionError(f"nobody is to be asked for {request.purpose}")


async def _judge(config: JudgeConfig, run: Run) -> dict[str, Any]:
    task = _begun(config, run.inputs)
    size = sum(1 for _ in task.units())  # what does not fit together is refused before anything is asked
    if not size:
        say("judge: there is nothing to judge in this run, or in this part of it")
    invalid: Counter[str] = Counter()
    repeats = _repeats(config, run.inputs)
    with gathered(run) as rows:
        async with _asked(config, task, run) as judge:
            await _judge_all(task, judge, repeats, rows, size, invalid)
        rows.write()
    return {"items": size, "invalid": dict(invalid.most_common())}


async def _judge_all(
    task: Task, judge: _Judge, repeats: Repeats, rows: Gathered, size: int, invalid: Counter[str]
) -> None:
    async def work(numbered: tuple[int, Any]) -> Sequence[Judged]:
        unit = numbered[1]
        return await judged_again(task, unit, repeats.takes(task, unit), judge.ask)

    with bar("judge", size, partial(judge.note, invalid)) as move:
        async with aclosing(each(enumerate(task.units()), work, judge.at_once)) as judged:
            async for (number, _), takes in judged:
                failures = [failure for take in takes for failure in take.failures]
                rows.add(number, [take.row for take in takes], failures)
                invalid.update(failure.reason for failure in takes[0].failures)
                move()

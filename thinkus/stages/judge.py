"""judge: how close does a simulated user come to the real person?

Every verdict is in the run's store before it counts, and all figures are made from the run's rows. So a run
that was killed asks only for what is missing, and a better way of reading or counting costs nothing.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from thinkus.config import JudgeConfig
from thinkus.console import bar, say
from thinkus.errors import ThinkusError
from thinkus.gathered import Gathered, gathered
from thinkus.judging import ending, goals, hindsight, likeness, online, pairwise, terminal
from thinkus.judging.outlook import outlook
from thinkus.judging.showing import show_question, show_row
from thinkus.judging.tables import Judgement, tables
from thinkus.judging.task import Ask, Judged, Task, Way
from thinkus.llm.crowd import each
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import OF_THE_ANSWER, Kind, Outcome, Request
from thinkus.llm.models import Models
from thinkus.paths import expanded
from thinkus.records import read_records
from thinkus.runs import Input, Run, load_manifest, named_run, run_reference

WAYS: dict[str, Way] = {
    "pairwise": pairwise,
    "terminal": terminal,
    "goals": goals,
    "online": online,
    "ending": ending,
    "likeness": likeness,
    "hindsight": hindsight,
}
RECORDS = "records.jsonl"
AT_ONCE = 1
"""Where nobody is asked."""
OF_THE_QUESTION = (*OF_THE_ANSWER, Kind.TOO_LONG, Kind.REFUSED)
"""Failures that make a verdict invalid, and would do so again."""


def inputs(config: JudgeConfig, root: Path) -> dict[str, Input]:
    return WAYS[config.task].inputs(config, root)


def prompts(config: JudgeConfig) -> Sequence[str]:
    return WAYS[config.task].prompts_used(config)


def plan(config: JudgeConfig, root: Path) -> list[str]:
    read = {role: one.read for role, one in inputs(config, root).items()}
    return outlook(_begun(config, read))


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
            Judgement.of(manifest, rows, config.control_ties, config.control_wins)
        )
    console = Console(highlight=False, markup=False)
    for task, ones in judgements.items():
        console.print()
        for told in tables(task, ones):
            _print_whole(told, console)


def _print_whole(told: Table | str, console: Console) -> None:
    """No figure is folded, however narrow the window."""
    window = console.width
    console.width = (
        max(window, Measurement.get(console, console.options.update(width=1000), told).maximum)
        if isinstance(told, Table)
        else window
    )
    console.print(told)
    console.width = window


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
    with gathered(run) as rows:
        async with _asked(config, task, run) as judge:
            await _judge_all(task, judge, rows, size, invalid)
        rows.write()
    return {"items": size, "invalid": dict(invalid.most_common())}


async def _judge_all(task: Task, judge: _Judge, rows: Gathered, size: int, invalid: Counter[str]) -> None:
    async def work(numbered: tuple[int, Any]) -> Judged:
        return await task.judged(numbered[1], judge.ask)

    with bar("judge", size, partial(judge.note, invalid)) as move:
        async with aclosing(each(enumerate(task.units()), work, judge.at_once)) as judged:
            async for (number, _), (row, failures) in judged:
                rows.add(number, [row], failures)
                invalid.update(failure.reason for failure in failures)
                move()

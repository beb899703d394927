"""What the tests of judging share: people, runs to read from, configs, and judges that follow a script."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.judging.attacks import Seen, answered
from tests.llm.parts import Scripted, completion, engine
from tests.test_runs import manifest
from thinkus.compose import jobs
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.identity import identity_of
from thinkus.judging.task import Judged, Task, Way
from thinkus.llm.exchange import Completion, Outcome, Request
from thinkus.records import Annotation, Conversation, Message, to_line
from thinkus.runs import InputFacts, claimed

Judge = Callable[[Request], str | Completion]


@cache
def config(*words: str) -> JudgeConfig:
    """Without controls, where none are asked for."""
    (job,) = jobs("judge", ["controls=0", *words], sweep=False)
    assert isinstance(job.config, JudgeConfig)
    return job.config


def person(name: str, *turns: str, **known: Any) -> Conversation:
    """Each of their turns was answered, and then they left with a thought."""
    spoken = ((Message("user", turn), Message("assistant", f"As to {turn}: so.")) for turn in turns)
    facts = {
        "scenario": f"{name} bakes.",
        "motivation": "A loaf by noon.",
        "terminal_thought": f"{name} is glad.",
    }
    return Conversation(
        name, "test", tuple(chain.from_iterable(spoken)), "test", annotation=Annotation(**(facts | known))
    )  # fmt: skip


ANA = person("ana", "How do I bake bread?", "And how long?")
BEN = person("ben", "Why is my dough wet?", "I used rye.", "Thanks.")
EVE = person("eve", "Can I freeze it?")


def finished(
    root: Path,
    reference: str,
    records: Sequence[msgspec.Struct],
    *,
    counts: dict[str, Any] | None = None,
    inputs: dict[str, InputFacts] | None = None,
    config_yaml: str = "a: 1\n",
    **made_from: Any,
) -> Path:
    """A run of any stage."""
    stage, _, name = reference.partition("/")
    facts = {"stage": stage, "name": name, "made_from": made_from, "inputs": inputs or {}}
    facts["identity"] = identity_of(made_from)
    with claimed(root / reference, replace(manifest(), **facts), config_yaml, redo=False) as run:
        assert run is not None
        with run.output("records.jsonl") as file:
            file.writelines(map(to_line, records))
        run.counts = {"items": len(records)} | (counts or {})
        run.finish()
    return root / reference


def annotated(root: Path, *people: Conversation, **made_from: Any) -> Path:
    return finished(root, "annotate/sample", people, **made_from)


def begun(way: Way, asked_for: JudgeConfig, root: Path) -> Task:
    """On what it says that it reads, as the stage begins it."""
    read = {role: Path(one.read) for role, one in way.inputs(asked_for, root).items()}
    return way.begun(asked_for, read)


def refused(way: Way, asked_for: JudgeConfig, root: Path) -> str:
    """What is said instead of judging, before anything is asked: one line."""
    with pytest.raises(ThinkusError) as raised:
        list(begun(way, asked_for, root).units())
    assert "\n" not in str(raised.value)
    return str(raised.value)


def judged(task: Task, folder: Path, judge: Judge, units: Iterable[Any] | None = None) -> list[Judged]:
    """By this judge, in the order in which it was asked about."""

    async def script(request: Request) -> Completion:
        said = judge(request)
        return completion(said) if isinstance(said, str) else said

    async def run() -> list[Judged]:
        async with engine(Scripted(script), folder) as (one, _):
            return [await task.judged(unit, one.ask) for unit in (task.units() if units is None else units)]

    return asyncio.run(run())


def judged_by_nobody(task: Task, units: Iterable[Any] | None = None) -> list[Judged]:
    async def nobody(request: Request) -> Outcome:
        raise AssertionError(f"{request.item} was asked about")

    async def run() -> list[Judged]:
        return [await task.judged(unit, nobody) for unit in (task.units() if units is None else units)]

    return asyncio.run(run())


def taking(request: Request, place: int) -> str:
    """The answer that takes the option at this place, in the form that was asked for."""
    return answered(request, Seen(request).options[place])


def filtered() -> Completion:
    return completion("", finish="content_filter")

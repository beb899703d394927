"""annotate: adds to each conversation what the person did not say, as a model reconstructs it.

Answers come in any order and are kept in the run's store; what is made of them goes to a
scratch file, and becomes the records in the order of the corpus.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console

from thinkus.config import AnnotateConfig
from thinkus.console import bar, say
from thinkus.corpora import as_said
from thinkus.errors import ThinkusError
from thinkus.gathered import gathered
from thinkus.llm.crowd import each
from thinkus.llm.engine import Engine
from thinkus.llm.models import Models
from thinkus.paths import expanded
from thinkus.records import Annotation, Conversation, Failure, read_conversations
from thinkus.runs import (
    Input,
    Run,
    age,
    input_identity,
    input_run,
    load_manifest,
    named_run,
    run_reference,
)
from thinkus.shards import Shard
from thinkus.sheets.folder import Returned, keep
from thinkus.sheets.sheet import Sheet
from thinkus.thoughts import outlook
from thinkus.thoughts.funnel import counts_of, print_funnel
from thinkus.thoughts.gates import Limits
from thinkus.thoughts.preview import show
from thinkus.thoughts.ratings import print_report, read_sheet
from thinkus.thoughts.reconstruction import Reconstruction, Rejected
from thinkus.thoughts.sheet import drawn_sheet

WHERE = "annotator"
PROMPTS = ("reader", "again")
PROMPTS_OF_THE_END = ("fulfilment", "terminal_thought")


def inputs(config: AnnotateConfig, root: Path) -> dict[str, Input]:
    reference = run_reference("prepare", config.input or config.data.name)
    said = as_said(config.data)
    remedy = f"thinkus prepare {said}{' data.path=...' if 'data.name=' in said else ''}"
    directory, manifest = input_run(root, reference, remedy)
    description = f"{manifest.counts['items']:,} conversations, {age(manifest)} old"
    return {"input": Input(str(directory), input_identity(manifest), description)}


def prompts(config: AnnotateConfig) -> Sequence[str]:
    """`scenario` stands in for the protocol's where a conversation has no turn to think before."""
    if config.scenario_only:
        return [f"annotate/{name}" for name in (*PROMPTS, "scenario")]
    return [f"annotate/{name}" for name in (*PROMPTS, config.protocol, "scenario", *PROMPTS_OF_THE_END)]


def plan(config: AnnotateConfig, root: Path) -> list[str]:
    read = Path(inputs(config, root)["input"].read)
    return outlook.lines(config, _chosen(config, read), len(_places(config, read)))


def run(config: AnnotateConfig, run: Run) -> None:
    read = Path(run.inputs["input"])
    run.counts = asyncio.run(_annotate(config, run, _chosen(config, read), len(_places(config, read))))


def preview(config: AnnotateConfig, run: Run, count: int) -> None:
    """Annotate the first few, which the whole run then finds in its store, and print them."""
    read = Path(run.inputs["input"])

    async def few() -> list[Conversation | Rejected]:
        async with (
            Models(run, budget_usd=config.budget_usd, replay=_replay(config)) as models,
            models.engine(config.annotator, WHERE, config.concurrency) as engine,
        ):
            made = _reconstruction(config, engine)
            first = list(islice(_chosen(config, read), count))
            annotated = {one.id: result async for one, result in each(first, made.annotate, engine.at_once)}
            engine.check()
        return [
            result if isinstance(result, Rejected) else replace(conversation, annotation=result)
            for conversation in first
            for result in [annotated[conversation.id]]
        ]

    results = asyncio.run(few())
    show((one for one in results if isinstance(one, Conversation)), Console())
    for one in results:
        if isinstance(one, Rejected):
            say(f"annotate: one could not be annotated: {one.kind} ({one.detail})")


def show_finished(directory: Path, count: int) -> None:
    show(islice(read_conversations(directory / "records.jsonl"), count), Console())


def human_sheet(config: AnnotateConfig, directory: Path, count: int) -> Sheet:
    """Thoughts of a finished run for people to rate."""
    return drawn_sheet(_annotated(directory), count, config.seed)


def human_report(config: AnnotateConfig, directory: Path, back: Returned) -> None:
    """What people said of the thoughts that were drawn for them."""
    report = read_sheet(back.files, _annotated(directory), config.seed, back.drawn)
    keep(report, directory)
    print_report(report, Console())


def _annotated(directory: Path) -> list[Conversation]:
    return list(read_conversations(directory / "records.jsonl"))


async def _annotate(
    config: AnnotateConfig, run: Run, conversations: Iterator[Conversation], size: int
) -> dict[str, Any]:
    failed: Counter[str] = Counter()
    with gathered(run) as rows:
        async with (
            Models(run, budget_usd=config.budget_usd, replay=_replay(config)) as models,
            models.engine(config.annotator, WHERE, config.concurrency) as engine,
        ):
            made = _reconstruction(config, engine)

            async def work(numbered: tuple[int, Conversation]) -> Annotation | Rejected:
                return await made.annotate(numbered[1])

            with bar("annotate", size, partial(_note, made, models, engine, size)) as move:
                async for (number, conversation), result in each(
                    enumerate(conversations), work, engine.at_once
                ):
                    if isinstance(result, Rejected):
                        failed[result.kind] += 1
                        rows.add(number, failures=[Failure(conversation.id, *result)])
                    else:
                        rows.add(number, [replace(conversation, annotation=result)])
                    move()
            engine.check()
            for line in engine.summary():
                say(f"annotate: {line}")
            if size and not engine.served:
                raise ThinkusError(
                    f"annotate: not one answer came to {size:,} conversations, as said above; mend that, "
                    "the same command goes on"
                )
        rows.write()
    counts = counts_of(size, failed, made.answers, engine.served)
    if failed.total() == size:
        say(f"annotate: not one of {size:,} conversations could be annotated; failures.jsonl says why")
    print_funnel(counts, run.usage)
    return counts


def _note(made: Reconstruction, models: Models, engine: Engine, size: int) -> str:
    """Beside the bar: the share of answers that can be used, how fast it goes, and what it will have cost."""
    asked = sum(tally["asked"] for tally in made.answers.values())
    valid = sum(tally["valid"] for tally in made.answers.values())
    parts = [f"{valid / asked:.0%} valid" if asked else "", f"{engine.tokens_a_second:,.0f} tokens/s"]
    if models.spent_usd:
        rest = models.spent_here_usd / max(1, made.annotated) * (size - made.annotated)
        parts.append(f"${models.spent_usd:,.2f} of about ${models.spent_usd + rest:,.2f}")
    return ", ".join(filter(None, parts))


def _reconstruction(config: AnnotateConfig, engine: Engine) -> Reconstruction:
    gates = config.gates
    return Reconstruction(
        engine,
        Limits(gates.copied, gates.foreseen, gates.least_words, gates.most_words),
        protocol=config.protocol,
        first_thought=config.first_thought,
        scenario_only=config.scenario_only,
        max_attempts=config.max_attempts,
    )


def _chosen(config: AnnotateConfig, read: Path) -> Iterator[Conversation]:
    """Those of this run, or of this part of it."""
    places = _places(config, read)
    return islice(read_conversations(read / "records.jsonl"), places.start, places.stop)


def _places(config: AnnotateConfig, read: Path) -> range:
    manifest = load_manifest(read)
    assert manifest is not None
    items = min(manifest.counts["items"], config.limit or sys.maxsize)
    return range(items) if config.shard is None else Shard.parse(config.shard).block(items)


def _replay(config: AnnotateConfig) -> Path | None:
    if config.replay is None:
        return None
    return named_run(expanded(config.root), run_reference("annotate", config.replay))

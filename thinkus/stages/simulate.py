"""simulate: the user speaks, at every turn of real conversations or in live ones with an assistant.

Every answer is in the run's store before it is used. So a run that was killed comes to the same turns
and talks again, and asks only for what is missing.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

from thinkus.config import SimulateConfig
from thinkus.console import bar, say
from thinkus.errors import ThinkusError
from thinkus.gathered import Gathered, gathered
from thinkus.llm.crowd import each
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Kind
from thinkus.llm.models import Models
from thinkus.llm.scripted import WORDS
from thinkus.paths import expanded
from thinkus.records import Dialogue, Failure, SpokenTurn, read_conversations, read_records
from thinkus.runs import (
    Input,
    Run,
    age,
    input_identity,
    load_manifest,
    named_run,
    run_reference,
)
from thinkus.shards import Shard
from thinkus.user import showing
from thinkus.user.cast import ASSISTANT, CLASSIFIER, USER, Cast, cast
from thinkus.user.outlook import outlook
from thinkus.user.samples import SITUATION
from thinkus.user.scene import prompts_of
from thinkus.user.talk import Assistant, Classifier, Talks
from thinkus.user.tally import Tally, print_tally
from thinkus.user.thinking_user import Silent, ThinkingUser
from thinkus.user.turns import (
    Chosen,
    Position,
    annotated,
    as_record,
    drawn,
    held_out,
    no_scenario,
    positions,
)
from thinkus.user.writing import Occasion

RECORDS = "records.jsonl"
TOLD_OTHERWISE = (Kind.TOO_LONG, Kind.CUT, Kind.EMPTY)
"""In the table: as shortened histories, and with what could not be read."""


def inputs(config: SimulateConfig, root: Path) -> dict[str, Input]:
    players = cast(config, root)
    directory, manifest = annotated(config.eval.name, root)
    if players.manner.keeps_thoughts and config.mode == "offline" and manifest.made_from.get("scenario_only"):
        raise ThinkusError(
            f"eval: {directory} has scenarios alone, and this user is shown its earlier thoughts (history=thoughts); "
            "use mode=online, or a user trained with history=utterances"
        )
    about = f"{manifest.counts['items']:,} conversations, {age(manifest)} old"
    return {**players.inputs, "eval": Input(str(directory), input_identity(manifest), about)}


def prompts(config: SimulateConfig) -> Sequence[str]:
    used = list(prompts_of(config.method.name))
    if config.mode == "online":
        used += [SITUATION] if "classifier" not in config.idle else []
        used += [WORDS] if config.assistant.backend == "scripted" else []
    return list(dict.fromkeys(used))


def plan(config: SimulateConfig, root: Path) -> list[str]:
    players = cast(config, root)
    return outlook(config, players, _chosen(config, Path(inputs(config, root)["eval"].read)))


def run(config: SimulateConfig, run: Run) -> None:
    run.counts = asyncio.run(_simulate(config, run, _chosen(config, Path(run.inputs["eval"]))))


def preview(config: SimulateConfig, run: Run, count: int) -> None:
    """The first few exchanges, which the whole run then finds in its store."""
    chosen = _chosen(config, Path(run.inputs["eval"]))
    asyncio.run(_preview(config, run, chosen, count, Console()))


def show_finished(directory: Path, count: int) -> None:
    manifest = load_manifest(directory)
    assert manifest is not None
    left, console = count, Console()
    if manifest.made_from["mode"] == "online":
        for dialogue in read_records(directory / RECORDS, Dialogue):
            if left <= 0:
                return
            left -= showing.show_dialogue(dialogue, console, left)
    else:
        for record in read_conversations(directory / RECORDS):
            if left <= 0:
                return
            left -= showing.show_simulation(record, console, left)


async def _preview(
    config: SimulateConfig, run: Run, chosen: Sequence[Chosen], count: int, console: Console
) -> None:
    async with _stage(config, run) as stage:
        left = count
        for one in chosen:
            if left <= 0:
                break
            if config.mode == "offline":
                turns = {
                    position.turn: await stage.speak_at(position) for position in islice(positions(one), left)
                }
                record, failures = as_record(one.conversation, stage.user.by, turns)
                left -= showing.show_simulation(record, console, left) + len(failures)
                silent: list[Failure] = failures
            else:
                dialogue, failure = await stage.talks(min(left, config.max_turns)).hold(one)
                is_whole = left >= config.max_turns or (dialogue and dialogue.ended_by != "max_turns")
                left -= (
                    showing.show_dialogue(dialogue, console, left, is_whole=bool(is_whole)) if dialogue else 1
                )
                silent = [failure] if failure else []
            for failed in silent:
                say(f"simulate: a turn could not be had: {failed.reason} ({failed.detail})")
        stage.check()


class _Stage:
    """All who are at hand, while a run lasts."""

    def __init__(
        self, config: SimulateConfig, players: Cast, engines: Mapping[str, Engine], models: Models
    ) -> None:
        self._config, self._players, self._engines, self._models = config, players, engines, models
        self.user = ThinkingUser(
            engines[USER], players.manner, players.by, max_retries=config.max_retries, seed=config.seed
        )

    @property
    def at_once(self) -> int:
        """Talks go from one side to the other: as many as keep all of them busy."""
        return sum(engine.at_once for engine in self._engines.values())

    async def speak_at(self, position: Position) -> SpokenTurn | Silent:
        scenario = position.chosen.scenario
        keeps_thoughts = self._players.manner.keeps_thoughts
        lack = position.lack(keeps_thoughts=keeps_thoughts)
        if lack or scenario is None:
            return lack or no_scenario()
        # The thoughts of the real person are none of the model's, unless it is shown them.
        lines = [line if keeps_thoughts else line._replace(thought=None) for line in position.lines]
        return await self.user.speak(Occasion(scenario, lines, position.chosen.conversation.id))

    def talks(self, max_turns: int) -> Talks:
        config, threshold = self._config, self._players.threshold
        return Talks(
            self.user,
            Assistant(self._engines[ASSISTANT], max_retries=config.max_retries, seed=config.seed),
            None if threshold is None else Classifier(self._engines[CLASSIFIER].ask, threshold),
            ending=config.ending,
            max_turns=max_turns,
            assistant_name=self._players.assistant_name,
        )

    def check(self) -> None:
        for engine in self._engines.values():
            engine.check()

    def note(self) -> str:
        """Beside the bar."""
        answers = self.user.answers
        readable = f"{answers['read'] / answers.total():.0%} could be read" if answers else ""
        speed = sum(engine.tokens_a_second for engine in self._engines.values())
        spent = f"${self._models.spent_usd:,.2f}" if self._models.spent_usd else ""
        return ", ".join(filter(None, (readable, f"{speed:,.0f} tokens/s", spent)))

    def say_summary(self) -> None:
        for engine in self._engines.values():
            for line in engine.summary(but=TOLD_OTHERWISE):
                say(f"simulate: {line}")


@asynccontextmanager
async def _stage(config: SimulateConfig, run: Run) -> AsyncIterator[_Stage]:
    root = expanded(config.root)
    players = cast(config, root)
    players.check_weights()
    replay = None if config.replay is None else named_run(root, run_reference("simulate", config.replay))
    async with AsyncExitStack() as stack:
        models = await stack.enter_async_context(Models(run, budget_usd=config.budget_usd, replay=replay))
        engines = {
            where: await stack.enter_async_context(models.engine(endpoint, where, config.concurrency))
            for where, endpoint in players.endpoints.items()
        }
        yield _Stage(config, players, engines, models)


async def _simulate(config: SimulateConfig, run: Run, chosen: Sequence[Chosen]) -> dict[str, Any]:
    tally = Tally()
    with gathered(run) as rows:
        async with _stage(config, run) as stage:
            speak = _speak_everywhere if config.mode == "offline" else _hold_all
            await speak(config, chosen, stage, rows, tally)
            stage.check()
            stage.say_summary()
        rows.write()
    counts = tally.counts(stage.user.answers, stage.user.closed)
    print_tally(counts, run.usage, decode=config.decode)
    if tally.turns and not tally.spoken:
        say("simulate: not one turn could be read; failures.jsonl has what was written instead")
    return counts


async def _speak_everywhere(
    config: SimulateConfig, chosen: Sequence[Chosen], stage: _Stage, rows: Gathered, tally: Tally
) -> None:
    """A conversation's turns in their order and together, so that a server's cache holds their beginning."""
    spoken: dict[int, dict[int, SpokenTurn | Silent]] = defaultdict(dict)

    def take(position: Position, turn: SpokenTurn | Silent) -> None:
        one = position.chosen
        tally.add(turn)
        spoken[one.number][position.turn] = turn
        if len(spoken[one.number]) > one.conversation.user_turns:
            record, failures = as_record(one.conversation, stage.user.by, spoken.pop(one.number))
            rows.add(one.number, [record], failures)
            tally.items += 1

    size = sum(one.conversation.user_turns + 1 for one in chosen)
    every = (position for one in chosen for position in positions(one))
    with bar("simulate", size, stage.note) as move:
        async with aclosing(each(every, stage.speak_at, stage.at_once)) as spoken_at:
            async for position, turn in spoken_at:
                take(position, turn)
                move()


async def _hold_all(
    config: SimulateConfig, chosen: Sequence[Chosen], stage: _Stage, rows: Gathered, tally: Tally
) -> None:
    if config.shard is None and len(chosen) < config.n_scenarios:
        say(
            f"simulate: n_scenarios is {config.n_scenarios:,}, and the test split has {len(chosen):,}: all of them"
        )
    talks = stage.talks(config.max_turns)
    with bar("simulate", len(chosen), stage.note) as move:
        async with aclosing(each(chosen, talks.hold, stage.at_once)) as held:
            async for one, (dialogue, failure) in held:
                rows.add(one.number, [dialogue] if dialogue else [], [failure] if failure else [])
                tally.add_dialogue(dialogue, failure)
                move()


def _chosen(config: SimulateConfig, read: Path) -> list[Chosen]:
    """Of the test split, in the order of the corpus or as the seed draws them; those of this part."""
    test = held_out(read)
    is_live = config.mode == "online"
    chosen = drawn(test, config.seed, config.n_scenarios) if is_live else test[: config.limit]
    numbered = [Chosen(number, one) for number, one in enumerate(chosen)]
    if config.shard is None:
        return numbered
    block = Shard.parse(config.shard).block(len(numbered))
    return numbered[block.start : block.stop]

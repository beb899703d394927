"""sft: trains a model to play the person, thought first, and leaves an ordinary Hugging Face model."""

import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

from rich.console import Console

from thinkus import weights
from thinkus.belongings import CHECKPOINTS, TRAINING
from thinkus.config import Model, SftConfig
from thinkus.console import bar, gauge, say
from thinkus.errors import ThinkusError
from thinkus.paths import expanded
from thinkus.records import read_conversations, to_line
from thinkus.runs import Input, Run, age, input_identity, load_manifest
from thinkus.slurm import here
from thinkus.train import checkpoints, fitness, result, start
from thinkus.train.disk import Disk
from thinkus.train.encode import Encoder
from thinkus.train.lessons import LOOKED_AT, Lessons
from thinkus.train.material import (
    MODEL,
    RECORDS,
    Wrongs,
    look_at,
    material_of,
    missing_packages,
    most_samples,
    weights_of,
)
from thinkus.train.memory import Zero
from thinkus.train.metrics import Evaluation, Follower, Line, StepFacts
from thinkus.train.preview import show
from thinkus.train.room import Room
from thinkus.train.shelf import Shelf
from thinkus.train.task import LIKELIHOODS, Meeting, Task
from thinkus.user import leaving
from thinkus.user.samples import CONTINUES, ENDS, SITUATION, Teaching, Way

STEPS_LOOKED_AT = 100
"""To tell how many tokens will be computed."""
DOES: dict[Way, str] = {
    "thinkingus": "Plays a person who talks to an assistant: writes what the person thinks, between <thought> and "
    "</thought>, then what the person says; nothing after the thought is the person's leaving.",
    "utterance_sft": "Plays a person who talks to an assistant: writes what the person says; nothing at all is the "
    "person's leaving.",
    "ending": "Says after a reply of the assistant's whether the person leaves: 1, or 0 where they go on.",
}


def inputs(config: SftConfig, root: Path) -> dict[str, Input]:
    if not config.method.trained:
        raise ThinkusError(
            f"method: {config.method.name} asks a model as it is, so there is nothing to train; use it with "
            f"thinkus simulate method={config.method.name} model={config.model.name}"
        )
    material = material_of(config, root)
    about = f"{material.manifest.counts['items']:,} conversations, {age(material.manifest)} old"
    return {
        "input": Input(str(material.directory), input_identity(material.manifest), about),
        "model": Input(material.model.name, material.model.identity, "the model to begin with"),
    }


def prompts(config: SftConfig) -> Sequence[str]:
    return (SITUATION,)


def plan(config: SftConfig, root: Path) -> list[str]:
    """Without tokens, which only the model's tokenizer could count."""
    material = material_of(config, root)
    conversations, samples = most_samples(config, material.records)
    room = Room(config, material.shape)
    disk = Disk(config, room.ranks.device, samples, material.records)
    would_be_refused = [] if config.cluster.name == "slurm" else room.lacks()
    if lack := disk.lack(root, None):
        would_be_refused.append(lack)
    return [
        f"trains {config.model.name} on {conversations:,} conversations: {samples:,} samples in {config.epochs} "
        f"epochs, {-(-samples // config.global_batch):,} steps of {config.global_batch}, less those that are too long",
        room.plan(),
        disk.plan(root),
        *(f"would be refused: {line}" for line in would_be_refused),
    ]


def look(config: SftConfig, root: Path, count: int) -> None:
    """Samples as the model will see them."""
    read = Path(inputs(config, root)["input"].read)
    workshop = Workshop(config)
    taught = (one for one in read_conversations(read / RECORDS) if one.split != "test")
    encoded = (one for conversation in taught for one in workshop.lessons.of(conversation))
    show(islice(encoded, count), workshop.lessons.encoder, Console())


def run(config: SftConfig, run: Run) -> None:
    workshop = Workshop(config)
    last = checkpoints.last_in(run.directory / CHECKPOINTS)
    room = Room(config, workshop.shape, last.zero if last else None)
    task = workshop.task(run, room)
    _check_room(config, run, room, task)
    folder = run.directory / TRAINING
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier process; what is dear lies in checkpoints/
    counts = workshop.shelve(Path(run.inputs["input"]), folder, run)
    shelf = Shelf(folder / "train")
    _say_plan(task, shelf)
    with gauge("sft", task.budget_s or len(task.plan(shelf))) as show_at:
        start.train(task, partial(_watch, task, show_at))
    lines = Follower(run.directory / "metrics.jsonl").new()
    run.counts = {**counts, **_outcome(lines)}
    if task.labels:
        run.counts["ending"] = _ending(folder)
    made = folder / "model"
    page = workshop.teaching.page
    result.complete(made, workshop.tokenizer, page.chat_template, _card(config, run, lines))
    result.put_in_place(made, run.directory / "model")


class Workshop:
    """What a training is made with, checked."""

    def __init__(self, config: SftConfig) -> None:
        self._config = config
        wrongs = Wrongs()
        wrongs.add(missing_packages(config.tracker.name))
        wrongs.stop_if_any()
        self.folder = weights_of(config).ready(MODEL)
        self.shape = look_at(self.folder, config.max_length, wrongs)
        wrongs.stop_if_any()
        self.tokenizer = weights.load_tokenizer(self.folder)
        fitness.check_tokenizer(self.tokenizer)
        way = cast(Way, config.method.name)
        self.teaching = Teaching(way, config.history == "thoughts", config.first_thought)
        self.labels: tuple[int, int] | None = None
        if way == "ending":
            goes_on, ends = (fitness.label_token(self.tokenizer, label) for label in (CONTINUES, ENDS))
            self.labels = (goes_on, ends)
        encoder = Encoder(
            self.tokenizer,
            self.teaching.page,
            max_length=config.max_length,
            overlong=config.overlong,
            is_label=way == "ending",
        )
        self.lessons = Lessons(self.teaching, encoder, config.loss_norm, config.seed)

    def shelve(self, read: Path, folder: Path, run: Run) -> dict[str, Any]:
        """The samples, where the ranks find them; counted and said."""
        manifest = load_manifest(read)
        assert manifest is not None
        with bar("sft", manifest.counts["items"]) as move:
            counts = self.lessons.shelve(read_conversations(read / RECORDS), folder, move)
        if not counts["train"]["samples"]:
            raise ThinkusError(_nothing_to_teach(self._config, read, counts["train"]))
        with run.output("failures.jsonl") as failures:
            failures.writelines(map(to_line, self.lessons.encoder.failures))
        if otherwise := counts["train"].pop("read_otherwise", 0):
            say(
                f"sft: {otherwise} of the first {LOOKED_AT} samples would be tokenized otherwise by a server, which "
                "reads the names of special tokens in a text as these tokens"
            )
        for side, tally in counts.items():
            lost = [
                f"{count:,} {kind}"
                for kind, count in tally.items()
                if kind not in ("samples", "conversations")
            ]
            if tally:
                say(
                    f"sft: {side.replace('_', ' ')}: {tally['samples']:,} samples of {tally['conversations']:,} "
                    f"conversations{' (' + ', '.join(lost) + ')' if lost else ''}"
                )
        return {"items": counts["train"]["samples"], **{side: dict(tally) for side, tally in counts.items()}}

    def task(self, run: Run, room: Room) -> Task:
        config = self._config
        return Task(
            run=str(run.directory.absolute()),
            name=run.manifest.name,
            identity=run.manifest.identity,
            weights=str(self.folder.absolute()),
            device=room.ranks.device,
            ranks=room.ranks.total,
            zero_stage=room.zero.stage,
            offload=room.zero.offload,
            gradient_checkpointing=room.recomputes,
            seed=config.seed,
            epochs=config.epochs,
            lr=config.lr,
            warmup_share=config.warmup_share,
            weight_decay=config.weight_decay,
            max_grad_norm=config.max_grad_norm,
            global_batch=config.global_batch,
            max_tokens=room.max_tokens,
            layout=config.layout,
            order=config.order,
            checkpoint_steps=config.checkpoint_steps,
            budget_s=config.budget_s,
            labels=self.labels,
            tracker=config.tracker.name,
            nodes=room.ranks.nodes,
            meeting=_meeting() if room.ranks.nodes > 1 else None,
        )


def _meeting() -> Meeting:
    return Meeting(here.address(), start.free_port(), here.launch())


def _check_room(config: SftConfig, run: Run, room: Room, task: Task) -> None:
    """Everything that lacks here, said before a model is loaded."""
    material = Path(run.inputs["input"]) / RECORDS
    disk = Disk(config, task.device, most_samples(config, material)[1], material)
    wrongs = Wrongs()
    wrongs.add(room.lacks())
    if lack := disk.lack(run.directory, task.checkpoints):
        wrongs.add([lack])
    wrongs.stop_if_any()
    room.say_zero()


def _nothing_to_teach(config: SftConfig, read: Path, tally: Counter[str]) -> str:
    if not tally:
        return f"input: {read} has no conversation in its split train; prepare with data.train= above 0"
    reasons = ", ".join(f"{count:,} {kind}" for kind, count in tally.items() if count)
    if tally["too_long"] or tally["cannot_fit"]:
        return f"max_length: no sample fits in {config.max_length:,} tokens ({reasons}); raise it"
    again = " first_thought=true" if tally["no_first_thought"] else ""
    return (
        f"input: no conversation of {read} has what method={config.method.name} teaches ({reasons}); annotate it "
        f"with thoughts (thinkus annotate data={config.data.name}{again}), or train method=utterance_sft"
    )


def _say_plan(task: Task, shelf: Shelf) -> None:
    plan = task.plan(shelf)
    steps = [plan[number] for number in range(min(len(plan), STEPS_LOOKED_AT))]
    physical = sum(pack.tokens for step in steps for packs in step.ranks for pack in packs)
    logical = sum(int(shelf.samples.length[step.samples].sum()) for step in steps)
    say(
        f"sft: {len(plan):,} steps of {task.global_batch} samples, {logical / physical:.2f} times fewer tokens to "
        f"compute than they hold; {task.ranks} process{'es' * (task.ranks > 1)} on {task.device}, "
        f"{Zero(task.zero_stage, task.offload)}"
    )


def _watch(task: Task, show_at: Callable[[float, str], None], line: Line) -> None:
    if isinstance(line, Evaluation):
        say(
            f"sft: after {line.step:,} steps: loss on the test split {line.loss:.4f} ({line.samples:,} samples)"
        )
        return
    note = f"step {line.step:,}, loss {line.loss:.3f}, {line.physical_tokens / line.seconds:,.0f} tokens/s"
    if task.budget_s is None:
        show_at(line.step, note)
    else:
        show_at(line.elapsed_s, f"{note}, {line.elapsed_s:,.0f} of {task.budget_s:,.0f} s")


def _outcome(lines: Sequence[Line]) -> dict[str, Any]:
    steps = [line for line in lines if isinstance(line, StepFacts)]
    tests = [line for line in lines if isinstance(line, Evaluation)]
    return {
        "steps": steps[-1].step,
        "loss": steps[-1].loss,
        "test_loss": tests[-1].loss if tests else None,
        "physical_tokens": sum(line.physical_tokens for line in steps),
        "logical_tokens": sum(line.logical_tokens for line in steps),
        "seconds": steps[-1].elapsed_s,
        "memory_gb": steps[-1].memory_gb,
    }


def _ending(folder: Path) -> dict[str, Any]:
    """The threshold from what was held out, and how good it is on the test split."""
    judged = json.loads((folder / LIKELIHOODS).read_bytes())
    held_out, test = ([(was, likely) for _, was, likely in judged[side]] for side in ("held_out", "test"))
    threshold = leaving.best_threshold(held_out)
    if not any(was for was, _ in held_out):
        say("sft: no end was held out, too few conversations: the threshold is a guess")
    found = leaving.quality(test, threshold)
    say(
        f"sft: ends of the test split at a threshold of {threshold:.3f}: precision {found.precision:.3f}, recall "
        f"{found.recall:.3f}, F1 {found.f1:.3f} ({found.ends:,} ends among {found.positions:,} replies)"
    )
    return {
        "threshold": threshold,
        "held_out": leaving.quality(held_out, threshold)._asdict(),
        "test": found._asdict(),
    }


def _published(model: Model) -> str:
    """As others know it; a folder is nobody's business."""
    is_on_hub = model.source == "hub" and model.weights and not expanded(model.weights).exists()
    return str(model.weights) if is_on_hub else model.name


def _card(config: SftConfig, run: Run, lines: Sequence[Line]) -> str:
    outcome = _outcome(lines)
    base = _published(config.model)
    told = {
        "method": config.method.name,
        "history": config.history,
        "first thought": "yes" if config.first_thought else "no",
        "base model": base,
        "corpus": f"{Path(run.inputs['input']).name}, {run.counts['items']:,} samples",
        "training": f"{outcome['steps']:,} steps of {config.global_batch}, lr {config.lr:g}, seed {config.seed}",
        "loss in the last step": f"{outcome['loss']:.4f}",
        "loss on the test split": "none" if outcome["test_loss"] is None else f"{outcome['test_loss']:.4f}",
        "made by": f"thinkus {run.manifest.thinkus} ({run.manifest.git_commit or 'no checkout'})",
        "identity": run.manifest.identity,
    }
    return result.card(run.manifest.name, base, told, DOES[cast(Way, config.method.name)])

"""Does the order of the samples matter? Held-out loss of the same samples in three orders, over seeds.

    make bench-order              half an hour on two cores; MODELS=tiny or MODELS=gemma270m for one of them

`conversation` keeps the samples of a conversation together, which is what makes trees small; `sample`
shuffles them all; the third arm is the first with a batch six times as large, so that a step holds about
as many conversations as a step of the second. All see the same samples equally often. `tiny` begins with
random weights and trains at the better of two learning rates for each arm, by the first seed.
"""

import os
import random
import shutil
import statistics
from pathlib import Path
from typing import NamedTuple

import sft
import sft_ways
from msgspec.structs import replace

from thinkus import launch, weights
from thinkus.records import Conversation, Split, read_conversations
from thinkus.train import start
from thinkus.train.encode import Encoder
from thinkus.train.lessons import Lessons
from thinkus.train.metrics import Evaluation, Follower, StepFacts
from thinkus.train.plan import Order
from thinkus.train.task import Task
from thinkus.user.samples import Teaching

FOLDER = sft.FOLDER / "order"
SEEDS = (0, 1, 2)
LARGER = 6


class Arm(NamedTuple):
    name: str
    order: Order
    larger: int


ARMS = (
    Arm("conversation", "conversation", 1),
    Arm("sample", "sample", 1),
    Arm(f"conversation, batch x {LARGER}", "conversation", LARGER),
)


class Subject(NamedTuple):
    """A model, what it is trained on, and how."""

    model: str
    conversations: int
    held_out: int
    max_length: int
    epochs: int
    global_batch: int
    rates: tuple[float, ...]


SUBJECTS = (
    Subject("tiny", 80, 30, 4096, 8, 20, (3e-3, 1e-2)),
    Subject("gemma270m", 6, 4, 512, 1, 4, (2e-5,)),
)


class Outcome(NamedTuple):
    loss: float
    steps: int
    physical: int
    logical: int


def conversations(subject: Subject, corpus: str) -> list[Conversation]:
    """ShareGPT with stand-in thoughts for the model that knows nothing, the shipped sample for the other."""
    if subject.model == "tiny":
        whole = sft_ways.read_corpus(corpus)
        # A byte is a token here, so what is short.
        short = [one for one in whole if sum(len(m.content.encode()) for m in one.messages) < 1500]
        random.Random(0).shuffle(short)
        chosen = list(map(sft_ways.annotated, short[: subject.conversations + subject.held_out]))
    else:
        root = f"root={FOLDER / 'outputs'}"
        for stage in ("prepare", "annotate"):
            launch.start(stage, ["data=sample", root], sweep=False, redo=False)
        records = list(read_conversations(FOLDER / "outputs" / "annotate" / "sample" / "records.jsonl"))
        test = [one for one in records if one.split == "test"][: subject.held_out]
        chosen = [*test, *[one for one in records if one.split != "test"][: subject.conversations]]
    sides: tuple[Split, Split] = ("test", "train")
    return [replace(one, split=sides[at >= subject.held_out]) for at, one in enumerate(chosen)]


def shelve(subject: Subject, corpus: str) -> Path:
    folder = FOLDER / subject.model
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = weights.load_tokenizer(weights.find(subject.model).ready("model"))
    teaching = Teaching("thinkingus", keeps_thoughts=False, first_thought=False)
    encoder = Encoder(
        tokenizer, teaching.page, max_length=subject.max_length, overlong="truncate_history", is_label=False
    )
    chosen = conversations(subject, corpus)
    counts = Lessons(teaching, encoder, "token", 0).shelve(chosen, folder / "training", lambda: None)
    train, test = counts["train"], counts["test"]
    print(
        f"{subject.model}: {train['samples']} samples of {train['conversations']} conversations "
        f"({train['truncated']} cut), {test['samples']} held out; {subject.epochs} epochs in batches of "
        f"{subject.global_batch}",
        flush=True,
    )
    return folder


def outcome(subject: Subject, arm: Arm, rate: float, seed: int) -> Outcome:
    run = FOLDER / subject.model / f"{arm.name.replace(' ', '_')}-{rate:g}-{seed}"
    shutil.copytree(FOLDER / subject.model / "training", run / "training")
    task = Task(
        run=str(run),
        name=run.name,
        identity="bench",
        weights=str(weights.find(subject.model).ready("model")),
        device="cpu",
        ranks=1,
        zero_stage=0,
        offload=False,
        gradient_checkpointing=False,
        seed=seed,
        epochs=subject.epochs,
        lr=rate,
        warmup_share=0.1,
        weight_decay=0.0,
        max_grad_norm=1.0,
        global_batch=subject.global_batch * arm.larger,
        max_tokens=8_192,
        layout="tree",
        order=arm.order,
        checkpoint_steps=10**9,
        budget_s=None,
    )
    start.train(task, lambda _: None)
    lines = Follower(run / "metrics.jsonl").new()
    shutil.rmtree(run)
    steps = [line for line in lines if isinstance(line, StepFacts)]
    loss = [line.loss for line in lines if isinstance(line, Evaluation)][-1]
    found = Outcome(
        loss,
        len(steps),
        sum(line.physical_tokens for line in steps),
        sum(line.logical_tokens for line in steps),
    )
    print(f"  {arm.name}, lr {rate:g}, seed {seed}: {loss:.4f} after {len(steps)} steps", flush=True)
    return found


def compared(subject: Subject) -> None:
    rows = []
    for arm in ARMS:
        tried = {rate: outcome(subject, arm, rate, SEEDS[0]) for rate in subject.rates}
        rate = min(tried, key=lambda one: tried[one].loss)
        rows.append((arm, rate, [tried[rate], *(outcome(subject, arm, rate, seed) for seed in SEEDS[1:])]))
    print(
        f"\n| {subject.model}: order | lr | steps | held-out loss, mean of {len(SEEDS)} seeds | from, to | computed |"
    )
    print("|---|---|---|---|---|---|")
    for arm, rate, found in rows:
        losses = [one.loss for one in found]
        share = sum(one.physical for one in found) / sum(one.logical for one in found)
        print(
            f"| {arm.name} | {rate:g} | {found[0].steps} | {statistics.mean(losses):.4f} | "
            f"{min(losses):.4f} to {max(losses):.4f} | {share:.2f} |"
        )
    print(flush=True)


def main() -> None:
    asked = os.environ.get("MODELS", "tiny gemma270m").split()
    corpus = os.environ.get("CORPUS") or str(sft.fetched(sft.FOLDER / "sharegpt", sft.SHAREGPT))
    for subject in SUBJECTS:
        if subject.model in asked:
            shelve(subject, corpus)
            compared(subject)


if __name__ == "__main__":
    main()

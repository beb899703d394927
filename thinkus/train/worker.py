"""One rank of a training: from its task to a model, a step at a time.

    python -m thinkus.train.worker TASK.json        (as torchrun or the launcher starts it)

Every rank makes the same plan, and none asks another what comes next. What they share at each step
is one sum: of the losses, and of how long it took.
"""

import json
import math
import os
import resource
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from thinkus import warden
from thinkus.errors import ThinkusError
from thinkus.files import of_the_machine, write_whole
from thinkus.train import engine as deepspeed
from thinkus.train import start
from thinkus.train.checkpoints import Checkpoints
from thinkus.train.metrics import Evaluation, Follower, Line, Metrics, StepFacts
from thinkus.train.plan import Pack, Step
from thinkus.train.schedule import share_of_lr
from thinkus.train.shelf import Shelf
from thinkus.train.speed import Work, peak_of
from thinkus.train.task import LIKELIHOODS, MODEL, STOP, Task, read
from thinkus.train.trackers import tracker_of

LAYOUTS_MAY_DIFFER = 0.02
"""Of the loss, in bfloat16; a mask that is wrong moves it by far more."""


class Leave(Exception):
    """All ranks know that they are asked to stop."""


@dataclass(frozen=True)
class State:
    """How far a training is, beside its weights."""

    steps: int
    elapsed_s: float
    is_evaluated: bool
    """After these steps, where that is due."""


class Rank:
    def __init__(self, task: Task) -> None:
        self.task = task
        self.number = int(os.environ["RANK"])
        self.is_first = self.number == 0
        self._device = torch.device(task.device)
        self._shelf = Shelf(task.shelf("train"))
        self._plan = task.plan(self._shelf)
        torch.manual_seed(task.seed)
        deepspeed.begin(task)
        model = deepspeed.load_model(task)
        self._work = Work(model)
        self.engine = deepspeed.initialize(task, model, flex=task.device == "cuda")
        self._checkpoints = Checkpoints(task, self.number)
        self._metrics = Metrics(task.directory / "metrics.jsonl")
        self._tracker = tracker_of(task) if self.is_first else None
        self._peak = peak_of(torch.cuda.get_device_name()) if task.device == "cuda" else None
        self._state = State(steps=0, elapsed_s=0.0, is_evaluated=False)
        self._saved: State | None = None

    def train(self) -> bool:
        """Whether it came to its end; where it was asked to stop it has saved how far it came."""
        try:
            self._train()
            if self.task.labels:
                self._judge_endings()
        except Leave:
            if self._state.steps > (self._saved.steps if self._saved else 0):
                self._save()
            return False
        return True

    def _train(self) -> None:
        self._resume()
        if self._state.steps == 0:
            self._compare_layouts(self._plan[0])
        while True:
            done = self._state.steps
            is_last = done == len(self._plan) or self._is_time_over()
            if self._is_evaluation_due(done, is_last) and not self._state.is_evaluated:
                self._evaluate(done)
                self._state = replace(self._state, is_evaluated=True)
            # Of a training by the clock the end is soon reached again, and gigabytes take their time.
            is_worth_keeping = is_last and self.task.budget_s is None
            if (is_worth_keeping or done % self.task.checkpoint_steps == 0) and done:
                self._save()
            if is_last:
                return
            self._take(done, self._plan[done])

    def _is_evaluation_due(self, done: int, is_last: bool) -> bool:
        if done == 0:
            return self.task.budget_s is None  # whoever counts seconds wants them spent on steps
        return is_last or done in self._plan.ends_of_epochs()

    def _save(self) -> None:
        if self._state != self._saved:
            if self.is_first:
                self._metrics.sync()
            self._checkpoints.save(self.engine, self._state.steps, asdict(self._state))
            self._saved = self._state

    def export(self, folder: Path) -> None:
        deepspeed.export(self.task, self.engine, folder)

    def _judge_endings(self) -> None:
        """For each sample held out or of the test split: its label, and how likely the model finds the end."""
        judged = {name: self._likelihoods(Shelf(self.task.shelf(name))) for name in ("held_out", "test")}
        if self.is_first:
            write_whole(self.task.folder / LIKELIHOODS, json.dumps(judged).encode())

    def _resume(self) -> None:
        if (kept := self._checkpoints.load(self.engine)) is not None:
            self._state = self._saved = State(**kept)
        if self._tracker:
            self._tracker.begin(Follower(self._metrics.file).new())

    def _is_time_over(self) -> bool:
        return self.task.budget_s is not None and self._state.elapsed_s >= self.task.budget_s

    def _leave_if_asked(self) -> None:
        asked = torch.tensor(self._is_asked_to_stop(), dtype=torch.float64, device=self._device)
        if self._total(asked).item():
            raise Leave

    def _is_asked_to_stop(self) -> float:
        """1 on the rank that looks, so that a sum over all tells each."""
        return float(self.is_first and (self.task.folder / STOP).exists())

    def _take(self, number: int, step: Step) -> None:
        began = time.perf_counter()
        lr = self.task.lr * share_of_lr(self._progress(number), self.task.warmup_share)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = lr
        loss, tokens, work = self._accumulate(step)
        self._stop_if_lost(number, step, loss, "loss")
        self.engine.step()
        norm = float(self.engine.get_global_grad_norm())
        self._stop_if_lost(number, step, norm, "gradient's norm")
        # Ranks wait for each other, so all took about as long; they must agree on when the time is over.
        here = (time.perf_counter() - began, self._is_asked_to_stop())
        seconds, asked = self._total(torch.tensor(here, dtype=torch.float64, device=self._device)).tolist()
        seconds_a_step = seconds / self.task.ranks
        self._state = State(number + 1, self._state.elapsed_s + seconds_a_step, is_evaluated=False)
        drawn = min((number + 1) * self.task.global_batch, self._plan.drawn)
        samples = self._shelf.samples
        self._note(
            StepFacts(
                step=number + 1,
                epoch=round(drawn / len(self._shelf), 4),
                loss=loss,
                lr=lr,
                gradient_norm=norm,
                physical_tokens=tokens,
                logical_tokens=int(samples.length[step.samples].sum()),
                targets=int(samples.targets[step.samples].sum()),
                seconds=round(seconds_a_step, 4),
                elapsed_s=round(self._state.elapsed_s, 2),
                memory_gb=round(self._memory_gb(), 3),
                peak_share=self._peak and round(work / seconds_a_step / self.task.ranks / self._peak, 4),
            )
        )
        if asked:
            raise Leave

    def _accumulate(self, step: Step) -> tuple[float, int, float]:
        """Gradients of the step; of all ranks together its loss, the tokens computed, and the operations."""
        sums = torch.zeros(3, dtype=torch.float64, device=self._device)
        for at, pack in enumerate(step.ranks[self.number]):
            forest = self._shelf.forest(pack)
            loss = self.engine(forest, step.rows(at))
            # DeepSpeed takes the mean over ranks; what is wanted is their sum, over all targets of the step.
            self.engine.backward(loss * (self.task.ranks / step.weight), scale_wrt_gas=False)
            here = (loss.detach(), forest.size if pack.groups else 0, self._work.of(forest))
            sums += torch.tensor(here, dtype=torch.float64, device=self._device)
        loss_sum, tokens, work = self._total(sums).tolist()
        return loss_sum / step.weight, int(tokens), work

    def _note(self, line: Line) -> None:
        if self.is_first:
            self._metrics.add(line)
            if self._tracker:
                self._tracker.add(line)

    def _progress(self, number: int) -> float:
        """At the middle of a step, so that neither the first nor the last is wasted."""
        by_steps = (number + 0.5) / len(self._plan)
        by_time = self._state.elapsed_s / self.task.budget_s if self.task.budget_s else 0.0
        return min(1.0, max(by_steps, by_time))

    def _evaluate(self, steps: int) -> None:
        shelf = Shelf(self.task.shelf("test"))
        if len(shelf):
            loss = self._mean_loss(shelf)
            if not math.isfinite(loss):
                raise ThinkusError(
                    f"lr: after {steps} steps the loss on the test split is {loss}; take a lower lr= than "
                    f"{self.task.lr:g}"
                )
            self._note(Evaluation(step=steps, loss=loss, samples=len(shelf)))

    def _mean_loss(self, shelf: Shelf) -> float:
        packs = self.task.plan(shelf).laid_out(range(len(shelf)))
        weight = float(shelf.samples.weight.sum())
        summed = torch.zeros((), dtype=torch.float64, device=self._device)
        self.engine.eval()
        with torch.no_grad():
            for at, pack in enumerate(packs[self.number]):
                summed += self.engine(shelf.forest(pack), max(each[at].targets for each in packs))
                self._leave_if_asked()
        self.engine.train()
        return self._total(summed).item() / weight

    def _likelihoods(self, shelf: Shelf) -> list[tuple[int, bool, float]]:
        """Number of the sample, whether it was the end, and the likelihood of that beside going on."""
        assert self.task.labels is not None
        packs = self.task.plan(shelf, layout="flat").laid_out(range(len(shelf)))
        found: list[tuple[int, bool, float]] = []
        self.engine.eval()
        with torch.no_grad():
            for at, pack in enumerate(packs[self.number]):
                forest = shelf.forest(pack)
                rows = max(each[at].targets for each in packs)
                likely = self.engine(forest, rows, self.task.labels).tolist()
                numbers = (group[0] for group in pack.groups)  # a path each, so in their order
                were = (forest.targets == self.task.labels[1]).tolist()
                found += zip(numbers, were, likely, strict=True)
                self._leave_if_asked()
        gathered: list[Any] = [None] * self.task.ranks
        dist.all_gather_object(gathered, found)
        return sorted(one for some in gathered for one in some)

    def _compare_layouts(self, step: Step) -> None:
        """Before a GPU's kernels are trusted: the first trees against their samples, each by itself."""
        if self.task.device == "cpu" or self.task.layout == "flat":
            return
        pack, flat = self._some_trees(step.ranks[self.number][0])
        losses = torch.zeros(2, dtype=torch.float64, device=self._device)
        with torch.no_grad():
            for at, one in enumerate((pack, flat)):
                losses[at] = self.engine(self._shelf.forest(one), step.rows(0))
        trees, paths = self._total(losses).tolist()
        if abs(trees - paths) > LAYOUTS_MAY_DIFFER * abs(paths):
            raise ThinkusError(
                f"layout: on this GPU the first trees have a loss of {trees:.4f}, their samples one by one "
                f"{paths:.4f}; train with layout=flat, and report this"
            )

    def _some_trees(self, pack: Pack) -> tuple[Pack, Pack]:
        """As many of a pack as fit beside each other when each sample is a path of its own; one at least."""
        groups: list[tuple[int, ...]] = []
        held = 0
        for group in pack.groups:
            held += int(self._shelf.samples.length[list(group)].sum())
            if groups and held > self.task.max_tokens:
                break
            groups.append(group)
        return Pack(tuple(groups)), Pack(tuple((one,) for group in groups for one in group))

    def _stop_if_lost(self, number: int, step: Step, value: float, what: str) -> None:
        if math.isfinite(value):
            return
        named = self._shelf.conversations(step.samples)
        listed = ", ".join(named[:5]) + (f" and {len(named) - 5} more" if len(named) > 5 else "")
        raise ThinkusError(
            f"lr: the {what} of step {number + 1} is {value}, with the conversations {listed}; look at them, or take "
            f"a lower lr= than {self.task.lr:g}; checkpoints/ keeps what was good, if there was one yet"
        )

    def _memory_gb(self) -> float:
        if self.task.device == "cuda":
            return torch.cuda.max_memory_allocated() / 1e9
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9

    def _total(self, value: torch.Tensor) -> torch.Tensor:
        dist.all_reduce(value)
        return value


def main(words: list[str]) -> int:
    warden.end_with_parent(signal.SIGKILL)  # it is deaf to all that is less
    task = read(Path(words[0]))
    start.make_room_for_words(task, os.environ["RANK"])
    try:
        rank = Rank(task)
        if rank.train():
            rank.export(task.folder / MODEL)
        dist.barrier()
        dist.destroy_process_group()
    except ThinkusError as error:
        _last_words(task, str(error))
        return 1
    except torch.cuda.OutOfMemoryError as error:
        _last_words(
            task,
            f"max_tokens_per_rank: a GPU's memory is full ({str(error).splitlines()[0]}); take fewer than "
            f"{task.max_tokens:,}, or a higher zero=",
        )
        return 1
    except BaseException as error:
        if line := of_the_machine(error, task.directory):
            _last_words(task, line)
        with suppress(OSError):
            traceback.print_exc()
        return 1
    return 0


def _last_words(task: Task, words: str) -> None:
    start.last_words(task, os.environ["RANK"], words)
    with suppress(OSError):  # the log has no room of its own on a disk that is full
        print(words, file=sys.stderr)


if __name__ == "__main__":
    status = main(sys.argv[1:])
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)  # all is on the disk, and threads of gloo may abort an orderly end

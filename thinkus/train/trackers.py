"""Loss curves for those who watch them elsewhere. Off by default: `metrics.jsonl` has them all."""

from collections.abc import Iterable
from typing import Any, Protocol

from thinkus.train.metrics import Line, StepFacts
from thinkus.train.task import Task

SHOWN = (
    "loss",
    "lr",
    "gradient_norm",
    "physical_tokens",
    "logical_tokens",
    "seconds",
    "memory_gb",
    "peak_share",
)


class Tracker(Protocol):
    def begin(self, lines: Iterable[Line]) -> None:
        """After a kill: what is known already."""

    def add(self, line: Line) -> None: ...


class TensorBoard:
    def __init__(self, task: Task) -> None:
        self._folder = str(task.directory / "tensorboard")
        self._writer: Any = None

    def begin(self, lines: Iterable[Line]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What an earlier process wrote beyond its last checkpoint is hidden from `purge_step` on.
        last = max((line.step for line in lines), default=0)
        self._writer = SummaryWriter(self._folder, purge_step=last + 1, flush_secs=10)

    def add(self, line: Line) -> None:
        for name, value in values(line).items():
            self._writer.add_scalar(name, value, line.step)
        self._writer.flush()


class WandB:
    """In W&B's own mode: WANDB_MODE=offline needs no account."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._run: Any = None

    def begin(self, lines: Iterable[Line]) -> None:
        import wandb

        self._run = wandb.init(
            project="thinkus",
            name=self._task.name,
            id=self._task.identity[:16],
            resume="allow",
            dir=str(self._task.directory),
        )
        self._run.define_metric("*", step_metric="step")

    def add(self, line: Line) -> None:
        self._run.log({"step": line.step, **values(line)})


def values(line: Line) -> dict[str, float]:
    group = "train" if isinstance(line, StepFacts) else "test"
    return {f"{group}/{name}": value for name in SHOWN if (value := getattr(line, name, None)) is not None}


def tracker_of(task: Task) -> Tracker | None:
    return {"none": lambda _: None, "tensorboard": TensorBoard, "wandb": WandB}[task.tracker](task)

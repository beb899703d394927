"""What the ranks of a training are told, in a file: they never see how it was asked for."""

from pathlib import Path
from typing import Literal

import msgspec

from thinkus.belongings import CHECKPOINTS, TRAINING
from thinkus.files import write_whole
from thinkus.train.plan import Layout, Order, Plan
from thinkus.train.shelf import Shelf

TASK = "task.json"
LIKELIHOODS = "likelihoods.json"
MODEL = "model"
STOP = "stop"
"""A file that asks the ranks to save after their step, and to leave."""


class Meeting(msgspec.Struct, frozen=True):
    """Where the ranks of several nodes find each other."""

    address: str
    port: int
    launch: str
    """Which start of which job this is, so that no node takes an earlier task for this one."""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    run: str
    """The run's directory: metrics, checkpoints and the model go there, `training/` holds the samples."""
    name: str
    identity: str
    weights: str
    """A folder in Hugging Face's form."""
    device: Literal["cpu", "cuda"]
    ranks: int
    """On all nodes together."""
    zero_stage: Literal[0, 1, 2, 3]
    offload: bool
    gradient_checkpointing: bool
    seed: int
    epochs: int
    lr: float
    warmup_share: float
    weight_decay: float
    max_grad_norm: float
    global_batch: int
    max_tokens: int
    layout: Layout
    order: Order
    checkpoint_steps: int
    budget_s: float | None
    labels: tuple[int, int] | None = None
    """The tokens for going on and for the end, where endings are what is learnt."""
    tracker: Literal["none", "wandb", "tensorboard"] = "none"
    nodes: int = 1
    meeting: Meeting | None = None

    @property
    def directory(self) -> Path:
        return Path(self.run)

    @property
    def folder(self) -> Path:
        return self.directory / TRAINING

    @property
    def checkpoints(self) -> Path:
        return self.directory / CHECKPOINTS

    def shelf(self, name: str) -> Path:
        return self.folder / name

    def plan(self, shelf: Shelf, layout: Layout | None = None) -> Plan:
        return Plan(
            shelf.samples,
            seed=self.seed,
            epochs=self.epochs,
            global_batch=self.global_batch,
            order=self.order,
            layout=layout or self.layout,
            ranks=self.ranks,
            max_tokens=self.max_tokens,
        )

    def write(self) -> None:
        write_whole(self.folder / TASK, msgspec.json.format(msgspec.json.encode(self)) + b"\n")


def read(file: Path) -> Task:
    return msgspec.json.decode(file.read_bytes(), type=Task)


def of_launch(directory: Path, launch: str) -> Task | None:
    """The task of a run's directory, once this start of its job has written it."""
    try:
        task = read(directory / TRAINING / TASK)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return task if task.meeting and task.meeting.launch == launch else None

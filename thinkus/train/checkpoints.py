"""Checkpoints that are complete or absent: written aside by all ranks, synced, then renamed by the first."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from thinkus.errors import ThinkusError
from thinkus.files import UNFINISHED, sync_directory, write_whole
from thinkus.train.memory import Zero
from thinkus.train.task import Task

KEPT = 2
ABOUT = "about.json"
IS_EVALUATED = "is_evaluated"
STATE = "thinkus"
"""What is ours among what DeepSpeed keeps."""
_NAME = re.compile(r"step-(\d{8})")


class Checkpoints:
    def __init__(self, task: Task, rank: int) -> None:
        self._folder = task.checkpoints
        self._made_by = _made_by(task)
        self._is_first = rank == 0
        self._is_first_of_node = rank % (task.ranks // task.nodes) == 0

    def save(self, engine: Any, step: int, state: dict[str, Any]) -> None:
        import torch.distributed as dist

        name = f"step-{step:08d}"
        aside = self._folder / f"{name}{UNFINISHED}"
        try:
            kept = {STATE: state}
            engine.save_checkpoint(str(self._folder), tag=aside.name, client_state=kept, save_latest=False)
            dist.barrier()
            if self._is_first_of_node:  # for what its own node has not written out yet
                for file in aside.iterdir():
                    with file.open("rb") as written:
                        os.fsync(written.fileno())
            dist.barrier()
            if self._is_first:
                about = {**self._made_by, IS_EVALUATED: state[IS_EVALUATED]}
                write_whole(aside / ABOUT, json.dumps(about).encode())
                self._put_in_place(aside, name)
        except (OSError, RuntimeError) as error:
            # torch's writer has no better name for a full disk; a lost rank is a RuntimeError as well.
            if not isinstance(error, OSError) and "inline_container" not in str(error):
                raise
            shutil.rmtree(aside, ignore_errors=True)  # it would keep a full disk full
            raise ThinkusError(self._not_written(step, error)) from error
        dist.barrier()

    def _put_in_place(self, aside: Path, name: str) -> None:
        replaced = self._folder / f"{name}.replaced{UNFINISHED}"  # of the same step, before its evaluation
        if (self._folder / name).exists():
            (self._folder / name).rename(replaced)
        aside.rename(self._folder / name)
        sync_directory(self._folder)
        shutil.rmtree(replaced, ignore_errors=True)
        for old in steps_in(self._folder)[:-KEPT]:
            shutil.rmtree(self._folder / f"step-{old:08d}")

    def _not_written(self, step: int, error: Exception) -> str:
        free = shutil.disk_usage(self._folder).free / 1e9
        steps = steps_in(self._folder)
        goes_on = f"that after {steps[-1]:,} steps is whole" if steps else "there is none before it"
        reason = (error.strerror if isinstance(error, OSError) else None) or "the disk takes no more"
        return (
            f"checkpoints: the one after {step:,} steps could not be written into {self._folder} ({reason.lower()}; "
            f"{free:,.1f} GB are free), {goes_on}; make room, the same command goes on"
        )

    def load(self, engine: Any) -> dict[str, Any] | None:
        """The state that was saved with the last one, or None where there is none."""
        steps = steps_in(self._folder)
        if not steps:
            return None
        _, kept = engine.load_checkpoint(str(self._folder), tag=f"step-{steps[-1]:08d}")
        return dict(kept[STATE])


def steps_in(folder: Path) -> list[int]:
    """After how many steps there are checkpoints."""
    found = (_NAME.fullmatch(entry.name) for entry in folder.glob("step-*"))
    return sorted(int(match[1]) for match in found if match)


def drop_unfinished(task: Task) -> None:
    for left in task.checkpoints.glob(f"*{UNFINISHED}"):
        shutil.rmtree(left)


class Last(NamedTuple):
    """The newest that is whole."""

    steps: int
    about: dict[str, Any]

    @property
    def is_evaluated(self) -> bool:
        """Whether the evaluation that is due after these steps was done."""
        return bool(self.about[IS_EVALUATED])

    @property
    def zero(self) -> Zero:
        return Zero(self.about["ZeRO"], self.about["offload"])


def last_in(folder: Path) -> Last | None:
    steps = steps_in(folder)
    if not steps:
        return None
    return Last(steps[-1], json.loads((folder / f"step-{steps[-1]:08d}" / ABOUT).read_text()))


def check(last: Last, task: Task) -> None:
    """One of another making is refused, since it cannot be taken up."""
    otherwise = [
        f"{key}: {last.about[key]}, now {value}"
        for key, value in _made_by(task).items()
        if last.about[key] != value
    ]
    if otherwise:
        raise ThinkusError(
            f"checkpoints: the last one, after {last.steps:,} steps, was made otherwise ({'; '.join(otherwise)}); go "
            "on as it was begun (as many processes: cluster=; zero=), or begin anew with --redo"
        )


def _made_by(task: Task) -> dict[str, Any]:
    return {"ranks": task.ranks, "ZeRO": task.zero_stage, "offload": task.offload, "device": task.device}

"""Checkpoints that are complete or absent: written aside by all ranks, synced, then renamed by the first."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

from thinkus.errors import ThinkusError
from thinkus.files import UNFINISHED, sync_directory
from thinkus.train.task import Task

KEPT = 2
MADE_BY = "made-by.json"
_NAME = re.compile(r"step-(\d{8})")


class Checkpoints:
    def __init__(self, task: Task, rank: int) -> None:
        self._folder = task.checkpoints
        self._made_by = _made_by(task)
        self._is_first = rank == 0

    def save(self, engine: Any, step: int, state: dict[str, Any]) -> None:
        import torch.distributed as dist

        name = f"step-{step:08d}"
        aside = self._folder / f"{name}{UNFINISHED}"
        if self._is_first:
            for left in self._folder.glob(f"*{UNFINISHED}"):
                shutil.rmtree(left)
        dist.barrier()
        engine.save_checkpoint(str(self._folder), tag=aside.name, client_state=state, save_latest=False)
        dist.barrier()
        if self._is_first:
            (aside / MADE_BY).write_text(json.dumps(self._made_by))
            for file in aside.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            aside.rename(self._folder / name)
            sync_directory(self._folder)
            for old in steps_in(self._folder)[:-KEPT]:
                shutil.rmtree(self._folder / f"step-{old:08d}")
        dist.barrier()

    def load(self, engine: Any) -> dict[str, Any] | None:
        """The state that was saved with the last one, or None where there is none."""
        steps = steps_in(self._folder)
        if not steps:
            return None
        _, state = engine.load_checkpoint(str(self._folder), tag=f"step-{steps[-1]:08d}")
        return dict(state)


def steps_in(folder: Path) -> list[int]:
    """After how many steps there are checkpoints."""
    found = (_NAME.fullmatch(entry.name) for entry in folder.glob("step-*"))
    return sorted(int(match[1]) for match in found if match)


def check_last(task: Task) -> int:
    """How many steps the last one is worth; one of another making is refused, since it cannot be taken up."""
    steps = steps_in(task.checkpoints)
    if not steps:
        return 0
    made_by = json.loads((task.checkpoints / f"step-{steps[-1]:08d}" / MADE_BY).read_text())
    if made_by != _made_by(task):
        told = {
            key: f"{made_by[key]}, now {value}"
            for key, value in _made_by(task).items()
            if made_by[key] != value
        }
        raise ThinkusError(
            f"checkpoints: the last one, after {steps[-1]:,} steps, was made otherwise "
            f"({'; '.join(f'{key}: {value}' for key, value in told.items())}); go on as it was begun (cluster.ranks=, "
            "zero=), or begin anew with --redo"
        )
    return steps[-1]


def _made_by(task: Task) -> dict[str, Any]:
    return {"ranks": task.ranks, "ZeRO": task.zero_stage, "offload": task.offload, "device": task.device}

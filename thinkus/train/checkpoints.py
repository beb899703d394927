"""Checkpoints that are complete or absent: written aside by all ranks, synced, then renamed by the first."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from thinkus.files import UNFINISHED, sync_directory

KEPT = 2
_NAME = re.compile(r"step-(\d{8})")


class Checkpoints:
    def __init__(self, folder: Path, rank: int) -> None:
        self._folder = folder
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
            for file in aside.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            aside.rename(self._folder / name)
            sync_directory(self._folder)
            for old in self._steps()[:-KEPT]:
                shutil.rmtree(self._folder / f"step-{old:08d}")
        dist.barrier()

    def load(self, engine: Any) -> dict[str, Any] | None:
        """The state that was saved with the last one, or None where there is none."""
        steps = self._steps()
        if not steps:
            return None
        _, state = engine.load_checkpoint(str(self._folder), tag=f"step-{steps[-1]:08d}")
        return dict(state)

    def _steps(self) -> list[int]:
        found = (_NAME.fullmatch(entry.name) for entry in self._folder.glob("step-*"))
        return sorted(int(match[1]) for match in found if match)

"""Whether there is disk for what a training writes: checkpoints, the model, and the samples."""

import shutil
from math import ceil
from pathlib import Path

from thinkus.config import SftConfig
from thinkus.paths import without_home
from thinkus.train.checkpoints import KEPT
from thinkus.train.memory import gigabytes


class Disk:
    def __init__(self, config: SftConfig, device: str, samples: int, records: Path) -> None:
        """`samples` is how many are trained on at most, in all epochs together."""
        size = config.model.parameters
        # In float32 the weights and two moments; on GPUs the weights in bfloat16 too.
        self._checkpoint = size * (14.0 if device == "cuda" else 12.0)
        self._model = size * (2.0 if device == "cuda" else 4.0)
        self._samples = 2.0 * records.stat().st_size  # token ids take about as much as their text
        steps, every = ceil(samples / config.global_batch), config.checkpoint_steps
        # A training by the clock writes none at its end.
        saves = steps // every if config.budget_s else ceil(steps / every)
        self._at_once = min(KEPT + 1, saves)  # the oldest goes when the next is whole

    def lack(self, place: Path, checkpoints: Path | None) -> str | None:
        """What is still to be written, beside the checkpoints that lie there, against what is free."""
        needs, free = self._needs(checkpoints), _free(place)
        if needs <= free:
            return None
        return (
            f"root: the training still writes about {gigabytes(needs)} GB into {without_home(place)} ({self._what()}), "
            f"and {gigabytes(free)} GB are free there; make room, or choose another with root=DIR"
        )

    def plan(self, place: Path) -> str:
        needs, free = self._needs(None), _free(place)
        mark = " (too much)" if needs > free else ""
        return (
            f"writes at most {self._what()}: {gigabytes(needs)} GB{mark}, and {gigabytes(free)} GB are free"
        )

    def _needs(self, checkpoints: Path | None) -> float:
        there = checkpoints.rglob("*") if checkpoints else ()
        had = sum(file.stat().st_size for file in there if file.is_file())
        return max(0.0, self._at_once * self._checkpoint - had) + self._model + self._samples

    def _what(self) -> str:
        count = self._at_once
        kept = f"{count} checkpoint{'s' * (count > 1)} of {gigabytes(self._checkpoint)} GB at once and "
        return f"{kept if count else ''}a model of {gigabytes(self._model)} GB"


def _free(place: Path) -> int:
    """Of the disk that it lies on, or will."""
    return shutil.disk_usage(
        next(folder for folder in (place, *place.absolute().parents) if folder.is_dir())
    ).free

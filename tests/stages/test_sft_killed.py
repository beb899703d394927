"""Twenty times SIGKILL, in every phase of a training, on its parent or a rank: the losses of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.stages.trainings import USUAL, losses, train
from thinkus.files import UNFINISHED
from thinkus.train.metrics import Evaluation, Follower

RUN = Path("outputs/sft/killed")
WORDS = [*USUAL, "epochs=24", "checkpoint_steps=3"]
KILLS = 20
PHASES = ("before its steps", "in a step", "while saving", "between epochs")


class Life:
    """One process of the training, until it is killed."""

    def __init__(self, moments: random.Random) -> None:
        self._moments = moments
        self._before = len(losses(RUN))
        command = [sys.executable, "-m", "thinkus", "sft", *WORDS, "name=killed"]
        self.parent = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)

    def reach(self, phase: str) -> None:
        # Steps first, so that each life comes further than the one before.
        if phase == PHASES[0]:
            time.sleep(self._moments.uniform(0.5, 4))
            return
        self._wait(lambda: len(losses(RUN)) > self._before + 4)
        if phase == "in a step":
            time.sleep(self._moments.uniform(0, 0.2))
        elif phase == "while saving":
            self._wait(lambda: any(RUN.glob(f"checkpoints/*{UNFINISHED}/*")))
        else:
            seen = len(_evaluations())
            self._wait(lambda: len(_evaluations()) > seen)

    def kill(self, *, is_parent: bool) -> str:
        """What it still had to say."""
        if is_parent:
            self.parent.kill()
        else:
            for rank in _ranks():
                with suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGKILL)
        return self.parent.communicate(timeout=30)[1]

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not is_so():
            assert self.parent.poll() is None, "it ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.001)


def test_the_losses_are_those_of_an_undisturbed_training(chats: Path) -> None:
    undisturbed = train(*WORDS, "name=undisturbed")
    moments = random.Random(3)
    halves = 0
    for number in range(KILLS):
        phase, is_parent = PHASES[number % len(PHASES)], number // len(PHASES) % 2 == 0
        life = Life(moments)
        life.reach(phase)
        has_ranks = bool(_ranks())
        said = life.kill(is_parent=is_parent or not has_ranks)
        if not is_parent and has_ranks:
            assert "rank 0 was ended by SIGKILL" in said
            assert life.parent.returncode == 2
        halves += any(RUN.glob(f"checkpoints/*{UNFINISHED}"))
    assert halves >= 2, "no kill fell into the writing of a checkpoint"
    assert train(*WORDS, "name=killed") == RUN
    assert losses(RUN) == losses(undisturbed)
    model = Path("model", "model.safetensors")
    assert (RUN / model).read_bytes() == (undisturbed / model).read_bytes()
    assert not (RUN / "checkpoints").exists()
    assert not (RUN / "training").exists()


def _evaluations() -> list[Evaluation]:
    return [line for line in Follower(RUN / "metrics.jsonl").new() if isinstance(line, Evaluation)]


def _ranks() -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            # The warden has them among its own words; a rank's come first.
            if (
                words.split(b"\0")[1:3] == [b"-m", b"thinkus.train.worker"]
                and str(Path.cwd()).encode() in words
            ):
                found.append(int(entry.name))
    return found

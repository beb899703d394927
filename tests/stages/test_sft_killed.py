"""Twenty times SIGKILL, in every phase of a training, on its parent or a rank: the losses of an undisturbed one."""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.stages.trainings import USUAL, losses, train
from thinkus.files import UNFINISHED
from thinkus.launch import start
from thinkus.train.checkpoints import steps_in
from thinkus.train.metrics import Evaluation, Follower

RUN = Path("outputs/sft/killed")
WORDS = [*USUAL, "epochs=24", "checkpoint_steps=3"]
KILLS = 20
ROOM_FOR_LINES = 200_000
"""Of the metrics, and for no checkpoint."""
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
            self._hold_in_a_save()
        else:
            seen = len(_evaluations())
            self._wait(lambda: len(_evaluations()) > seen)

    def _hold_in_a_save(self) -> None:
        """A save is over sooner than the ranks are found."""
        ranks = _ranks()

        def is_saving() -> bool:
            return any(RUN.glob(f"checkpoints/*{UNFINISHED}/*"))

        def tell(number: signal.Signals) -> None:
            for rank in ranks:
                os.kill(rank, number)

        while True:
            self._wait(is_saving)
            tell(signal.SIGSTOP)
            time.sleep(0.02)
            if is_saving():
                return
            tell(signal.SIGCONT)

    def kill(self, *, is_parent: bool) -> str:
        """What it still had to say."""
        if is_parent:
            self.parent.kill()
        else:
            for rank in _ranks():
                with suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGKILL)
        said = self.parent.communicate(timeout=30)[1]
        until = time.monotonic() + 2
        while _ranks():
            assert time.monotonic() < until, "a rank outlives its parent"
            time.sleep(0.05)
        return said

    def _wait(self, is_so: Callable[[], bool]) -> None:
        until = time.monotonic() + 60
        while not is_so():
            assert self.parent.poll() is None, "it ended before it was killed"
            assert time.monotonic() < until
            time.sleep(0.001)


@pytest.mark.long
def test_the_losses_are_those_of_an_undisturbed_training(chats: Path) -> None:
    undisturbed = train(*WORDS, "name=undisturbed")
    moments = random.Random(3)
    halves = 0
    for number in range(KILLS):
        phase, is_parent = PHASES[number % len(PHASES)], number // len(PHASES) % 2 == 0
        kept = steps_in(RUN / "checkpoints")
        life = Life(moments)
        life.reach(phase)
        has_ranks = bool(_ranks())
        halves += any(RUN.glob(f"checkpoints/*{UNFINISHED}"))
        said = life.kill(is_parent=is_parent or not has_ranks)
        if kept and has_ranks:
            assert f"goes on after {kept[-1]} steps" in said
        if not is_parent and has_ranks:
            assert "rank 0 was ended by SIGKILL" in said
            assert life.parent.returncode == 2
    assert halves >= KILLS / len(PHASES), (
        "not each kill that was to fall into the writing of a checkpoint did"
    )
    assert train(*WORDS, "name=killed") == RUN
    assert losses(RUN) == losses(undisturbed)
    model = Path("model", "model.safetensors")
    assert (RUN / model).read_bytes() == (undisturbed / model).read_bytes()
    assert not (RUN / "checkpoints").exists()
    assert not (RUN / "training").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True, text=True
    )
    if mounted.returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"a disk to fill wants root: {mounted.stderr}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.real
@pytest.mark.parametrize("ranks", [1, 2])
def test_a_disk_that_is_full_leaves_the_last_checkpoint_whole(
    chats: Path, small_disk: Path, ranks: int, capfd: pytest.CaptureFixture[str]
) -> None:
    undisturbed = train(*WORDS, "name=undisturbed", f"cluster.ranks={ranks}")
    shutil.copytree("outputs/annotate", small_disk / "annotate")
    words = [*WORDS, "name=full", f"cluster.ranks={ranks}", f"root={small_disk}"]
    training = subprocess.Popen(
        [sys.executable, "-m", "thinkus", "sft", *words], stderr=subprocess.PIPE, text=True
    )
    run = small_disk / "sft" / "full"
    until = time.monotonic() + 60
    while not any(run.glob("checkpoints/step-????????")) and time.monotonic() < until:
        time.sleep(0.05)
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    os.truncate(filler, filler.stat().st_size - ROOM_FOR_LINES)
    said = training.communicate(timeout=60)[1]
    assert training.returncode == 2
    assert re.search(
        r"checkpoints: the one after \d+ steps could not be written into .*, that after \d+ steps is whole",
        said,
    )
    assert not any(run.glob(f"checkpoints/*{UNFINISHED}"))
    filler.unlink()
    kept = steps_in(run / "checkpoints")[-1]
    start("sft", words, sweep=False, redo=False)
    assert f"goes on after {kept} steps" in capfd.readouterr().err
    assert losses(run) == losses(undisturbed)


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

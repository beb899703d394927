"""One writer for each run directory, on one machine or on many that share a disk.

A claim is a file made with O_EXCL (flock is not to be trusted across nodes). Its owner
keeps touching it; whoever finds it untouched for too long, or its process gone, may claim
the next generation. The highest generation is the claim that holds, so two processes that
both find a dead claim can never both take it.
"""

import json
import os
import re
import socket
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

from thinkus.errors import RunRefused

HEARTBEAT_S = 15.0
STALE_AFTER_S = 120.0
_FILE = re.compile(r"claim-(\d+)\.json")


@dataclass(frozen=True)
class Owner:
    host: str
    boot: str
    pid: int
    pid_space: str
    """Containers may share a host name and count their processes apart."""
    pid_start: str
    """So that another process with the same number is not taken for this one."""
    job: str | None

    @classmethod
    def here(cls) -> "Owner":
        pid = os.getpid()
        job = os.environ.get("SLURM_JOB_ID")
        return cls(socket.gethostname(), _boot(), pid, _pid_space(), _process_start(pid), job)

    def is_gone(self) -> bool:
        """True only when that can be known from this machine."""
        if self.host != socket.gethostname():
            return False
        if self.boot != _boot():
            return True
        return self.pid_space == _pid_space() and _process_start(self.pid) != self.pid_start

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class Claim:
    """Held from `take` until `release`; the file's age is its heartbeat."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="claim heartbeat", daemon=True)
        self._pulse.start()

    @classmethod
    def take(cls, directory: Path) -> "Claim":
        """Claim a directory, or refuse with the name of its present owner."""
        generation = 1
        held = _newest(directory)
        if held is not None:
            generation = held[0] + 1
            owner = _owner(held[1])
            age_s = _age_s(held[1])
            if not (owner and owner.is_gone()) and age_s < STALE_AFTER_S:
                raise RunRefused(
                    f"{directory}: is being written by {owner or 'another process'} (last sign of life "
                    f"{age_s:.0f} s ago); wait for it, or stop that process and try again"
                )
        path = directory / f"claim-{generation}.json"
        try:
            with path.open("x") as file:
                json.dump(asdict(Owner.here()), file)
        except FileExistsError:
            raise RunRefused(f"{directory}: another process has just claimed it; wait for it") from None
        newest = _newest(directory)
        if newest is None or newest[1] != path:
            path.unlink(missing_ok=True)
            raise RunRefused(f"{directory}: another process has just claimed it; wait for it")
        for older in range(1, generation):
            (directory / f"claim-{older}.json").unlink(missing_ok=True)
        return cls(path)

    def check(self) -> None:
        """Before a result is put in place: is it still ours? A machine may have slept."""
        if not self.path.exists():
            raise RunRefused(
                f"{self.path.parent}: this process stood still for over {STALE_AFTER_S:.0f} s and another took "
                "the run over; nothing was changed here, let the other one finish"
            )

    def release(self) -> None:
        self._stop.set()
        self._pulse.join()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            # A claim that was taken over is noticed by `check`.
            with suppress(FileNotFoundError):
                os.utime(self.path)


def holder(directory: Path) -> Owner | None:
    """Who is writing into a run directory at the moment, as far as one can tell."""
    held = _newest(directory)
    if held is None or _age_s(held[1]) >= STALE_AFTER_S:
        return None
    owner = _owner(held[1])
    return None if owner is None or owner.is_gone() else owner


def _newest(directory: Path) -> tuple[int, Path] | None:
    found = [(int(match[1]), file) for file in directory.iterdir() if (match := _FILE.fullmatch(file.name))]
    return max(found, default=None)


def _owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # just being written, or its writer died in that moment: then age decides


def _age_s(path: Path) -> float:
    """By the clock of the disk that holds it: the clocks of two nodes may differ."""
    probe = path.parent / f".clock-{uuid.uuid4().hex}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
        probe.unlink()
    except OSError:
        now = time.time()
    try:
        return max(0.0, now - path.stat().st_mtime)
    except FileNotFoundError:
        return float("inf")


def _boot() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id")


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    """The kernel's start time of a process; empty when there is no such process."""
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if fields:
        return fields[19] if fields[0] != "Z" else ""
    if not Path("/proc/self/stat").exists():  # not Linux: say only whether it lives
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, 0)
            return "alive"
    return ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""

"""One writer for each run directory, on one machine or on many that share a disk.

A claim is a file that only one process can make (flock is not to be trusted across nodes),
with a token of its own. Its owner keeps touching it. Whoever finds an owner gone makes the
claim of the next generation, looks whether nobody else did, and only then removes the old.
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
_FILE = re.compile(r"claim-(\d{1,9})\.json")


class RunHeld(RunRefused):
    """Another process is writing there."""


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
    token: str

    @classmethod
    def here(cls) -> "Owner":
        pid, job = os.getpid(), os.environ.get("SLURM_JOB_ID")
        space, start = _pid_space(), _process_start(pid)
        return cls(socket.gethostname(), _boot(), pid, space, start, job, uuid.uuid4().hex)

    def lives(self) -> bool | None:
        """What can be known from here; None where only the heartbeat can tell.

        Two machines may have one name, so another boot proves nothing.
        """
        if (self.host, self.boot, self.pid_space) != (socket.gethostname(), _boot(), _pid_space()):
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's process, and so there
        start = _process_start(self.pid)
        return start in (self.pid_start, UNKNOWN)

    def __str__(self) -> str:
        job = f", job {self.job}" if self.job else ""
        return f"process {self.pid} on {self.host}{job}"


class Claim:
    """Held from `take` until `release`; the file's age is its heartbeat."""

    def __init__(self, path: Path, token: str) -> None:
        self.path = path
        self.token = token
        self._stop = threading.Event()
        self._pulse = threading.Thread(target=self._beat, name="claim heartbeat", daemon=True)
        self._pulse.start()

    @classmethod
    def take(cls, directory: Path) -> "Claim":
        """Claim a directory, or refuse with the name of its present owner."""
        dead = {path: _owner(path) for path in _claims(directory)}
        for path, owner in dead.items():
            _refuse_if_held(directory, path, owner)
        generation = max(map(_generation, dead), default=0) + 1
        owner = Owner.here()
        path = directory / f"claim-{generation}.json"
        if not _create(path, json.dumps(asdict(owner))):
            raise _just_claimed(directory)
        others = [other for other in _claims(directory) if other != path]
        if any(other not in dead or _owner(other) != dead[other] for other in others):
            path.unlink(missing_ok=True)
            raise _just_claimed(directory)
        for other in others:
            other.unlink(missing_ok=True)
        return cls(path, owner.token)

    def check(self) -> None:
        """Before a result is put in place: is it still ours? A machine may have slept."""
        owner = _owner(self.path)
        if owner is None or owner.token != self.token:
            raise RunRefused(
                f"{self.path.parent}: this process showed no sign of life for {STALE_AFTER_S:.0f} s and another "
                "took the run over; what this one wrote is not used, let the other one finish"
            )

    def release(self) -> None:
        self._stop.set()
        self._pulse.join()
        owner = _owner(self.path)
        if owner is not None and owner.token == self.token:
            self.path.unlink(missing_ok=True)

    def __enter__(self) -> "Claim":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            # A disk that is away for a moment must not end the heartbeat; a lost claim is `check`'s matter.
            with suppress(OSError):
                os.utime(self.path)


def holder(directory: Path) -> Owner | None:
    """Who is writing into a run directory at the moment, as far as one can tell."""
    for path in _claims(directory):
        owner = _owner(path)
        if owner is not None and _is_held(path, owner):
            return owner
    return None


def _refuse_if_held(directory: Path, path: Path, owner: Owner | None) -> None:
    if _is_held(path, owner):
        raise RunHeld(
            f"{directory}: is being written by {owner or 'another process'} (last sign of life "
            f"{_age_s(path):.0f} s ago); wait for it, or stop that process and try again"
        )


def _is_held(path: Path, owner: Owner | None) -> bool:
    lives = owner.lives() if owner else None
    return _age_s(path) < STALE_AFTER_S if lives is None else lives


def _just_claimed(directory: Path) -> RunHeld:
    return RunHeld(f"{directory}: another process has just claimed it; wait for it")


def _claims(directory: Path) -> list[Path]:
    return sorted(file for file in directory.iterdir() if _FILE.fullmatch(file.name))


def _generation(path: Path) -> int:
    return int(path.name.removeprefix("claim-").removesuffix(".json"))


def _create(path: Path, content: str) -> bool:
    """Make a file with all of its content at once; False when it exists."""
    draft = path.with_name(f".claim-{uuid.uuid4().hex}")
    try:
        draft.write_text(content)
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    except PermissionError:  # a disk without links: then the file is empty for a moment
        try:
            with path.open("x") as file:
                file.write(content)
        except FileExistsError:
            return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _owner(path: Path) -> Owner | None:
    try:
        return Owner(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None  # gone, or not of this version: then age decides


def _age_s(path: Path) -> float:
    """By the clock of the disk that holds it: the clocks of two nodes may differ."""
    probe = path.parent / f".clock-{uuid.uuid4().hex}"
    try:
        probe.touch()
        now = probe.stat().st_mtime
    except OSError:
        now = time.time()
    finally:
        with suppress(OSError):
            probe.unlink()
    try:
        return max(0.0, now - path.stat().st_mtime)
    except FileNotFoundError:
        return 0.0  # just released: whoever looks again sees that


UNKNOWN = "unknown"


def _boot() -> str:
    return _first_line("/proc/sys/kernel/random/boot_id")


def _pid_space() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _process_start(pid: int) -> str:
    """The kernel's start time of a process; empty when it has ended, unknown where /proc does not say."""
    fields = _first_line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    if not fields:
        return UNKNOWN
    return fields[19] if fields[0] != "Z" else ""


def _first_line(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""

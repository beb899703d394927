"""Stands between us and a server that we start, so that nothing of it survives us, however we end.

    python warden.py [--deaf] -- COMMAND...

It runs the command until its own stdin closes, which the kernel sees to even where we are
killed with SIGKILL, and then ends the command with all that ever came of it: a server forks
engines, these fork workers, some in sessions of their own, and each may hold a GPU. With --deaf
nothing else ends it: a scheduler that signals every process of a job means whoever started us,
who knows what is to be saved first. Only the standard library, nothing of thinkus: it must start
at once, in any Python.
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE_S = 3.0
"""Between asking and killing."""
LOOK_EVERY_S = 0.1
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # of Linux's <sys/prctl.h>
IS_LINUX = sys.platform == "linux"


class Warden:
    def __init__(self, command: list[str], *, is_deaf: bool) -> None:
        self._is_told_to_end = False
        self._status: int | None = None
        self._parent = os.getppid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._end_soon)
        for number in (signal.SIGUSR1, signal.SIGUSR2):  # schedulers send them to whoever is in a job
            signal.signal(number, lambda *_: None)
        if is_deaf:  # and so is all that it starts, unless it says otherwise
            for number in (signal.SIGTERM, signal.SIGUSR2):
                signal.signal(number, signal.SIG_IGN)
        self._grace_s = 0.0 if is_deaf else GRACE_S  # what is deaf would not hear that it is asked
        last_word = signal.SIGKILL if is_deaf else signal.SIGTERM
        _control_process(PR_SET_CHILD_SUBREAPER, 1)  # orphans of the command become our children, not init's
        self._command = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            process_group=0,
            # So that it hears of it, should we be killed ourselves.
            preexec_fn=lambda: end_with_parent(last_word),
        )

    def watch(self) -> int:
        """The command's exit status, as shells tell it, once nothing of it is left."""
        while self._status is None and not self._is_told_to_end and not self._is_abandoned():
            self._bury_the_dead()
        self._end_all()
        status = self._status or 0
        return status if status >= 0 else 128 - status

    def _end_soon(self, *_: object) -> None:
        self._is_told_to_end = True

    def _is_abandoned(self) -> bool:
        """Whether who started us closed our stdin, or is gone while a fork of it still holds the pipe."""
        readable, _, _ = select.select([0], [], [], LOOK_EVERY_S)
        return bool(readable and not os.read(0, 4096)) or os.getppid() != self._parent

    def _end_all(self) -> None:
        patient_until = time.monotonic() + self._grace_s
        asked: set[int] = set()
        self._bury_the_dead()
        while left := self._left():
            is_patient = time.monotonic() < patient_until
            for process in left - asked if is_patient else left:
                with suppress(ProcessLookupError):  # it was quicker
                    _send(process, signal.SIGTERM if is_patient else signal.SIGKILL)
            asked |= left
            time.sleep(LOOK_EVERY_S / 2)
            self._bury_the_dead()

    def _left(self) -> set[int]:
        if IS_LINUX:
            return _descendants(os.getpid())
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._command.pid, 0)
            return {self._command.pid}
        return set()

    def _bury_the_dead(self) -> None:
        """Orphans too."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._command.pid:
                    self._status = self._command.returncode = os.waitstatus_to_exitcode(ended[1])


def _descendants(ancestor: int) -> set[int]:
    """All that live. Whoever leaves a session or group, or loses its parent, stays a descendant of ours."""
    children: dict[int, list[int]] = {}
    dead = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # gone since
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            children.setdefault(int(parent), []).append(int(entry.name))
            if state in "ZX":
                dead.add(int(entry.name))
    found: set[int] = set()
    unseen = [ancestor]
    while unseen:
        own = children.get(unseen.pop(), [])
        found.update(own)
        unseen += own
    return found - dead


def _send(process: int, number: int) -> None:
    (os.kill if IS_LINUX else os.killpg)(process, number)


def end_with_parent(number: int) -> None:
    """Let the kernel send this process a signal when who started it dies."""
    _control_process(PR_SET_PDEATHSIG, number)


def _control_process(option: int, value: int) -> None:
    if IS_LINUX and ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value})")


def main(words: list[str]) -> int:
    mark = words.index("--")
    command = words[mark + 1 :]
    try:
        warden = Warden(command, is_deaf="--deaf" in words[:mark])
    except (OSError, IndexError) as error:
        print(f"warden: cannot run {' '.join(command[:1])!r}: {error}", file=sys.stderr)
        return 127
    return warden.watch()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Nothing of a command outlives who started it, however that one ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thinkus import warden

WARDEN = [sys.executable, "-I", warden.__file__, "--"]
# A server as bad as they come: each of these holds on to life in its own way.
SERVER = """
import os, signal, sys, time
def live(note, *, in_a_session=False, stubborn=False, orphan=False):
    if os.fork(): return
    if in_a_session: os.setsid()
    if orphan and os.fork(): os._exit(0)
    if stubborn: signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{sys.argv[1]}/{os.getpid()}", "w").write(note)
    time.sleep(600)
live("child")
live("of another session", in_a_session=True)
live("orphan", in_a_session=True, orphan=True)
if "stubborn" in sys.argv: live("stubborn", stubborn=True)
open(f"{sys.argv[1]}/{os.getpid()}", "w").write("server")
"""
GOES_ON = "time.sleep(600)"
PARENT = """
import subprocess, sys, time
server = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
time.sleep(600)
"""
# It holds its parent's end of the pipe, as a pool of worker processes does.
PARENT_WITH_A_FORK = PARENT.replace("time.sleep", "__import__('os').fork(); time.sleep")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where processes leave their ids; whatever a failed test leaves behind ends with it."""
    yield tmp_path
    for process in processes(tmp_path):
        if is_alive(process):
            os.kill(process, signal.SIGKILL)


def server(folder: Path, last: str = GOES_ON, *words: str) -> list[str]:
    return [*WARDEN, sys.executable, "-c", SERVER + last, str(folder), *words]


def processes(folder: Path) -> list[int]:
    return [int(file.name) for file in folder.iterdir() if file.name.isdigit()]


def is_alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"not so within {within_s} s"
        time.sleep(0.02)


def start(command: list[str], folder: Path, count: int) -> "subprocess.Popen[bytes]":
    """Only when all of them are there does it begin to be interesting."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: len(processes(folder)) == count)
    return process


def assert_gone(folder: Path, within_s: float = 2.0) -> None:
    wait_for(lambda: not any(map(is_alive, processes(folder))), within_s)


def test_its_parent_killed(folder: Path) -> None:
    """Also who ignores SIGTERM, after a while."""
    parent = start([sys.executable, "-c", PARENT, *server(folder, GOES_ON, "stubborn")], folder, 5)
    parent.kill()
    assert_gone(folder, warden.GRACE_S + 2.0)


def test_its_parent_killed_while_a_fork_of_it_lives_on(folder: Path) -> None:
    parent = start([sys.executable, "-c", PARENT_WITH_A_FORK, *server(folder)], folder, 4)
    forks = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    parent.kill()
    try:
        assert_gone(folder)
    finally:
        for fork in map(int, forks):
            if is_alive(fork):
                os.kill(fork, signal.SIGKILL)


def test_its_pipe_closed(folder: Path) -> None:
    process = start(server(folder), folder, 4)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(5) == 128 + signal.SIGTERM
    assert not any(map(is_alive, processes(folder)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end(folder: Path, number: int) -> None:
    process = start(server(folder), folder, 4)
    process.send_signal(number)
    assert process.wait(5) == 128 + signal.SIGTERM
    assert not any(map(is_alive, processes(folder)))


def test_a_schedulers_notice_is_not_its_end(folder: Path) -> None:
    process = start(server(folder), folder, 4)
    process.send_signal(signal.SIGUSR2)
    time.sleep(3 * warden.LOOK_EVERY_S)
    assert process.poll() is None
    assert all(map(is_alive, processes(folder)))
    process.terminate()
    assert process.wait(5)


def test_killed_itself(folder: Path) -> None:
    """Then the command at least hears of it, and can see to its own."""
    process = start([*WARDEN, sys.executable, "-c", f"{REPORTS}{GOES_ON}", str(folder)], folder, 1)
    process.kill()
    assert_gone(folder)


def test_a_deaf_one_ends_with_its_parent_alone(folder: Path) -> None:
    """Schedulers signal every process of a job; what is to be saved first only the parent knows."""
    deaf = [*WARDEN[:-1], "--deaf", *server(folder)[len(WARDEN) - 1 :]]
    started = start(deaf, folder, 4)
    for process in (started.pid, *processes(folder)):
        os.kill(process, signal.SIGTERM)
        os.kill(process, signal.SIGUSR2)
    time.sleep(0.5)
    assert started.poll() is None
    assert all(map(is_alive, processes(folder)))
    assert started.stdin is not None
    started.stdin.close()
    began = time.monotonic()
    assert_gone(folder)
    assert time.monotonic() - began < 1.5  # nobody is asked, who would not hear it


REPORTS = "import os, sys, time; open(f'{sys.argv[1]}/{os.getpid()}', 'w'); "


@pytest.mark.parametrize(
    ("last", "status"),
    [("", 0), ("sys.exit(7)", 7), ("os.kill(os.getpid(), signal.SIGKILL)", 128 + signal.SIGKILL)],
)
def test_the_command_ends_by_itself(folder: Path, last: str, status: int) -> None:
    """Its status is passed on, and what it left behind ends too."""
    started = start(server(folder, last), folder, 4)
    assert started.wait(5) == status
    assert not any(map(is_alive, processes(folder)))


def test_no_such_command(folder: Path) -> None:
    told = subprocess.run([*WARDEN, str(folder / "nothing")], stdin=subprocess.PIPE, capture_output=True)
    assert told.returncode == 127
    assert str(folder / "nothing") in told.stderr.decode()

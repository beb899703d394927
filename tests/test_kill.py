"""Killed at any moment, the same command goes on and ends with the same bytes.

A forked child runs the real command and kills itself (SIGKILL) at its n-th touch of a file,
for every n there is: no moment is left to luck. Then some kills at random times.
"""

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.conftest import die_at_touch
from thinkus.launch import start


def run_and_die(at: int, redo: bool = False) -> bool:
    """Run prepare in a child that dies at its at-th touch of a file; False when it got to its end."""
    child = os.fork()
    if child == 0:
        die_at_touch(at)
        try:
            start("prepare", ["data=sample"], sweep=False, redo=redo)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def result(root: Path) -> dict[str, bytes]:
    directory = root / "outputs" / "prepare" / "sample"
    files = {
        path.name: path.read_bytes()
        for path in directory.glob("[!.]*.*")
        if path.suffix not in (".json", ".unfinished")
    }
    assert b'"status": "done"' in (directory / "run.json").read_bytes()
    return files


def test_killed_at_every_touch_of_a_file(workspace: Path) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    undisturbed = result(workspace)
    assert set(undisturbed) == {"config.yaml", "records.jsonl", "failures.jsonl"}

    moments = 0
    while True:
        folder = workspace / f"killed-{moments + 1}"
        folder.mkdir()
        os.chdir(folder)
        if not run_and_die(moments + 1):
            break
        moments += 1
        start("prepare", ["data=sample"], sweep=False, redo=False)
        assert result(folder) == undisturbed, moments
    assert moments > 15


def test_redo_killed_at_every_touch_of_a_file(workspace: Path) -> None:
    start("prepare", ["data=sample"], sweep=False, redo=False)
    undisturbed = result(workspace)
    moments = 0
    while True:
        folder = workspace / f"killed-{moments + 1}"
        shutil.copytree(workspace / "outputs", folder / "outputs")
        os.chdir(folder)
        if not run_and_die(moments + 1, redo=True):
            break
        moments += 1
        start("prepare", ["data=sample"], sweep=False, redo=False)
        assert result(folder) == undisturbed, moments
    assert moments > 15


def test_killed_again_and_again(workspace: Path) -> None:
    assert all(run_and_die(at) for at in (3, 9, 14, 5, 20, 11))
    start("prepare", ["data=sample"], sweep=False, redo=False)
    assert result(workspace)["records.jsonl"].count(b"\n") == 72


def test_killed_at_random_times(workspace: Path) -> None:
    command = [sys.executable, "-m", "thinkus", "prepare", "data=sample"]
    draw = random.Random(0)
    for _ in range(8):
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            time.sleep(draw.uniform(0, 1.2))
            child.kill()
    assert subprocess.run(command, capture_output=True).returncode == 0
    result(workspace)

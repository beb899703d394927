"""A scheduler sends its signal once: it must be heard whenever it comes."""

import subprocess
import sys
from pathlib import Path

DEAF = """
import os, signal, time
try:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
except BaseException:
    pass
"""
MAIN = """
import time
from thinkus import signals
from thinkus.errors import Stopped
signals.heed()
try:
    import deaf
    print("imported", flush=True)
    time.sleep(20)
except Stopped as stopped:
    print(stopped.number)
"""


def test_a_signal_is_not_lost_in_a_module_that_catches_everything_while_it_loads(tmp_path: Path) -> None:
    (tmp_path / "deaf.py").write_text(DEAF)
    (tmp_path / "main.py").write_text(MAIN)
    finished = subprocess.run([sys.executable, tmp_path / "main.py"], capture_output=True, text=True)
    assert finished.stdout.splitlines() == ["imported", "15"]

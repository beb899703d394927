"""What many tests share: an empty folder to work in, and the command line as a function."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Finished = subprocess.CompletedProcess[str]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, with an empty home."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_DATASETS_CACHE", "OPENAI_API_KEY", "DEEPSEEK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "workspace"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def thinkus(workspace: Path) -> Callable[..., Finished]:
    """Run `thinkus` as a process of its own, as a person would."""

    def run(*words: str) -> Finished:
        command = [sys.executable, "-m", "thinkus", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=workspace, timeout=120)

    return run


def die_at_touch(at: int) -> None:
    """Kill this process (SIGKILL) at its at-th touch of a file under outputs/; for forked children."""
    touches = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touches
        changes = event.startswith(("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.utime"))
        if changes or (event == "open" and "outputs" in str(arguments[0])):
            touches += 1
            if touches == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115

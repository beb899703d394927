"""What many tests share: an empty folder to work in, and the command line as a function."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Finished = subprocess.CompletedProcess[str]


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

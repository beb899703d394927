"""What tests of sft stand on."""

from pathlib import Path

import pytest

from tests.train.parts import annotated, conversations


@pytest.fixture
def one_tiny_model(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made once for all tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def chats(workspace: Path, one_tiny_model: None) -> Path:
    return annotated(workspace / "outputs", conversations(14), "chats")

"""Paths as they may be written into a run."""

from pathlib import Path

import pytest

from thinkus.paths import without_home


def test_a_home_directory_is_not_named_and_nothing_else_is_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", lambda: Path("/root"))
    assert without_home("/root/outputs/sft/a") == "~/outputs/sft/a"
    assert without_home("cannot read /root: no; /root/b") == "cannot read ~: no; ~/b"
    for other in ("/tmp/root/a", "/rooted/a", "a/root/b", "/tmp/-/root/a"):
        assert without_home(other) == other

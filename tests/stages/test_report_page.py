"""The page that report writes: beside its tables, with the cases that are asked for, and said at the end."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.judging.parts import ANA, BEN, EVE, finished
from tests.judging.runs import replayed
from tests.report.test_gather import ROWS, echo, facts, plainly
from tests.report.test_page import Shown
from thinkus.launch import start

PEOPLE = (ANA, BEN, EVE)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "outputs"
    ours = replayed(made, "us.offline", PEOPLE, echo, "thinkingus")
    theirs = replayed(made, "prompt.offline", PEOPLE, plainly)
    read = {"candidate": facts(ours), "baseline": facts(theirs)}
    judge: dict[str, Any] = {"judge.name": "j", "judge.model": "m"}
    finished(made, "judge/a", ROWS, inputs=read, task="pairwise", **judge)
    return made


def reported(root: Path, *words: str) -> Shown:
    start("report", [*words], sweep=False, redo=False)
    return Shown((root / "report" / "report" / "index.html").read_text(encoding="utf-8"))


def test_a_page_stands_beside_the_tables_and_is_a_file_of_the_run(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, cases = reported(root).data
    assert "report: outputs/report/report/index.html" in capsys.readouterr().err
    assert sorted(case["id"] for case in cases) == ["ana", "ben", "eve"]
    assert head["sections"][0]["section"]["task"] == "pairwise"
    manifest = json.loads((root / "report" / "report" / "run.json").read_bytes())
    assert "index.html" in manifest["files"]
    assert manifest["counts"]["cases"] == 3


def test_as_many_cases_as_asked_for_and_another_number_is_another_report(root: Path) -> None:
    reported(root)
    start("report", ["cases=1", "name=report"], sweep=False, redo=False)
    page = Shown((root / "report" / "report" / "index.html").read_text(encoding="utf-8"))
    assert len(page.data[1]) == 1
    assert "Of 3 conversations and scenarios 1 are shown" in page.data[0]["cases"]["told"]


def test_the_page_is_made_even_where_the_words_are_gone(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "simulate").rename(root / "elsewhere")
    [head] = reported(root).data
    assert len(head["cases"]["gone"]) == 2
    assert "us.offline is gone" in capsys.readouterr().err
    assert head["sections"]

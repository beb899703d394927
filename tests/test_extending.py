"""What docs/extending.md says, done with its own lines, in a copy of this checkout."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished
from tests.judging.runs import replayed
from tests.llm.misbehaving import serving
from tests.pages import HERE, blocks, commands
from tests.stages.judges import judging
from tests.train.parts import annotated, conversations
from thinkus.records import read_conversations
from thinkus.weights import find

Thinkus = Callable[..., Finished]
PAGE = blocks(HERE / "docs" / "extending.md")


@pytest.fixture
def checkout(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, which `thinkus` then is."""
    for folder in ("thinkus", "conf", "prompts"):
        shutil.copytree(HERE / folder, tmp_path / "checkout" / folder)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "checkout"))
    return tmp_path / "checkout"


def add(checkout: Path, section: str) -> None:
    """The files of a section; the first line of each says where it belongs."""
    for block in PAGE:
        first, _, text = block.text.partition("\n")
        file = checkout / first.removeprefix("# ")
        if block.section == section and block.kind == "diff":
            before, after = (line[1:] for line in text.splitlines())
            assert file.read_text().count(before) == 1
            file.write_text(file.read_text().replace(before, after))
        elif block.section == section and block.kind in ("yaml", "python"):
            assert not file.exists()
            file.write_text(text)


def lines(section: str) -> list[list[str]]:
    """What is typed there, without `thinkus` itself."""
    typed = [block.text for block in PAGE if block.section == section and block.kind == "console"]
    return [words[1:] for text in typed for words in commands(text)]


def test_a_model(checkout: Path, thinkus: Thinkus, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(checkout, "A model")
    monkeypatch.setenv("XDG_CACHE_HOME", str(workspace / "cache"))
    shutil.copytree(find("tiny").ready("model"), Path.home() / "models" / "pocket")
    annotated(workspace / "outputs", conversations(6), "sample")
    (words,) = lines("A model")
    trained = thinkus(*words)
    assert trained.returncode == 0, trained.stderr
    (made,) = (workspace / "outputs" / "sft").iterdir()
    assert made.name.startswith("thinkingus-pocket-sample")
    assert (made / "model" / "config.json").exists()
    assert "pocket" in thinkus("sft", "--help").stdout


def test_a_corpus(checkout: Path, thinkus: Thinkus, workspace: Path) -> None:
    assert thinkus("prepare", "data=sample").returncode == 0
    known = list(read_conversations(workspace / "outputs" / "prepare" / "sample" / "records.jsonl"))
    tickets = [
        {"ticket": number, "said": [message.content for message in one.messages]}
        for number, one in enumerate(known)
    ]
    rows = "\n".join(map(json.dumps, [*tickets, {"ticket": "no number", "said": []}]))
    (Path.home() / "tickets.jsonl").write_text(rows)
    add(checkout, "A corpus")
    (words,) = lines("A corpus")
    made = thinkus(*words, "max_bad_share=0.1")
    assert made.returncode == 0, made.stderr
    read = read_conversations(workspace / "outputs" / "prepare" / "tickets" / "records.jsonl")
    assert {one.id: one.messages for one in read} == {str(at): one.messages for at, one in enumerate(known)}
    failed = (workspace / "outputs" / "prepare" / "tickets" / "failures.jsonl").read_text()
    assert [json.loads(line)["reason"] for line in failed.splitlines()] == ["bad_row"]
    assert "eval:\n  name: tickets" in thinkus("simulate", "eval=tickets", "--show").stdout


def test_a_judge(checkout: Path, thinkus: Thinkus, workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS_API_KEY", "a-key-of-ours")
    people = conversations(12, test=12)
    replayed(workspace / "outputs", "A", people, lambda one, turn: f"A {one.id} {turn}")
    replayed(workspace / "outputs", "B", people, lambda one, turn: f"B {one.id} {turn}")
    add(checkout, "A judge")
    (words,) = lines("A judge")
    file = checkout / "conf" / "judge" / "ours.yaml"
    with serving(judging(lambda _seen: 0)) as server:
        file.write_text(file.read_text().replace("http://127.0.0.1:8000/v1", server.url))
        judged = thinkus(*words)
    assert judged.returncode == 0, judged.stderr
    assert {one.headers["Authorization"] for one in server.seen} == {"Bearer a-key-of-ours"}
    assert {one.body["model"] for one in server.seen} == {"judge-70b"}
    assert (workspace / "outputs" / "judge" / "pairwise.A.ours-baseline_B" / "records.jsonl").exists()


def test_other_words(checkout: Path, thinkus: Thinkus, workspace: Path) -> None:
    for stage in ("prepare", "annotate"):
        assert thinkus(stage, "data=sample").returncode == 0
    prompt = checkout / "prompts" / "annotate" / "terminal_thought.md"
    prompt.write_text(f"{prompt.read_text()}\nBe brief.\n")
    refused, beside, again = (thinkus(*words) for words in lines("Other words"))
    assert refused.returncode == 2
    assert "prompt annotate/terminal_thought: other content" in refused.stderr
    assert (beside.returncode, again.returncode) == (0, 0)
    made = sorted(run.name for run in (workspace / "outputs" / "annotate").iterdir())
    assert made == ["reworded", "sample"]


@pytest.mark.parametrize(("at", "section"), [(0, "A model"), (1, "A judge")])
def test_without_a_checkout(checkout: Path, thinkus: Thinkus, at: int, section: str) -> None:
    by_keys = thinkus(*lines("Without a checkout")[at], "--show").stdout
    add(checkout, section)
    (words,) = lines(section)
    name, _, config = thinkus(*words, "--show").stdout.partition("\n")
    assert config
    assert by_keys.partition("\n")[2] == config
    assert by_keys.startswith(name)

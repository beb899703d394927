from pathlib import Path

import pytest

from thinkus import paths, prompts
from thinkus.errors import ThinkusError


@pytest.fixture
def greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "PROMPTS", tmp_path)
    (tmp_path / "annotate").mkdir()
    file = tmp_path / "annotate" / "greeting.md"
    file.write_text("Say {{what}} to {{whom}}.")
    return file


def test_every_slot_is_filled_and_values_stay_as_they_are(greeting: Path) -> None:
    prompt = prompts.load("annotate/greeting")
    assert prompt.fill(what="{{whom}} \\1 {x}", whom="you") == "Say {{whom}} \\1 {x} to you."


@pytest.mark.parametrize("values", [{"what": "a"}, {"what": "a", "whom": "b", "why": "c"}])
def test_a_slot_missing_or_too_many_is_an_error(greeting: Path, values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="has the slots"):
        prompts.load("annotate/greeting").fill(**values)


def test_an_edit_changes_the_digest(greeting: Path) -> None:
    before = prompts.load("annotate/greeting").digest
    greeting.write_text("Say {{what}} to {{whom}}!")
    assert prompts.load("annotate/greeting").digest != before


def test_a_prompt_that_is_gone_is_named(greeting: Path) -> None:
    with pytest.raises(ThinkusError, match=r"no_such\.md: there is no such prompt"):
        prompts.load("annotate/no_such")

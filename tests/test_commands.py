"""Lists of commands, as scripts have them."""

from pathlib import Path

import pytest

from thinkus.commands import read
from thinkus.errors import ConfigError


def test_each_run_is_found_once_and_comments_are_none(workspace: Path) -> None:
    found = read(
        [
            "# first the data",
            "",
            "thinkus prepare data=sample",
            ".venv/bin/thinkus prepare data=sample  # again",
            "thinkus prepare -m data=sample seed=1,2",
            "thinkus report 'input=[a,b]'",
        ]
    )
    names = ["prepare/sample", "prepare/sample-seed_1", "prepare/sample-seed_2", "report/report"]
    assert [f"{one.stage}/{one.directory.name}" for one in found] == names
    assert not any(one.is_done for one in found)
    assert not list(workspace.iterdir())


def test_all_mistakes_of_all_lines_are_said_with_their_numbers() -> None:
    with pytest.raises(ConfigError) as caught:
        read(["thinkus sft model=nope", "rm -r data", "thinkus sft epochs=few", "thinkus 'sft", "thinkus"])
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("line 1: model: there is no 'nope'")
    assert lines[1] == "line 2: is no `thinkus STAGE KEY=VALUE...`: rm -r data"
    assert lines[2].startswith("line 3: epochs: must be")
    assert lines[3].startswith("line 4: cannot be read (No closing quotation)")
    assert lines[4] == "line 5: is no `thinkus STAGE KEY=VALUE...`: thinkus"

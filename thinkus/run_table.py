"""`thinkus runs`: what lies under a root, at a glance."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from thinkus.errors import RunRefused, ThinkusError
from thinkus.runs import age, all_runs, load_manifest, status

COLOURS = {"done": "green", "running": "cyan", "interrupted": "yellow", "failed": "red", "damaged": "red"}


def print_runs(root: str) -> None:
    folder = Path(root).expanduser()
    if not folder.is_dir():
        raise ThinkusError(
            f"root: there is no folder {root}; name another with root=DIR, or start with `make demo`"
        )
    table = Table(box=None, padding=(0, 2), header_style="bold")
    for column in ("stage", "name", "status"):
        table.add_column(column, overflow="fold")
    for column in ("items", "cost", "age"):
        table.add_column(column, justify="right")
    for stage, directory in all_runs(folder):
        word = status(directory)
        table.add_row(stage, directory.name, f"[{COLOURS[word]}]{word}[/]", *_figures(directory))
    if not table.row_count:
        print(f"no runs under {root} yet; `make demo` makes the first")
        return
    Console().print(table)


def _figures(directory: Path) -> tuple[str, str, str]:
    try:
        manifest = load_manifest(directory)
    except RunRefused:
        manifest = None
    if manifest is None:
        return "", "", ""
    items, cost = manifest.counts.get("items"), manifest.usage.cost_usd
    return (
        f"{items:,}" if items is not None else "",
        f"${cost:,.2f}" if cost is not None else "",
        age(manifest),
    )

"""What a person sees while a stage works: on stderr, so that stdout holds results alone."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

T = TypeVar("T")


def progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar while they are drawn; nothing is painted where nobody watches."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn(label), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        yield from bar.track(items, total=total)


def funnel_table(counts: dict[str, Any], paper_turns: str) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(justify="left")
    table.add_column(justify="right")
    table.add_row("read", f"{counts['read']:,}")
    for reason, count in counts["removed"].items():
        table.add_row(f"  - {reason.replace('_', ' ')}", f"{count:,}", style=None if count else "dim")
    table.add_row("kept", f"{counts['kept']:,}")
    if counts["not_drawn"]:
        table.add_row("  - not drawn", f"{counts['not_drawn']:,}")
    table.add_row("train", f"{counts['train']:,}")
    table.add_row("test", f"{counts['test']:,}")
    table.add_row("user turns, mean", f"{counts['mean_user_turns']:.2f} ({paper_turns})")
    Console(stderr=True).print(table)

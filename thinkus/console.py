"""What a person sees while a stage works: on stderr, so that stdout holds results alone."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
ROWS_A_MOVE = 64
MOVE_EVERY_S = 0.1


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def progress(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    """The items, with a bar while they are drawn: how many, how fast, how long still.

    Nothing is painted where nobody watches.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn(label),
        BarColumn(),
        TextColumn(
            "{task.completed:,.0f}" if total is None else "{task.completed:,.0f} of {task.total:,.0f}"
        ),
        TextColumn("{task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn() if total is not None else TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    with bar:
        task = bar.add_task(label, total=total, rate=0.0)
        began = shown = time.monotonic()
        for done, item in enumerate(items, 1):
            yield item
            # A bar that is moved for each row would cost more than reading it.
            if done % ROWS_A_MOVE == 0 and (now := time.monotonic()) - shown > MOVE_EVERY_S:
                shown, rate = now, done / (now - began)
                bar.update(task, completed=done, rate=rate, total=max(total, done) if total else None)


def funnel_table(counts: dict[str, Any], note: str | None) -> None:
    """What came in, what was taken by what, what came out; filters that took nothing share a line."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("read", f"{counts['read']:,}")
    for reason, count in counts["removed"].items():
        if count:
            table.add_row(f"  - {reason.replace('_', ' ')}", f"{count:,}")
    table.add_row("kept", f"{counts['kept']:,}")
    if counts["not_drawn"]:
        table.add_row("  - not drawn", f"{counts['not_drawn']:,}")
    for side in ("train", "test"):
        items, turns = counts[side]["items"], counts[side]["user_turns"]
        table.add_row(side, f"{items:,}", f"{turns / items:.2f} user turns each" if items else "")
    idle = ", ".join(reason.replace("_", " ") for reason, count in counts["removed"].items() if not count)
    console = Console(stderr=True, highlight=False)
    console.print(table)
    for line in filter(None, (f"took nothing: {idle}" if idle else None, note)):
        console.print(line, style="dim")

"""What a person sees while a stage works: on stderr, so that stdout holds results alone."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

T = TypeVar("T")
ROWS_A_MOVE = 64
MOVE_EVERY_S = 0.1
LINE_EVERY_S = 60.0
"""Where nobody watches but a log."""


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def progress(items: Iterable[T], label: str, total: int | None) -> Iterator[T]:
    """The items, with a bar while they are drawn."""
    with bar(label, total) as move:
        for item in items:
            yield item
            move()


@contextmanager
def bar(label: str, total: int | None, note: Callable[[], str] | None = None) -> Iterator[Callable[[], None]]:
    """A bar that is moved by one with each call: how many, how fast, how long still, and what else there is to say.

    Nothing is painted where nobody watches; a log gets a line now and then.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn(label),
        BarColumn(),
        TextColumn(
            "{task.completed:,.0f}" if total is None else "{task.completed:,.0f} of {task.total:,.0f}"
        ),
        TextColumn("{task.fields[rate]:,.0f}/s" if note is None else "{task.fields[note]}"),
        TimeRemainingColumn() if total is not None else TimeElapsedColumn(),
    )
    painted = Progress(*columns, console=console, disable=not console.is_terminal, transient=True)
    with painted:
        task = painted.add_task(label, total=total, rate=0.0, note=note() if note else "")
        began = shown = said = time.monotonic()
        done = 0
        rows_a_move = ROWS_A_MOVE if note is None else 1

        def move() -> None:
            nonlocal done, shown, said
            done += 1
            # A bar that is moved for each row would cost more than reading it.
            if done % rows_a_move == 0 and (now := time.monotonic()) - shown > MOVE_EVERY_S:
                shown, rate = now, done / (now - began)
                total_now = max(total, done) if total else None
                painted.update(task, completed=done, rate=rate, note=note() if note else "", total=total_now)
                if not console.is_terminal and now - said > LINE_EVERY_S:
                    said = now
                    of = f" of {total_now:,}" if total_now else ""
                    say(f"{label}: {done:,}{of}, {note() if note else f'{rate:,.0f}/s'}")

        yield move


@contextmanager
def gauge(label: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """A bar that is set: how far it has come, and what there is to say; in a log a line now and then."""
    console = Console(stderr=True)
    columns = (TextColumn(label), BarColumn(), TextColumn("{task.fields[note]}"), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as painted:
        task = painted.add_task(label, total=total, note="is being made ready")
        said = time.monotonic()

        def show(done: float, note: str) -> None:
            nonlocal said
            painted.update(task, completed=min(done, total), note=note)
            if not console.is_terminal and time.monotonic() - said > LINE_EVERY_S:
                said = time.monotonic()
                say(f"{label}: {note}")

        yield show


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

"""Figures laid side by side: a line for each, a column for each of those measured."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table

from thinkus.terminal import plain


class Cell(NamedTuple):
    """A figure as it is printed."""

    value: str
    """Empty where the figure does not apply."""
    interval: tuple[str, str] | None = None
    """Of 95 %."""
    is_percentile: bool = False
    """As the resamples lie, where BCa is undefined."""

    @property
    def printed(self) -> str:
        if self.interval is None:
            return self.value
        mark = "~" if self.is_percentile else ""
        return f"{self.value} {mark}[{', '.join(self.interval)}]"


class Column(NamedTuple):
    name: str
    facts: Sequence[tuple[str, str]]
    """What its figures hang on."""
    cells: Sequence[tuple[str, Cell]]


class Lines(NamedTuple):
    title: str
    above: str
    """The facts that all columns share, said once."""
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]

    @property
    def as_table(self) -> Table:
        table = Table(
            title=plain(self.above) or None,
            title_justify="left",
            title_style="dim",
            header_style="bold",
            box=None,
            padding=(0, 2, 0, 0),
        )
        table.add_column(self.title, no_wrap=True)
        for name in self.columns:
            table.add_column(plain(name), justify="right", no_wrap=True)
        for name, cells in self.rows:
            table.add_row(plain(name), *(plain(cell.printed) for cell in cells))
        return table


def lined_up(title: str, columns: Sequence[Column]) -> Lines:
    """All columns have the same facts and figures, in the same order; lines that say nothing are left out."""
    facts = list(zip(*(own.facts for own in columns), strict=True))
    shared = [same[0] for same in facts if len(set(same)) == 1]
    apart = [(same[0][0], tuple(Cell(value) for _, value in same)) for same in facts if len(set(same)) > 1]
    measured = [
        (same[0][0], tuple(cell for _, cell in same))
        for same in zip(*(own.cells for own in columns), strict=True)
    ]
    rows = tuple(row for row in (*apart, *measured) if any(cell.value for cell in row[1]))
    above = "; ".join(" ".join(fact) for fact in shared if fact[1])
    return Lines(title, above, tuple(own.name for own in columns), rows)

"""What was asked, what of it could be used, and why the rest could not."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from thinkus.runs import Usage


def counts_of(
    read: int, failed: Counter[str], answers: Mapping[str, Counter[str]], served: Mapping[str, int]
) -> dict[str, Any]:
    """For the run's manifest; the parts of a run add up."""
    return {
        "read": read,
        "items": read - failed.total(),
        "failed": dict(failed.most_common()),
        "answers": {
            purpose: {
                "asked": tally["asked"],
                "valid": tally["valid"],
                "invalid": {kind: n for kind, n in tally.most_common() if kind not in ("asked", "valid")},
            }
            for purpose, tally in answers.items()
        },
        "answered_by": {model: served[model] for model in sorted(served) if model},
    }


def print_funnel(counts: Mapping[str, Any], usage: Usage) -> None:
    console = Console(stderr=True, highlight=False)
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    table.add_row("conversations", f"{counts['read']:,}")
    for kind, count in counts["failed"].items():
        table.add_row(f"  - {_words(kind)}", f"{count:,}")
    table.add_row("annotated", f"{counts['items']:,}")
    for purpose, tally in counts["answers"].items():
        table.add_row(f"answers: {_words(purpose)}", f"{tally['asked']:,}", _share(tally))
        for kind, count in tally["invalid"].items():
            table.add_row(f"  - {_words(kind)}", f"{count:,}")
    console.print(table)
    cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.2f}"
    console.print(f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, cost {cost}", style="dim")


def _share(tally: Mapping[str, Any]) -> str:
    return f"{tally['valid'] / tally['asked']:.1%} could be used" if tally["asked"] else ""


def _words(name: str) -> str:
    return name.replace("_", " ")

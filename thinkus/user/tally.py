"""What a simulate run came to: how many turns could be had, what was wrong with the rest, and how talks ended."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from thinkus.records import Dialogue, Failure, SpokenTurn
from thinkus.runs import Usage
from thinkus.user.thinking_user import Silent
from thinkus.user.words import Wrong

ALWAYS_TOLD = (Wrong.LEAK, Wrong.RECITAL, Wrong.INVERSION, Wrong.EMPTY)
"""Also where there was none of them."""


class Tally:
    def __init__(self) -> None:
        self.items = self.turns = self.spoken = self.left = self.dropped = self.cut_replies = 0
        self.failed: Counter[str] = Counter()
        self.ended_by: Counter[str] = Counter()

    def add(self, turn: SpokenTurn | Silent) -> None:
        self.turns += 1
        if isinstance(turn, Silent):
            self.failed[turn.wrong] += 1
            return
        self.spoken += 1
        self.left += turn.ended
        self.dropped += turn.dropped > 0

    def add_dialogue(self, dialogue: Dialogue | None, failure: Failure | None) -> None:
        if failure is not None and (dialogue is None or dialogue.ended_by == "person_failed"):
            self.failed[failure.reason] += 1  # of the others the endings tell
        if dialogue is None:
            return
        self.items += 1
        self.ended_by[dialogue.ended_by] += 1
        self.turns += dialogue.ended_by == "person_failed"
        for exchange in dialogue.exchanges:
            self.add(exchange.person)
            if exchange.reply is not None:
                self.cut_replies += exchange.reply.is_cut
                self.dropped += exchange.reply.dropped > 0

    def counts(self, answers: Counter[str], closed: int) -> dict[str, Any]:
        """For the run's manifest; the parts of a run add up."""
        return {
            "items": self.items,
            "turns": self.turns,
            "spoken": self.spoken,
            "left": self.left,
            "failed": dict(self.failed.most_common()),
            "answers": answers.total(),
            "wrong": {wrong: answers[wrong] for wrong in Wrong if answers[wrong] or wrong in ALWAYS_TOLD},
            "closed": closed,
            "truncated": self.dropped,
            "cut_replies": self.cut_replies,
            "ended_by": dict(self.ended_by.most_common()),
        }


def print_tally(counts: Mapping[str, Any], usage: Usage, *, decode: str) -> None:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_column()
    turns = counts["turns"]
    table.add_row("turns", f"{turns:,}")
    table.add_row(
        "could be read", f"{counts['spoken']:,}", f"{_share(counts['spoken'], turns)} ({decode} decoding)"
    )
    for wrong, count in counts["failed"].items():
        table.add_row(f"  - {_words(wrong)}", f"{count:,}")
    table.add_row("answers, with those asked again", f"{counts['answers']:,}")
    for wrong, count in counts["wrong"].items():
        table.add_row(f"  - {_words(wrong)}", f"{count:,}", _share(count, counts["answers"]))
    for key, label, whole in (  # a turn has two of the first, and of the second two where it is live
        ("closed", "thoughts and words ended by guided decoding", 0),
        ("truncated", "turns and replies with a shortened history", 0),
        ("cut_replies", "replies cut by max_tokens", turns),
    ):
        if counts[key]:
            table.add_row(label, f"{counts[key]:,}", _share(counts[key], whole))
    if counts["ended_by"]:
        table.add_row(
            "dialogues", f"{counts['items']:,}", f"{turns / max(1, counts['items']):.1f} turns each"
        )
        for by, count in counts["ended_by"].items():
            table.add_row(f"  - ended by {_words(by)}", f"{count:,}", _share(count, counts["items"]))
    console = Console(stderr=True, highlight=False)
    console.print(table)
    cost = "unknown" if usage.cost_usd is None else f"${usage.cost_usd:,.2f}"
    console.print(f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, cost {cost}", style="dim")


def _share(count: int, whole: int) -> str:
    return f"{count / whole:.1%}" if whole else ""


def _words(name: str) -> str:
    return name.replace("_", " ")

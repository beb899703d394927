"""What a judge is shown and says, for a person at a terminal."""

import msgspec
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from thinkus.judging.fences import parts_of
from thinkus.judging.lines import Lines
from thinkus.llm.exchange import Outcome, Request
from thinkus.llm.forms import Likelihood, Near, Odds
from thinkus.terminal import beside, headline, plain, turn, wrapped

MOST_LINES = 6
"""Of a text; the judge is shown all of it."""


def show_question(request: Request, outcome: Outcome, console: Console) -> None:
    headline((request.item, request.purpose), console)
    if not isinstance(
        request.form, Near | Odds | Likelihood
    ):  # those have no page of ours, and a text may look like one
        parts, task = parts_of(request.messages[-1].content)
        for part in (*parts, ("task", task)):
            console.print(Text(plain(part[0]), "dim"))
            _print("", part[1], console)
    else:
        for message in request.messages:
            _print(message.role, message.content, console)
    if isinstance(request.form, Likelihood):
        _print("how likely?", request.form.words, console)
    _print("judge", outcome.completion.text if outcome.completion else "no answer", console)


def show_row(row: msgspec.Struct, console: Console) -> None:
    """What is made of it."""
    told = msgspec.json.format(msgspec.json.encode(row), indent=2).decode()
    for line in beside(Text("row", "bold"), [Text(one, "dim") for one in wrapped(told, console)]):
        console.print(line)


def _print(who: str, words: str, console: Console) -> None:
    for line in turn(who, words, console, most_lines=MOST_LINES):
        console.print(line)


def print_whole(told: Lines | Table | str, console: Console) -> None:
    """No figure is folded, however narrow the window; and a name that a server gave itself does nothing to it."""
    if isinstance(told, str):
        console.print(plain(told))
        return
    window, table = console.width, told.as_table if isinstance(told, Lines) else told
    console.width = max(window, Measurement.get(console, console.options.update(width=1000), table).maximum)
    console.print(table)
    console.width = window

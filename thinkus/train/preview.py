"""Samples for a person at a terminal: what the model will be given, and the tokens that it is to write."""

from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from thinkus.terminal import plain
from thinkus.train.encode import Encoded, Encoder

TARGETS = ("bold green", "bold cyan")
"""By turns, so that one sees where a token ends."""


def show(samples: Iterable[Encoded], encoder: Encoder, console: Console) -> None:
    for one in samples:
        console.print()
        about = f"{plain(one.sample.conversation)} · turn {one.sample.turn} · {one.length:,} tokens"
        console.rule(Text(about, "bold"), style="dim")
        given = encoder.text([token for piece in one.pieces for token in piece])
        console.print(Text(_harmless(given).rstrip("\n"), "dim"))
        console.rule(
            Text(f"to be written: {len(one.target):,} tokens, all of them count"), style="dim", align="left"
        )
        console.print(_coloured(one.target, encoder))


def _coloured(target: tuple[int, ...], encoder: Encoder) -> Text:
    """Token for token; a letter that takes several has the colour of the last of them."""
    shown, before = Text(), ""
    for at in range(len(target)):
        whole = encoder.text(target[: at + 1])
        if not whole.endswith("\N{REPLACEMENT CHARACTER}"):
            shown.append(_harmless(whole[len(before) :]), TARGETS[at % 2])
            before = whole
    return shown


def _harmless(text: str) -> str:
    """With all of its line breaks, which are part of what is shown here."""
    return "\n".join(map(plain, text.split("\n")))

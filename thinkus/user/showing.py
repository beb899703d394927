"""Simulated turns for a person at a terminal: thoughts apart from words, real ones beside those of the model."""

import sys

from rich.console import Console
from rich.text import Text

from thinkus.records import Conversation, Dialogue, SpokenTurn
from thinkus.terminal import background, beside, headline, turn, wrapped
from thinkus.user.scene import lines_of
from thinkus.user.words import LEAVES

MOST_LINES = 12
MOST_LINES_OF_REPLIES = 6


def show_simulation(record: Conversation, console: Console, most: int = sys.maxsize) -> int:
    """What the model says at the turns of a real conversation; how many were shown."""
    if record.simulation is None or record.annotation is None or most <= 0:
        return 0
    by = record.simulation.by
    headline((record.id, f"{by.method}, {by.model}"), console)
    console.print(background(record.annotation.scenario, record.annotation.motivation))
    lines = lines_of(record)
    places = [place for place, line in enumerate(lines) if line.who == "person"]
    shown = record.simulation.turns[:most]
    for spoken in shown:
        console.print()
        is_last = spoken.turn == len(places)
        place = len(lines) if is_last else places[spoken.turn]
        if place:
            _print("assistant", lines[place - 1].words, console, MOST_LINES_OF_REPLIES)
        _print_turn(spoken, console)
        real = LEAVES if is_last else lines[place].words
        for line in beside(Text("really", "dim"), [Text(one, "dim") for one in wrapped(real, console)]):
            console.print(line)
    return len(shown)


def show_dialogue(
    dialogue: Dialogue, console: Console, most: int = sys.maxsize, *, is_whole: bool = True
) -> int:
    """A live conversation; how many exchanges were shown."""
    if most <= 0:
        return 0
    by = dialogue.by
    headline((dialogue.id, f"{by.method}, {by.model}", f"with {dialogue.assistant}"), console)
    console.print(background(dialogue.scenario, dialogue.motivation))
    shown = dialogue.exchanges[:most]
    for exchange in shown:
        console.print()
        _print_turn(exchange.person, console)
        if exchange.reply is not None:
            _print("assistant", exchange.reply.content, console, MOST_LINES_OF_REPLIES)
    if is_whole and len(shown) == len(dialogue.exchanges):
        why = f" ({dialogue.why})" if dialogue.why else ""
        console.print(Text(f"ended by {dialogue.ended_by.replace('_', ' ')}{why}", "dim"))
    return max(1, len(shown))


def _print_turn(spoken: SpokenTurn, console: Console) -> None:
    words = spoken.utterance or LEAVES
    for line in turn("person", words, console, thought=spoken.thought, most_lines=MOST_LINES):
        console.print(line)


def _print(who: str, words: str, console: Console, most_lines: int) -> None:
    for line in turn(who, words, console, most_lines=most_lines):
        console.print(line)

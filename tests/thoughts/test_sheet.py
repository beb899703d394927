"""A blind sheet for people: what is drawn, which are controls, and what a table of it holds."""

import csv
import io
import random
from collections import Counter

import pytest
from msgspec.structs import replace

from thinkus.errors import ThinkusError
from thinkus.records import Annotation, Conversation, Message
from thinkus.sheets.table import table_of
from thinkus.thoughts.sheet import draw, sheet_of


def conversation(number: int, turns: int) -> Conversation:
    """Every text in it says whose it is, and where it belongs."""
    messages = [
        Message(role, f"{role} text {number}/{turn}")
        for turn in range(1, turns + 1)
        for role in ("user", "assistant")
    ]
    thoughts = tuple(f"thought {number}/{turn}" for turn in range(2, turns + 1))
    annotation = Annotation("s", "m", thoughts, terminal_thought=f"thought {number}/end")
    return Conversation(f"secret-id-{number}", "secret-corpus", tuple(messages), annotation=annotation)


def conversations(count: int = 60) -> list[Conversation]:
    return [conversation(number, 1 + number % 4) for number in range(count)]


def rows_of(table: str) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(table, newline=""))
    return [{name.partition(":")[0]: cell for name, cell in row.items()} for row in rows]


def drawn(count: int, seed: int = 1, records: list[Conversation] | None = None) -> list[dict[str, str]]:
    return rows_of(table_of(sheet_of(draw(conversations() if records is None else records, count, seed))))


def home(row: dict[str, str]) -> tuple[str, str]:
    """The conversation and turn at which a row's thought is shown."""
    if "/" not in row["utterance"]:
        return row["conversation so far"].split()[-1].split("/")[0], "end"
    number, turn = row["utterance"].split()[-1].split("/")
    return number, turn


def owner(row: dict[str, str]) -> tuple[str, str]:
    number, turn = row["thought"].split()[-1].split("/")
    return number, turn


def shuffled() -> list[Conversation]:
    records = conversations()
    random.Random(0).shuffle(records)
    return records


def test_a_seed_draws_the_same_whatever_the_order() -> None:
    assert drawn(20, 1) == drawn(20, 1, shuffled()) != drawn(20, 2)
    assert len({row["item"] for seed in (1, 2) for row in drawn(20, seed)}) == 40
    one = [conversation(1, 9)]
    assert len({home(*drawn(1, seed, one)) for seed in range(9)}) > 3


def test_conversations_are_drawn_once_before_any_is_drawn_twice() -> None:
    for count, most in ((20, 1), (60, 1), (80, 2)):
        times = Counter(home(row)[0] for row in drawn(count))
        assert times.total() == count
        assert max(times.values()) == most
    everything = drawn(10**6)
    assert len(everything) == sum(record.user_turns for record in conversations())


@pytest.mark.parametrize(("count", "controls"), [(20, 4), (60, 12), (10**6, 30)])
def test_one_in_five_shows_a_stranger_at_the_same_turn(count: int, controls: int) -> None:
    rows = drawn(count)
    strange = [row for row in rows if home(row) != owner(row)]
    assert len(strange) == controls
    assert all(home(row)[0] != owner(row)[0] and home(row)[1] == owner(row)[1] for row in strange)
    assert len({row["thought"] for row in rows}) == len(rows)


def test_ids_change_with_the_text() -> None:
    before = {row["item"] for row in drawn(10**6)}
    edited = conversations()
    annotation = edited[1].annotation
    assert annotation is not None
    edited[1] = replace(edited[1], annotation=replace(annotation, thoughts=("another",)))
    assert len(before - {row["item"] for row in drawn(10**6, records=edited)}) in (1, 2)


def test_cells_are_short_on_one_line_and_never_formulas() -> None:
    record = conversation(0, 2)
    messages = (
        Message("user", "first\n" * 1000),
        Message("assistant", 'a "quoted";\nreply'),
        Message("user", "=1+1"),
        record.messages[3],
    )
    annotation = Annotation("s", "m", ("@SUM(1)\r\n-2",))
    table = table_of(sheet_of(draw([Conversation("c", "s", messages, annotation=annotation)], 5, 1)))
    assert len(table.splitlines()) == 2
    [row] = rows_of(table)
    assert row["utterance"] == "'=1+1"
    assert row["thought"] == "'@SUM(1) -2"
    assert row["conversation so far"].startswith("... ")
    assert row["conversation so far"].endswith('first / Assistant: a "quoted"; reply')
    assert len(row["conversation so far"]) < 2100


def test_nothing_to_rate_is_said() -> None:
    with pytest.raises(ThinkusError, match="annotate them first"):
        draw([replace(conversation(1, 2), annotation=None)], 5, 1)

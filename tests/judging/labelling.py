"""Pairs that a judge ruled on, and people who fill in a sheet of them."""

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tests.judging.parts import person
from thinkus.judging.labels import Label, labels_of
from thinkus.judging.pair_sheet import Item, draw, sheet_of
from thinkus.judging.pairwise import SIDES, Closer, JudgedTurn, Pair, Verdict
from thinkus.sheets.table import table_of
from thinkus.user.scene import scenario_of

Judged = tuple[Pair, JudgedTurn]
Row = dict[str, str]
Says = Callable[[Row], str]
"""Of a row of the sheet: A, B, tie, or nothing."""
MEANT: dict[str, Closer | None] = {"W": "candidate", "L": "baseline", "T": "tie", "?": None}


def pair(
    name: str, turn: int = 0, ours: str | None = "ours {}", theirs: str | None = "theirs {}", real: str = "real {}"
) -> Pair:  # fmt: skip
    """At a turn of a conversation; who says what tells whose it is, and where it belongs."""
    at = f"{name}/{turn}"
    whole = person(f"secret-{name}", *(f"person {name}/{turn}" for turn in range(turn + 1)))
    one, other = (None if words is None else words.replace("{}", at) for words in (ours, theirs))
    return Pair(
        whole, scenario_of(whole), turn, whole.messages[: 2 * turn], real.replace("{}", at), one, other
    )  # fmt: skip


def ruled(one: Pair, verdicts: str = "WW") -> Judged:
    """What the judge says with either first: W for the candidate, L for the baseline, T or ? for none."""
    row = JudgedTurn(one.conversation.id, one.turn, failed=one.failed, same=one.is_same)
    if one.failed or one.is_same:
        return one, row
    said = tuple(Verdict(first, MEANT[verdict]) for first, verdict in zip(SIDES, verdicts, strict=True))
    return one, JudgedTurn(one.conversation.id, one.turn, verdicts=said)


def many(conversations: int = 30, turns: int = 2) -> list[Judged]:
    return [ruled(pair(f"c{number}", turn)) for number in range(conversations) for turn in range(turns)]


def rows_of(items: Sequence[Item]) -> list[Row]:
    """By the first word of each column."""
    return [
        {name.partition(":")[0]: cell for name, cell in row.items()}
        for row in csv.DictReader(io.StringIO(table_of(sheet_of(items)), newline=""))
    ]


def filled(file: Path, items: Sequence[Item], says: Says, note: str = "") -> Path:
    """A sheet as somebody sends it back."""
    with file.open("w", newline="") as out:
        table = csv.DictWriter(out, ["item", "closer", "note"], extrasaction="ignore")
        table.writeheader()
        table.writerows({**row, "closer": says(row), "note": note} for row in rows_of(items))
    return file


def of_ours(truth: Callable[[str], str]) -> Says:
    """Who says W, L or T of what stands where; nothing where it is neither."""

    def says(row: Row) -> str:
        place = row["real"].partition(" ")[2]
        ours, theirs = ("A", "B") if row["A"].startswith("ours") else ("B", "A")
        return {"W": ours, "L": theirs, "T": "tie"}.get(truth(place), "")

    return says


def labelled(folder: Path, judged: Iterable[Judged], *raters: Says, count: int = 100) -> list[Label]:
    """What these said of the pairs that are drawn of these; each in a file of their own."""
    every = list(judged)
    items = draw(every, count)
    files = [filled(folder / f"{'abcdef'[at]}.csv", items, says) for at, says in enumerate(raters)]
    return labels_of(files, items, [turn for _, turn in every])

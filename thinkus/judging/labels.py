"""What people said of pairs, read back and no longer blind."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from thinkus.errors import ThinkusError
from thinkus.judging.pair_sheet import CLOSER, QUESTIONS, Item
from thinkus.judging.pairwise import JudgedTurn, Side
from thinkus.scoring.wins import Verdict, fold
from thinkus.sheets.table import read

_AS_A: dict[int, Verdict] = {1: "win", -1: "loss", 0: "tie"}


class Label(msgspec.Struct, frozen=True):
    """What one person said of one pair: every figure can be followed to these."""

    rater: int
    """Index into the report's `raters`."""
    item: str
    conversation: str
    turn: int
    first: Side
    """Who wrote the text that was shown as A."""
    verdict: Verdict | None
    """As the candidate sees it; None where they left only a note."""
    judge: Verdict
    note: str


def labels_of(files: Sequence[Path], items: Sequence[Item], turns: Sequence[JudgedTurn]) -> list[Label]:
    """Of raters with a file each, about these of a run's turns."""
    judged = {(turn.conversation, turn.turn): verdict_of(turn) for turn in turns}
    by_id = {item.id: item for item in items}
    labels = [label for rater, file in enumerate(files) for label in _labels(file, rater, by_id, judged)]
    if not any(label.verdict for label in labels):
        raise ThinkusError(f"human: there is not one label in {', '.join(map(str, files))}")
    return labels


def verdict_of(turn: JudgedTurn) -> Verdict:
    """The strict one: what turned with the order is a tie."""
    counts = fold([turn.duel]).strict
    return "win" if counts.wins else "loss" if counts.losses else "invalid" if counts.invalid else "tie"


def _labels(
    file: Path, rater: int, items: Mapping[str, Item], judged: Mapping[tuple[str, int], Verdict]
) -> Iterator[Label]:
    missing = dict.fromkeys(items)
    for filled in read(file, QUESTIONS, items):
        del missing[filled.item]
        if filled.answers or filled.note:
            first, pair = items[filled.item].first, items[filled.item].pair
            place = pair.conversation.id, pair.turn
            said = filled.answers.get(CLOSER)
            verdict = None if said is None else _AS_A[said if first == "candidate" else -said]
            yield Label(rater, filled.item, *place, first, verdict, judged[place], filled.note)
    if missing:
        raise ThinkusError(
            f"{file}: lacks {len(missing):,} of the sheet's {len(items):,} items, {next(iter(missing))} first; "
            "a row that nobody answered stays there, empty"
        )

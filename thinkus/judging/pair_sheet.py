"""Pairs for people to label, blind: which are drawn, which text stands as A, and what is asked of them.

They are a simple random sample of the turns about which a judge was asked, so that what people say of them holds
for the others. Which were drawn, and who is A, is not written down: it follows from the texts.
"""

from collections.abc import Iterable
from hashlib import sha256
from heapq import nsmallest
from typing import NamedTuple

from thinkus.errors import ThinkusError
from thinkus.judging.pairwise import OTHER, JudgedTurn, Pair, Side, first_by_lot
from thinkus.sheets.sheet import Item as ShownItem
from thinkus.sheets.sheet import Question, Sheet, Text, digest

CLOSER = "closer"
QUESTIONS = {
    CLOSER: Question(
        "Which comes closer to what the person really wrote?", {"A": 1, "B": -1, "tie": 0}, " (A, B or tie)"
    )
}
"""Counted as A sees it."""
TOLD = (
    "Each item shows a person's situation, their conversation with an assistant so far, and what they really wrote "
    "next. Two writers who had not seen that wrote what they thought this person would say: A and B.",
    "Hold each against the real text in two respects. Does it want the same: the same request, answer, objection or "
    "change of subject, with nothing left out that matters and nothing put in? And could the same hand have written "
    "it: wording, tone, mood, how much is spelled out, how careful or careless it is?",
    "Weigh both together. A text is not closer for being clearer, kinder or more useful than the real one. If "
    "neither is closer, say tie.",
)
SILENT = "(The person leaves without a word.)"


class Item(NamedTuple):
    id: str
    pair: Pair
    first: Side
    """Who wrote A."""


def draw(judged: Iterable[tuple[Pair, JudgedTurn]], count: int) -> list[Item]:
    """More of them hold those that fewer hold; in an order that says nothing."""
    asked = (pair for pair, row in judged if row.verdicts)
    drawn = nsmallest(count, asked, key=lambda pair: sha256(f"people {pair.item}".encode()).digest())
    if not drawn:
        raise ThinkusError(
            "--human-sheet: the judge of this run was asked about no turn, so there is no pair"
        )
    return sorted((_item(pair) for pair in drawn), key=lambda item: item.id)


def _item(pair: Pair) -> Item:
    """Another name for any other content: labels of texts that have changed since are refused."""
    first = first_by_lot(pair, "people")
    said = [(message.role, message.content) for message in pair.history]
    texts = pair.scenario, said, pair.real, pair.of(first), pair.of(OTHER[first])
    return Item(digest(pair.item, *texts)[:12], pair, first)


def sheet_of(items: Iterable[Item]) -> Sheet:
    return Sheet(
        "Pairs to label",
        "Which comes closer?",
        TOLD,
        "a, b and t",
        QUESTIONS,
        [_shown(item) for item in items],
    )


def _shown(item: Item) -> ShownItem:
    assert item.pair.scenario is not None, "without a scenario no judge was asked"
    scenario, motivation = item.pair.scenario
    options = (
        Text(label, label, words or SILENT, "option" if words else "option silent")
        for label, words in (("A", item.pair.of(item.first)), ("B", item.pair.of(OTHER[item.first])))
    )
    return ShownItem(
        item.id,
        (
            Text("situation", "The person's situation", scenario),
            Text("what they are after", "What they are after", motivation),
        ),
        item.pair.history,
        (Text("real", "What the person really wrote", item.pair.real, "real"), *options),
    )

"""Thoughts for people to rate, blind: which are drawn, and what is asked of them.

Some items have swapped their thoughts, as controls: who rates strangers' thoughts like the others tells us
nothing. Each drawn thought is shown once, and nothing about an item says whose it is: that is not written
down, but drawn again when the ratings are read.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.records import Conversation, Message
from thinkus.sheets.sheet import SPEAKERS, Question, Sheet, Text, digest
from thinkus.sheets.sheet import Item as ShownItem
from thinkus.thoughts.drafts import thoughts_before, user_messages

ITEMS_A_SWAP = 10
"""Of so many items two swap their thoughts: one in five shows a stranger's."""
NO_UTTERANCE = "(The person writes nothing more.)"

Kind = Literal["thought", "ending", "control"]
KINDS: tuple[Kind, ...] = ("thought", "ending", "control")
"""The person's own before an utterance, their last, and a stranger's of either."""


SCALE = {str(value): value for value in range(1, 6)}
QUESTIONS = {
    "plausible": Question("Could this person think this here? (1 hardly, 5 easily)", SCALE),
    "own_voice": Question(
        "Is it in the person's own voice, not an author's or an assistant's? (1 not at all, 5 entirely)",
        SCALE,
    ),
    "gives_away": Question(
        "Does it give away something that the person cannot know yet?", {"yes": 1, "no": 0}, " (yes or no)"
    ),
}


class Item(NamedTuple):
    id: str
    conversation: Conversation
    place: int
    """Of the utterance in `messages`; past them for the thought with which the person leaves."""
    thought: str
    """The one that is shown."""
    kind: Kind

    @property
    def before(self) -> list[Message]:
        return [message for message in self.conversation.messages[: self.place] if message.role in SPEAKERS]

    @property
    def utterance(self) -> str:
        rest = self.conversation.messages[self.place :]
        return rest[0].content if rest else NO_UTTERANCE


def drawn_sheet(conversations: Sequence[Conversation], count: int, seed: int) -> Sheet:
    items = draw(conversations, count, seed)
    controls = sum(item.kind == "control" for item in items)
    if controls < 2 * swaps(len(items)):
        say(
            f"sheet: only {controls} of {len(items):,} items are controls, more do not pair up; raise the count"
        )
    return sheet_of(items)


def sheet_of(items: Sequence[Item]) -> Sheet:
    return Sheet(
        "Thoughts to rate",
        "Would this person think this?",
        [
            "Each item shows a conversation between a person and an assistant, a thought, and what the person "
            "writes after it. The thought was never said. Rate it by what you see here."
        ],
        "1 to 5, y and n",
        QUESTIONS,
        [_shown(item) for item in items],
    )


def _shown(item: Item) -> ShownItem:
    thought = Text("thought", "Thought", item.thought, "thought")
    said = Text("utterance", SPEAKERS["user"], item.utterance)
    return ShownItem(item.id, (), item.before, (thought, said))


def draw(conversations: Sequence[Conversation], count: int, seed: int) -> list[Item]:
    """Drawn by lot, a second one of a conversation only when each has one; in an order that says nothing."""
    lots: list[tuple[int, str, Item]] = []
    for conversation in conversations:
        own = {digest(seed, conversation.id, item.place): item for item in _own(conversation)}
        lots += [(rank, lot, own[lot]) for rank, lot in enumerate(sorted(own))]
    if not lots:
        raise ThinkusError("sheet: none of these conversations has a thought to rate; annotate them first")
    drawn = [item for _, _, item in sorted(lots, key=lambda entry: entry[:2])[:count]]
    shown = [item._replace(id=_opaque(item, seed)) for item in _swapped(drawn)]
    return sorted(shown, key=lambda item: item.id)


def swaps(items: int) -> int:
    """How many pairs of so many items are to swap their thoughts."""
    return (items + ITEMS_A_SWAP // 2) // ITEMS_A_SWAP


def _own(conversation: Conversation) -> Iterator[Item]:
    for place, thought in thoughts_before(conversation).items():
        yield Item("", conversation, place, thought, "thought")
    if conversation.annotation and (last := conversation.annotation.terminal_thought) is not None:
        yield Item("", conversation, len(conversation.messages), last, "ending")


def _swapped(drawn: Sequence[Item]) -> list[Item]:
    """The first that can swap the thoughts of the same turn, each with another conversation's."""
    items, waiting, missing = list(drawn), dict[int, int](), swaps(len(drawn))
    for index, item in enumerate(drawn):
        turn = -1 if item.kind == "ending" else user_messages(item.conversation).index(item.place)
        other = waiting.get(turn, index)
        theirs = drawn[other]
        if theirs.thought == item.thought:  # often because it is the item itself: nobody was waiting
            waiting[turn] = index
        elif missing:
            items[index] = item._replace(thought=theirs.thought, kind="control")
            items[other] = theirs._replace(thought=item.thought, kind="control")
            del waiting[turn]
            missing -= 1
    return items


def _opaque(item: Item, seed: int) -> str:
    """Another for any other content: ratings of texts that have changed since are refused."""
    said = [(message.role, message.content) for message in item.before]
    return digest(seed, item.conversation.id, item.place, said, item.thought, item.utterance)[:12]

"""Which conversations of a corpus are worth keeping, judged one at a time.

Each filter is a name that can be counted, and says of a conversation why it objects. They
are asked in the order of `FILTERS`; the first that objects is the one that is counted.
"""

import zlib
from collections.abc import Callable

from msgspec import to_builtins
from msgspec.structs import replace

from thinkus.config import Filters
from thinkus.corpora.language import detect
from thinkus.corpora.personal import personal_data
from thinkus.corpora.rows import Row
from thinkus.records import Conversation, Message

Objection = str | None

FEWEST_CHARACTERS = 200
SHORTEST_REPETITION = 400
"""Characters; what is shorter repeats itself as people do."""
WINDOW_CHARACTERS = 16


def language(row: Row, filters: Filters) -> Objection:
    wanted = filters.language
    if wanted is None:
        return None
    if row.language is not None:
        return None if row.language == wanted.name.lower() else f"is {row.language}, wanted {wanted.name}"
    code, certainty = detect(_telling_text(row.conversation))
    if code == wanted.code or certainty < wanted.certainty:
        return None
    return f"is detected as {code} ({certainty:.2f}), wanted {wanted.code}"


def _telling_text(conversation: Conversation) -> str:
    """The user's words; where they are too few to tell a language by, the first reply too."""
    words = conversation.user_text
    return words if len(words) >= FEWEST_CHARACTERS else f"{words}\n{conversation.messages[1].content[:500]}"


def toxic(row: Row, filters: Filters) -> Objection:
    return "flagged by the corpus's moderation" if filters.toxic and row.flagged else None


def shape(row: Row, filters: Filters) -> Objection:
    """User and assistant in turn, each with something to say, the assistant last."""
    messages = row.conversation.messages
    if not messages:
        return "has no messages"
    for number, message in enumerate(messages):
        expected = ("user", "assistant")[number % 2]
        if message.role != expected:
            return f"message {number + 1} is the {message.role}'s, expected the {expected}'s"
        if not message.content.strip():
            return f"message {number + 1} ({message.role}) is empty"
    return "ends with the user" if len(messages) % 2 else None


def turns(row: Row, filters: Filters) -> Objection:
    count = row.conversation.user_turns
    if filters.min_user_turns <= count <= filters.max_user_turns:
        return None
    return f"{count} user turns, wanted {filters.min_user_turns} to {filters.max_user_turns}"


def length(row: Row, filters: Filters) -> Objection:
    characters = sum(len(message.content) for message in row.conversation.messages)
    if characters <= filters.max_characters:
        return None
    return f"{characters:,} characters, at most {filters.max_characters:,}"


def repetition(row: Row, filters: Filters) -> Objection:
    """Machine-like repetition; people's tables, lists and code compress less."""
    for number, message in enumerate(row.conversation.messages):
        if len(message.content) >= SHORTEST_REPETITION and _may_repeat(message.content):
            content = message.content.encode("utf-8", "surrogatepass")
            times = len(content) / len(zlib.compress(content, level=1))
            if times > filters.max_repetition:
                return (
                    f"message {number + 1} compresses {times:.0f} times, at most {filters.max_repetition:g}"
                )
    return None


def _may_repeat(text: str) -> bool:
    """A cheap look before the dear one: of three places in the text one must come up three times."""
    places = (len(text) // 4, len(text) // 2, 3 * len(text) // 4)
    return any(text.count(text[place : place + WINDOW_CHARACTERS]) > 2 for place in places)


def personal(row: Row, filters: Filters) -> Objection:
    if filters.personal_data == "drop":
        for number, message in enumerate(row.conversation.messages):
            if kind := personal_data(message.content):
                return f"message {number + 1} holds a {kind}"
    return None


# From the cheapest and plainest to the dearest.
FILTERS: dict[str, Callable[[Row, Filters], Objection]] = {
    "toxic": toxic,
    "shape": shape,
    "turns": turns,
    "length": length,
    "language": language,
    "repetition": repetition,
    "personal_data": personal,
}


def first_objection(row: Row, filters: Filters) -> tuple[str, str] | None:
    """The first filter that objects, and why; None for a conversation that may stay."""
    for name, filter_ in FILTERS.items():
        if why := filter_(row, filters):
            return name, why
    return None


def tidied(conversation: Conversation, filters: Filters) -> Conversation:
    """What is mended before the filters look; what is cut off is kept in `meta`."""
    messages, thoughts, meta = conversation.messages, conversation.human_thoughts, conversation.meta
    if messages and messages[0].role == "system":
        # It was said to the assistant, not by either side.
        meta = meta | {"system": messages[0].content}
        messages = messages[1:]
        thoughts = tuple(replace(t, message=t.message - 1) for t in thoughts if t.message > 0)
    if filters.dangling_end == "cut" and len(messages) > 1 and messages[-1].role == "user":
        own = [thought for thought in thoughts if thought.message == len(messages) - 1]
        meta = meta | {"cut_end": to_builtins({"content": messages[-1].content, "human_thoughts": own})}
        messages = messages[:-1]
        thoughts = tuple(thought for thought in thoughts if thought.message < len(messages))
    if messages is conversation.messages:
        return conversation
    return replace(conversation, messages=messages, human_thoughts=thoughts, meta=meta)


def normalised(messages: tuple[Message, ...]) -> str:
    """Text as exact duplicates are told by: case does not count, nor does white space in people's words."""
    texts = (message.content.casefold() for message in messages)
    return "\n".join(
        " ".join(text.split()) if message.role == "user" else text.strip()
        for text, message in zip(texts, messages, strict=True)
    )

"""Which conversations of a corpus are worth keeping, judged one at a time.

Each filter is a name that can be counted, and says of a conversation why it objects. They
are asked in the order of `FILTERS`, so that a funnel reads from the cheapest to the last.
"""

from collections.abc import Callable

from msgspec.structs import replace

from thinkus.config import Filters
from thinkus.corpora.rows import Row
from thinkus.records import Conversation, Message

Objection = str | None


def language(row: Row, filters: Filters) -> Objection:
    if filters.language is None or row.language is None or row.language == filters.language:
        return None
    return f"is {row.language}, wanted {filters.language}"


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


FILTERS: dict[str, Callable[[Row, Filters], Objection]] = {
    filter_.__name__: filter_ for filter_ in (language, toxic, shape, turns, length)
}


def first_objection(row: Row, filters: Filters) -> tuple[str, str] | None:
    """The first filter that objects, and why; None for a conversation that may stay."""
    for name, filter_ in FILTERS.items():
        if why := filter_(row, filters):
            return name, why
    return None


def tidied(conversation: Conversation, filters: Filters) -> Conversation:
    """What is mended before the filters look: a leading system text, a last message without a reply."""
    messages, meta = conversation.messages, conversation.meta
    if messages and messages[0].role == "system":
        # It was said to the assistant, not by either side: kept, but out of the conversation.
        messages, meta = messages[1:], meta | {"system": messages[0].content}
    if filters.dangling_end == "cut" and len(messages) > 1 and messages[-1].role == "user":
        messages = messages[:-1]
    if messages is conversation.messages:
        return conversation
    return replace(conversation, messages=messages, meta=meta)


def normalised(messages: tuple[Message, ...]) -> str:
    """Text as exact duplicates are told by: case and white space do not count."""
    return "\n".join(" ".join(message.content.casefold().split()) for message in messages)

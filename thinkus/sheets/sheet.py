"""A sheet for people to fill in, whatever it asks: the page and the table are two forms of it."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from thinkus.records import Message

SPEAKERS = {"user": "Person", "assistant": "Assistant"}
NOTE = "note"


class Question(NamedTuple):
    text: str
    answers: Mapping[str, int]
    """As they are clicked and written, and as they are counted."""
    hint: str = ""
    """What to write, for those who have no buttons and are not told by the text."""


class Text(NamedTuple):
    """Somebody's words, which may hold anything."""

    column: str
    """Of the table."""
    heading: str
    """On the page."""
    words: str
    look: str = "said"
    """A class of the page's style."""


class Item(NamedTuple):
    id: str
    """Opaque: it says neither whose it is nor where it comes from, and is another for any other content."""
    before: Sequence[Text]
    history: Sequence[Message]
    after: Sequence[Text]
    """What is to be weighed."""


class Sheet(NamedTuple):
    title: str
    heading: str
    told: Sequence[str]
    """Paragraphs, before the items."""
    keys: str
    """That answer."""
    questions: Mapping[str, Question]
    items: Sequence[Item]


def digest(*content: object) -> str:
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()

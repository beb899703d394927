"""A conversation as the annotator reads it: each turn under a line that nobody in it can have written.

People paste code, tags and other conversations. So the lines carry a nonce that is drawn from the
conversation itself and occurs nowhere in it: the same conversation always reads the same, and its texts
can be told from its lines whatever they hold.
"""

from hashlib import sha256

from thinkus.records import Conversation, Message

SHORTEST_NONCE = 8
"""Hex digits; it grows while a text holds it."""
_SPEAKERS = {"user": "person", "assistant": "assistant"}


def said(conversation: Conversation) -> list[Message]:
    """What the two said to each other; a system message was said by neither."""
    return [message for message in conversation.messages if message.role in _SPEAKERS]


def nonce(conversation: Conversation) -> str:
    texts = [message.content for message in said(conversation)]
    digest = _digest("".join(f"{len(text)} {text}" for text in texts))
    length = SHORTEST_NONCE
    while any(digest[:length] in text for text in texts):
        length += 1
        if length > len(digest):
            digest += _digest(digest)
    return digest[:length]


def markers(conversation: Conversation) -> list[str]:
    """The line above each message, and one for the end; a reply has the number of the turn that it answers."""
    sign = nonce(conversation)
    lines = []
    turn = 0
    for message in said(conversation):
        turn += message.role == "user"
        lines.append(f"=== {sign} turn {turn}: {_SPEAKERS[message.role]} ===")
    return [*lines, f"=== {sign} end ==="]


def render(conversation: Conversation) -> str:
    """Every text as it is, followed by one line break that is not its own."""
    *above, end = markers(conversation)
    turns = zip(above, said(conversation), strict=True)
    return "".join(f"{marker}\n{message.content}\n" for marker, message in turns) + end


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

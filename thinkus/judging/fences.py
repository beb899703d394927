"""Texts as a judge reads them: under lines, and by names, that none of them can have written.

What is judged may hold anything, verdicts and orders to the judge included. So the lines between the texts
carry a sign, and the two that are compared have labels, which are drawn from the texts themselves: the same
texts always read the same, so that answers can be stored; and whoever wrote one of them had not seen the
others. Should a text hold a sign or a label all the same, however disguised, another is drawn.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256, shake_256
from itertools import count
from typing import NamedTuple

from thinkus import prompts
from thinkus.records import Message

READER = "judge/reader"
SHORTEST_SIGN = 8
SHORTEST_LABEL = 6
"""Letters of sixteen: one guess in 16 million hits."""
_SPEAKERS = {"user": "person", "assistant": "assistant"}
_LETTERS = str.maketrans("0123456789", "ghijklmnop")
"""A label must not look like a number, which a judge might write without quotes."""
_NO_LETTER = bytes(sorted(set(range(128)) - set(b"0123456789abcdefghijklmnopqrstuvwxyz")))


class Part(NamedTuple):
    heading: str
    text: str


def sign_of(real: Sequence[str], shown: Iterable[str]) -> str:
    """From what is real alone, so that all that is asked of a conversation begins alike; in nothing that is shown."""
    seed, bare = _seed("sign", real), [_bare(text) for text in (*real, *shown)]
    return next(
        sign
        for length in count(SHORTEST_SIGN)
        if not any((sign := _drawn(seed, length)) in text for text in bare)
    )


def labels_of(texts: Sequence[str], number: int) -> tuple[str, ...]:
    """Whatever the order of the texts: so a label that a judge prefers shows as a place that it prefers."""
    seed, bare = _seed("label", sorted(texts)), [_bare(text) for text in texts]
    for length in count(SHORTEST_LABEL):
        labels = tuple(_drawn(f"{at} {seed}", length).translate(_LETTERS) for at in range(number))
        if len(set(labels)) == number and not any(label in text for label in labels for text in bare):
            return labels
    raise AssertionError("a label longer than all texts is in none of them")


def drawn_of(texts: Iterable[str]) -> int:
    """A large number that nobody chose."""
    return int(_seed("draw", texts), 16)


def marked(words: Iterable[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Words that mean something to a judge, with an end that makes them no text's own."""
    (tail,) = labels_of(texts, 1)
    return tuple(f"{word}-{tail}" for word in words)


def spoken(messages: Iterable[Message], before: int = 0) -> Iterator[Part]:
    """A reply has the number of the turn that it answers; `before` it, so many turns are not shown."""
    turn = before
    for message in messages:
        if message.role in _SPEAKERS:
            turn += message.role == "user"
            yield Part(f"turn {turn}: {_SPEAKERS[message.role]}", message.content)


def asked(sign: str, parts: Iterable[Part], task: str) -> tuple[Message, Message]:
    """The task comes last: after every text, and the same for all of them where only the task differs."""
    fenced = "".join(f"=== {sign} {part.heading} ===\n{part.text}\n" for part in parts)
    return (
        Message("system", prompts.load(READER).fill(sign=sign).strip()),
        Message("user", f"{fenced}=== {sign} end ===\n\n{task.strip()}"),
    )


def parts_of(page: str) -> tuple[list[Part], str]:
    """A page that was made so, taken apart again: its texts, and the task."""
    sign = page.split(maxsplit=2)[1]
    pieces = re.split(rf"^=== {sign} (.+) ===\n", page, flags=re.MULTILINE)[1:]
    *parts, (_, task) = zip(pieces[::2], pieces[1::2], strict=True)
    return [Part(heading, text.removesuffix("\n")) for heading, text in parts], task.strip()


def _bare(text: str) -> str:
    """Small letters and digits alone: nothing unseen, no accents, spaces or fancy letters between or for them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore")
    return plain.lower().translate(None, _NO_LETTER).decode()


def _seed(use: str, texts: Iterable[str]) -> str:
    told = "".join((use, *(f" {len(text)} {text}" for text in texts)))
    return sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _drawn(seed: str, length: int) -> str:
    """Hex digits; longer ones do not even begin like those that a text was found to hold."""
    return shake_256(f"{length} {seed}".encode()).hexdigest((length + 1) // 2)[:length]

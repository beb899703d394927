"""Reading what a user model wrote: a thought and words, or nothing of the kind. Never mended, only asked for again."""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal, NamedTuple

from thinkus.user.page import ASSISTANT, END_OF_THOUGHT, IS_THE_END, PERSON, THOUGHT

COPIED_WORDS = 8
"""So many words in a row that nobody was to hear are no chance."""
FEWEST_WORDS = 4
"""A thought that is shorter may well be said aloud as it is."""
LEAVES = "(leaves)"
"""What a model that is told to play the person writes when it leaves; one without thoughts has no other sign."""


class Wrong(StrEnum):
    """Why what was written is nothing that a person could have said."""

    NO_THOUGHT = "no_thought"
    """Words without the thought that belongs before them."""
    BROKEN_TAGS = "broken_tags"
    """One of two, in the wrong order, more than once, in the words, or of one who has no thoughts."""
    EMPTY_THOUGHT = "empty_thought"
    EMPTY = "empty"
    """Nothing at all where that says nothing, as at the beginning of a conversation."""
    CUT = "cut"
    """It did not come to an end within max_tokens."""
    GLUED_END = "glued_end"
    """It leaves and speaks in one: which of the two cannot be told."""
    ROLE_MARKER = "role_marker"
    """The script of a conversation, and not one turn of it."""
    INVERSION = "inversion"
    """An assistant's words in the person's mouth."""
    LEAK = "leak"
    """This thought, or an earlier one, is said aloud word for word."""
    RECITAL = "recital"
    """So is what only the person knows, the scenario or the motivation."""


Thinking = Literal["must", "may", "never"]
"""Whether a turn has a thought. Before the first words it is not asked for, and taken where it comes."""


class Turn(NamedTuple):
    """What a person thinks and says at one point of a conversation."""

    thought: str | None
    utterance: str
    """Empty where the person leaves."""
    ended: bool


Secret = tuple[str, Wrong]


class Unreadable(Exception):
    def __init__(self, wrong: Wrong, detail: str) -> None:
        super().__init__(f"{wrong}: {detail}")
        self.wrong = wrong
        self.detail = detail


_OF_A_TAG = r"(?:inner[_ ]?)?(?:thoughts?|think(?:ing)?|reasoning|scratchpad)"
_TAG = re.compile(
    rf"(?:<|&lt;)\s*/?\s*{_OF_A_TAG}\b|\[\s*/?\s*{_OF_A_TAG}\s*\]",
    re.IGNORECASE,
)
_HALF_TAG = re.compile(r"<(?:/|/?t(?:h(?:o(?:u(?:g(?:ht?)?)?)?)?)?)\Z")
"""What is left of one where the words were cut."""
_MARKER = re.compile(
    r"^[ \t#>*\[<|-]*(?:Person|User|Human|(?:AI )?Assistant|AI|Bot|System|Thought|Thinking"
    r"|PERSON|USER|HUMAN|ASSISTANT)[\]>|*]*[ \t]*:\**(?:\s|\Z)"
    r"|^[ \t]*#{1,6}[ \t]*(?:Person|User|Human|(?:AI )?Assistant)[ \t:]*$"
    r"|<\|[a-z_]+\|>|<(?:start|end)_of_turn>|</?(?:user|assistant)>|\[/?INST\]",
    re.MULTILINE,
)
"""With a capital: people paste code, in which `user:` is a key."""
_OF_ITSELF = r"(?=\s*(?:[.,;:!]|\Z|and\b|so\b|but\b|here\b|that\b|designed|created|developed|trained|made))"
_INVERSION = re.compile(
    r"\b(?:as an? (?:ai(?: (?:language )?model| assistant)?|large language model),? (?:i|my)\b"
    rf"|i(?:'| a)m (?:just |only )?an? (?:(?:ai|virtual)(?: assistant| (?:language )?model| chatbot)?"
    rf"|(?:large )?language model){_OF_ITSELF}"
    r"|how (?:can|may) i (?:help|assist) you|(?:i'd|i would) be (?:happy|glad) to (?:help|assist)"
    r"|feel free to ask|let me know if you (?:have|need) any[^\n]{0,60}\Z|is there anything else i can)",
    re.IGNORECASE,
)
_WITHOUT_SPACES = r"\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_WITHOUT_SPACES}]|[^\W_{_WITHOUT_SPACES}]+")
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
"""Letters without a shape: between two others they part a word that looks whole."""
_HEADINGS = tuple(head.strip() for head in (PERSON, ASSISTANT, IS_THE_END))
"""Of our own page."""


def read(text: str, *, thinking: Thinking, leaves_by: str = "", secrets: Iterable[Secret] = ()) -> Turn:
    """One turn, exactly as it has to be written.

    `leaves_by` is what stands for leaving; `secrets` are texts that must not be said aloud, each with its class.
    """
    is_parted = thinking == "must" or (thinking == "may" and _TAG.search(text))
    thought, utterance = _parted(text) if is_parted else (None, text.strip())
    seen = _UNSEEN.sub("", utterance).replace("\u2019", "'").strip()
    if _TAG.search(seen) or _HALF_TAG.search(seen) or (thought is not None and _TAG.search(thought)):
        raise Unreadable(Wrong.BROKEN_TAGS, "a tag stands within the words")
    if thought == "":
        raise Unreadable(Wrong.EMPTY_THOUGHT, "there is nothing between the tags")
    if not seen and (utterance or (leaves_by and thought is None)):
        raise Unreadable(Wrong.EMPTY, "there is nothing to be seen")
    if leaves_by and leaves_by in seen.lower():
        if seen.lower() == leaves_by:
            return Turn(thought, "", ended=True)
        raise Unreadable(Wrong.GLUED_END, f"{leaves_by} stands beside other words")
    _check_voice(seen)
    for text, wrong in ((thought or "", Wrong.LEAK), *secrets):
        if said := recited(text, seen):
            raise Unreadable(wrong, said)
    return Turn(thought, utterance, ended=not utterance)


def _check_voice(utterance: str) -> None:
    """Whose it is."""
    if script := _script_in(utterance):
        raise Unreadable(Wrong.ROLE_MARKER, repr(script))
    if voice := _INVERSION.search(utterance):
        raise Unreadable(Wrong.INVERSION, voice[0])


def _parted(text: str) -> tuple[str, str]:
    stripped = text.strip()
    if not _TAG.search(stripped):
        raise Unreadable(Wrong.NO_THOUGHT if stripped else Wrong.EMPTY, "there is no thought")
    if not stripped.startswith(THOUGHT) or END_OF_THOUGHT not in stripped:
        raise Unreadable(Wrong.BROKEN_TAGS, f"it is not {THOUGHT}...{END_OF_THOUGHT}")
    thought, _, utterance = stripped.removeprefix(THOUGHT).partition(END_OF_THOUGHT)
    return thought.strip(), utterance.strip()


def _script_in(utterance: str) -> str:
    if marker := _MARKER.search(utterance):
        return marker[0].strip()
    return next((head for head in _HEADINGS if head in utterance), "")


def recited(secret: str, utterance: str) -> str:
    """The first words in a row that both hold, if they are many, or all that the secret has."""
    said = [word.lower() for word in _WORD.findall(utterance)]
    kept = [word.lower() for word in _WORD.findall(secret)]
    length = min(COPIED_WORDS, max(FEWEST_WORDS, len(kept)))
    runs = {tuple(kept[at : at + length]) for at in range(len(kept) - length + 1)}
    found = (tuple(said[at : at + length]) for at in range(len(said) - length + 1))
    return next((" ".join(run) for run in found if run in runs), "")

"""The paper's protocol: the annotator returns the whole dialogue with thoughts in it.

Nothing of its copy is kept but the thoughts. They are found by cutting off what is known to follow
them, never by searching for tags in text that may hold tags itself; so a copy with a single character
changed is refused, whatever the conversation is about.
"""

import re
from itertools import pairwise, takewhile

from thinkus.records import Conversation
from thinkus.thoughts import dialogue
from thinkus.thoughts.drafts import Draft, Invalid, Thought, turns_with_thoughts

OPEN, CLOSE = "<thought>", "</thought>"
_FENCED = re.compile(r"\A```\w*[ \t]*\n(.*)\n```\Z", re.DOTALL)
_INNER = r"((?:(?!</?(?:scenario|motivation)>).)*)"
_HEAD = re.compile(
    rf"\s*<scenario>{_INNER}</scenario>\s*<motivation>{_INNER}</motivation>\s*",
    re.DOTALL,
)
_INSERTED = re.compile(rf"{OPEN}((?:(?!{OPEN}|{CLOSE}).)*){CLOSE}\n?", re.DOTALL)
_CONTEXT_CHARACTERS = 20


def draft(text: str, conversation: Conversation, first_thought: bool) -> Draft:
    text = text.strip()
    if fenced := _FENCED.match(text):
        text = fenced[1]
    head, bodies = _taken_apart(text, conversation)
    if (found := _HEAD.fullmatch(head)) is None:
        raise Invalid(
            "tag_broken",
            "begin with <scenario>...</scenario> and <motivation>...</motivation>, each once; then comes the "
            "dialogue, and nothing stands before, between or after these three.",
        )
    wanted = turns_with_thoughts(conversation, first_thought=first_thought)
    thoughts = []
    turn = 0
    for message, body in zip(dialogue.said(conversation), bodies, strict=True):
        turn += message.role == "user"
        original = message.content + "\n"
        if message.role == "user" and turn in wanted:
            thoughts.append(Thought(turn, _thought(turn, body, original)))
        elif body != original:
            raise _unwanted(turn, message.role, body, original)
    return Draft(found[1], found[2], tuple(thoughts))


def _taken_apart(text: str, conversation: Conversation) -> tuple[str, list[str]]:
    """What comes before the dialogue, and what stands under each marker, with its last line break."""
    sign, expected = dialogue.nonce(conversation), dialogue.markers(conversation)
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if sign in line]
    _check_markers([lines[place] for place in places], expected)
    if "".join(lines[places[-1] + 1 :]).strip():
        raise Invalid("text_changed", f"something follows after the line {expected[-1]}. End with that line.")
    bodies = [
        "".join(f"{line}\n" for line in lines[this + 1 : following]) for this, following in pairwise(places)
    ]
    return "\n".join(lines[: places[0]]), bodies


def _check_markers(found: list[str], expected: list[str]) -> None:
    if found == expected:
        return
    alike = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(found, expected, strict=False))))
    missing = expected[alike] if alike < len(expected) else None
    got = found[alike] if alike < len(found) else None
    if got is not None and got not in expected:
        what = f"the line {got[:100]!r} is not one of the dialogue's"
    elif got is not None and got in expected[:alike]:
        what = f"the line {got} comes twice"
    elif missing in found:
        what = f"the line {missing} comes too late"
    else:
        what = f"the line {missing} is missing"
    raise Invalid(
        "turn_lost",
        f"{what}. Return every turn, in order, each under its own line, copied exactly and alone on its line.",
    )


def _thought(turn: int, body: str, original: str) -> str:
    """Of what was put before the original; the complaint says what else happened."""
    inserted = _INSERTED.fullmatch(body.removesuffix(original)) if body.endswith(original) else None
    if inserted:
        return inserted[1]
    where = f"turn {turn} of the person"
    if body == original or (not body.startswith(OPEN) and _tags(body) <= _tags(original)):
        raise Invalid(
            "thought_missing", f"there is no thought in {where}. Put <thought>...</thought> before its text."
        )
    if (begun := _INSERTED.match(body)) is None:
        raise Invalid(
            "tag_broken",
            f"in {where} the tags are broken. It must begin with <thought>, one thought without tags in it, and "
            "</thought>; then the text as it was.",
        )
    after = body[begun.end() :]
    if _tags(after) > _tags(original):
        raise Invalid(
            "tag_broken", f"there is more than one thought or tag in {where}. Put one before its text."
        )
    raise _changed(where, after, original)


def _unwanted(turn: int, role: str, body: str, original: str) -> Invalid:
    where = f"turn {turn} of the person" if role == "user" else f"the assistant's reply to turn {turn}"
    if _tags(body) > _tags(original):
        return Invalid(
            "tag_broken", f"there is a thought in {where}, where none belongs. Leave this text as it was."
        )
    return _changed(where, body, original)


def _tags(text: str) -> int:
    return text.count(OPEN) + text.count(CLOSE)


def _changed(where: str, copy: str, original: str) -> Invalid:
    pairs = zip(copy, original, strict=False)
    same = len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))
    around = slice(max(0, same - _CONTEXT_CHARACTERS), same + _CONTEXT_CHARACTERS)
    return Invalid(
        "text_changed",
        f"the text of {where} was changed: where it reads {original[around]!r}, the copy reads {copy[around]!r}. "
        "Return it exactly as it was, with its mistakes, spaces and line breaks.",
    )

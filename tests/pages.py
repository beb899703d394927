"""Our own documentation, taken apart: its blocks of code, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent.parent
PAGES = [HERE / "README.md", HERE / "CONTRIBUTING.md", *sorted((HERE / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BETWEEN = ("&&", "||", "|", ";", "&")
_SETS = re.compile(r"[A-Z_]+=.*")


class Block(NamedTuple):
    section: str
    """The heading above it."""
    kind: str
    """`console`, `yaml`, `python`, ...; empty where none is said."""
    text: str


def blocks(page: Path) -> list[Block]:
    text, found = page.read_text(), []
    for match in _BLOCK.finditer(text):
        above = re.findall(r"^#+ (.+)$", _BLOCK.sub("", text[: match.start()]), re.MULTILINE)
        found.append(Block(above[-1] if above else "", match[1], match[2]))
    return found


def prose(page: Path) -> str:
    """The page without its blocks."""
    return _BLOCK.sub("", page.read_text())


def commands(text: str) -> Iterator[list[str]]:
    """Each command of a console's block, in words; where some lines have a prompt, the others are output."""
    lines = text.replace("\\\n", " ").splitlines()
    typed = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")] or lines
    for line in typed:
        reader = shlex.shlex(line, posix=True, punctuation_chars="&|;")
        reader.whitespace_split = True
        for is_between, words in groupby(reader, key=_BETWEEN.__contains__):
            if not is_between:
                yield _bare(list(words))


def _bare(words: list[str]) -> list[str]:
    """`CUDA_VISIBLE_DEVICES=0 thinkus ... > FILE` is a command of thinkus."""
    while len(words) > 1 and _SETS.fullmatch(words[0]):
        words = words[1:]
    return words[: words.index(">")] if ">" in words else words

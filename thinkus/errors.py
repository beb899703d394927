"""The errors that a person can mend: one line each, without a traceback."""

import difflib
from collections.abc import Iterable


class ThinkusError(Exception):
    """What is wrong, where, with which value, and how to mend it.

    The command line prints the message alone and exits with 2. Everything that is not
    a ThinkusError is a defect of ours and keeps its traceback.
    """


class ConfigError(ThinkusError):
    """One or several mistakes in what was asked for, all of them, one to a line."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        self.mistakes = list(mistakes)
        super().__init__("\n".join(self.mistakes))


class Stopped(KeyboardInterrupt):
    """A scheduler wants this process to end: what is worth it is saved first, and the same command goes on."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        """Of the signal."""


class RunRefused(ThinkusError):
    """A run directory that cannot be used as asked; nothing in it was touched."""


class BadRecord(ThinkusError):
    """A row that does not fit its schema; readers count it, a run's own records must not have one."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known word, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    ends = [name for name in by_lower.values() if name.endswith(f".{word.lower()}")]
    found = ends[:1] or [by_lower[name] for name in near]
    return f"; did you mean {found[0]}?" if found else ""

"""Where the shipped files are, in a checkout and in a wheel alike."""

import re
from pathlib import Path

from thinkus.errors import ThinkusError

PACKAGE = Path(__file__).resolve().parent


def _shipped(folder: str) -> Path:
    # In a wheel the folder lies inside the package; in a checkout beside it.
    inside = PACKAGE / folder
    return inside if inside.is_dir() else PACKAGE.parent / folder


CONF = _shipped("conf")
PROMPTS = _shipped("prompts")
SAMPLE = PACKAGE / "corpora" / "sample"


def group_options(group: str) -> list[str]:
    """The options of a config group, from its file names."""
    return sorted(file.stem for file in (CONF / group).glob("*.yaml"))


def expanded(path: str) -> Path:
    """The path that a person means by it; `~` is their home."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ThinkusError(f"{path}: there is no such home directory; write the path in full") from None


def without_home(text: Path | str) -> str:
    """A text as it may be written into a run: a home directory names a person."""
    homes = {str(Path.home()), str(Path.home().resolve())} - {"/"}
    shown = str(text)
    for home in sorted(homes, key=len, reverse=True):
        shown = re.sub(rf"(?<![\w.~/-]){re.escape(home)}(?=/|$|[\s;:,)])", "~", shown)
    return shown

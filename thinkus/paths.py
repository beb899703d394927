"""Where the shipped files are, in a checkout and in a wheel alike."""

from pathlib import Path

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


def without_home(path: Path | str) -> str:
    """The path as it may be written into a run: a home directory names a person."""
    text, home = str(path), str(Path.home())
    return "~" + text[len(home) :] if text == home or text.startswith(home + "/") else text

"""What a stage can be told, read off the file names and texts of `conf/`: for help and completion.

Without a YAML parser: help and Tab must answer at once, and the files are ours.
"""

import re
from pathlib import Path

from thinkus import paths

_GROUP = re.compile(r"^  - (\w+): ", re.MULTILINE)
_KEY = re.compile(r"^(\w+):", re.MULTILINE)
_NESTED = re.compile(r"^(\w+):\n((?:  \w+:.*\n?)+)", re.MULTILINE)


def groups(stage: str) -> dict[str, list[str]]:
    """The groups of a stage, each with its options."""
    return {group: paths.group_options(group) for group in _GROUP.findall(_text(stage))}


def keys(stage: str) -> list[str]:
    """The dotted keys that stand in the stage's own YAML."""
    text = _text(stage)
    nested = {
        name: _KEY.findall(re.sub(r"^  ", "", body, flags=re.MULTILINE))
        for name, body in _NESTED.findall(text)
    }
    found: list[str] = []
    for key in _KEY.findall(text):
        found += [f"{key}.{inner}" for inner in nested[key]] if key in nested else [key]
    return [key for key in found if key != "defaults"]


def describe_keys(stage: str) -> str:
    """For the end of `thinkus STAGE --help`."""
    width = max(map(len, groups(stage)), default=0)
    lines = [
        f"[bold]{group:<{width}}[/bold]  {', '.join(options) or '-'}"
        for group, options in groups(stage).items()
    ]
    return (
        "Groups and their options, as GROUP=OPTION:\n\n"
        + "\n\n".join(lines)
        + f"\n\nKeys, as KEY=VALUE: {', '.join(keys(stage))}"
        + f"\n\nAll values: thinkus {stage} --show"
    )


def _text(stage: str) -> str:
    return (paths.CONF / f"{stage}.yaml").read_text(encoding="utf-8")


def yaml_value(file: Path, key: str) -> str | None:
    """A top-level value of one of our own YAML files."""
    match = re.search(rf"^{key}: ([^\n#]+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    value = match[1].strip() if match else "null"
    return None if value == "null" else value

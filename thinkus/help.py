"""What a stage can be told, read off the file names and texts of `conf/`: for help and completion.

Without a YAML parser: help and Tab must answer at once, and the files are ours.
"""

import re
from pathlib import Path

from thinkus import paths

_GROUP = re.compile(r"^  - (\w+): (\S+)", re.MULTILINE)
_BASE = re.compile(r"^defaults: \[(/?[\w/]+)@_here_", re.MULTILINE)
_KEY = re.compile(r"^(\w+):", re.MULTILINE)
_NESTED = re.compile(r"^(\w+):\n((?:  \w+:.*\n?)+)", re.MULTILINE)


def groups(stage: str) -> dict[str, list[str]]:
    """The groups of a stage, each with its options."""
    return {group: paths.group_options(group) for group, _ in _GROUP.findall(_text(stage))}


def keys(stage: str) -> list[str]:
    """The dotted keys that stand in the stage's own YAML."""
    return [key for key in _keys_in(_text(stage)) if key != "defaults"]


def group_keys(stage: str) -> list[str]:
    """The dotted keys of the groups' usual options: `data.path`."""
    found: list[str] = []
    for group, option in _GROUP.findall(_text(stage)):
        file = paths.CONF / group / f"{option}.yaml"
        if file.exists():
            found += [f"{group}.{key}" for key in _keys_in(_with_base(file)) if key != "defaults"]
    return list(dict.fromkeys(found))


def _with_base(file: Path) -> str:
    """An option's text after those of what it builds on."""
    text = file.read_text(encoding="utf-8")
    base = _BASE.search(text)
    if base is None:
        return text
    folder = paths.CONF if base[1].startswith("/") else file.parent
    below = folder / (base[1].lstrip("/") + ".yaml")
    return f"{_with_base(below)}\n{text}"


def _keys_in(text: str) -> list[str]:
    nested = dict(_NESTED.findall(text))
    found: list[str] = []
    for key in _KEY.findall(text):
        inner = _KEY.findall(re.sub(r"^  ", "", nested[key], flags=re.MULTILINE)) if key in nested else []
        found += [f"{key}.{name}" for name in inner] or [key]
    return found


def describe_keys(stage: str) -> str:
    """For the end of `thinkus STAGE --help`; `\\b` keeps a paragraph's lines as they are."""
    named = groups(stage)
    width = max(map(len, named))
    lines = [f"  {group:<{width}}  {' '.join(options) or '(none yet)'}" for group, options in named.items()]
    return (
        "\b\nGroups and their options, as GROUP=OPTION:\n"
        + "\n".join(lines)
        + f"\n\nKeys, as KEY=VALUE: {', '.join(keys(stage))}"
        + f"\n\nKeys of groups: {', '.join(group_keys(stage))}"
        + f"\n\nThe values, and the name of the run: thinkus {stage} --show"
    )


def _text(stage: str) -> str:
    return (paths.CONF / f"{stage}.yaml").read_text(encoding="utf-8")


def yaml_value(file: Path, key: str) -> str | None:
    """A top-level value of one of our own YAML files, or of what it builds on."""
    found = re.findall(rf"^{key}: ([^\n#]+)", _with_base(file), re.MULTILINE)
    value = found[-1].strip() if found else "null"
    return None if value == "null" else value

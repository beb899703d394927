"""What the Tab key offers after a stage: keys, groups, and the options of a group."""

import os

import typer

from thinkus.help import group_keys, groups, keys

# Bash splits words at the equals sign, so there a group and its option arrive apart.
_BASH = "complete_bash"


def complete_word(context: typer.Context, incomplete: str) -> list[str]:
    stage = context.info_name or ""
    if os.environ.get("_THINKUS_COMPLETE") == _BASH:
        words = os.environ.get("COMP_WORDS", "").split()[: int(os.environ.get("COMP_CWORD", "0")) + 1]
        if incomplete == "=" or (len(words) > 1 and "=" in words[-2:]):
            at = len(words) - 1 - words[::-1].index("=")
            typed = "" if incomplete == "=" else incomplete
            return [option for option in _options(stage, words[at - 1]) if option.startswith(typed)]
    group, equals, typed = incomplete.partition("=")
    if equals:
        *before, last = typed.split(",")  # a sweep: model=llama8b,qw
        stem = "".join(f"{word}," for word in before)
        return [f"{group}={stem}{option}" for option in _options(stage, group) if option.startswith(last)]
    inner = group_keys(stage) if "." in incomplete else []
    return [f"{key}=" for key in [*groups(stage), *keys(stage), *inner] if key.startswith(incomplete)]


def _options(stage: str, group: str) -> list[str]:
    return groups(stage).get(group, [])

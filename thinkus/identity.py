"""What makes a result the one that it is, and the name that follows from it.

Two runs with the same identity hold the same result, so one of them is enough; two
different results must never meet under one name.
"""

import hashlib
import json
import re
import sys
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from thinkus.config import StageConfig
from thinkus.records import RECORD_SCHEMA
from thinkus.schema import dotted, what_counts

LONGEST_NAME = 120
LONGEST_VALUE = 24


def made_from(config: StageConfig, inputs: Mapping[str, str], prompts: Mapping[str, str]) -> dict[str, Any]:
    """All that the result depends on, under dotted keys; the identity is the hash of this."""
    return {
        **what_counts(config),
        **{f"{role} (read)": identity for role, identity in inputs.items()},
        **{f"prompt {name}": digest for name, digest in prompts.items()},
        "record schema": RECORD_SCHEMA,
    }


def identity_of(parts: Mapping[str, Any]) -> str:
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Each part that differs: `lr: 1e-05 then, 2e-05 now`; of a hash only that it does."""

    def shown(parts: Mapping[str, Any], key: str) -> str:
        value = parts.get(key, "absent")
        is_digest = isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value)
        return "" if is_digest else str(value)

    keys = [*before, *(key for key in now if key not in before)]
    return [
        f"{key}: {shown(before, key)} then, {shown(now, key)} now"
        if shown(now, key)
        else f"{key}: other content"
        for key in keys
        if before.get(key, "absent") != now.get(key, "absent")
    ]


def fill(template: str, config: StageConfig) -> str:
    """`{method.name}-{data.name}` with the config's values."""

    def value(match: re.Match[str]) -> str:
        found: Any = config
        for key in match[1].split("."):
            found = getattr(found, key)
        return _clean(found, sys.maxsize)  # the whole is shortened

    return re.sub(r"\{([a-z_.]+)\}", value, template)


def run_name(
    config: StageConfig,
    usual: StageConfig,
    groups: Mapping[str, str | None],
    usual_groups: Mapping[str, str | None],
) -> str:
    """The name of a run, told apart from every other result of its stage.

    `usual` is what the YAML files say for the same `groups`, less the experiment, whose values
    are told like those from the command line; `usual_groups` are the options when none is named.
    """
    if config.name is not None:
        return config.name
    in_name = {*re.findall(r"\{([a-z_]+)", config.default_name), *config.told_in_name}
    parts = [fill(config.default_name, config)]
    for group, option in groups.items():
        if option != usual_groups.get(group) and group not in in_name and _group_counts(config, group):
            parts.append(f"{group}_{option}")
    values, defaults = what_counts(config), what_counts(usual, also_idle=True)
    for key, value in values.items():
        if value != defaults.get(key) and key.removesuffix(".name") not in in_name:
            parts.append(f"{_short(key, config)}_{_clean(value)}")
    name = "-".join(parts)
    return _shortened(name, identity_of(values | {"name": name}))


def _group_counts(config: StageConfig, group: str) -> bool:
    """Whether the choice of this group's option can change the result at all."""
    return any(key.startswith(f"{group}.") for key in what_counts(config))


def _short(key: str, config: BaseModel) -> str:
    """The last word of a dotted key where that is enough to know it."""
    last = key.rpartition(".")[2]
    same = [other for other in dotted(config.model_dump()) if other.rpartition(".")[2] == last]
    return last if len(same) == 1 else key


def _clean(value: Any, longest: int = LONGEST_VALUE) -> str:
    """A value as it may stand in a file name; what may not becomes eight hex digits."""
    text = str(value)
    if len(text) <= longest and re.fullmatch(r"[A-Za-z0-9._-]+", text):
        return text
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _shortened(name: str, digest: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 9]}-{digest[:8]}"

"""What all types of the configuration are made of. A field marked `Indifferent` cannot change the result."""

import re
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")


class IndifferentMark:
    """Marks what may change without making another result."""


Indifferent = Annotated[T, IndifferentMark()]


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", name):
        raise ValueError(
            "must be letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 120 "
            f"(got {name[:40]!r})"
        )
    return name


def _check_shard(text: str) -> str:
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"must be i/n with i from 1 to n, such as 3/8 (got {text[:40]!r})")
    return text


RunName = Annotated[str, AfterValidator(_check_name)]
Shard = Annotated[str, AfterValidator(_check_shard)]
Place = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**53)]
Dollars = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


def dotted(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A nested mapping as dotted keys; lists and leaves are values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= dotted(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def what_counts(config: BaseModel, above: str = "", *, also_idle: bool = False) -> dict[str, Any]:
    """The dotted keys that can change the result, with their values; `also_idle`: or could, were others different."""
    counting: dict[str, Any] = {}
    idle: frozenset[str] = frozenset() if also_idle else getattr(config, "idle", frozenset())
    for key, field in type(config).model_fields.items():
        if key in idle or any(isinstance(mark, IndifferentMark) for mark in field.metadata):
            continue
        value = getattr(config, key)
        if isinstance(value, BaseModel):
            counting |= what_counts(value, f"{above}{key}.")
        else:
            counting[above + key] = value
    return counting

"""What an answer costs: from the config, or from `conf/prices.yaml`, which says where each price was read.

A price that is not known is None and never 0.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import msgspec
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import MarkedYAMLError

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import Completion, Request
from thinkus.paths import CONF

TOKENS_A_MESSAGE = 64
"""More than any chat template puts around one."""
TOKENS_A_PROMPT = 256
"""More than any template puts before the first."""
SATURDAY = 5


class Peak(msgspec.Struct, frozen=True):
    """When it costs more."""

    times: float
    hours_utc: tuple[tuple[int, int], ...]
    weekdays_only: bool

    def times_at(self, moment: float) -> float:
        at = datetime.fromtimestamp(moment, UTC)
        if self.weekdays_only and at.weekday() >= SATURDAY:
            return 1.0
        return self.times if any(begin <= at.hour < end for begin, end in self.hours_utc) else 1.0


class Rates(msgspec.Struct, frozen=True):
    """US dollars a million tokens, and the most that an answer may have."""

    input: float
    output: float
    cached_input: float
    max_tokens: int
    peak: Peak | None = None
    read_on: str = ""
    """When the price was read, and where; empty where it is the user's own."""

    def most_usd(self, request: Request) -> float:
        """No request costs more: no token is shorter than a byte, and no answer longer than it may be."""
        characters = sum(len(message.content.encode()) + TOKENS_A_MESSAGE for message in request.messages)
        form = len(msgspec.json.encode(request.form.described())) if request.form else 0
        cost = (characters + form + TOKENS_A_PROMPT) * self.input + self.max_tokens * self.output
        return cost * (self.peak.times if self.peak else 1.0) / 1e6

    def usd(self, completion: Completion, began: float, ended: float) -> float | None:
        """Which moment counts is not always said: the dearer of both ends."""
        if completion.input_tokens is None or completion.output_tokens is None:
            return None
        cached = min(completion.cached_tokens, completion.input_tokens)
        cost = (
            (completion.input_tokens - cached) * self.input
            + cached * self.cached_input
            + completion.output_tokens * self.output
        )
        times = max(self.peak.times_at(began), self.peak.times_at(ended)) if self.peak else 1.0
        return cost * times / 1e6


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One price in the file."""

    model: str
    provider: str
    """As litellm calls it."""
    host: str
    as_of: str
    source: str
    input: float
    output: float
    cached_input: float
    peak: Peak | None = None


def rates_of(endpoint: Endpoint) -> Rates | None:
    """None where nobody knows the price."""
    most = endpoint.sampling.max_tokens
    if endpoint.price is not None:
        own = endpoint.price
        return Rates(own.input, own.output, own.input, most)
    for entry in _entries():
        if _is_meant(entry, endpoint):
            read_on = f"{entry.as_of}, {entry.source}"
            return Rates(entry.input, entry.output, entry.cached_input, most, entry.peak, read_on)
    return None


def _is_meant(entry: _Entry, endpoint: Endpoint) -> bool:
    """The same model costs another price elsewhere."""
    if endpoint.backend == "litellm" and endpoint.api_base is None:
        return endpoint.model == f"{entry.provider}/{entry.model}"
    return endpoint.model == entry.model and urlsplit(endpoint.api_base or "").hostname == entry.host


@cache
def _entries() -> tuple[_Entry, ...]:
    file = CONF / "prices.yaml"
    try:
        content: Any = OmegaConf.to_container(OmegaConf.load(file))
        return msgspec.convert(content, tuple[_Entry, ...])
    except (MarkedYAMLError, OmegaConfBaseException, msgspec.ValidationError) as error:
        told = " ".join(str(error).split())
        raise ThinkusError(f"{file}: {told}; mend it after those that are there") from None

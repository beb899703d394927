"""What every server that is reached over the network has in common: its refusals, and how it is told of a form."""

import errno
import ipaddress
import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import msgspec

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import Kind, Request
from thinkus.llm.forms import NOT_NEAR, NOT_WEIGHED, Choice, Form, Json, Likelihood, Near, Odds, Opened
from thinkus.records import Message

LONGEST_DETAIL = 300
MOST_LOOKED_AT = 100_000
"""Characters of what a server says of an error; some say it with a whole page, or without end."""
LONGEST_BELIEVED_S = 7 * 86_400
"""A Retry-After beyond that is a mistake of the server's."""
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
"""Of an OSError: it is this machine that can open no more connections."""
OURS = frozenset(
    {
        "model",
        "models",
        "messages",
        "stream",
        "n",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
    }
)
"""What `extra` cannot hold: we say it ourselves, or could not read what comes back."""

# Servers have no common word for these, only sentences; each stands for one that was seen.
_TOO_LONG = re.compile(
    r"context_length_exceeded|string_above_max_length|exceed_context_size|context[ _](?:length|window|size|limit)"
    r"|maximum (?:model|prompt|input|sequence) length|(?:prompt|input|request|messages?)\b.{0,40}\btoo (?:long|large)"
    r"|too many (?:input |prompt )?tokens|token count.{0,40}exceeds|must have less than \d+ tokens"
    r"|inputs?\b.{0,60}\btokens?\b.{0,60}\bmust be|reduce the length of the (?:messages|prompt|input)",
    re.IGNORECASE | re.DOTALL,
)
_UNKNOWN_MODEL = re.compile(
    r"model_not_found|model[ _]not[ _]exist|(?:unknown|no such) model\b|invalid model(?: name| id|:| '|$)"
    r"|not a valid model|model\b.{0,150}\b(?:does not|doesn't) exist|model\b.{0,150}\bnot found",
    re.IGNORECASE | re.DOTALL,
)
_UNPAID = re.compile(
    r"insufficient[ _](?:quota|balance|credits?|funds)|credit balance is too low|out of credits"
    r"|billing_(?:hard_limit_reached|not_active)|check your plan and billing",
    re.IGNORECASE,
)
_OF_THE_MINUTE = re.compile(r"resource_exhausted|per[ _]?minute|retry in", re.IGNORECASE)
"""Gemini speaks of billing whenever a minute's share is used up."""
_MODERATED = re.compile(r"\bflagged\b|moderation", re.IGNORECASE)
MOST_ODDS = 20
"""Of how many tokens servers say how likely they were."""
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL")
_TAGS = re.compile(r"<(script|style)\b.*?</\1>|</?[a-z!][^>]*>", re.IGNORECASE | re.DOTALL)


def kind_of(status: int, words: str) -> Kind:
    """What a refusal means; `words` are the server's, its short names for the error among them."""
    if status in (400, 403, 429) and _UNPAID.search(words) and not _OF_THE_MINUTE.search(words):
        return Kind.UNPAID
    if status in (400, 422) and _TOO_LONG.search(words):
        return Kind.TOO_LONG
    if status == 400 and _UNKNOWN_MODEL.search(words):
        return Kind.UNKNOWN_MODEL
    if status == 403 and _MODERATED.search(words):  # of this one text, not of the key
        return Kind.REFUSED
    known = {
        401: Kind.KEY_REFUSED,
        402: Kind.UNPAID,
        403: Kind.KEY_REFUSED,
        404: Kind.UNKNOWN_MODEL,
        408: Kind.TIMEOUT,
        413: Kind.TOO_LONG,
        429: Kind.RATE_LIMITED,
        504: Kind.TIMEOUT,
    }
    return known.get(status, Kind.SERVER_ERROR if status >= 500 else Kind.REFUSED)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the server wants to be left alone, if it says so and can be believed."""
    if (exact := _number(headers.get("retry-after-ms"))) is not None:
        wait_s: float | None = exact / 1000
    else:
        text = headers.get("retry-after")
        wait_s = _number(text)
        if wait_s is None and text:
            try:
                wait_s = max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
            except (ValueError, OverflowError):
                return None
    return wait_s if wait_s is not None and 0 <= wait_s <= LONGEST_BELIEVED_S else None


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def server_words(body: bytes) -> tuple[str, str]:
    """What a server says of an error, for people, and the same with its short names for it."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError):
        text = _TAGS.sub(" ", body[:MOST_LOOKED_AT].decode(errors="replace"))
        return text, text
    return error_words(content)


def error_words(content: Any) -> tuple[str, str]:
    """Nearly each server has its own way to wrap them."""
    if isinstance(content, list) and content:
        return error_words(content[0])
    if not isinstance(content, dict):
        return str(content), str(content)
    inner = content.get("error")
    if isinstance(inner, dict):
        return error_words(inner)
    said = next((content[key] for key in ("message", "error", "detail") if content.get(key)), content)
    message = said if isinstance(said, str) else msgspec.json.encode(said).decode()
    names = [str(content[key]) for key in ("code", "type", "status", "error_type") if content.get(key)]
    message = message[:MOST_LOOKED_AT]
    return message, " ".join([message, *names])


def one_line(text: str, secrets: Iterable[str]) -> str:
    """A detail that can stand in an error line: short, and without a key even where the server echoes it."""
    line = "".join(letter for letter in " ".join(text[:MOST_LOOKED_AT].split()) if letter.isprintable())
    for secret in secrets:
        line = line.replace(secret, "[key]")
    return line if len(line) <= LONGEST_DETAIL else f"{line[: LONGEST_DETAIL - 3]}..."


def secrets_of_environment() -> tuple[str, ...]:
    """What may be a key, where a library finds the keys for itself; the longest first."""
    values = {value for name, value in os.environ.items() if _SECRET_NAME.search(name.upper())}
    return tuple(sorted((value for value in values if len(value) >= 8), key=len, reverse=True))


def checked_base(endpoint: Endpoint, where: str) -> str:
    """The address of the server, as far as it can be told from looking at it."""
    if endpoint.api_base is None:
        raise ThinkusError(
            f"{where}.api_base: is null; say where the server is, such as http://localhost:8000/v1"
        )
    base = endpoint.api_base.strip().rstrip("/")
    try:
        parts = urlsplit(base)
        host = (parts.hostname or "").encode("idna")  # which also refuses what no resolver could take
        is_address = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        is_address = False
    if any(sign in base for sign in "@?#"):
        # The value is not repeated: it may hold a password.
        raise ThinkusError(
            f"{where}.api_base: must end with its path, and hold no user name or password; "
            f"a key goes into the environment variable that {where}.api_key_env= names"
        )
    if not is_address or not base.isprintable() or " " in base:
        raise ThinkusError(
            f"{where}.api_base: must be an address such as https://api.deepseek.com (got {base[:80]!r})"
        )
    return base


def checked_model(endpoint: Endpoint, where: str, ours: frozenset[str] = OURS) -> str:
    """The model's name; and nothing in `extra` that would undo what we say ourselves."""
    if endpoint.model is None:
        raise ThinkusError(f"{where}.model: is null; say which one is to answer, such as deepseek-chat")
    for name in endpoint.extra or {}:
        if name in ours:
            raise ThinkusError(f"{where}.extra.{name}: cannot be said there; leave it away")
    return endpoint.model


def is_own(base: str) -> bool:
    """On this machine or in its private network: such servers often want no key, and no proxy leads to them."""
    host = urlsplit(base).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def key_of(endpoint: Endpoint, where: str) -> str | None:
    """The key, where one is named; a server of one's own may do without."""
    if (name := endpoint.api_key_env) is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key and not is_own(endpoint.api_base or ""):
        whose = endpoint.api_base or endpoint.model
        raise ThinkusError(
            f"{where}.api_key_env: {name} is not set; export {name}=... with the key for {whose}"
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ThinkusError(f"{where}.api_key_env: what {name} holds cannot be a key; export it again")
    return key or None


def identity_of(backend: str, endpoint: Endpoint) -> dict[str, Any]:
    """All that can change an answer: not where the server is, what it costs or who pays."""
    return {
        "backend": backend,
        "model": endpoint.model,
        "sampling": endpoint.sampling.model_dump(),
        "extra": endpoint.extra or {},
        "structured": endpoint.structured,
    }


@lru_cache(maxsize=256)
def asked_form(structured: str, form: Form | None) -> dict[str, Any]:
    """What the server is told of the form, as keys of the request; nothing where it would not listen."""
    if isinstance(form, Opened):
        return _asked_to_go_on(structured, form)
    if isinstance(form, Near):
        raise ThinkusError(NOT_NEAR)
    if isinstance(form, Likelihood):
        raise ThinkusError(NOT_WEIGHED)
    if isinstance(form, Odds):
        return {"logprobs": True, "top_logprobs": MOST_ODDS, "max_tokens": 1}
    if isinstance(form, Choice) and structured == "vllm":
        # The guided_* fields of old are ignored without a word.
        return {"structured_outputs": {"choice": list(form.options)}}
    if form is not None and structured in ("schema", "vllm"):
        schema = {"name": "answer", "strict": True, "schema": form.schema}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if isinstance(form, Json) and structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    return {}


def _asked_to_go_on(structured: str, form: Opened) -> dict[str, Any]:
    if structured != "vllm":
        raise ThinkusError(
            f"structured: {structured} cannot let a model go on from words that are given; only vLLM (and hf) can"
        )
    stop = {"stop": list(form.stops)} if form.stops else {}
    return {"continue_final_message": True, "add_generation_prompt": False, **stop}


def asked_messages(request: Request) -> Sequence[Message]:
    """What was said, and the beginning of the answer where one is given."""
    form = request.form
    return (
        (*request.messages, Message("assistant", form.begins))
        if isinstance(form, Opened)
        else request.messages
    )


def unwrapped(structured: str, form: Form | None, text: str) -> str:
    """The text as the form wants it, where the server was asked to wrap it."""
    return form.unwrapped(text) if isinstance(form, Choice) and structured == "schema" else text

"""Every hosted provider that litellm knows; slower than the thin client, by a few milliseconds of work for each answer.

It is called for one attempt and nothing else: its retries, fallbacks, cache and budget stay off.
"""

import gc
import importlib
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import wire
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Form

A_DAY_S = 86_400.0
"""Only the engine's clock ends an attempt."""
OURS = wire.OURS | {"api_key", "api_base", "base_url", "timeout", "num_retries", "max_retries", "fallbacks"}
# Read when litellm is imported; what a person has set stays.
SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it fetches the newest, and waits for it
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",  # or it reads a .env, from whichever folder above its own has one
    "AIOHTTP_CONNECTOR_LIMIT": "65536",  # the limiter says how many; 0 would mean aiohttp's own 100
    "AIOHTTP_CONNECTOR_LIMIT_PER_HOST": "0",
}
_PREFIXES = re.compile(r"\A(?:litellm\.\w+: |\w*(?:Error|Exception)(?:: | - | ))+")
_NO_KEY = re.compile(
    r"missing .{0,30}(?:api[ _]key|credentials)|unable to locate credentials|credentials were not found",
    re.IGNORECASE,
)


class LiteLLM:
    is_billed = True

    def __init__(self, endpoint: Endpoint, where: str) -> None:
        self.identity = wire.identity_of("litellm", endpoint)
        self._endpoint = endpoint
        self._where = where

    async def open(self) -> None:
        endpoint, where = self._endpoint, self._where
        model = wire.checked_model(endpoint, where, OURS)
        base = None if endpoint.api_base is None else wire.checked_base(endpoint, where)
        key = wire.key_of(endpoint, where)
        self._litellm = _library()
        self._httpx = importlib.import_module("httpx")
        try:
            self._structured = self._understood(model)
        except self._litellm.exceptions.BadRequestError:
            raise ThinkusError(
                f"{where}.model: litellm knows no provider for {model!r}; put it in front, as in openai/{model}"
            ) from None
        self._has_key = key is not None
        self._secrets = (key,) if key is not None else wire.secrets_of_environment()
        self._fixed = {
            "model": model,
            "api_base": base,
            "api_key": key,
            **endpoint.sampling.model_dump(),
            **(endpoint.extra or {}),
            "timeout": A_DAY_S,
            "num_retries": 0,
            "max_retries": 0,
        }

    async def close(self) -> None:
        """Its connections belong to all who use it in this process; it closes them at the end."""

    async def complete(self, request: Request) -> Completion:
        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        asked = self._fixed | wire.asked_form(self._structured, request.form)
        try:
            response = await self._litellm.acompletion(messages=messages, **asked)
            return self._completion(response, request.form)
        except ImportError as error:  # some providers need a package of their own
            words = wire.one_line(str(error), self._secrets)
            raise ThinkusError(
                f"{self._where}.model: {self._endpoint.model} cannot be asked: {words}"
            ) from None
        except Exception as error:  # whatever it raises, and its parsers do
            raise self._failed(error) from None

    def _understood(self, model: str) -> str:
        """How this model can be told of a form, by litellm's own account; a server is not sent what it would refuse."""
        bare, provider, _, _ = self._litellm.get_llm_provider(model)
        structured = self._endpoint.structured
        known = self._litellm.get_supported_openai_params(model=bare, custom_llm_provider=provider) or ()
        if structured in ("schema", "json_object") and "response_format" not in known:
            return "none"
        if structured == "schema" and not self._litellm.supports_response_schema(bare, provider):
            return "json_object"
        return structured

    def _completion(self, response: Any, form: Form | None) -> Completion:
        choice, usage = response.choices[0], getattr(response, "usage", None)
        if not getattr(usage, "total_tokens", 0):  # litellm counts 0 where the server did not count
            usage = None
        details = getattr(usage, "prompt_tokens_details", None)
        return Completion(
            text=wire.unwrapped(self._structured, form, choice.message.content or ""),
            finish=choice.finish_reason or "",
            served_model=response.model or str(self._endpoint.model),
            fingerprint=getattr(response, "system_fingerprint", None),
            input_tokens=usage and usage.prompt_tokens,
            cached_tokens=getattr(details, "cached_tokens", None) or 0,
            output_tokens=usage and usage.completion_tokens,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _failed(self, error: Exception) -> AttemptFailed:
        """litellm calls nearly everything an InternalServerError; what really happened stands behind it."""
        httpx = self._httpx
        for cause in _causes(error):
            if isinstance(cause, httpx.HTTPStatusError):
                return self._refused(error, cause.response)
            if isinstance(cause, OSError) and cause.errno in wire.OUT_OF_FILES:
                return self._attempt_failed(Kind.DROPPED, error)
        for cause in _causes(error):
            if isinstance(cause, httpx.ConnectError):
                return self._attempt_failed(Kind.NO_SERVER, cause)
            if isinstance(cause, httpx.TimeoutException):
                return self._attempt_failed(Kind.TIMEOUT, cause, may_be_billed=True)
            if isinstance(cause, httpx.TransportError):
                return self._attempt_failed(Kind.DROPPED, cause, may_be_billed=True)
        return self._unanswered(error)

    def _refused(self, error: Exception, response: Any) -> AttemptFailed:
        try:
            message, words = wire.server_words(response.content)
        except self._httpx.StreamError:
            message = words = ""
        status = response.status_code
        kind = wire.kind_of(status, words or str(error))
        if kind is Kind.KEY_REFUSED and not self._has_key and (names := self._missing_keys()):
            kind, message = Kind.KEY_MISSING, f"{' or '.join(names)} is not set"
        return AttemptFailed(
            kind,
            wire.one_line(message if message.strip() else _bare(error), self._secrets),
            status=status,
            retry_after_s=wire.retry_after_s(response.headers),
            may_be_billed=status == 504,
        )

    def _unanswered(self, error: Exception) -> AttemptFailed:
        """No refusal came over the network: litellm refused by itself, or could not read what came."""
        known, words = self._litellm.exceptions, _bare(error)
        status = getattr(error, "status_code", None)
        if _NO_KEY.search(words):
            return self._attempt_failed(Kind.KEY_MISSING, error)
        if isinstance(error, known.BadRequestError) and not getattr(error, "litellm_response_headers", None):
            return self._attempt_failed(wire.kind_of(400, words), error)
        if isinstance(error, known.RateLimitError) and status is not None:  # said inside of a 200
            return self._attempt_failed(wire.kind_of(status, words), error, may_be_billed=True)
        detail = wire.one_line(f"litellm could not read the answer: {words}", self._secrets)
        return AttemptFailed(Kind.UNREADABLE, detail, may_be_billed=True)

    def _missing_keys(self) -> list[str]:
        """By litellm's own account, which knows only the usual names."""
        missing: Mapping[str, Any] = self._litellm.validate_environment(self._endpoint.model)
        return [name for name in missing["missing_keys"] if name.endswith("KEY")]

    def _attempt_failed(
        self, kind: Kind, error: BaseException, *, may_be_billed: bool = False
    ) -> AttemptFailed:
        return AttemptFailed(kind, wire.one_line(_bare(error), self._secrets), may_be_billed=may_be_billed)


def token_counter() -> Callable[[str], int] | None:
    """What counts a text's tokens as most hosted models would, near enough; None where litellm is not installed."""
    try:
        encode = _library().encode
    except ThinkusError:
        return None
    return lambda text: len(encode(model="gpt-4", text=text))


def _library() -> Any:
    """litellm, quiet and offline. Imported by name, since its types are of no help and take minutes to check."""
    is_new = "litellm" not in sys.modules
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        litellm: Any = importlib.import_module("litellm")
    except ModuleNotFoundError as error:
        raise ThinkusError(f"litellm: is not installed ({error}); pip install 'thinkus[api]'") from None
    litellm.telemetry = False
    litellm.suppress_debug_info = True
    litellm.redact_messages_in_exceptions = True
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if is_new:
        # It leaves half a million objects that live to the end; without them a tenth of the time goes to
        # looking for garbage among them.
        gc.freeze()
    return litellm


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _bare(error: BaseException) -> str:
    """The message, without the names of the exceptions that it was wrapped in and without a traceback."""
    text = str(getattr(error, "message", None) or error).partition("\nTraceback ")[0]
    message, _ = wire.server_words(_PREFIXES.sub("", text).encode())
    return message

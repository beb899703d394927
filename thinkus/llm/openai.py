"""Any server that speaks the OpenAI protocol, over a thin client: it must not cost more than the server does.

Import this module only where it is used: aiohttp takes its time.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from yarl import URL

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import wire
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Odds

MOST_BYTES = 64 * 2**20
# Below the five seconds after which uvicorn (vLLM's server) closes: a request on a connection that is just
# being closed is lost, and nobody knows whether it was read.
KEEP_ALIVE_S = 4.0


class _Message(msgspec.Struct):
    content: str | None = None


class _Likely(msgspec.Struct):
    token: str
    logprob: float


class _Place(msgspec.Struct):
    """In an answer, with what else might have stood there."""

    top_logprobs: list[_Likely] = []


class _Logprobs(msgspec.Struct):
    content: list[_Place] | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    error: Any = None
    """OpenRouter's, where the model failed in the middle."""


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's."""
    prompt_tokens_details: _PromptDetails | None = None


class _Reply(msgspec.Struct):
    choices: list[_Choice] | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: _Usage | None = None
    error: Any = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Reply).decode


class OpenAI:
    is_billed = True

    def __init__(self, endpoint: Endpoint, where: str) -> None:
        self.identity = wire.identity_of("openai", endpoint)
        self._endpoint = endpoint
        self._where = where
        self._fixed: dict[str, Any] = {
            "model": endpoint.model,
            **endpoint.sampling.model_dump(),
            **(endpoint.extra or {}),
        }
        self._secrets: tuple[str, ...] = ()
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        base = wire.checked_base(self._endpoint, self._where)
        wire.checked_model(self._endpoint, self._where)
        key = wire.key_of(self._endpoint, self._where)
        # Nothing compressed: answers are short, and a compressor would hold the keep-alive lines back.
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "thinkus",
            "Accept-Encoding": "identity",
        }
        if key is not None:
            self._secrets = (key,)
            headers["Authorization"] = f"Bearer {key}"
        self._url = URL(base) / "chat/completions"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S, ttl_dns_cache=300),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            headers=headers,
            # Found once: trust_env would look for it anew, in a thread, before every request.
            proxy=None if wire.is_own(base) else _proxy(self._url),
        )

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def complete(self, request: Request) -> Completion:
        assert self._session is not None, "not open"
        structured = self._endpoint.structured
        body = (
            self._fixed
            | wire.asked_form(structured, request.form)
            | {"messages": wire.asked_messages(request)}
        )
        try:
            async with self._session.post(self._url, data=_encode(body), allow_redirects=False) as response:
                content = await self._content(response)
        except aiohttp.ClientConnectorError as error:
            is_ours = error.errno in wire.OUT_OF_FILES
            raise self._failed(Kind.DROPPED if is_ours else Kind.NO_SERVER, str(error)) from None
        except aiohttp.ClientHttpProxyError as error:
            words = f"the proxy does not lead to {self._url.host}: {error.status} {error.message}"
            raise self._failed(Kind.NO_SERVER, words) from None
        except aiohttp.ClientResponseError as error:
            words = f"no HTTP: {error.message}"
            raise self._failed(Kind.UNREADABLE, words, may_be_billed=True) from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(Kind.DROPPED, str(error), may_be_billed=True) from None
        if response.status >= 300:
            raise self._refused(response, content)
        reply, choice = self._read(content)
        text = (choice.message and choice.message.content) or ""
        finish = choice.finish_reason or ""
        if isinstance(request.form, Odds):
            text, finish = _odds(request.form, choice), "stop"  # after the one token that it may write
        usage = reply.usage or _Usage()
        details = usage.prompt_tokens_details
        return Completion(
            text=wire.unwrapped(structured, request.form, text),
            finish=finish,
            served_model=reply.model or str(self._endpoint.model),
            fingerprint=reply.system_fingerprint,
            input_tokens=usage.prompt_tokens,
            cached_tokens=usage.prompt_cache_hit_tokens or (details and details.cached_tokens) or 0,
            output_tokens=usage.completion_tokens,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    async def _content(self, response: aiohttp.ClientResponse) -> bytes:
        pieces, size = [], 0
        async for piece in response.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > MOST_BYTES:
                words = f"the answer is longer than {MOST_BYTES // 2**20} MiB"
                raise self._failed(Kind.UNREADABLE, words, may_be_billed=True)
        return b"".join(pieces)

    def _read(self, content: bytes) -> tuple[_Reply, _Choice]:
        try:
            reply = _decode(content)
        except (msgspec.DecodeError, UnicodeError) as error:
            message, _ = wire.server_words(content)
            words = f"{error}: {message}" if message.strip() else "the answer is empty"
            raise self._failed(Kind.UNREADABLE, words, may_be_billed=True) from None
        choice = reply.choices[0] if reply.choices else None
        if inside := reply.error or (choice and choice.error):
            raise self._error_inside(inside)
        if choice is None:
            words = f"the answer has no choices: {wire.server_words(content)[0]}"
            raise self._failed(Kind.UNREADABLE, words, may_be_billed=True)
        return reply, choice

    def _error_inside(self, error: Any) -> AttemptFailed:
        """Some servers say 200 and then that it went wrong."""
        message, words = wire.error_words(error)
        code = str(error.get("code")) if isinstance(error, dict) else ""
        is_status = code.isdigit() and 400 <= int(code) < 600
        kind = wire.kind_of(int(code), words) if is_status else Kind.UNREADABLE
        return self._failed(kind, message, status=int(code) if is_status else None, may_be_billed=True)

    def _refused(self, response: aiohttp.ClientResponse, content: bytes) -> AttemptFailed:
        status = response.status
        message, words = wire.server_words(content)
        kind = wire.kind_of(status, words)
        said = message if message.strip() else f"HTTP {status} {response.reason or ''}"
        if status < 400:
            kind, said = Kind.NO_SERVER, f"it is now at {response.headers.get('Location')}"
        if status < 400 or status == 404:  # a mistyped path looks like an unknown model
            said = f"{self._url}: {said}"
        wait_s = wire.retry_after_s(response.headers)
        return self._failed(kind, said, status=status, retry_after_s=wait_s, may_be_billed=status == 504)

    def _failed(
        self,
        kind: Kind,
        words: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        may_be_billed: bool = False,
    ) -> AttemptFailed:
        detail = wire.one_line(words, self._secrets)
        return AttemptFailed(
            kind, detail, status=status, retry_after_s=retry_after_s, may_be_billed=may_be_billed
        )


def _odds(form: Odds, choice: _Choice) -> str:
    """Of the first token; what is not among the likeliest is taken for as likely as the least of them."""
    places = (choice.logprobs and choice.logprobs.content) or []
    likely = {one.token: one.logprob for one in places[0].top_logprobs} if places else {}
    if not any(word in likely for word in form.options):
        return "{}"
    least = min(likely.values())
    return form.written({word: likely.get(word, least) for word in form.options})


def _proxy(url: URL) -> str | None:
    """As curl finds it; never repeated in a message, since it may hold a password."""
    found = None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)
    if found is not None and not found.startswith(("http://", "https://")):
        raise ThinkusError(
            f"{url.scheme}_proxy: must begin with http://, other proxies cannot be used; "
            f"name one, or add {url.host} to no_proxy"
        )
    return found

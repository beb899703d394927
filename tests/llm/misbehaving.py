"""A real server that speaks the protocol and misbehaves on purpose, chosen for each request.

It runs in a thread of its own, or as a process of its own where its work must not be ours:
`python -m tests.llm.misbehaving --port-file FILE --after-s 0.2`.
"""

import argparse
import asyncio
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

Body = dict[str, Any]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass(frozen=True)
class Behaviour:
    """What becomes of one request."""

    name: str
    act: Callable[[web.Request, Body], Awaitable[web.StreamResponse]]


Behave = Callable[[int, Body], Behaviour]
"""Chooses by how many requests came before, and by what is asked."""


@dataclass
class Seen:
    """A request as the server saw it; times are of time.monotonic."""

    arrived_s: float
    body: Body
    headers: dict[str, str]
    url: str
    client: Any
    """Its address: one for each connection."""
    behaviour: str = ""
    completed_s: float | None = None
    """When the answer was out, or the client had gone."""


@dataclass
class Server:
    behave: Behave
    url: str = ""
    """The api_base."""
    seen: list[Seen] = field(default_factory=list)
    in_flight: int = 0
    max_in_flight: int = 0

    async def start(self) -> web.AppRunner:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._answer)
        # The handler ends when its client goes, as a server does that stops generating.
        runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=4096)
        await site.start()
        port: int = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/v1"
        return runner

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        client = request.get_extra_info("peername")
        seen = Seen(time.monotonic(), {}, dict(request.headers), str(request.url), client)
        number = len(self.seen)
        self.seen.append(seen)
        try:
            seen.body = msgspec.json.decode(await request.read())
            behaviour = self.behave(number, seen.body)
            seen.behaviour = behaviour.name
            return await behaviour.act(request, seen.body)
        finally:
            self.in_flight -= 1
            seen.completed_s = time.monotonic()


@contextmanager
def serving(behave: Behave | Behaviour) -> Iterator[Server]:
    """A server until the end of the block, whatever hangs in it by then."""
    if isinstance(behave, Behaviour):
        always = behave
        server = Server(lambda _number, _body: always)
    else:
        server = Server(behave)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="misbehaving", daemon=True)
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


# Behaviours ------------------------------------------------------------------------------------


def answer(
    text: str | None,
    *,
    model: str | None = None,
    after_s: float = 0.0,
    finish: str | None = "stop",
    usage: dict[str, Any] | None = USAGE,
    **more: Any,
) -> Behaviour:
    """A good answer, by the model that was asked for or by another; `more` stands beside its choices."""

    async def act(_request: web.Request, body: Body) -> web.StreamResponse:
        if after_s:
            await asyncio.sleep(after_s)
        return _json(200, completion(body, text, model=model, finish=finish, usage=usage) | more)

    return Behaviour("answer", act)


def echo(body: Body, *, prefix: str = "", after_s: float = 0.0) -> Behaviour:
    """The last message back, so that every request has an answer of its own."""
    return answer(prefix + body["messages"][-1]["content"], after_s=after_s)


def limited(
    retry_after_s: float | None = None, *, as_date: bool = False, message: str = "slow down"
) -> Behaviour:
    """429, with the wait in seconds or as a date (which knows whole seconds only), or without one."""

    async def act(_request: web.Request, _body: Body) -> web.StreamResponse:
        headers = {}
        if retry_after_s is not None:
            moment = formatdate(time.time() + retry_after_s, usegmt=True)
            headers["Retry-After"] = moment if as_date else f"{retry_after_s:g}"
        return _json(429, error_body(429, message, "rate_limit_exceeded"), headers)

    return Behaviour("limited", act)


def status(
    code: int, message: str = "no", *, error: str | None = None, headers: dict[str, str] | None = None
) -> Behaviour:
    """A refusal in the protocol's words; `error` is its short name, such as model_not_found."""

    async def act(_request: web.Request, _body: Body) -> web.StreamResponse:
        return _json(code, error_body(code, message, error), headers)

    return Behaviour(f"status {code}", act)


def raw(
    code: int,
    content: bytes,
    *,
    content_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Behaviour:
    """Any bytes at all."""

    async def act(_request: web.Request, _body: Body) -> web.StreamResponse:
        return web.Response(body=content, status=code, content_type=content_type, headers=headers)

    return Behaviour(f"raw {code}", act)


def hang() -> Behaviour:
    """Never a byte."""

    async def act(_request: web.Request, _body: Body) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    return Behaviour("hang", act)


def blank_lines(every_s: float = 0.02) -> Behaviour:
    """200, and then nothing but the newlines that keep a connection alive."""

    async def act(request: web.Request, _body: Body) -> web.StreamResponse:
        response = await _begun(request)
        while True:
            await response.write(b"\n")
            await asyncio.sleep(every_s)

    return Behaviour("blank_lines", act)


def blank_lines_then(text: str, *, lines: int = 5, every_s: float = 0.02) -> Behaviour:
    async def act(request: web.Request, body: Body) -> web.StreamResponse:
        response = await _begun(request)
        for _ in range(lines):
            await response.write(b"\n")
            await asyncio.sleep(every_s)
        await response.write(msgspec.json.encode(completion(body, text)))
        return response

    return Behaviour("blank_lines_then", act)


def drip(text: str, *, every_s: float = 0.01, size: int = 20) -> Behaviour:
    """A good answer, a few bytes at a time."""

    async def act(request: web.Request, body: Body) -> web.StreamResponse:
        response = await _begun(request)
        content = msgspec.json.encode(completion(body, text))
        for start in range(0, len(content), size):
            await response.write(content[start : start + size])
            await asyncio.sleep(every_s)
        return response

    return Behaviour("drip", act)


def endless(piece: bytes = b"x" * 2**20) -> Behaviour:
    """200, and a body without end, as fast as it is read."""

    async def act(request: web.Request, _body: Body) -> web.StreamResponse:
        response = await _begun(request)
        while True:
            await response.write(piece)

    return Behaviour("endless", act)


def cut_json(text: str = "the answer") -> Behaviour:
    """A whole response by the rules of HTTP, whose JSON breaks off."""

    async def act(_request: web.Request, body: Body) -> web.StreamResponse:
        content = msgspec.json.encode(completion(body, text))
        return web.Response(body=content[: len(content) // 2], content_type="application/json")

    return Behaviour("cut_json", act)


def drop() -> Behaviour:
    """The connection ends before any byte."""

    async def act(request: web.Request, _body: Body) -> web.StreamResponse:
        _hang_up(request)
        return web.Response()

    return Behaviour("drop", act)


def drop_midway(text: str = "the answer") -> Behaviour:
    """The connection ends in the middle of the body."""

    async def act(request: web.Request, body: Body) -> web.StreamResponse:
        content = msgspec.json.encode(completion(body, text))
        response = await _begun(request, length=len(content))
        await response.write(content[: len(content) // 2])
        await asyncio.sleep(0.01)  # so that the half arrives before the end does
        _hang_up(request)
        return response

    return Behaviour("drop_midway", act)


# What they say ---------------------------------------------------------------------------------


OF_THE_MOMENT = (
    limited(0.05),
    status(500, "on fire"),
    drop(),
    drop_midway(),
    cut_json(),
    raw(200, b"<html>busy</html>"),
)
"""What goes by when the same is asked again."""


def completion(
    body: Body,
    text: str | None,
    *,
    model: str | None = None,
    finish: str | None = "stop",
    usage: dict[str, Any] | None = USAGE,
) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model or body.get("model"),
        "choices": [choice],
        "usage": usage,
    }


def error_body(code: int, message: str, error: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": error or "error", "param": None, "code": error or code}}


def _json(code: int, content: dict[str, Any], headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(content), status=code, content_type="application/json", headers=headers
    )


async def _begun(request: web.Request, length: int | None = None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    response.content_length = length
    await response.prepare(request)
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


# A process of its own --------------------------------------------------------------------------


async def _serve(port_file: Path, after_s: float, in_flight_limit: int | None) -> None:
    def behave(_number: int, body: Body) -> Behaviour:
        if in_flight_limit is not None and server.in_flight > in_flight_limit:
            return limited(retry_after_s=1)
        return echo(body, after_s=after_s)

    server = Server(behave)
    runner = await server.start()
    unfinished = port_file.with_suffix(".unfinished")
    unfinished.write_text(server.url.rsplit(":", 1)[1].removesuffix("/v1"))
    unfinished.replace(port_file)  # whoever waits for it never reads half a number
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, end.set)
    await end.wait()
    await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port-file", type=Path, required=True)
    parser.add_argument("--after-s", type=float, default=0.0)
    parser.add_argument("--in-flight-limit", type=int)
    chosen = parser.parse_args()
    asyncio.run(_serve(chosen.port_file, chosen.after_s, chosen.in_flight_limit))

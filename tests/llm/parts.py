"""An engine put together for a test, on a backend that is scripted or on a real server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from thinkus.endpoint import Endpoint, Sampling
from thinkus.llm.attempts import Attempts
from thinkus.llm.budget import Budget
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Backend, Completion, Outcome, Request
from thinkus.llm.limiter import Limiter
from thinkus.llm.models import FREE
from thinkus.llm.prices import Rates
from thinkus.llm.store import Store
from thinkus.records import Message


def request(text: str, **more: Any) -> Request:
    return Request(item=text, purpose="test", messages=(Message("user", text),), **more)


def completion(text: str, **more: Any) -> Completion:
    facts: dict[str, Any] = {
        "finish": "stop",
        "served_model": "scripted",
        "input_tokens": 10,
        "output_tokens": 5,
        "at": "now",
    }
    return Completion(text=text, **(facts | more))


@dataclass
class Scripted:
    """A backend that does what a function says; counts how often it is asked."""

    script: Callable[[Request], Awaitable[Completion]]
    asked: int = 0
    is_billed: bool = True
    identity: Mapping[str, Any] = field(default_factory=lambda: {"backend": "scripted"})

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def complete(self, request: Request) -> Completion:
        self.asked += 1
        return await self.script(request)


async def echo(request: Request) -> Completion:
    await asyncio.sleep(0)
    return completion(f"said {request.item}")


def endpoint(url: str | None, **changes: Any) -> Endpoint:
    values: dict[str, Any] = {
        "name": "test",
        "backend": "openai",
        "model": "asked-model",
        "api_base": url,
        "api_key_env": None,
        "structured": "none",
        "extra": None,
        "sampling": Sampling(temperature=0.0, top_p=1.0, max_tokens=100),
        "price": None,
        "deadline_s": 30.0,
        "vllm": None,
    }
    return Endpoint(**(values | changes))


@asynccontextmanager
async def engine(
    backend: Backend,
    directory: Path,
    *,
    concurrency: int = 64,
    cap_usd: float | None = None,
    rates: Rates | None = FREE,
    deadline_s: float | None = 30.0,
    others: Iterable[Path] = (),
) -> AsyncIterator[tuple[Engine, Store]]:
    directory.mkdir(parents=True, exist_ok=True)
    store = Store(directory, list(others))
    budget = Budget(cap_usd, (await store.spent()).usd)
    limiter = Limiter(concurrency)
    attempts = Attempts(backend, store, limiter, budget, rates, deadline_s, concurrency)
    try:
        async with Engine(
            backend, store, limiter, attempts, where="annotator", model="asked-model", concurrency=concurrency
        ) as one:
            yield one, store
    finally:
        await store.close()


async def collected(one: Engine, requests: Iterable[Request]) -> dict[str, Outcome]:
    return {request.item: outcome async for request, outcome in one.run(requests)}

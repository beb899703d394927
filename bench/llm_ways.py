"""What each process of `make bench-llm` does: ask a server for thousands of answers, in one of the ways there are.

    python bench/llm_ways.py WAY URL DIRECTORY    its figures are the last line

What a way needs is imported inside of it: curator's runs in an environment of its own, without thinkus.
"""

import asyncio
import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

IN_FLIGHT = 256
CHARACTERS = 1000
FIRST = -1
"""The number of the request before the clock starts."""
CURATOR = "bespokelabs-curator"


@dataclass(frozen=True)
class Figures:
    requests: int
    seconds: float
    processor_s: float
    peak_mb: float
    version: str

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    @property
    def processor_ms(self) -> float:
        return 1e3 * self.processor_s / self.requests


class Watch:
    """Measures a block: the clock on the wall, and this process's own work."""

    def __enter__(self) -> None:
        self._began, self._worked = time.perf_counter(), time.process_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self._began
        self.processor_s = time.process_time() - self._worked


# What is asked ---------------------------------------------------------------------------------


def prompt(number: int) -> str:
    return f"{number} {'and what would you say to that? ' * 40}"[:CHARACTERS]


def messages(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt(number)}]


def check(text: str, number: int) -> None:
    """The server says everything back."""
    if text != prompt(number):
        raise ValueError(f"another answer than that to {number}: {text[:60]!r}")


# The ways, each in a process of its own --------------------------------------------------------


def bare_aiohttp(url: str, requests: int, directory: Path, watch: Watch) -> None:
    import aiohttp

    async def ask(session: aiohttp.ClientSession, number: int) -> None:
        body = {"model": "x", "temperature": 0.0, "max_tokens": 100, "messages": messages(number)}
        async with session.post(f"{url}/chat/completions", json=body) as response:
            answer = await response.json()
        check(answer["choices"][0]["message"]["content"], number)

    async def run() -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            numbers = iter(range(requests))

            async def work() -> None:
                for number in numbers:
                    await ask(session, number)

            await ask(session, FIRST)
            with watch:
                await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    asyncio.run(run())


def plain_litellm(url: str, requests: int, directory: Path, watch: Watch) -> None:
    litellm: Any = importlib.import_module("litellm")
    slots = asyncio.Semaphore(IN_FLIGHT)

    async def ask(number: int) -> None:
        async with slots:
            answer = await litellm.acompletion(
                model="openai/x",
                api_base=url,
                num_retries=0,
                temperature=0.0,
                max_tokens=100,
                messages=messages(number),
            )
        check(answer.choices[0].message.content, number)

    async def run() -> None:
        await ask(FIRST)
        with watch:
            await asyncio.gather(*map(ask, range(requests)))

    asyncio.run(run())


def thinkus_openai(url: str, requests: int, directory: Path, watch: Watch) -> None:
    through_engine("openai", "x", url, requests, directory, watch)


def thinkus_litellm(url: str, requests: int, directory: Path, watch: Watch) -> None:
    through_engine("litellm", "openai/x", url, requests, directory, watch)


def thinkus_replay(url: str, requests: int, directory: Path, watch: Watch) -> None:
    through_engine("openai", "x", url, requests, directory, watch, becomes="stored")


def through_engine(
    backend: Any, model: str, url: str, requests: int, directory: Path, watch: Watch, becomes: str = "asked"
) -> None:
    """As a stage does it: a run that is held, its store on the disk, outcomes as they end."""
    from thinkus.endpoint import Endpoint, Sampling
    from thinkus.llm.exchange import Answer, Request
    from thinkus.llm.models import Models
    from thinkus.records import Message
    from thinkus.runs import Run, claimed

    endpoint = Endpoint(
        name="bench",
        backend=backend,
        model=model,
        api_base=url,
        api_key_env=None,
        structured="none",
        extra=None,
        sampling=Sampling(temperature=0.0, top_p=1.0, max_tokens=100),
        price=None,
        deadline_s=60.0,
        vllm=None,
    )

    def request(number: int) -> Request:
        said = (Message("user", prompt(number)),)
        return Request(item=str(number), purpose="bench", messages=said)

    async def work(run: Run) -> None:
        async with (
            Models(run, budget_usd=None, replay=None) as models,
            models.engine(endpoint, "bench", IN_FLIGHT) as engine,
        ):
            await engine.ask(request(FIRST))
            with watch:
                async for asked, outcome in engine.run(map(request, range(requests))):
                    assert isinstance(outcome, Answer), outcome
                    check(outcome.value, int(asked.item))
            assert engine.tally == {becomes: requests + 1}, engine.tally

    with claimed(directory, a_manifest(), "", redo=False) as run:
        assert run is not None
        asyncio.run(work(run))


def a_manifest() -> Any:
    from thinkus import __version__
    from thinkus.identity import identity_of
    from thinkus.runs import RUN_SCHEMA, Manifest, now

    return Manifest(
        schema=RUN_SCHEMA,
        thinkus=__version__,
        stage="annotate",
        name="bench",
        status="started",
        identity=identity_of({}),
        made_from={},
        inputs={},
        prompts={},
        seed=0,
        git_commit=None,
        packages={},
        hardware={},
        started=now(),
    )


def curator(url: str, requests: int, directory: Path, watch: Watch) -> None:
    """Through its own client for OpenAI's protocol, which is twice as fast as its litellm; nothing throttled."""
    # Makes tiktoken, with which it counts tokens, use the table that litellm ships; it would fetch it.
    importlib.import_module("litellm.litellm_core_utils.default_encoding")
    library: Any = importlib.import_module("bespokelabs.curator")

    def ask(numbers: range) -> Any:
        limits = {
            "max_concurrent_requests": IN_FLIGHT,
            "max_requests_per_minute": 10**9,
            "max_tokens_per_minute": 10**12,
        }
        llm = library.LLM(
            model_name="x",
            backend="openai",
            backend_params={"base_url": url, "max_retries": 0, **limits},
            generation_params={"temperature": 0.0, "max_tokens": 100},
        )
        return llm([prompt(number) for number in numbers])

    ask(range(FIRST, 0))
    with watch:
        answers = ask(range(requests))
    assert answers.request_stats.succeeded == requests, answers.request_stats
    for number, row in enumerate(answers.dataset):
        check(row["response"], number)


@dataclass(frozen=True)
class Way:
    act: Callable[[str, int, Path, Watch], None]
    name: str
    requests: int
    package: str
    """Whose version is told."""
    run: str = "own"
    """The folder that it works in; who names the same one finds what the other left."""


BARE = Way(bare_aiohttp, "bare aiohttp", 6000, "aiohttp")
OPENAI = Way(thinkus_openai, "thinkus, openai", 6000, "thinkus", run="openai")
REPLAY = Way(thinkus_replay, "thinkus, all stored", 6000, "thinkus", run="openai")
PLAIN = Way(plain_litellm, "litellm", 2000, "litellm")
THROUGH = Way(thinkus_litellm, "thinkus, litellm", 2000, "thinkus", run="litellm")
OTHER = Way(curator, "curator", 2000, CURATOR, run="curator")
WAYS = [BARE, OPENAI, REPLAY, PLAIN, THROUGH, OTHER]


def main(name: str, url: str, directory: Path) -> None:
    way = next(way for way in WAYS if way.act.__name__ == name)
    watch = Watch()
    way.act(url, way.requests, directory, watch)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    version = metadata.version(way.package)
    figures = Figures(way.requests, watch.seconds, watch.processor_s, peak_kb / 1e3, version)
    print(json.dumps(asdict(figures)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))

"""What must hold when much is under way: kills, storms of refusals, a cap, and a flat memory."""

import asyncio
import gc
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web

from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Body, serving
from tests.llm.parts import Scripted, collected, completion, endpoint, engine, request
from thinkus.endpoint import Price
from thinkus.llm.engine import EngineStopped
from thinkus.llm.exchange import Answer, Completion, Request
from thinkus.llm.openai import OpenAI
from thinkus.llm.prices import rates_of
from thinkus.llm.store import NAME

REPOSITORY = Path(__file__).parents[2]
PRICE = Price(input=100.0, output=1000.0)


def asking(url: str, directory: Path, requests: int, *cap_usd: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.llm.asking", url, str(directory), str(requests), *cap_usd]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE)


def answered(directory: Path) -> set[str]:
    store = sqlite3.connect(f"file:{directory / NAME}?mode=ro", uri=True)
    try:
        return {item for (item,) in store.execute("select item from completions")}
    finally:
        store.close()


def test_killed_at_half_of_5000_only_what_was_under_way_is_asked_again(tmp_path: Path) -> None:
    def behave(number: int, body: Body) -> Behaviour:
        if number == 2500:
            os.kill(process.pid, signal.SIGKILL)
        return misbehaving.echo(body, prefix="to ", after_s=0.05)

    with serving(behave) as server:
        process = asking(server.url, tmp_path, 5000)
        assert process.wait(60) == -signal.SIGKILL
        time.sleep(0.2)  # until the server has seen that its client is gone
        asked_before = Counter(seen.body["messages"][-1]["content"] for seen in server.seen)
        kept = answered(tmp_path)
        assert 1500 < len(kept) < 2500
        assert not (tmp_path / "records.jsonl").exists()
        process = asking(server.url, tmp_path, 5000)
        assert process.wait(60) == 0
    asked_in_all = Counter(seen.body["messages"][-1]["content"] for seen in server.seen)
    again = {item for item, times in asked_in_all.items() if times > 1}
    assert not again & kept, "what is stored is never asked again"
    assert again <= set(asked_before) - kept
    assert len(again) <= 256
    assert max(asked_in_all.values()) == 2
    rows = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    assert rows == [[f"{number:05}", f"to {number:05}"] for number in range(5000)]


LIMIT = 48
STORM_FROM_S, STORM_UNTIL_S = 0.5, 2.5
MEASURED_FROM_S, MEASURED_UNTIL_S = 4.5, 8.5


class Storm:
    """Serves so many at once and refuses more; for a while it refuses a third of all the same."""

    def __init__(self) -> None:
        self.began: float | None = None
        self.serving = 0
        self.levels: list[tuple[float, int]] = []
        """How many it served from which moment on."""
        self.may_come: dict[str, float] = {}
        self.too_early: list[str] = []
        self.refused = 0

    def behave(self, number: int, body: Body) -> Behaviour:
        now = time.monotonic()
        self.began = self.began or now
        item = body["messages"][-1]["content"]
        if now < self.may_come.get(item, 0.0):
            self.too_early.append(item)
        is_storm = STORM_FROM_S < now - self.began < STORM_UNTIL_S
        if self.serving < LIMIT and not (is_storm and number % 3 == 0):
            return Behaviour("served", self._serve)
        self.refused += 1
        self.may_come[item] = now + 1.0
        return misbehaving.limited(retry_after_s=1)

    async def _serve(self, incoming: web.Request, body: Body) -> web.StreamResponse:
        self._change(+1)
        try:
            return await misbehaving.echo(body, after_s=0.2).act(incoming, body)
        finally:
            self._change(-1)

    def _change(self, by: int) -> None:
        self.serving += by
        self.levels.append((time.monotonic(), self.serving))

    def used(self, begin: float, end: float) -> float:
        """The share of the limit that was used, on average."""
        level, last, area = 0, begin, 0.0
        for moment, next_level in self.levels:
            if begin < moment < end:
                area += level * (moment - last)
                last = moment
            if moment < end:
                level = next_level
        return (area + level * (end - last)) / (end - begin) / LIMIT


def test_after_a_storm_the_limit_is_used_again_and_nobody_comes_too_early(tmp_path: Path) -> None:
    storm = Storm()

    async def run() -> None:
        backend = OpenAI(endpoint(server.url), "annotator")
        async with engine(backend, tmp_path, concurrency=256) as (one, _):
            async for _, outcome in one.run(request(str(number)) for number in range(100_000)):
                assert isinstance(outcome, Answer)
                assert storm.began
                if time.monotonic() > storm.began + MEASURED_UNTIL_S:
                    break

    with serving(storm.behave) as server:
        asyncio.run(run())
    assert storm.began
    assert storm.refused > 50
    assert storm.too_early == []
    assert storm.used(storm.began + MEASURED_FROM_S, storm.began + MEASURED_UNTIL_S) >= 0.9


@pytest.mark.parametrize("as_date", [False, True])
def test_nothing_is_sent_before_its_retry_after(tmp_path: Path, *, as_date: bool) -> None:
    wait_s = 2.0 if as_date else 0.6

    def behave(number: int, body: Body) -> Behaviour:
        item = body["messages"][-1]["content"]
        arrivals.setdefault(item, []).append(time.time())
        if len(arrivals[item]) == 1 and int(item) % 3 == 0:
            return misbehaving.limited(wait_s, as_date=as_date)
        return misbehaving.echo(body, after_s=0.01)

    arrivals: dict[str, list[float]] = {}

    async def run() -> None:
        async with engine(OpenAI(endpoint(server.url), "annotator"), tmp_path) as (one, _):
            outcomes = await collected(one, [request(str(number)) for number in range(60)])
        assert one.tally == {"asked": 60}
        assert len(outcomes) == 60

    with serving(behave) as server:
        asyncio.run(run())
    for item, times in arrivals.items():
        if int(item) % 3 == 0:
            first, second = times
            assert second >= (int(first) + 2 if as_date else first + wait_s)


def test_a_cap_is_never_passed_with_256_under_way_and_a_restart_remembers(tmp_path: Path) -> None:
    rates = rates_of(endpoint(None, price=PRICE))
    assert rates

    def behave(number: int, body: Body) -> Behaviour:
        tokens = {"prompt_tokens": 30, "completion_tokens": 100}  # as many as it may, for half of them
        some = {"prompt_tokens": 30, "completion_tokens": 10}
        return misbehaving.answer("good", after_s=0.02, usage=tokens if number % 2 else some)

    def paid() -> float:
        return sum(
            30 * 100.0 / 1e6 + (100 if number % 2 else 10) * 1000.0 / 1e6
            for number, seen in enumerate(server.seen)
        )

    async def run(cap_usd: float, first: int) -> float:
        backend = OpenAI(endpoint(server.url), "annotator")
        async with engine(backend, tmp_path, concurrency=256, cap_usd=cap_usd, rates=rates) as (one, store):
            with pytest.raises(EngineStopped, match=r"budget_usd: of \$.* is spent"):
                await collected(one, (request(str(number)) for number in range(first, first + 100_000)))
            return (await store.spent()).usd

    with serving(behave) as server:
        most = rates.most_usd(request("99999"))
        for cap_usd, first in ((40.0, 0), (60.0, 10_000), (60.0, 20_000)):
            spent = asyncio.run(run(cap_usd, first))
            assert spent == pytest.approx(paid())
            assert cap_usd - most < spent <= cap_usd, "used up, and never passed"
        assert server.max_in_flight > 50


def test_a_cap_holds_through_kills(tmp_path: Path) -> None:
    """What was under way at a kill may have been billed, so it counts as if it was."""

    def behave(number: int, body: Body) -> Behaviour:
        if number in (150, 400):
            os.kill(process.pid, signal.SIGKILL)
        return misbehaving.answer("good", after_s=0.1, usage={"prompt_tokens": 30, "completion_tokens": 100})

    cap_usd = 60.0
    with serving(behave) as server:
        for _ in range(3):
            process = asking(server.url, tmp_path, 5000, str(cap_usd))
            _, complaint = process.communicate(timeout=60)
        billed = len(server.seen) * (30 * 100.0 + 100 * 1000.0) / 1e6
    assert b"budget_usd" in complaint
    assert 0.5 * cap_usd < billed <= cap_usd


def test_memory_does_not_grow_with_the_number_of_requests(tmp_path: Path) -> None:
    """In a process of its own: what other tests left behind comes and goes."""
    script = f"from tests.llm.test_under_load import measured; print(measured({str(tmp_path)!r}))"
    command = [sys.executable, "-c", script]
    told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    sizes = json.loads(told)
    assert sizes[-1] - sizes[0] < 8e6, [f"{size / 1e6:.1f} MB" for size in sizes]


def measured(directory: str) -> list[int]:
    """How large the process is after each fifth of 100,000 requests."""

    async def answer(asked: Request) -> Completion:
        await asyncio.sleep(0)
        return completion(asked.item * 100)

    async def run() -> list[int]:
        sizes = []
        async with engine(Scripted(answer), Path(directory), concurrency=64) as (one, _):
            done = 0
            async for _ in one.run(request(f"{number:06}") for number in range(100_000)):
                done += 1
                if done % 20_000 == 0:
                    gc.collect()
                    sizes.append(resident_bytes())
        assert done == 100_000
        return sizes

    return asyncio.run(run())


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

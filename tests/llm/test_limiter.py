"""How many may be under way: found by trying, cut by refusals, and never in vain."""

import asyncio
import time

import pytest

from thinkus.llm.limiter import Limiter


class Server:
    """Takes so many at once, at most, for a moment each."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.busy = 0
        self.refused = 0
        self.most = 0

    async def ask(self, limiter: Limiter, retry_after_s: float | None = 0.1) -> bool:
        sent_at = await limiter.acquire()
        try:
            if self.busy >= self.room:
                self.refused += 1
                limiter.refuse(sent_at, retry_after_s)
                return False
            self.busy += 1
            self.most = max(self.most, self.busy)
            await asyncio.sleep(0.02)
            self.busy -= 1
            limiter.succeed(sent_at)
            return True
        finally:
            limiter.release()

    async def ask_all(self, limiter: Limiter, requests: int) -> None:
        async def one() -> None:
            while not await self.ask(limiter):
                await asyncio.sleep(0.1)

        await asyncio.gather(*(one() for _ in range(requests)))


def test_it_grows_to_what_is_allowed_and_not_beyond() -> None:
    async def run() -> None:
        server, limiter = Server(10_000), Limiter(100)
        await server.ask_all(limiter, 3000)
        assert limiter.limit == 100
        assert 95 <= server.most <= 100
        assert limiter.in_flight == 0

    asyncio.run(run())


def test_it_starts_low() -> None:
    async def run() -> None:
        server, limiter = Server(10_000), Limiter(1000)
        await server.ask_all(limiter, 16)
        assert server.most == 16

    asyncio.run(run())


def test_it_settles_at_what_the_server_takes() -> None:
    async def run() -> None:
        server, limiter = Server(40), Limiter(1000)
        await server.ask_all(limiter, 3000)
        assert 34 <= limiter.limit <= 46
        assert server.refused < 300, "it does not knock in vain"

    asyncio.run(run())


def test_where_all_are_refused_nobody_knocks_again_before_its_time() -> None:
    async def run() -> None:
        server, limiter = Server(0), Limiter(1000)
        asking = [asyncio.create_task(server.ask(limiter, retry_after_s=0.5)) for _ in range(200)]
        await asyncio.sleep(0.4)
        assert 10 < server.refused <= 16
        await asyncio.sleep(0.3)
        assert 16 < server.refused <= 32
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    asyncio.run(run())


def test_one_episode_of_refusals_is_one_cut() -> None:
    async def run() -> None:
        limiter = Limiter(16)
        sent = [await limiter.acquire() for _ in range(16)]
        for sent_at in sent:
            limiter.refuse(sent_at, 0.01)
            limiter.release()
        assert limiter.limit == pytest.approx(16 * 0.9)

    asyncio.run(run())


def test_slots_open_each_in_its_own_time_whatever_came_between() -> None:
    async def run() -> None:
        limiter = Limiter(4)
        for wait_s in (5.0, 0.05, 0.05):
            limiter.refuse(await limiter.acquire(), wait_s)
            limiter.release()
        await asyncio.sleep(0.1)
        limiter.succeed(await limiter.acquire())  # opens the one that would take long
        limiter.release()
        began = time.monotonic()
        for _ in range(3):
            await asyncio.wait_for(limiter.acquire(), 1)
        assert time.monotonic() - began < 0.5

    asyncio.run(run())


def test_whoever_leaves_the_queue_takes_no_slot_with_them() -> None:
    async def run() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        waiting = [asyncio.create_task(limiter.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        limiter.release()
        waiting[1].cancel()  # at the very moment when it was admitted
        await asyncio.sleep(0.01)
        await asyncio.wait_for(waiting[2], 1)
        assert limiter.in_flight == 1

    asyncio.run(run())


def test_when_it_stops_those_who_wait_hear_why() -> None:
    async def run() -> None:
        limiter = Limiter(1)
        await limiter.acquire()
        waiting = asyncio.create_task(limiter.acquire())
        await asyncio.sleep(0)
        limiter.stop(ValueError("over"))
        with pytest.raises(ValueError, match="over"):
            await waiting

    asyncio.run(run())

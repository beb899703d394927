"""Work that is done together: all of it ends, and an error of one is not lost."""

import asyncio
from collections.abc import Awaitable

import pytest

from thinkus.llm.crowd import together


class Work:
    """Pieces that end when they are told to, or when all others have."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def slow(self, name: str, turns: int = 5) -> str:
        for _ in range(turns):
            await asyncio.sleep(0)
        self.ended.append(name)
        return name

    async def raising(self, error: BaseException, turns: int = 0) -> str:
        await self.slow(repr(error), turns)
        raise error


def outcome(*works: Awaitable[str]) -> list[str]:
    async def run() -> list[str]:
        return await together(iter(works))

    return asyncio.run(run())


def test_results_are_in_the_order_of_the_work_and_not_of_its_end() -> None:
    work = Work()
    assert outcome(work.slow("a", 9), work.slow("b", 1), work.slow("c", 5)) == ["a", "b", "c"]
    assert work.ended == ["b", "c", "a"], "they are done side by side"
    assert outcome() == []


def test_a_slow_one_still_ends_when_another_raises() -> None:
    """It may have been paid for."""
    work, wrong = Work(), ValueError("wrong")
    with pytest.raises(ValueError, match="wrong") as raised:
        outcome(work.slow("before", 9), work.raising(wrong), work.slow("after", 9))
    assert raised.value is wrong
    assert sorted(work.ended) == ["ValueError('wrong')", "after", "before"]


def test_of_several_errors_the_first_in_order_is_raised() -> None:
    """Whichever came first: so the same work always ends alike."""
    work = Work()
    with pytest.raises(KeyError, match="first"):
        outcome(work.slow("fine"), work.raising(KeyError("first"), 9), work.raising(ValueError("second"), 1))
    assert len(work.ended) == 3


def test_who_is_called_off_calls_all_off() -> None:
    work = Work()

    async def run() -> None:
        whole = asyncio.create_task(together([work.slow("a", 1_000_000), work.slow("b", 1_000_000)]))
        await asyncio.sleep(0.01)
        whole.cancel()
        with pytest.raises(asyncio.CancelledError):
            await whole

    asyncio.run(run())
    assert work.ended == []

"""Many pieces of work at once, but never more than may be: items are pulled as there is room for them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from contextlib import suppress
from typing import TypeVar

from thinkus.errors import ThinkusError

Item = TypeVar("Item")
Result = TypeVar("Result")


async def each(
    items: Iterable[Item] | AsyncIterable[Item], work: Callable[[Item], Awaitable[Result]], at_once: int
) -> AsyncGenerator[tuple[Item, Result], None]:
    """Every item with what became of it, as they end.

    A ThinkusError ends it all, but first what is under way may end: it may have been paid for.
    """
    pull = _puller(items)
    ended: asyncio.Queue[tuple[Item, Result] | None] = asyncio.Queue(at_once)
    stopped: list[ThinkusError] = []

    async def carry_out() -> None:
        while not stopped:
            try:
                if (pulled := await pull()) is None:
                    return
                result = await work(pulled[0])
            except ThinkusError as error:
                stopped.append(error)
            else:
                await ended.put((pulled[0], result))

    async def carry_out_all() -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(at_once):
                    group.create_task(carry_out())
        except BaseExceptionGroup as errors:
            await ended.put(None)
            raise errors.exceptions[0] from None
        await ended.put(None)

    workers = asyncio.create_task(carry_out_all())
    try:
        while (pair := await ended.get()) is not None:
            yield pair
        await workers
        if stopped:
            raise stopped[0]
    finally:
        workers.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await workers


async def together(works: Iterable[Awaitable[Result]]) -> list[Result]:
    """All of them, in their order. An error of one ends it too, but first the others may end: they may be paid for."""
    ended = await asyncio.gather(*works, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if not isinstance(one, BaseException)]


def _puller(items: Iterable[Item] | AsyncIterable[Item]) -> Callable[[], Awaitable[tuple[Item] | None]]:
    """The next item, for any number of workers; None when there are no more."""
    if isinstance(items, AsyncIterable):
        source, one_at_a_time = aiter(items), asyncio.Lock()

        async def pull_later() -> tuple[Item] | None:
            async with one_at_a_time:
                async for item in source:
                    return (item,)
            return None

        return pull_later
    plain = iter(items)

    async def pull() -> tuple[Item] | None:
        for item in plain:
            return (item,)
        return None

    return pull

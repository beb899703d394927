"""A cap in dollars: room is set aside before, and nobody waits for room that cannot come."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.llm.budget import Budget, BudgetReached


@settings(deadline=None, max_examples=50)
@given(
    cap=st.floats(0.5, 20),
    asks=st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0.0, 1.0) | st.none()), max_size=60),
)
def test_it_is_never_passed_and_never_blocks(cap: float, asks: list[tuple[float, float | None]]) -> None:
    async def run() -> None:
        budget = Budget(cap)

        async def one(most: float, share: float | None) -> None:
            try:
                await budget.reserve(most)
            except BudgetReached:
                assert budget.spent_usd + most > cap
                return
            await asyncio.sleep(0)
            budget.settle(most, None if share is None else most * share)
            assert budget.spent_usd <= cap + 1e-9

        await asyncio.wait_for(asyncio.gather(*(one(*ask) for ask in asks)), 5)

    asyncio.run(run())


def test_the_last_room_is_waited_for_while_others_may_leave_it() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.9)
        waiting = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        budget.settle(0.9, 0.4)
        await waiting
        late = asyncio.create_task(budget.reserve(0.5))
        await asyncio.sleep(0.01)
        budget.settle(0.5, 0.3)
        with pytest.raises(
            BudgetReached, match=r"of \$1 \$0\.7 is spent, and the next request could cost up to \$0\.5"
        ):
            await late

    asyncio.run(run())


def test_a_cost_that_is_not_known_counts_as_all_that_was_set_aside() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(0.25)
        budget.settle(0.25, None)
        assert budget.spent_usd == 0.25

    asyncio.run(run())


def test_whoever_leaves_the_queue_gives_its_room_back() -> None:
    async def run() -> None:
        budget = Budget(1.0)
        await budget.reserve(1.0)
        waiting = asyncio.create_task(budget.reserve(1.0))
        await asyncio.sleep(0)
        budget.settle(1.0, 0.0)
        waiting.cancel()  # at the very moment when it was admitted
        await asyncio.sleep(0.01)
        await asyncio.wait_for(budget.reserve(1.0), 1)
        assert waiting.cancelled()
        assert budget.spent_usd == 0.0

    asyncio.run(run())


def test_nothing_may_be_asked_with_a_cap_of_zero_whatever_it_costs() -> None:
    async def run() -> None:
        for usd in (0.0, 1e-9):
            with pytest.raises(BudgetReached, match="is 0, so nothing may be asked"):
                await Budget(0.0).reserve(usd)

    asyncio.run(run())


def test_without_a_cap_it_only_counts() -> None:
    async def run() -> None:
        budget = Budget(None, spent_usd=5.0)
        await budget.reserve(1e9)
        budget.settle(1e9, 2.0)
        assert budget.spent_usd == 7.0

    asyncio.run(run())

"""A cap in dollars that is never passed: room is set aside before a request goes out.

What an attempt can cost at most is reserved, and given back as soon as it is known what it did.
"""

import asyncio
from collections import deque


class BudgetReached(Exception):
    """The next request could pass the cap, and nothing that is still under way can make room for it."""

    def __init__(self, cap_usd: float, spent_usd: float, next_usd: float) -> None:
        super().__init__(
            f"budget_usd: of ${cap_usd:.4g} ${spent_usd:.4g} is spent, and the next request could cost up to "
            f"${next_usd:.4g}; raise budget_usd=, the same command goes on"
            if cap_usd
            else "budget_usd: is 0, so nothing may be asked, and not every answer is stored or in replay=; "
            "raise it, the same command goes on"
        )


class Budget:
    def __init__(self, cap_usd: float | None, spent_usd: float = 0.0) -> None:
        self.cap_usd = cap_usd
        self.spent_usd = spent_usd
        self._reserved_usd = 0.0
        self._holders = 0
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()

    async def reserve(self, usd: float) -> None:
        """Waits while others may still leave room."""
        if self.cap_usd is None:
            return
        if self.cap_usd == 0:
            raise BudgetReached(0.0, self.spent_usd, usd)
        if self._waiting or not self._fits(usd):
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append((usd, turn))
            try:
                self._admit()
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self.settle(usd, 0.0)
                raise
        else:
            self._take(usd)

    def settle(self, reserved_usd: float, usd: float | None) -> None:
        """The attempt is over; where its cost is not known it counts as all that was set aside."""
        if self.cap_usd is None:
            self.spent_usd += usd or 0.0
            return
        self._holders -= 1
        self._reserved_usd -= reserved_usd
        self.spent_usd += reserved_usd if usd is None else usd
        self._admit()

    def _fits(self, usd: float) -> bool:
        assert self.cap_usd is not None
        return self.spent_usd + self._reserved_usd + usd <= self.cap_usd

    def _take(self, usd: float) -> None:
        self._holders += 1
        self._reserved_usd += usd

    def _admit(self) -> None:
        """Those who wait, in their order: a small one must not overtake a large one for ever."""
        while self._waiting:
            usd, turn = self._waiting[0]
            if turn.done():  # cancelled
                self._waiting.popleft()
            elif self._fits(usd):
                self._waiting.popleft()
                self._take(usd)
                turn.set_result(None)
            elif self._holders == 0:
                self._waiting.popleft()
                turn.set_exception(BudgetReached(self.cap_usd or 0.0, self.spent_usd, usd))
            else:
                return

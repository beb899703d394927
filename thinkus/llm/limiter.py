"""How many requests may be under way at one endpoint: as many as it takes, found by trying.

Starts low and doubles while all goes well; one cut for each episode of refusals; then up again,
fast while far from the limit that was refused last and slowly near it. The slot of a refused
request stays shut until the next answer comes, or until its Retry-After has passed: where a
server refuses all, all slots shut, and nobody knocks in vain.
"""

import asyncio
import time
from collections import deque

START = 16
CUT = 0.9
FAST = 0.1
SLOW = 0.01
"""Growth by each answer, so that a limit's worth of answers adds this share of the limit."""
NEAR = 0.95
"""Of the limit that was refused last: from there on it is approached slowly."""
USED = 0.8
"""A limit that is not used to this share says nothing when it is not refused."""
SHUT_S = 1.0
"""Where a server does not say for how long."""


class Limiter:
    def __init__(self, most: int) -> None:
        self.limit = float(min(START, most))
        self.in_flight = 0
        self._most = most
        self._refused_at: float | None = None
        """The limit that was refused last."""
        self._cut_at = -float("inf")
        self._latency_s = SHUT_S
        """Of an answer, on average; a guess until there were some."""
        self._shut: dict[asyncio.TimerHandle, None] = {}
        """For each slot that is shut what opens it in time, in the order of their shutting."""
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stopped: Exception | None = None

    async def acquire(self) -> float:
        """Wait for a slot; returns when it was taken."""
        if self._stopped is not None:
            raise self._stopped
        if self._waiting or not self._has_room():
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            self._admit()
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled() and turn.exception() is None:
                    self.release()
                raise
        else:
            self.in_flight += 1
        return time.monotonic()

    def release(self) -> None:
        self.in_flight -= 1
        self._admit()

    def stop(self, error: Exception) -> None:
        """Nobody is admitted any more."""
        self._stopped = error
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(error)
        self._waiting.clear()

    def succeed(self, sent_at: float) -> None:
        """An answer came: more may go, if as many as may go did."""
        self._latency_s += 0.1 * (time.monotonic() - sent_at - self._latency_s)
        if self._shut:
            alarm = next(iter(self._shut))
            alarm.cancel()
            del self._shut[alarm]
        if self.in_flight < USED * self.limit:
            return
        if self._refused_at is None:
            growth = 1.0  # one more for each answer: doubles in the time that one takes
        else:
            is_near = NEAR * self._refused_at <= self.limit <= self._refused_at / NEAR
            growth = max(SLOW if is_near else FAST, 1 / self.limit)
        self.limit = min(float(self._most), self.limit + growth)

    def refuse(self, sent_at: float, retry_after_s: float | None) -> None:
        """Too many, said the server. What was sent before the last cut took hold says nothing new."""
        if sent_at >= self._cut_at + self._latency_s:
            self._refused_at = self.limit
            self.limit = max(1.0, self.limit * CUT)
            self._cut_at = time.monotonic()
        delay_s = retry_after_s or SHUT_S
        alarm: asyncio.TimerHandle
        alarm = asyncio.get_running_loop().call_later(delay_s, lambda: self._open(alarm))
        self._shut[alarm] = None

    def _open(self, alarm: asyncio.TimerHandle) -> None:
        self._shut.pop(alarm, None)
        self._admit()

    def _has_room(self) -> bool:
        return self.in_flight + len(self._shut) < max(1, int(self.limit))

    def _admit(self) -> None:
        while self._waiting and self._has_room():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)

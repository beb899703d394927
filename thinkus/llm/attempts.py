"""One attempt at an answer: its cost set aside, in a slot, by the clock, with its line in the ledger."""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from thinkus.llm.budget import Budget
from thinkus.llm.exchange import AttemptFailed, Backend, Completion, Kind, Request
from thinkus.llm.limiter import Limiter
from thinkus.llm.prices import Rates
from thinkus.llm.store import ANSWERED, SENT, Attempt, Row, Store
from thinkus.paths import without_home

BROKEN_OFF = frozenset({"insufficient_system_resource", "abort", "error"})
"""Ends that some servers give to what they did not finish."""


class Attempts:
    def __init__(
        self,
        backend: Backend,
        store: Store,
        limiter: Limiter,
        budget: Budget,
        rates: Rates | None,
        deadline_s: float | None,
        concurrency: int,
    ) -> None:
        self._backend = backend
        self._store = store
        self._limiter = limiter
        self._budget = budget
        self._rates = rates
        """None: not known."""
        self._deadline_s = deadline_s
        self._unsaved = asyncio.Semaphore(concurrency)
        """What is under way until it is on the disk: no kill costs more. A server's slot is free sooner."""

    async def make(self, request: Request, key: bytes, as_row: Callable[[Completion], Row]) -> Completion:
        """A completion that is stored, or AttemptFailed; BudgetReached before anything is sent."""
        most_usd = self._rates.most_usd(request) if self._rates else 0.0
        await self._budget.reserve(most_usd)
        usd: float | None = 0.0
        try:
            async with self._unsaved:
                sent_at = await self._limiter.acquire()
                number, began, usd = self._store.next_attempt(), time.time(), None
                try:
                    completion = await self._sent(request, number, key, most_usd, sent_at)
                except AttemptFailed as failure:
                    usd = (most_usd if self._rates else None) if failure.may_be_billed else 0.0
                    words = failure.status, failure.retry_after_s, failure.detail
                    self._store.note(Attempt(number, failure.kind, key, time.time(), *words, usd=usd))
                    raise
                usd = self._cost(completion, began, most_usd)
                tokens = completion.input_tokens, completion.output_tokens
                ending = Attempt(number, ANSWERED, key, time.time(), None, None, None, *tokens, usd)
                await self._store.put(as_row(completion), ending)
                return completion
        finally:
            self._budget.settle(most_usd, usd)

    async def _sent(
        self, request: Request, number: int, key: bytes, most_usd: float, sent_at: float
    ) -> Completion:
        """In the slot that was taken, and out of it again."""
        try:
            if most_usd:
                # Known before it is sent, so that no kill makes us forget what it may have cost.
                noted = self._store.note(Attempt(number, SENT, key, time.time(), usd=most_usd))
                if self._budget.cap_usd is not None:
                    await noted
            completion = await self._by_the_clock(request)
            self._limiter.succeed(sent_at)
            return completion
        except AttemptFailed as failure:
            if failure.kind is Kind.RATE_LIMITED:
                self._limiter.refuse(sent_at, failure.retry_after_s)
            raise
        finally:
            self._limiter.release()

    async def _by_the_clock(self, request: Request) -> Completion:
        """A server can keep a connection alive for minutes with blank lines: only the wall's clock ends that."""
        try:
            async with asyncio.timeout(self._deadline_s):
                completion = await self._backend.complete(request)
        except TimeoutError:
            line = (
                "no answer in time"
                if self._deadline_s is None
                else f"no answer within {self._deadline_s:g} s"
            )
            raise AttemptFailed(Kind.TIMEOUT, line, may_be_billed=True) from None
        if completion.finish in BROKEN_OFF:
            line = f"the server broke off ({completion.finish})"
            raise AttemptFailed(Kind.SERVER_ERROR, line, may_be_billed=True)
        return replace(completion, served_model=without_home(completion.served_model))

    def _cost(self, completion: Completion, began: float, most_usd: float) -> float | None:
        """Where a server does not say what it used, it counts as all that was set aside."""
        if self._rates is None:
            return None
        usd = self._rates.usd(completion, began, time.time())
        return most_usd if usd is None else usd

"""The engine: many requests to one model, each answered once, stored, paid for once and counted.

An item never raises: what becomes of it is its outcome. What concerns all of them ends the
run (EngineStopped), after what is under way has ended, with everything kept that was answered.
"""

import asyncio
import random
import re
import time
from collections import Counter, deque
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable
from contextlib import aclosing, suppress
from types import TracebackType
from typing import Self

from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.llm.attempts import Attempts
from thinkus.llm.budget import BudgetReached
from thinkus.llm.crowd import each
from thinkus.llm.exchange import (
    OF_THE_ENDPOINT,
    OF_THE_MOMENT,
    Answer,
    AttemptFailed,
    Backend,
    Completion,
    Failure,
    Kind,
    Outcome,
    Request,
)
from thinkus.llm.explain import counted, explained
from thinkus.llm.forms import OffForm
from thinkus.llm.keys import identity_of, key_of
from thinkus.llm.limiter import Limiter
from thinkus.llm.store import Row, Store

MOST_TRIES = 5
MOST_TRIES_AT_FIRST = 3
"""While nothing was ever answered: then it is more likely a mistake than bad luck."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
MOST_REFUSALS = 100
"""Of one request by 429, each waited for."""
REFUSALS_TO_TELL = 3
LONGEST_RETRY_AFTER_S = 3600.0
"""Who says to come back later than that means another day."""
OF_ONE_REQUEST = frozenset({400, 403})
"""Where others were answered, these are about what was said, as moderation sees it, and not about the key."""
_DATE = re.compile(r"[-@:]v?\d[\d.-]*")
WATCHED = 200
FEWEST_WATCHED = 20


class EngineStopped(ThinkusError):
    """It makes no sense to go on; the same command does, once the reason is mended."""


class Engine:
    def __init__(
        self,
        backend: Backend,
        store: Store,
        limiter: Limiter,
        attempts: Attempts,
        *,
        where: str,
        model: str,
        concurrency: int,
        by_item: bool = False,
        opening: asyncio.Lock | None = None,
    ) -> None:
        self.tally: Counter[str] = Counter()
        """Outcomes: `asked`, `stored`, or the kind of failure."""
        self.served: Counter[str] = Counter()
        """By which model, as servers say."""
        self._tokens = 0
        self._began = time.monotonic()
        self._first_detail: dict[Kind, str] = {}
        self._backend = backend
        self._store = store
        self._limiter = limiter
        self._attempts = attempts
        self._where = where
        self._model = model
        self._concurrency = concurrency
        self._by_item = by_item
        """The backend looks at whom a request is for, and not at what it says."""
        self._identity = b""
        self._flights: dict[bytes, asyncio.Future[Completion | Failure | None]] = {}
        self._watched: deque[bool] = deque(maxlen=WATCHED)
        """Of the last requests: whether all their tries failed."""
        self._has_answered = self._has_told = False
        self._stopped: EngineStopped | None = None
        self._is_open = False
        self._opening = opening or asyncio.Lock()
        self._bell = asyncio.Event()
        """Rings when it stops, to wake who sleeps."""

    async def __aenter__(self) -> Self:
        if not hasattr(self._backend, "identity"):  # it has to look at a model's files first
            await self._open()
        self._identity = identity_of(self._backend.identity)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            await self._backend.close()

    async def run(
        self, requests: Iterable[Request] | AsyncIterable[Request]
    ) -> AsyncIterator[tuple[Request, Outcome]]:
        """Requests are pulled as there is room for them; outcomes come as they end."""
        async with aclosing(each(requests, self.ask, self.at_once)) as pairs:
            async for pair in pairs:
                yield pair
        self.check()

    def check(self) -> None:
        """For whoever asks one by one, at the end: a stop shows in the outcomes of all that was under way."""
        if self._stopped is not None:
            raise self._stopped

    @property
    def at_once(self) -> int:
        """So many pieces of work keep it busy: twice what may be under way, for who waits holds no slot."""
        return 2 * self._concurrency

    async def ask(self, request: Request) -> Outcome:
        """What becomes of one request; whoever asks the same meanwhile gets the same."""
        key, content = key_of(request, self._identity, by_item=self._by_item)
        while (flight := self._flights.get(key)) is not None:
            if (landed := await asyncio.shield(flight)) is not None:
                return self._counted(self._read(request, landed, is_stored=True))
        flight = asyncio.get_running_loop().create_future()
        self._flights[key] = flight
        landed = None
        try:
            is_stored = (landed := await self._store.get(key)) is not None
            if landed is None:
                landed = await self._fetched(request, key, content)
        finally:
            del self._flights[key]
            flight.set_result(landed)  # None: the next one has to try for itself
        return self._counted(self._read(request, landed, is_stored=is_stored))

    @property
    def tokens_a_second(self) -> float:
        """In and out, of what was asked since it was made."""
        return self._tokens / max(time.monotonic() - self._began, 1e-3)

    def summary(self, *, but: Collection[Kind] = ()) -> list[str]:
        """What a person should know at the end: a line for each kind of failure, and who really answered.

        Those that whoever asked has dealt with are left out.
        """
        lines = [
            counted(kind, count, self._where, self._model, self._first_detail[kind])
            for kind in Kind
            if (count := self.tally[kind]) and kind not in but
        ]
        others = {name: count for name, count in self.served.items() if not is_same_model(self._model, name)}
        if others:
            told = ", ".join(f"{name} ({count:,})" for name, count in others.items())
            lines.append(
                f"{self._where}: {self._model} was asked for, and this is what answered: {told}; "
                "figures made with it are not those of the model that was named"
            )
        return lines

    async def _fetched(self, request: Request, key: bytes, content: bytes) -> Completion | Failure:
        """Ask until it is answered, or until asking again makes no sense."""

        def as_row(completion: Completion) -> Row:
            return Row(key, content, self._identity, request.purpose, request.item, completion)

        tries = refusals = 0
        if not self._is_open:
            await self._open()
        while True:
            self.check()
            try:
                completion = await self._attempts.make(request, key, as_row)
            except (BudgetReached, ThinkusError) as reason:  # of the run, such as a disk that is full
                raise self._stop(str(reason)) from None
            except AttemptFailed as failure:
                if (
                    self._has_answered
                    and failure.status in OF_ONE_REQUEST
                    and failure.kind in OF_THE_ENDPOINT
                ):
                    failure.kind = Kind.REFUSED
                refusals += failure.kind is Kind.RATE_LIMITED
                tries += failure.kind is not Kind.RATE_LIMITED
                if self._is_final(failure, tries, refusals):
                    return self._given_up(failure)
                if refusals == REFUSALS_TO_TELL and not (self._has_answered or self._has_told):
                    self._has_told = True  # or it would look as if nothing went on
                    say(
                        f"{self._where}: refused for its rate limit ({failure.detail}); waits, and asks again"
                    )
                await self._pause(failure.retry_after_s, tries + refusals)
            else:
                self._has_answered = True
                self._watched.append(False)
                self._tokens += (completion.input_tokens or 0) + (completion.output_tokens or 0)
                return completion

    async def _open(self) -> None:
        """As late as can be: who only reads what is stored needs no key and no server."""
        async with self._opening:
            self.check()  # whoever waited need not try what has just failed
            if not self._is_open:
                try:
                    await self._backend.open()
                except ThinkusError as error:
                    raise self._stop(str(error)) from None
                self._is_open = True

    def _is_final(self, failure: AttemptFailed, tries: int, refusals: int) -> bool:
        if failure.kind not in OF_THE_MOMENT or (failure.retry_after_s or 0.0) > LONGEST_RETRY_AFTER_S:
            return True
        most_tries = MOST_TRIES if self._has_answered else MOST_TRIES_AT_FIRST
        return tries >= most_tries or refusals >= MOST_REFUSALS

    def _given_up(self, failure: AttemptFailed) -> Failure:
        line = explained(failure.kind, self._where, self._model, failure.detail)
        if failure.kind in OF_THE_ENDPOINT or (failure.retry_after_s or 0.0) > LONGEST_RETRY_AFTER_S:
            self._stop(line)
        elif failure.kind in OF_THE_MOMENT or (failure.kind is Kind.REFUSED and not self._has_answered):
            self._watched.append(True)
            if len(self._watched) >= FEWEST_WATCHED and 2 * sum(self._watched) > len(self._watched):
                self._stop(f"{line} (so ended most of the last {len(self._watched)} requests)")
        return Failure(kind=failure.kind, detail=failure.detail)

    async def _pause(self, retry_after_s: float | None, failures: int) -> None:
        """Never shorter than the server says; a little apart from each other, so that all do not come at once."""
        backoff_s = min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S)
        spread = random.uniform(1.0, 1.25)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._bell.wait(), spread * (retry_after_s or backoff_s))

    def _stop(self, line: str) -> EngineStopped:
        """Nothing more is sent; what is under way may end."""
        if self._stopped is None:
            self._stopped = EngineStopped(line)
            self._bell.set()
            self._limiter.stop(self._stopped)
        return self._stopped

    def _read(self, request: Request, landed: Completion | Failure, *, is_stored: bool) -> Outcome:
        """The answer is checked each time that it is read, so that a better check costs nothing."""
        if isinstance(landed, Failure):
            return landed
        text = landed.text
        if landed.finish == "content_filter":
            return Failure(kind=Kind.FILTERED, detail="", completion=landed)
        if landed.finish == "length":
            return Failure(
                kind=Kind.CUT, detail=f"after {landed.output_tokens or 0:,} tokens", completion=landed
            )
        if not text.strip() and not request.may_be_empty:
            return Failure(kind=Kind.EMPTY, detail="", completion=landed)
        try:
            value = text if request.form is None else request.form.read(text)
        except OffForm as error:
            return Failure(kind=Kind.OFF_FORM, detail=str(error), completion=landed)
        return Answer(completion=landed, value=value, is_stored=is_stored)

    def _counted(self, outcome: Outcome) -> Outcome:
        if outcome.completion is not None:
            self.served[outcome.completion.served_model] += 1
        if isinstance(outcome, Failure):
            self.tally[outcome.kind] += 1
            self._first_detail.setdefault(outcome.kind, outcome.detail)
        else:
            self.tally["stored" if outcome.is_stored else "asked"] += 1
        return outcome


def is_same_model(asked: str, served: str) -> bool:
    """A date or a provider's prefix does not make it another."""
    short, name = asked.rpartition("/")[2].lower(), served.rpartition("/")[2].lower()
    return name == short or (name.startswith(short) and _DATE.fullmatch(name.removeprefix(short)) is not None)

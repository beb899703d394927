"""The models that a run asks: one store, one budget, an engine for each endpoint."""

import asyncio
import hashlib
import resource
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import msgspec

from thinkus.belongings import PART, entries
from thinkus.belongings import Kind as Belonging
from thinkus.endpoint import Endpoint
from thinkus.errors import ConfigError, ThinkusError
from thinkus.llm import wire
from thinkus.llm.attempts import Attempts
from thinkus.llm.budget import Budget
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Backend
from thinkus.llm.limiter import Limiter
from thinkus.llm.prices import Rates, rates_of
from thinkus.llm.store import NAME, Spent, Store
from thinkus.runs import Usage
from thinkus.shards import Shard
from thinkus.weights import find


class Asker(Protocol):
    """For whom is asked, such as a run: where answers are kept, and what they cost."""

    directory: Path
    usage: Usage


class Models:
    def __init__(self, run: Asker, *, budget_usd: float | None, replay: Path | None) -> None:
        self._run = run
        self._budget_usd = budget_usd
        self._replay = replay
        self._is_priced = True
        self._opening = asyncio.Lock()
        """Of a server or a model: one after the other, for each looks how much memory is left."""

    async def __aenter__(self) -> Self:
        _allow_connections()
        directory = self._run.directory
        whole, part = _place(directory)
        others = [store for store in stores_of(whole) if store.parent != directory]
        # What the parts were paid is the whole's; a part has a share of the cap, so that all keep to it.
        self._paid_for = frozenset(others if part is None else ())
        share = (
            self._budget_usd if part is None or self._budget_usd is None else self._budget_usd / part.total
        )
        if self._replay is not None:
            others += _to_replay(self._replay)
        self._store = Store(directory, others)
        spent = await self._spent()
        self._had_spent_usd = spent.usd
        if self._budget_usd and not spent.is_usd_known:
            await self._store.close()
            raise ThinkusError(
                f"budget_usd: {directory} holds {spent.unpriced:,} answers of which nobody knows the price, so the "
                "cap could not be kept; leave it away, or begin anew with name=OTHER replay= this run"
            )
        self._budget = Budget(share, spent.usd)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            spent = await self._spent()
            cost = spent.usd if spent.is_usd_known else None
            self._run.usage = Usage(spent.input_tokens, spent.output_tokens, cost)
        finally:
            await self._store.close()

    def engine(self, endpoint: Endpoint, where: str, concurrency: int) -> AbstractAsyncContextManager[Engine]:
        backend = _backend(endpoint, where, self._run.directory)
        rates = self._rates(endpoint, where) if backend.is_billed else FREE
        self._is_priced &= rates is not None
        is_there = endpoint.backend in ("recorded", "scripted")
        budget = Budget(None) if is_there else self._budget
        limiter = Limiter(concurrency)
        attempts = Attempts(backend, self._store, limiter, budget, rates, endpoint.deadline_s, concurrency)
        model = endpoint.model or endpoint.name
        return Engine(
            backend,
            self._store,
            limiter,
            attempts,
            where=where,
            model=model,
            concurrency=concurrency,
            by_item=endpoint.backend == "recorded",
            opening=self._opening,
        )

    @property
    def spent_usd(self) -> float | None:
        """So far, and by those before; None where a price is not known."""
        return self._budget.spent_usd if self._is_priced else None

    @property
    def spent_here_usd(self) -> float:
        """By this process."""
        return self._budget.spent_usd - self._had_spent_usd

    async def _spent(self) -> Spent:
        """All that this run ever asked for, in this process and in those before it."""
        return await self._store.spent() + self._store.spent_in_others(self._paid_for)

    def _rates(self, endpoint: Endpoint, where: str) -> Rates | None:
        rates = rates_of(endpoint)
        if rates is None and self._budget_usd:  # with 0 nothing is asked, whatever it costs
            raise ConfigError(
                [
                    f"budget_usd: no price is known for {where}.model={endpoint.model}, so the cap could not be kept; "
                    f"say it with '{where}.price={{input: DOLLARS, output: DOLLARS}}' (a million tokens), "
                    "or leave budget_usd away"
                ]
            )
        return rates


def checked(endpoint: Endpoint, where: str) -> str | None:
    """Refused is what can be seen to be wrong before anything is asked; what is here has an identity by its content."""
    if endpoint.backend == "openai":
        wire.checked_base(endpoint, where)
        wire.checked_model(endpoint, where)
    elif endpoint.backend == "litellm" and endpoint.model is None:
        raise ThinkusError(f"{where}.model: is null; name one as PROVIDER/NAME")
    elif endpoint.backend in ("vllm", "hf"):
        if endpoint.model is None:
            raise ThinkusError(
                f"{where}.model: is null; name one of conf/model/, a folder, or one of the hub"
            )
        return find(endpoint.model, f"{where}.model").identity
    elif endpoint.backend == "encoder":
        from thinkus.llm.encoder import Encoder

        return hashlib.sha256(msgspec.json.encode(Encoder(endpoint, where).identity)).hexdigest()
    return None


def _allow_connections() -> None:
    """Each request under way holds one; many systems begin with few and allow more."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS allows less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


FREE = Rates(0.0, 0.0, 0.0, max_tokens=0)


def stores_of(run: Path) -> Iterator[Path]:
    """A run's stores: what its parts were paid for outlives their joining."""
    for directory in (run, *entries(run, Belonging.PART)):
        if (directory / NAME).is_file():
            yield directory / NAME


def _place(directory: Path) -> tuple[Path, Shard | None]:
    """The run that a directory belongs to, and which part of it it is."""
    if part := PART.fullmatch(directory.name):
        return directory.parent, Shard(int(part[1]), int(part[2]))
    return directory, None


def _to_replay(run: Path) -> Sequence[Path]:
    if not (stores := list(stores_of(run))):
        raise ThinkusError(f"replay: {run} holds no {NAME}: that run asked no model, or it is not here")
    return stores


def _backend(endpoint: Endpoint, where: str, directory: Path) -> Backend:
    """Each is imported only where it is used: some are heavy."""
    if endpoint.backend == "openai":
        from thinkus.llm.openai import OpenAI

        return OpenAI(endpoint, where)
    if endpoint.backend == "litellm":
        from thinkus.llm.litellm import LiteLLM

        return LiteLLM(endpoint, where)
    if endpoint.backend == "vllm":
        from thinkus.llm.vllm import Vllm

        place = f"{where}.model"
        if endpoint.model is None:
            raise ThinkusError(
                f"{place}: is null; name a model: one of conf/model/, a folder, or one of the hub"
            )
        weights = find(endpoint.model, place)
        return Vllm(endpoint, where, str(weights.ready(place)), weights.identity, directory)
    if endpoint.backend == "hf":
        from thinkus.llm.hf import HuggingFace

        return HuggingFace(endpoint, where)
    if endpoint.backend == "encoder":
        from thinkus.llm.encoder import Encoder

        return Encoder(endpoint, where)
    if endpoint.backend == "scripted":
        from thinkus.llm.scripted import Scripted

        return Scripted()
    from thinkus.llm.recorded import Recorded

    return Recorded()

"""What all ways of judging have in common: what each reads, what it asks, and the rows that come of it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from thinkus.config import JudgeConfig
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import Outcome, Request
from thinkus.llm.models import checked
from thinkus.records import Failure
from thinkus.runs import Input

TALKERS = ("openai", "litellm", "vllm")
"""Backends that write what they are asked for."""
Ask = Callable[[Request], Awaitable[Outcome]]


def judge_of(config: JudgeConfig, *able: str) -> dict[str, Input]:
    """What of the judge is read: its weights, where they are here. Not every backend can answer every question."""
    if config.judge.backend not in able:
        raise ThinkusError(
            f"judge: {config.judge.name} (backend {config.judge.backend}) cannot answer what task={config.task} asks; "
            f"use one of {', '.join(able)}"
        )
    identity = checked(config.judge, "judge")
    if identity is None:
        return {}
    return {"judge": Input(str(config.judge.model), identity, config.judge.name)}


class Judged(NamedTuple):
    """What became of one unit."""

    row: msgspec.Struct
    failures: Sequence[Failure] = ()
    """Verdicts that cannot be read; the row counts them too."""


class Served(NamedTuple):
    """Who answered, and when; nothing where no answer came."""

    model: str = ""
    at: str = ""

    @classmethod
    def by(cls, outcome: Outcome) -> "Served":
        facts = outcome.completion
        return cls(facts.served_model, facts.at) if facts else cls()


class Task(Protocol):
    """A way of judging, at work on its runs."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Who is asked; None where nobody is."""
        ...

    @property
    def where(self) -> str:
        """The key that says so."""
        ...

    def units(self) -> Iterator[Any]:
        """What is judged one by one, in the order of the runs; what does not fit together is refused."""
        ...

    async def judged(self, unit: Any, ask: Ask, /) -> Judged: ...

    def requests(self, unit: Any, /) -> Iterable[Request]:
        """All that is asked about it, for an estimate of what it takes."""
        ...


class Way(Protocol):
    """A module that knows a way of judging."""

    @property
    def ROW(self) -> type[msgspec.Struct]:  # noqa: N802
        """Of its records."""
        ...

    def inputs(self, config: JudgeConfig, root: Path, /) -> dict[str, Input]: ...

    def prompts_used(self, config: JudgeConfig, /) -> Sequence[str]: ...

    def begun(self, config: JudgeConfig, read: Mapping[str, Path], /) -> Task: ...

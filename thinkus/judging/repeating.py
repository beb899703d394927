"""Asking a judge the same again: some items, by a hash, the same however a run is cut into parts."""

from collections.abc import Sequence
from hashlib import sha256
from heapq import nsmallest
from typing import Any, NamedTuple

from msgspec.structs import replace

from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging.task import Ask, Judged, Task
from thinkus.llm.crowd import together
from thinkus.llm.exchange import Outcome, Request

ALIKE = ("hf", "encoder")
"""Backends that say the same each time."""


class Repeats(NamedTuple):
    items: frozenset[str]
    """What is asked again, by the item of its first request."""
    times: int
    """That it is asked in all."""

    @classmethod
    def of(cls, config: JudgeConfig, whole: Task) -> "Repeats":
        """Drawn from all that is asked, controls aside: a judge could be surer of those."""
        if "repeat" in config.idle:
            return cls(frozenset(), 1)
        items = (_item(whole, unit) for unit in whole.units() if getattr(unit, "control", None) is None)
        asked = {item for item in items if item is not None}
        chosen = nsmallest(config.repeat_items, asked, key=lambda item: sha256(item.encode()).digest())
        return cls(frozenset(chosen), config.repeat)

    def takes(self, task: Task, unit: Any) -> int:
        return self.times if self.items and _item(task, unit) in self.items else 1


def check(config: JudgeConfig) -> None:
    if "repeat" not in config.idle and config.judge.backend in ALIKE:
        raise ThinkusError(
            f"repeat: judge={config.judge.name} says the same each time, so there is nothing to be learnt from "
            f"repeat={config.repeat}; use repeat=1"
        )


async def judged_again(task: Task, unit: Any, takes: int, ask: Ask) -> Sequence[Judged]:
    """All takes of a unit, the first one first; the rows of the others say which they are."""

    async def judged(take: int) -> Judged:
        async def ask_again(request: Request) -> Outcome:
            return await ask(replace(request, take=take) if take else request)

        row, failures = await task.judged(unit, ask_again)
        if not take:
            return Judged(row, failures)
        return Judged(
            replace(row, take=take), [replace(one, item=f"{one.item}/take {take}") for one in failures]
        )

    return await together(judged(take) for take in range(takes))


def _item(task: Task, unit: Any) -> str | None:
    """None where nobody is asked."""
    return next((request.item for request in task.requests(unit)), None)

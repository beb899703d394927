"""What each process of `make bench-simulate` does: the stage as it is, with one thing changed, or the obvious loop.

python bench/simulate_ways.py WAY WORDS...    the words are those of thinkus, or a URL, RECORDS and CONCURRENCY
"""

import asyncio
import random
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simulate_server import ASSISTANT, PERSON

SEED = 0


def stage() -> None:
    """`thinkus` itself."""
    from thinkus.cli import main

    main()


def shuffled() -> None:
    """The same requests as many at once, and the conversations' turns all mixed up."""
    from thinkus.stages import simulate

    module: Any = simulate  # `each` is not its own
    in_order = module.each

    def each(items: Any, work: Any, at_once: int) -> Any:
        mixed = list(items)
        random.Random(SEED).shuffle(mixed)
        return in_order(mixed, work, at_once)

    module.each = each
    stage()


def without_slow_start() -> None:
    """As many under way from the first request on as may be."""
    from thinkus.llm import limiter

    limiter.START = sys.maxsize
    stage()


def lockstep() -> None:
    """What one would write: all dialogues take their turn, and when all have taken it the next one begins."""
    url, records, concurrency = sys.argv[1:]
    asyncio.run(_all_in_step(url, Path(records), int(concurrency)))


async def _all_in_step(url: str, records: Path, concurrency: int) -> None:
    import aiohttp

    from thinkus.records import read_conversations
    from thinkus.user.scene import Line, Manner, as_the_assistant_sees, scenario_of
    from thinkus.user.words import LEAVES

    manner = Manner("prompt", thinks=False)
    slots = {who: asyncio.Semaphore(concurrency) for who in (PERSON, ASSISTANT)}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(who: str, messages: Sequence[Any]) -> str:
            said = [{"role": message.role, "content": message.content} for message in messages]
            body = {"model": who, "temperature": 0.7, "max_tokens": 512, "messages": said}
            async with slots[who], session.post(f"{url}/chat/completions", json=body) as response:
                answer = await response.json()
            return str(answer["choices"][0]["message"]["content"])

        async def take_turn(scenario: Any, lines: list[Line]) -> bool:
            """Whether the dialogue goes on."""
            words = await ask(PERSON, manner.messages(scenario, lines))
            if words == LEAVES:
                return False
            lines.append(Line("person", words))
            lines.append(Line("assistant", await ask(ASSISTANT, as_the_assistant_sees(lines))))
            return True

        turns = [partial(take_turn, scenario_of(one), []) for one in read_conversations(records)]
        while turns:
            goes_on = await asyncio.gather(*(turn() for turn in turns))
            turns = [turn for turn, goes in zip(turns, goes_on, strict=True) if goes]


WAYS = {way.__name__: way for way in (stage, shuffled, without_slow_start, lockstep)}

if __name__ == "__main__":
    WAYS[sys.argv.pop(1)]()

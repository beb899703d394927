"""A process that asks a server, to be killed: `python -m tests.llm.asking URL DIRECTORY REQUESTS [CAP_USD]`.

Its output is written as stages do it: at the end, whole, from what is stored.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from tests.llm.parts import endpoint, engine, request
from thinkus.endpoint import Price
from thinkus.files import write_whole
from thinkus.llm.exchange import Answer
from thinkus.llm.openai import OpenAI
from thinkus.llm.prices import rates_of


async def main(url: str, directory: Path, requests: int, cap_usd: float | None) -> None:
    one = endpoint(url, price=Price(input=100.0, output=1000.0))
    rates = rates_of(one) if cap_usd is not None else None
    async with engine(OpenAI(one, "annotator"), directory, concurrency=256, cap_usd=cap_usd, rates=rates) as (
        llm,
        _,
    ):
        texts = {}
        async for asked, outcome in llm.run(request(f"{number:05}") for number in range(requests)):
            assert isinstance(outcome, Answer), outcome
            texts[asked.item] = outcome.value
    rows = sorted(texts.items())
    write_whole(directory / "records.jsonl", b"".join(msgspec.json.encode(row) + b"\n" for row in rows))


if __name__ == "__main__":
    asyncio.run(
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]) if sys.argv[4:] else None)
    )

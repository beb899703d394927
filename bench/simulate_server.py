"""The slow server of `make bench-simulate`: it plays the persons and the assistant of live dialogues.

    python bench/simulate_server.py PORT_FILE DRAW

How long an answer takes, what it says and when a person leaves comes from a hash of what is asked: whoever
asks the same, in whatever order, waits as long for it and hears the same. Another draw is another server.
GET /seen tells what was asked of it, and how long it took.
"""

import asyncio
import hashlib
import math
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from thinkus.user.words import LEAVES

PERSON, ASSISTANT = "person", "assistant"
"""The models that it serves."""
MEDIAN_S, SIGMA = 0.2, 1.0
"""Of a lognormal distribution: one answer of a hundred takes more than ten times the median."""
FEWEST, MOST = 2, 19
"""Exchanges until a person leaves; each doubling of them is as likely as the next."""
WORDS = ("well", "so", "then", "what", "about", "the", "other", "part", "of", "it", "and", "how", "in", "end")


class Seen(msgspec.Struct):
    """A request as the server met it; times are of its own clock."""

    asked: str
    """A hash of it."""
    who: str
    """Of whom an answer was wanted: PERSON or ASSISTANT."""
    talk: str
    slept_s: float
    arrived_s: float
    left_s: float


class Server:
    def __init__(self, draw: str) -> None:
        self._draw = draw
        self._seen: list[Seen] = []

    async def answer(self, request: web.Request) -> web.Response:
        arrived_s = time.monotonic()
        body: dict[str, Any] = msgspec.json.decode(await request.read())
        who, messages = body["model"], body["messages"]
        asked = hashlib.sha256(msgspec.json.encode([self._draw, who, messages])).hexdigest()
        chance = random.Random(asked)
        slept_s = chance.lognormvariate(math.log(MEDIAN_S), SIGMA)
        talk = self._talk(who, messages)
        text = self._turn(talk, messages, chance) if who == PERSON else _words(chance, 20, 120)
        await asyncio.sleep(slept_s)
        self._seen.append(Seen(asked, who, talk, slept_s, arrived_s, time.monotonic()))
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return _json(
            {"model": who, "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
        )

    async def seen(self, _request: web.Request) -> web.Response:
        return _json(self._seen)

    def _talk(self, who: str, messages: list[dict[str, str]]) -> str:
        """A person is known by their situation, and says the name of the talk aloud for the assistant to hear."""
        first = messages[0]["content"]
        return hashlib.sha256(first.encode()).hexdigest()[:8] if who == PERSON else first.split()[0]

    def _turn(self, talk: str, messages: list[dict[str, str]], chance: random.Random) -> str:
        exchanges = sum(message["role"] == "assistant" for message in messages)
        length = random.Random(f"{self._draw} {talk}").uniform(math.log(FEWEST), math.log(MOST + 1))
        return LEAVES if exchanges >= int(math.exp(length)) else f"{talk} {_words(chance, 5, 40)}"


def _words(chance: random.Random, fewest: int, most: int) -> str:
    return " ".join(chance.choices(WORDS, k=chance.randint(fewest, most)))


def _json(content: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")


async def serve(port_file: Path, draw: str) -> None:
    server = Server(draw)
    app = web.Application(client_max_size=2**26)
    app.router.add_post("/v1/chat/completions", server.answer)
    app.router.add_get("/seen", server.seen)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=4096).start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    written = port_file.with_suffix(".new")
    written.write_text(str(runner.addresses[0][1]))
    written.rename(port_file)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))

"""The server of `make bench-judge`: a judge whose verdicts are planted, and which has a limit of its own.

    python bench/judge_server.py PORT_FILE AT_ONCE SECONDS

It answers each request after so many seconds and works on so many at once; the others wait. GET /seen tells
how many it answered, and how long that took.
"""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import judge_plan
import msgspec
from aiohttp import web
from judge_plan import OURS, THEIRS, Planted
from judge_ways import Worked

from tests.judging.attacks import Seen
from tests.stages.judges import seen


class Server:
    def __init__(self, at_once: int, seconds: float) -> None:
        self._slots = asyncio.Semaphore(at_once)
        self._seconds = seconds
        self._worked = Worked()

    async def answer(self, request: web.Request) -> web.Response:
        self._worked.began_s = self._worked.began_s or time.monotonic()
        body: dict[str, Any] = msgspec.json.decode(await request.read())
        async with self._slots:
            text, finish = answered(seen(body))
            await asyncio.sleep(self._seconds)
        self._worked.answers += 1
        self._worked.ended_s = time.monotonic()
        choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        return _json({"model": body["model"], "choices": [choice], "usage": usage})

    async def seen(self, _request: web.Request) -> web.Response:
        return _json(self._worked)


# What it says ----------------------------------------------------------------------------------


def answered(shown: Seen) -> tuple[str, str]:
    """And how that ends."""
    if shown.texts.keys() == {"scenario", "motivation"}:
        return goals(judge_plan.goals(**shown.texts)), "stop"
    planted, is_object = verdict(shown), '"verdict"' in shown.task
    if isinstance(planted, int):
        return ruling(shown.options[planted], is_object), "stop"
    return unreadable(planted, shown.options, is_object)


def verdict(shown: Seen) -> Planted:
    texts = shown.texts
    if "last thought" in texts:
        return judge_plan.level(texts["last thought"])
    if "real" in texts:
        one, other = (text for head, text in texts.items() if head.startswith("utterance"))
        if one.startswith(OURS) or other.startswith(THEIRS):
            return judge_plan.pair(texts["real"], one, other, "candidate")
        return judge_plan.pair(texts["real"], other, one, "baseline")
    said = [text for head, text in texts.items() if head.endswith(": person")]
    about = [text for head, text in texts.items() if not head.startswith("turn ")]
    return judge_plan.score(said, about, len(shown.options))


def ruling(option: str, is_object: bool, explanation: str = "It seems so.") -> str:
    if is_object:
        return json.dumps({"explanation": explanation, "verdict": option})
    return f"{explanation}\nVerdict: {option}"


def unreadable(way: str, options: list[str], is_object: bool) -> tuple[str, str]:
    one, other = options[:2]
    doubled = f'{{"explanation": "", "verdict": "{one}", "verdict": "{other}"}}'
    return {
        "a label that is none": (ruling("A", is_object), "stop"),
        "two verdicts": (doubled if is_object else f"Verdict: {one}\nVerdict: {other}", "stop"),
        "another in the explanation": (ruling(one, is_object, f"**Final verdict: {other}**\nNo."), "stop"),
        "prose": ("I would rather not compare them.", "stop"),
        "another language": (f"Je choisis {one}, qui est plus proche.\nVerdict : {one}", "stop"),
        "nothing": ("", "stop"),
        "cut": (ruling(one, is_object), "length"),
        "filtered": (ruling(one, is_object), "content_filter"),
    }[way]


def goals(planted: tuple[str, ...] | str) -> str:
    broken = {
        "an empty goal": json.dumps({"goals": ["The person wants bread.", " "]}),
        "a goal twice": json.dumps({"goals": ["The person wants bread.", "the person wants bread."]}),
        "prose": "They want bread.",
        "nothing": "",
    }
    return broken[planted] if isinstance(planted, str) else json.dumps({"goals": planted})


def _json(content: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(content), content_type="application/json")


async def serve(port_file: Path, at_once: int, seconds: float) -> None:
    server = Server(at_once, seconds)
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
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))

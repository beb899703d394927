"""An assistant that needs no model: it says the same few things in turn, whatever it hears."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from thinkus import prompts
from thinkus.llm.exchange import Completion, Request

WORDS = "simulate/scripted_assistant"


class Scripted:
    is_billed = False
    identity: Mapping[str, Any]

    def __init__(self) -> None:
        words = prompts.load(WORDS)
        self.identity = {"backend": "scripted", "words": words.digest}
        self._replies = [reply.strip() for reply in words.text.split("\n\n")]

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def complete(self, request: Request) -> Completion:
        turn = sum(message.role == "user" for message in request.messages) - 1
        text = self._replies[turn % len(self._replies)]
        return Completion(
            text=text,
            finish="stop",
            served_model="scripted",
            input_tokens=0,
            output_tokens=0,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

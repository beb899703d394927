"""Answers that are shipped with the sample data: no model, no network, no key."""

from collections.abc import Mapping
from typing import Any

import msgspec

from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.paths import SAMPLE
from thinkus.records import read_records


class _Line(msgspec.Struct, frozen=True):
    item: str
    purpose: str
    answer: msgspec.Raw


class Recorded:
    is_billed = False
    identity: Mapping[str, Any]

    def __init__(self) -> None:
        self.identity = {"backend": "recorded"}
        self._answers: dict[tuple[str, str], str] = {}

    async def open(self) -> None:
        for line in read_records(SAMPLE / "recorded.jsonl", _Line):
            self._answers[line.item, line.purpose] = bytes(line.answer).decode()

    async def close(self) -> None:
        self._answers.clear()

    async def complete(self, request: Request) -> Completion:
        text = self._answers.get((request.item, request.purpose))
        if text is None:
            raise AttemptFailed(Kind.NOT_RECORDED, f"{request.purpose} of {request.item}")
        return Completion(text=text, finish="stop", served_model="recorded", input_tokens=0, output_tokens=0)

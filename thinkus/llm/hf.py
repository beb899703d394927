"""Transformers in this process: for CPUs, and for models that are too small to need a server.

One thread has the model. What waits goes through it together, but no text depends on what it was
together with: rows do not see each other, and each draws from a generator of its own. What is left is the
order in which numbers are summed: in float32 that decides one token in some 300,000, in bfloat16 (on a GPU) more.
"""

import asyncio
import hashlib
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.network import Network, Row
from thinkus.weights import check_installed, find

GATHER_S = 0.005
"""Whoever asks at the same time is to be answered together."""
MOST_ROWS = 32
ENOUGH_ROWS = 8  # fewer take nearly as long for a step; from there on the long are parted from the short
MOST_PADDED_TOKENS = 65_536
"""Of a batch, prompts and answers at their longest: what the cache of keys and values has to hold."""
MOST_READ_TOKENS = 4096
"""Of a batch in which nothing is written; larger ones are no faster, and on a CPU slower by a half and more."""


class HuggingFace:
    is_billed = False
    identity: Mapping[str, Any]

    def __init__(self, endpoint: Endpoint, where: str) -> None:
        if endpoint.model is None:
            raise ThinkusError(
                f"{where}.model: is null; name one of conf/model/, a folder, or one of the hub"
            )
        if endpoint.extra:
            raise ThinkusError(f"{where}.extra: a model in this process is told nothing besides; use null")
        self.identity = {}
        self._model_name = endpoint.model
        self._sampling = endpoint.sampling
        self._where = where
        self._weights = find(endpoint.model, f"{where}.model")
        self._rows: queue.SimpleQueue[Row | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._model: Network | None = None

    async def open(self) -> None:
        check_installed(self._where, "torch", "transformers")
        loaded: Future[Network] = Future()
        self._rows = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(loaded,), name="thinkus-hf", daemon=True)
        self._thread.start()
        try:
            self._model = await asyncio.wrap_future(loaded)
        except BaseException:
            self._rows.put(None)
            raise
        self.identity = {
            "backend": "hf",
            "model": self._weights.identity,
            "sampling": self._sampling.model_dump(),
            "dtype": self._model.dtype_name,
            "template": hashlib.sha256(self._model.template.encode()).hexdigest(),
        }

    async def close(self) -> None:
        """What somebody still waits for is answered before."""
        self._rows.put(None)
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)
        self._model = self._thread = None
        if (torch := sys.modules.get("torch")) is not None:
            torch.cuda.empty_cache()

    async def complete(self, request: Request) -> Completion:
        row = self._row(request)
        self._rows.put(row)
        return await asyncio.wrap_future(row.done)

    def _row(self, request: Request) -> Row:
        """Refused here what cannot be answered, before anything waits for it."""
        assert self._model is not None, "not open"
        prompt = self._model.prompt_of(request)
        options = self._model.options_of(request.form)
        longest = max(map(len, options.values())) if options else self._sampling.max_tokens
        if len(prompt) + longest > (context := self._model.context):
            words = f"{len(prompt):,} tokens and {longest:,} for the answer; the context holds {context:,}"
            raise AttemptFailed(Kind.TOO_LONG, words)
        # All that its words depend on, and nothing else.
        told = json.dumps([prompt, request.take, self.identity], sort_keys=True)
        seed = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4])
        return Row(prompt, seed, longest, options, request.form)

    def _work(self, loaded: "Future[Network]") -> None:
        """The thread. Nobody else holds what it loaded for longer."""
        try:
            model = Network(self._weights.ready(f"{self._where}.model"), self._sampling)
        except BaseException as error:
            if isinstance(error, OSError | ValueError):  # theirs, for what they cannot read
                first = str(error).strip().partition("\n")[0]
                error = ThinkusError(f"{self._where}.model: {self._weights.name} cannot be loaded: {first}")
            loaded.set_exception(error)
            return
        with suppress(InvalidStateError):  # nobody waits for it any more
            loaded.set_result(model)
        waiting: list[Row | None] = []
        while None not in waiting:
            waiting = [self._rows.get()]
            time.sleep(GATHER_S)
            with suppress(queue.Empty):
                while True:
                    waiting.append(self._rows.get_nowait())
            for batch in batches([row for row in waiting if row is not None]):
                self._answer(model, batch)

    def _answer(self, model: "Network", batch: Sequence[Row]) -> None:
        if not (rows := [row for row in batch if not row.done.done()]):
            return
        try:
            for row, text, finish in model.choose(rows) if batch[0].options else model.write(rows):
                completion = Completion(
                    text=text,
                    finish=finish,
                    served_model=self._model_name,
                    input_tokens=len(row.prompt),
                    output_tokens=len(row.written),
                    at=datetime.now(UTC).isoformat(timespec="seconds"),
                )
                row.resolve(completion)
        except Exception as error:
            # Too little memory for these says nothing of others; anything else is a defect.
            is_full = isinstance(error, MemoryError) or "out of memory" in str(error).lower()
            for row in rows:
                row.resolve(AttemptFailed(Kind.SERVER_ERROR, str(error)) if is_full else error)


def batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Alike with alike: short ones are not to wait for long ones, nor to be padded to their length."""
    batch: list[Row] = []
    for row in sorted(rows, key=lambda row: (bool(row.options), row.width)):
        height = sum(len(other.options) or 1 for other in (*batch, row))
        is_full = height > MOST_ROWS or height * row.width > MOST_PADDED_TOKENS
        is_full |= bool(row.options) and (len(batch) + 1) * row.width > MOST_READ_TOKENS
        is_much_longer = len(batch) >= ENOUGH_ROWS and row.width > 2 * batch[0].width
        if batch and (is_full or is_much_longer or bool(batch[0].options) != bool(row.options)):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch

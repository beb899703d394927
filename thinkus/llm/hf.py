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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinkus.endpoint import Endpoint, Sampling
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Choice
from thinkus.weights import check_installed, find, load_tokenizer, silence_bars

if TYPE_CHECKING:
    import torch

GATHER_S = 0.005
"""Whoever asks at the same time is to be answered together."""
MOST_ROWS = 32
ENOUGH_ROWS = 8  # fewer take nearly as long for a step; from there on the long are parted from the short
MOST_PADDED_TOKENS = 65_536
"""Of a batch, prompts and answers at their longest: what the cache of keys and values has to hold."""
MOST_COLUMNS = 2048
"""Of the prompts, read at once: masks grow with their square."""
LIKELIEST = 1024
"""Mostly these hold top_p of the probability, and the rest need not be sorted."""


@dataclass(eq=False)
class _Row:
    """A request on its way."""

    prompt: list[int]
    seed: int
    longest: int  # of its answers, in tokens
    options: Mapping[str, list[int]] = field(default_factory=dict)  # of a choice, each with its tokens
    done: "Future[Completion]" = field(default_factory=Future)
    written: list[int] = field(default_factory=list)
    generator: Any = None

    @property
    def width(self) -> int:
        return len(self.prompt) + self.longest

    def resolve(self, result: Completion | Exception) -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            if isinstance(result, Completion):
                self.done.set_result(result)
            else:
                self.done.set_exception(result)


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
        self._rows: queue.SimpleQueue[_Row | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._model: _Model | None = None

    async def open(self) -> None:
        check_installed(self._where, "torch", "transformers")
        loaded: Future[_Model] = Future()
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

    def _row(self, request: Request) -> _Row:
        """Refused here what cannot be answered, before anything waits for it."""
        assert self._model is not None, "not open"
        prompt = self._model.prompt_of(request)
        options: dict[str, list[int]] = {}
        longest = self._sampling.max_tokens
        if isinstance(request.form, Choice):
            options = self._model.turns_of(request.form.options)
            longest = max(map(len, options.values()))
        if len(prompt) + longest > (context := self._model.context):
            words = f"{len(prompt):,} tokens and {longest:,} for the answer; the context holds {context:,}"
            raise AttemptFailed(Kind.TOO_LONG, words)
        # All that its words depend on, and nothing else.
        told = json.dumps([prompt, request.take, self.identity], sort_keys=True)
        seed = int.from_bytes(hashlib.sha256(told.encode()).digest()[:4])
        return _Row(prompt, seed, longest, options)

    def _work(self, loaded: "Future[_Model]") -> None:
        """The thread. Nobody else holds what it loaded for longer."""
        try:
            model = _Model(self._weights.ready(f"{self._where}.model"), self._sampling)
        except BaseException as error:
            if isinstance(error, OSError | ValueError):  # theirs, for what they cannot read
                first = str(error).strip().partition("\n")[0]
                error = ThinkusError(f"{self._where}.model: {self._weights.name} cannot be loaded: {first}")
            loaded.set_exception(error)
            return
        with suppress(InvalidStateError):  # nobody waits for it any more
            loaded.set_result(model)
        waiting: list[_Row | None] = []
        while None not in waiting:
            waiting = [self._rows.get()]
            time.sleep(GATHER_S)
            with suppress(queue.Empty):
                while True:
                    waiting.append(self._rows.get_nowait())
            for batch in batches([row for row in waiting if row is not None]):
                self._answer(model, batch)

    def _answer(self, model: "_Model", batch: Sequence[_Row]) -> None:
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


def batches(rows: Sequence[_Row]) -> Iterator[list[_Row]]:
    """Alike with alike: short ones are not to wait for long ones, nor to be padded to their length."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: (bool(row.options), row.width)):
        height = sum(len(other.options) or 1 for other in (*batch, row))
        is_full = height > MOST_ROWS or height * row.width > MOST_PADDED_TOKENS
        is_much_longer = len(batch) >= ENOUGH_ROWS and row.width > 2 * batch[0].width
        if batch and (is_full or is_much_longer or bool(batch[0].options) != bool(row.options)):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


class _Model:
    """A model and its tokenizer. The methods that write are for one thread."""

    def __init__(self, folder: Path, sampling: Sampling) -> None:
        import torch
        from transformers import AutoModelForCausalLM

        silence_bars()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.dtype_name = str(dtype).removeprefix("torch.")
        self._temperature, self._top_p = sampling.temperature, sampling.top_p
        self._tokenizer = load_tokenizer(folder)
        self.template = str(self._tokenizer.chat_template)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, local_files_only=True, trust_remote_code=False
        )
        self._network = loaded.to(self.device).eval()
        self.context: int = getattr(loaded.config.get_text_config(), "max_position_embeddings", sys.maxsize)
        self._rendered = partial(self._tokenizer.apply_chat_template, tokenize=False)
        self._turn_end = self._end_of_turn()
        self._ends = {self._turn_end, self._tokenizer.eos_token_id}
        for config in (loaded.config.get_text_config(), loaded.generation_config):
            ends = config.eos_token_id
            self._ends |= set(ends) if isinstance(ends, list) else {ends}

    def prompt_of(self, request: Request) -> list[int]:
        from jinja2 import TemplateError

        messages = [{"role": message.role, "content": message.content} for message in request.messages]
        try:
            return self._tokens(str(self._rendered(messages, add_generation_prompt=True)))
        except TemplateError as error:  # some take no system text, or no two turns of one side
            raise AttemptFailed(Kind.REFUSED, f"the model's chat template says: {error}") from None

    def turns_of(self, options: Iterable[str]) -> dict[str, list[int]]:
        """With its end: without one, words that begin others would always be likelier than those."""
        return {words: [*self._tokens(words), self._turn_end] for words in options}

    def write(self, rows: Sequence[_Row]) -> Iterator[tuple[_Row, str, str]]:
        """Each row as soon as it has ended, whose place is then free."""
        import torch

        rows = list(rows)
        for row in rows:
            row.generator = torch.Generator(self.device).manual_seed(row.seed)
        with torch.inference_mode():
            cache, mask, logits = self._read([row.prompt for row in rows])
            while rows:
                tokens = self._next(logits, rows)
                for row, token in zip(rows, tokens, strict=True):
                    row.written.append(token)
                    is_end = token in self._ends
                    if is_end or len(row.written) == row.longest:
                        words = row.written[:-1] if is_end else row.written
                        text = self._tokenizer.decode(words, skip_special_tokens=True)
                        yield row, str(text), "stop" if is_end else "length"
                # Those that were just handed over, and those for which nobody waits any more, make room.
                going_on = [at for at, row in enumerate(rows) if not row.done.done()]
                if not going_on:
                    return
                if len(going_on) < len(rows):
                    rows = [rows[at] for at in going_on]
                    cache.batch_select_indices(torch.tensor(going_on, device=self.device))
                    mask = mask[going_on]
                latest = torch.tensor([[row.written[-1]] for row in rows], device=self.device)
                mask = torch.cat([mask, torch.ones_like(latest)], dim=1)
                logits = self._step(latest, mask, cache, rows_kept=1)[:, -1]

    def choose(self, rows: Sequence[_Row]) -> Iterator[tuple[_Row, str, str]]:
        """The likeliest of the options, of which each is a row that goes on from the prompt, read once."""
        import torch

        tails = [tail for row in rows for tail in row.options.values()]
        owners = [at for at, row in enumerate(rows) for _ in row.options]
        with torch.inference_mode():
            cache, mask, logits = self._read([row.prompt for row in rows])
            cache.batch_select_indices(torch.tensor(owners, device=self.device))
            length = max(map(len, tails))
            padded = torch.tensor([tail + [0] * (length - len(tail)) for tail in tails], device=self.device)
            is_real = torch.tensor(
                [[at < len(tail) for at in range(length)] for tail in tails], device=self.device
            )
            mask = torch.cat([mask[owners], is_real[:, :-1].long()], dim=1)
            after = self._step(padded[:, :-1], mask, cache, rows_kept=length - 1)
            logits = torch.cat([logits[owners][:, None], after], dim=1).float()
            of_tokens = logits.gather(2, padded[:, :, None])[:, :, 0] - logits.logsumexp(dim=2)
            likelihoods = iter(of_tokens.where(is_real, 0.0).sum(dim=1).tolist())
        for row in rows:
            likelihood = {word: next(likelihoods) for word in row.options}
            word = max(likelihood, key=likelihood.__getitem__)
            row.written = row.options[word]
            yield row, word, "stop"

    def _read(self, prompts: Sequence[list[int]]) -> "tuple[Any, torch.Tensor, torch.Tensor]":
        """The prompts, ending together: their keys and values, which columns are real, and what may follow."""
        import torch
        from transformers import DynamicCache

        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(prompt)) + prompt for prompt in prompts], device=self.device)
        begins = torch.tensor([[width - len(prompt)] for prompt in prompts], device=self.device)
        mask = (torch.arange(width, device=self.device) >= begins).long()
        cache = DynamicCache(config=self._network.config)
        for start in range(0, width, MOST_COLUMNS):
            end = min(start + MOST_COLUMNS, width)
            logits = self._step(ids[:, start:end], mask[:, :end], cache, rows_kept=1)
        return cache, mask, logits[:, -1]

    def _step(self, ids: "torch.Tensor", mask: "torch.Tensor", cache: Any, rows_kept: int) -> "torch.Tensor":
        """Positions count from where a row begins. Only the last rows go through the head, half of the work."""
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        given = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
        logits: torch.Tensor = self._network(**given, past_key_values=cache, logits_to_keep=rows_kept).logits
        return logits

    def _next(self, logits: "torch.Tensor", rows: Sequence[_Row]) -> list[int]:
        """The likeliest, or one by its probability: the likeliest after each got Gumbel noise of the row's own."""
        import torch

        if self._temperature == 0:
            return [int(token) for token in logits.argmax(dim=1)]
        logits = logits.float() / self._temperature
        if self._top_p < 1:
            logits = logits.masked_fill(logits < _least_of_nucleus(logits, self._top_p), -torch.inf)
        tokens = []
        for scores, row in zip(logits, rows, strict=True):
            # In float32 the noise would end too early for what is rare among so many.
            noise = torch.empty_like(scores, dtype=torch.float64).uniform_(generator=row.generator)
            tokens.append(int((scores - noise.log_().neg_().log_()).argmax()))
        return tokens

    def _end_of_turn(self) -> int:
        """The token by which the template ends a turn; not every model's own list of ends has it."""
        turns = [{"role": role, "content": f"<{role}'s words>"} for role in ("user", "assistant")]
        _, words, after = str(self._rendered(turns)).rpartition("<assistant's words>")
        known = self._tokenizer.added_tokens_decoder
        first = next(iter(self._tokens(after)), None) if words else None
        return first if first in known and known[first].special else self._tokenizer.eos_token_id

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)


def _least_of_nucleus(logits: "torch.Tensor", top_p: float) -> "torch.Tensor":
    """For each row the lowest logit among the likeliest tokens that together have at least top_p."""
    total = logits.logsumexp(dim=1, keepdim=True)
    for count in (min(LIKELIEST, logits.shape[1]), logits.shape[1]):
        top = logits.topk(count).values
        mass = (top - total).exp().cumsum(dim=1)
        if bool((mass[:, -1] >= top_p).all()):
            break
    needed = (mass < top_p).sum(dim=1, keepdim=True).clamp(max=count - 1)
    return top.gather(1, needed)

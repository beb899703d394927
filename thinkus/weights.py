"""From a model's name to a Hugging Face folder, for whatever loads a model: training, generation, servers.

Nothing is downloaded here: what lies on the hub is found in its cache, or the line that gets it is said.
"""

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinkus import facts
from thinkus.console import say
from thinkus.errors import ThinkusError, did_you_mean
from thinkus.files import UNFINISHED, known_sha256_of, sync_directory
from thinkus.help import yaml_value
from thinkus.manners import tame_transformers
from thinkus.paths import CONF, expanded, group_options, without_home

if TYPE_CHECKING:
    from gguf import GGUFReader
    from transformers import PreTrainedTokenizerBase

# For models that bring none. A turn ends with the token that ends a text: every server stops there
# without being told, and a turn's words cannot run into what follows.
CHAT_TEMPLATE = """\
{{- bos_token or '' -}}
{%- for message in messages -%}
    {%- if message['role'] == 'system' -%}
        {{- message['content'] + '\\n\\n' -}}
    {%- else -%}
        {{- '### ' + message['role'] | capitalize + ':\\n' + message['content'] + eos_token + '\\n' -}}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '### Assistant:\\n' -}}
{%- endif -%}
"""

_MATTERS = re.compile(
    r"(?:config|generation_config|special_tokens_map|added_tokens)\.json|(?:tokenizer|vocab|merges|chat_template).*"
    r"|.*\.(?:model|safetensors|safetensors\.index\.json)|pytorch_model.*"
)
"""The files of a folder that make the model what it is."""

TINY: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,  # of 32: vLLM has no narrower heads on a CPU
    "num_key_value_heads": 1,
    "max_position_embeddings": 32_768,  # a byte is a token
    "tie_word_embeddings": False,
    "vocab_size": 259,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SPECIALS = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
LONG_AGO_S = 3600.0
"""What nobody has written to for that long is what a kill left behind."""


@dataclass(frozen=True)
class Recipe:
    """How a folder is made that no one ships as it is."""

    target: Path
    make: Callable[[Path], None]

    def carried_out(self, name: str, where: str) -> Path:
        """The folder, whole: others may make it at the same time, and any of them may be killed."""
        if self.target.is_dir():
            return self.target
        check_installed(where, "torch", "transformers")
        say(f"{where}: {name} is being made ready in {without_home(self.target.parent)}, once")
        aside = self.target.with_name(f"{self.target.name}.{uuid.uuid4().hex[:8]}{UNFINISHED}")
        try:
            aside.mkdir(parents=True)
            self._forget_the_killed()
            self.make(aside)
            for file in aside.iterdir():
                with file.open("rb") as written:
                    os.fsync(written.fileno())
            aside.rename(self.target)
            sync_directory(self.target.parent)
        except OSError as error:
            if not self.target.is_dir():  # else somebody was faster, with the same content
                raise ThinkusError(
                    f"{where}: {name} cannot be made ready in {without_home(self.target.parent)}: "
                    f"{error.strerror or error}; XDG_CACHE_HOME= names another place"
                ) from None
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return self.target

    def _forget_the_killed(self) -> None:
        for left in self.target.parent.glob(f"{self.target.name}.*{UNFINISHED}"):
            with suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - LONG_AGO_S:
                    shutil.rmtree(left, ignore_errors=True)


@dataclass(frozen=True)
class Weights:
    folder: Path | None
    """None where it is not on this machine, or not made yet: ask `ready`."""
    name: str
    identity: str
    """Of the content: wherever it lies, it is the same."""
    recipe: Recipe | None = None

    def ready(self, where: str) -> Path:
        """The folder. The first time may take half a minute."""
        if self.recipe is not None:
            return self.recipe.carried_out(self.name, where)
        if self.folder is None:
            raise ThinkusError(
                f"{where}: {self.name} is not on this machine: no folder, and not whole in {_hub_place()}; get it "
                f"with `hf download {self.name}` (a gated one: first accept its licence on "
                f"https://huggingface.co/{self.name} and give a token to `hf auth login`)"
            )
        return self.folder


def find(name: str, where: str = "model") -> Weights:
    """A name in conf/model/, a folder, a run of sft, or a name on the hub; `where` is the key that says so."""
    if name in group_options("model"):
        file = CONF / "model" / f"{name}.yaml"
        return locate(name, str(yaml_value(file, "source")), yaml_value(file, "weights"), where)
    folder = expanded(name)
    if folder.is_dir():
        return _in_folder(folder, name, where)
    if _HUB_NAME.fullmatch(name) and not name.startswith("."):
        return _on_hub(name)
    if "/" in name or name.startswith("~"):
        raise ThinkusError(
            f"{where}: there is no folder {name}; name one that holds a model, or a run of sft"
        )
    known = group_options("model")
    raise ThinkusError(
        f"{where}: there is no model {name!r}: it is none of {', '.join(known)}, no folder, and no name on the "
        f"hub such as meta-llama/Llama-3.1-8B{did_you_mean(name, known)}"
    )


def locate(name: str, source: str, weights: str | None, where: str) -> Weights:
    """A model as the configuration describes it."""
    if source == "built":
        parts = {"config": TINY, "specials": SPECIALS, "template": CHAT_TEMPLATE, "drawn": 1}
        return _made(name, parts, _make_tiny)
    if weights is None:
        raise ThinkusError(f"{where}: {name} has source {source} but no weights; say which")
    if source == "package":
        parts = {"template": CHAT_TEMPLATE, "converted": 1}
        for package in (weights, "gguf", "transformers"):
            parts[package] = facts.version_of(package)
            if parts[package] is None:
                raise ThinkusError(f"{where}: {name} needs {package}; pip install 'thinkus[local]'")
        return _made(name, parts, partial(_make_gemma, weights))
    return find(weights, where)


def check_installed(where: str, *modules: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        raise ThinkusError(
            f"{where}: a model in this process needs {' and '.join(missing)}; pip install 'thinkus[local]'"
        )


def load_tokenizer(folder: Path) -> "PreTrainedTokenizerBase":
    """With its own chat template, or ours where it has none."""
    tame_transformers()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    tokenizer.chat_template = tokenizer.chat_template or CHAT_TEMPLATE
    return tokenizer


# Where they are ------------------------------------------------------------------------------


def _made(name: str, parts: dict[str, Any], make: Callable[[Path], None]) -> Weights:
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    target = cache / "thinkus" / "models" / f"{name}-{digest}"
    return Weights(target if target.is_dir() else None, name, target.name, Recipe(target, make))


def _in_folder(folder: Path, name: str, where: str) -> Weights:
    if not (folder / "config.json").is_file():
        folder = folder / "model"
    if not (folder / "config.json").is_file():
        raise ThinkusError(
            f"{where}: {name} holds no model: it has neither config.json nor model/config.json"
        )
    if missing := _missing_weights(folder):
        raise ThinkusError(f"{where}: {name} is not complete: it lacks {missing}; get it again")
    digest = hashlib.sha256()
    for file in sorted(file for file in folder.iterdir() if _MATTERS.fullmatch(file.name) and file.is_file()):
        digest.update(f"{file.name}\0{known_sha256_of(file)}\n".encode())
    return Weights(folder, name, digest.hexdigest())


def _on_hub(name: str) -> Weights:
    folder = None
    with suppress(ImportError, ValueError):  # not installed; or a name that the hub cannot have
        from huggingface_hub import try_to_load_from_cache

        config = try_to_load_from_cache(name, "config.json")
        if isinstance(config, str) and not _missing_weights(Path(config).parent):
            folder = Path(config).parent
    return Weights(folder, name, f"{name}@{folder.name}" if folder else name)


def _missing_weights(folder: Path) -> str | None:
    """A download or a copy can end in the middle."""
    for index in (folder / "model.safetensors.index.json", folder / "pytorch_model.bin.index.json"):
        if index.is_file():
            needed = set(json.loads(index.read_bytes())["weight_map"].values())
            return next((name for name in sorted(needed) if not (folder / name).is_file()), None)
    is_there = any(any(folder.glob(pattern)) for pattern in ("*.safetensors", "pytorch_model*.bin"))
    return None if is_there else "model.safetensors"


def _hub_place() -> str:
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return "the Hugging Face cache"
    return without_home(HF_HUB_CACHE)


# How they are made ---------------------------------------------------------------------------


def _make_tiny(folder: Path) -> None:
    """A small Llama that knows nothing, with the same bytes on every machine."""
    tame_transformers()
    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=_bytes_as_tokens(), **SPECIALS
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    with torch.device("meta"):
        model: Any = LlamaForCausalLM(LlamaConfig(**TINY))  # type: ignore[no-untyped-call]
    drawn: dict[str, torch.Tensor] = {}
    for name, weight in model.state_dict().items():
        values = np.ones(weight.shape)
        if weight.dim() > 1:
            # From a hash rather than a generator: those differ between machines and versions.
            stream = hashlib.shake_256(f"thinkus tiny {name}".encode()).digest(4 * weight.numel())
            uniform = np.frombuffer(stream, "<i4").reshape(weight.shape) / 2**31
            values = uniform * (3 / weight.shape[1]) ** 0.5  # keeps what flows through at its size
        drawn[name] = torch.from_numpy(values.astype(np.float32))
    model.load_state_dict(drawn, assign=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _bytes_as_tokens() -> Any:
    """A tokenizer without a vocabulary to fetch: each byte is a token."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    words = [*SPECIALS.values(), *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={word: at for at, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _make_gemma(package: str, folder: Path) -> None:
    """From llama.cpp's file to an ordinary folder, with exactly the weights that llama.cpp computes with.

    transformers reads such files too, but needs accelerate for it and leaves traces of the quantisation.
    """
    tame_transformers()
    import torch
    from gguf import MODEL_ARCH, GGUFReader, dequantize, get_tensor_name_map
    from transformers import Gemma3ForCausalLM, GemmaTokenizer

    file = import_module(package.replace("-", "_")).assemble(folder / "weights.gguf")
    reader = GGUFReader(file)
    with torch.device("meta"):
        model = Gemma3ForCausalLM(_gemma_config(reader))
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    names = get_tensor_name_map(MODEL_ARCH.GEMMA3, model.config.num_hidden_layers)
    weights: dict[str, torch.Tensor] = {}
    for name in model.state_dict():
        tensor = tensors["token_embd.weight" if name == "lm_head.weight" else _gguf_name(names, name)]
        values = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        weights[name] = values - 1 if "norm" in name else values  # llama.cpp keeps 1 + w
    model.load_state_dict(weights, assign=True)
    model.tie_weights()
    model.save_pretrained(folder)
    tokenizer = GemmaTokenizer.from_pretrained(folder, gguf_file=file.name, add_bos_token=True)
    tokenizer.chat_template = CHAT_TEMPLATE  # the weights are those of the base model, which has none
    tokenizer.save_pretrained(folder)
    file.unlink()


def _gguf_name(names: Any, name: str) -> str:
    return f"{names.get_name(name.removesuffix('.weight'))}.weight"


def _gemma_config(reader: "GGUFReader") -> Any:
    """What the file says; the rest is the same for all Gemma 3."""
    from transformers import Gemma3TextConfig

    def said(key: str) -> Any:
        return reader.fields[key].contents()

    return Gemma3TextConfig(
        vocab_size=len(reader.fields["tokenizer.ggml.tokens"].data),
        hidden_size=said("gemma3.embedding_length"),
        intermediate_size=said("gemma3.feed_forward_length"),
        num_hidden_layers=said("gemma3.block_count"),
        num_attention_heads=said("gemma3.attention.head_count"),
        num_key_value_heads=said("gemma3.attention.head_count_kv"),
        head_dim=said("gemma3.attention.key_length"),
        sliding_window=said("gemma3.attention.sliding_window"),
        max_position_embeddings=said("gemma3.context_length"),
        rms_norm_eps=said("gemma3.attention.layer_norm_rms_epsilon"),
        bos_token_id=said("tokenizer.ggml.bos_token_id"),
        eos_token_id=said("tokenizer.ggml.eos_token_id"),
        pad_token_id=said("tokenizer.ggml.padding_token_id"),
    )

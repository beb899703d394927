"""Whether a model can be trained here at all, from its files alone: said before anything is loaded."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thinkus.errors import ThinkusError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ARCHITECTURES = ("LlamaForCausalLM", "Qwen3ForCausalLM", "Gemma3ForCausalLM")
"""Those for which trees were proven equal to their samples."""


def names_end_token(folder: Path) -> bool:
    """Where it is not named in so many words, the tokenizer itself knows; to load it takes seconds."""
    file = folder / "tokenizer_config.json"
    return file.is_file() and bool(json.loads(file.read_bytes()).get("eos_token"))


def config_of(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((folder / "config.json").read_bytes())
    return config


def shape_of(folder: Path, where: str = "model") -> dict[str, Any]:
    """The model's own config.json, if trees are exact for it."""
    shape = config_of(folder)
    architecture = (shape.get("architectures") or ["none"])[0]
    if architecture not in ARCHITECTURES:
        known = ", ".join(name.removesuffix("ForCausalLM") for name in ARCHITECTURES)
        raise ThinkusError(f"{where}: its architecture is {architecture}; those that can be trained: {known}")
    for key, value in shape.items():
        if ("dropout" in key or "pdrop" in key) and isinstance(value, int | float) and value > 0:
            raise ThinkusError(
                f"{where}: {key} is {value} in its config.json, and samples that share a beginning cannot share its "
                "dropout; set it to 0 there"
            )
    return shape


def check_length(shape: dict[str, Any], max_length: int) -> None:
    window = shape.get("max_position_embeddings", max_length)
    if max_length > window:
        raise ThinkusError(f"max_length: {max_length:,} is more than the model's {window:,} tokens; lower it")


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase", where: str = "model") -> None:
    if tokenizer.eos_token_id is None:
        raise ThinkusError(
            f"{where}: its tokenizer has no end token (eos_token), so that the person could never stop; "
            "name one in its tokenizer_config.json"
        )


def label_token(tokenizer: "PreTrainedTokenizerBase", label: str, where: str = "model") -> int:
    ids = tokenizer(label, add_special_tokens=False)["input_ids"]
    if len(ids) != 1:
        raise ThinkusError(
            f"{where}: its tokenizer makes {len(ids)} tokens of the label {label!r}; method=ending wants one"
        )
    return int(ids[0])

"""What tests of training share: small models that are exact, conversations with thoughts, and a run that holds them."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, Gemma3TextConfig, LlamaConfig, Qwen3Config
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

from tests.test_runs import manifest
from thinkus.records import Annotation, Conversation, Message, to_line
from thinkus.runs import claimed
from thinkus.train import attention
from thinkus.train.forest import Sequel

VOCABULARY = 61
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
}
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**SHAPE),
    "qwen3": Qwen3Config(**SHAPE, tie_word_embeddings=True),
    "gemma3": Gemma3TextConfig(
        **SHAPE,
        sliding_window=9,
        layer_types=["sliding_attention", "full_attention", "sliding_attention"],
        query_pre_attn_scalar=8,
    ),
}


def model(name: str, dtype: torch.dtype, attends: str = attention.NAME) -> Any:
    attention.register()
    torch.manual_seed(0)
    made = AutoModelForCausalLM.from_config(CONFIGS[name], attn_implementation=attends)  # type: ignore[no-untyped-call]
    return made.to(dtype).train()


@contextmanager
def norms_in_full_precision() -> Iterator[None]:
    """transformers takes norms in float32 whatever the model is in; its rounding would hide what is compared."""

    def plain(self: Any, hidden: torch.Tensor) -> Any:
        scaled: torch.Tensor = hidden * torch.rsqrt(
            hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon
        )
        return self.weight * scaled

    def gemma(self: Any, hidden: torch.Tensor) -> Any:
        scaled: torch.Tensor = hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.eps)
        return scaled * (1 + self.weight)

    with (
        patch.object(LlamaRMSNorm, "forward", plain),
        patch.object(Qwen3RMSNorm, "forward", plain),
        patch.object(Gemma3RMSNorm, "forward", gemma),
    ):
        yield


def conversation_of_sequels(turns: int, *, keeps_thoughts: bool, seed: int) -> list[Sequel]:
    """As a conversation's samples look: a trunk that grows, and what is to be learnt at its end."""
    drawn = np.random.default_rng(seed)

    def some(most: int) -> NDArray[np.int32]:
        return drawn.integers(1, VOCABULARY, drawn.integers(1, most + 1)).astype(np.int32)

    trunk, sequels = some(6), []
    for _ in range(turns):
        thought, utterance, reply = some(5), some(4), some(8)
        target = np.concatenate([thought, utterance])
        sequels.append(Sequel(np.concatenate([trunk, target]), len(target), float(drawn.uniform(0.5, 2))))
        trunk = np.concatenate([trunk, target if keeps_thoughts else utterance, reply])
    return sequels


def conversation(number: int, turns: int, split: str = "train") -> Conversation:
    words = random.Random(number)

    def say(least: int, most: int) -> str:
        return " ".join(
            words.choice(["ask", "plan", "cook", "read", "walk", "swim", "tea", "bus", "red", "map"])
            for _ in range(words.randint(least, most))
        )

    messages = [Message("user" if at % 2 == 0 else "assistant", say(2, 8)) for at in range(2 * turns)]
    annotation = Annotation(
        scenario=say(4, 8),
        motivation=say(2, 5),
        thoughts=tuple(say(3, 8) for _ in range(turns - 1)),
        terminal_thought=say(3, 6),
    )
    return Conversation(f"c{number:03}", "jsonl", tuple(messages), split=split, annotation=annotation)  # type: ignore[arg-type]


def conversations(count: int, test: int = 3) -> list[Conversation]:
    return [
        conversation(number, 1 + number % 4, "test" if number < test else "train") for number in range(count)
    ]


def annotated(root: Path, records: Sequence[Conversation], name: str = "jsonl") -> Path:
    """A finished run of annotate that holds these."""
    fresh = msgspec.structs.replace(manifest(records=len(records)), stage="annotate", name=name)
    with claimed(root / "annotate" / name, fresh, "a: 1\n", redo=False) as run:
        assert run is not None
        with run.output("records.jsonl") as file:
            file.writelines(map(to_line, records))
        run.counts = {"items": len(records), "read": len(records)}
        run.finish()
    return root / "annotate" / name

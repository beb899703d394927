"""What `make bench-sft` trains, and TRL's SFTTrainer on it, as a process of its own runs it in one setting.

    python bench/sft_ways.py TASK SETTING STEPS    its figures are the last line

For TRL the tokens of each sample, their order, the weights, the optimizer, its schedule and the clipping
are those of the task of thinkus. What is its own: batches, the model's forward, the loss, the loop.
"""

import importlib
import json
import random
import resource
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from datasets import Dataset
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    TrainerCallback,
)

from thinkus import facts
from thinkus.corpora import sharegpt
from thinkus.corpora.files import find_files
from thinkus.corpora.rows import BadRow
from thinkus.manners import tame_transformers
from thinkus.records import Annotation, Conversation
from thinkus.train.encode import Encoder
from thinkus.train.lessons import Lessons
from thinkus.train.memory import Zero, least_that_fits
from thinkus.train.schedule import share_of_lr
from thinkus.train.shelf import Shelf
from thinkus.train.task import Task, read
from thinkus.user.samples import Teaching
from thinkus.weights import SPECIALS, load_tokenizer

SEED = 0
CONVERSATIONS = 200
VOCABULARY = 16_000
READ_BY_TOKENIZER = 2_000
MAX_LENGTH = 4096
Device = Literal["cpu", "cuda"]


# What is trained -------------------------------------------------------------------------------


def read_corpus(path: str) -> list[Conversation]:
    """Those of at least two turns, the person first, then in turn."""
    rows = sharegpt.read(find_files(path), source="sharegpt")
    whole = [row.conversation for row in rows if not isinstance(row, BadRow)]
    return [one for one in whole if one.user_turns >= 2 and _is_in_turn(one)]


def _is_in_turn(conversation: Conversation) -> bool:
    said = conversation.messages
    return len(said) % 2 == 0 and all(
        one.role == ("user", "assistant")[place % 2] and one.content.strip() for place, one in enumerate(said)
    )


def annotated(conversation: Conversation) -> Conversation:
    """With stand-ins for what a model would write: as long, of words that stand nearby."""
    drawn = random.Random(f"{SEED} {conversation.id}")
    said = [message.content for message in conversation.messages]

    def sentence(words: int, *texts: str) -> str:
        known = [word[:16] for text in texts for word in text.split() if word.isalpha()] or ["well"]
        return f"{' '.join(drawn.choices(known, k=words)).capitalize()}."

    annotation = Annotation(
        scenario=sentence(60, *said[:2]),
        motivation=sentence(30, said[0]),
        thoughts=tuple(sentence(30, said[at - 1], said[at]) for at in range(2, len(said), 2)),
        terminal_thought=sentence(30, said[-1]),
    )
    return Conversation(conversation.id, conversation.source, conversation.messages, annotation=annotation)


def make_tokenizer(conversations: Iterable[Conversation], folder: Path) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(SPECIALS.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (message.content for one in conversations for message in one.messages)
    made.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=made, **SPECIALS)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_model(device: Device, folder: Path) -> int:
    """Of random weights; how many."""
    config: LlamaConfig | Qwen3Config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        intermediate_size=1536,
        num_hidden_layers=8,
        num_attention_heads=6,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=False,
    )
    if device == "cuda":
        config = Qwen3Config(
            vocab_size=151_936,
            hidden_size=2560,
            intermediate_size=9728,
            num_hidden_layers=36,
            num_attention_heads=32,
            num_key_value_heads=8,
            head_dim=128,
            max_position_embeddings=40_960,
            tie_word_embeddings=True,
        )
    tame_transformers()
    torch.manual_seed(SEED)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype)  # type: ignore[no-untyped-call]
    model.save_pretrained(folder)
    return int(model.num_parameters())


def lessons_of(tokenizer: PreTrainedTokenizerFast) -> Lessons:
    teaching = Teaching("thinkingus", keeps_thoughts=False, first_thought=False)
    encoder = Encoder(tokenizer, teaching.page, max_length=MAX_LENGTH, overlong="drop", is_label=False)
    return Lessons(teaching, encoder, "token", SEED)


def a_task(device: Device, parameters: int, run: Path, model: Path) -> Task:
    """As the stage would make it, by its own defaults; the learning rate is higher, so that losses move."""
    zero = Zero(0, False)
    if device == "cuda":
        shape = json.loads((model / "config.json").read_bytes())
        zero = least_that_fits(facts.gpu_memory_bytes() or 0.0, 1, parameters, shape, 16_384)
    return Task(
        run=str(run),
        name="bench",
        identity="bench",
        weights=str(model),
        device=device,
        ranks=1,
        zero_stage=zero.stage,
        offload=zero.offload,
        gradient_checkpointing=device == "cuda",
        seed=SEED,
        epochs=1,
        lr=1e-4,
        warmup_share=0.03,
        weight_decay=0.0,
        max_grad_norm=1.0,
        global_batch=32,
        max_tokens=16_384 if device == "cuda" else 8_192,
        layout="tree",
        order="conversation",
        checkpoint_steps=10**9,
        budget_s=None,
    )


# TRL on it -------------------------------------------------------------------------------------


@dataclass
class Figures:
    """Of each step."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    physical: list[int] = field(default_factory=list)
    """Tokens that were computed, fillers too."""
    logical: list[int] = field(default_factory=list)
    """Tokens of the samples, had each been computed by itself."""
    memory_gb: float = 0.0
    peak_shares: list[float] = field(default_factory=list)
    """Of what a GPU could do, where that is known."""


class Setting(NamedTuple):
    name: str
    batch: int = 1
    """How many samples, or packs of them, a forward gets."""
    padding_free: bool = False
    packing: bool = False
    """Puts samples together as they fit, so that its steps hold others than ours."""
    patched: bool = False
    """Without a GPU TRL puts all tokens through the output head; so patched, only what is to be learnt."""


SETTINGS = {
    "single": Setting("1 sample a forward"),
    "padded": Setting("4 samples, padded", batch=4),
    "padding_free": Setting("4 samples, padding-free", batch=4, padding_free=True),
    "packed": Setting(f"packed (bfd) to {MAX_LENGTH:,}", packing=True),
    "patched": Setting("1 sample, head patched (not as shipped)", patched=True),
}


class Watch(TrainerCallback):
    """Sees each forward and the end of each step. A step's seconds are from the end of the one before it."""

    def __init__(self) -> None:
        self.figures = Figures()
        self._physical = self._logical = 0
        self._before = 0.0

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self._before = time.perf_counter()

    def forward(self, _: Any, __: Any, inputs: dict[str, Any]) -> None:
        tokens = inputs["input_ids"].numel()
        mask = inputs.get("attention_mask")
        self._physical += tokens
        self._logical += tokens if mask is None else int(mask.sum())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        now = time.perf_counter()
        self.figures.seconds.append(now - self._before)
        self.figures.physical.append(self._physical)
        self.figures.logical.append(self._logical)
        self._physical, self._logical, self._before = 0, 0, now

    def on_log(self, *_: Any, **known: Any) -> None:
        if "loss" in known["logs"]:  # the last log is of the whole training
            self.figures.losses.append(known["logs"]["loss"])


def train(task: Task, setting: Setting, steps: int) -> Figures:
    trl: Any = importlib.import_module("trl")
    if setting.patched:
        importlib.import_module("trl.trainer.utils").__dict__["_use_triton"] = lambda _: True
    shelf = Shelf(task.shelf("train"))
    plan = task.plan(shelf)
    model = AutoModelForCausalLM.from_pretrained(task.weights, local_files_only=True, dtype=torch.float32)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=task.lr, betas=(0.9, 0.999), weight_decay=task.weight_decay, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: share_of_lr((step + 0.5) / len(plan), task.warmup_share)
    )
    samples = [int(one) for step in range(steps) for one in plan.chosen(step)]
    packs = max(1, int(shelf.samples.length[samples].sum()) // MAX_LENGTH // steps)  # of a step
    watch = Watch()
    trainer = trl.SFTTrainer(
        model=model,
        args=trl.SFTConfig(
            output_dir=str(task.directory / "trl"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=setting.batch,
            gradient_accumulation_steps=packs if setting.packing else task.global_batch // setting.batch,
            max_steps=steps,
            train_sampling_strategy="sequential",
            max_length=MAX_LENGTH if setting.packing else None,
            packing=setting.packing,
            padding_free=setting.padding_free,
            completion_only_loss=True,
            max_grad_norm=task.max_grad_norm,
            seed=task.seed,
            logging_steps=1,
            disable_tqdm=True,
            save_strategy="no",
            report_to="none",
        ),
        train_dataset=rows(shelf, samples),
        processing_class=load_tokenizer(Path(task.weights)),
        optimizers=(optimizer, schedule),
        callbacks=[watch],
    )
    trainer.model.register_forward_pre_hook(watch.forward, with_kwargs=True)
    trainer.train()
    watch.figures.memory_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return watch.figures


def rows(shelf: Shelf, samples: list[int]) -> Dataset:
    """Prompts with their completions, tokenized already."""
    sequels = [shelf.sequel(one) for one in samples]
    return Dataset.from_list(
        [
            {
                "input_ids": sequel.ids.tolist(),
                "completion_mask": [0] * (len(sequel.ids) - sequel.targets) + [1] * sequel.targets,
            }
            for sequel in sequels
        ]
    )


if __name__ == "__main__":
    figures = train(read(Path(sys.argv[1])), SETTINGS[sys.argv[2]], int(sys.argv[3]))
    print(json.dumps(asdict(figures)), flush=True)

"""What a training leaves: an ordinary folder of Hugging Face's, which servers load as it is."""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from thinkus.files import sync_directory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

USE = (
    "For research only. A simulated user must not be used to impersonate a person or to deceive anyone, and what "
    'it "thinks" is no statement about anybody\'s mind.'
)


def complete(folder: Path, tokenizer: "PreTrainedTokenizerBase", chat_template: str, card: str) -> None:
    """Beside the weights that are there already: the tokenizer with its page, how to generate, the card."""
    from transformers import GenerationConfig

    tokenizer.chat_template = chat_template
    tokenizer.save_pretrained(folder)
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    GenerationConfig(**ids, do_sample=True).save_pretrained(folder)  # type: ignore[no-untyped-call]
    (folder / "README.md").write_text(card, encoding="utf-8")


def put_in_place(aside: Path, folder: Path) -> None:
    for file in aside.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)  # of an earlier process that was killed after this
    aside.rename(folder)
    sync_directory(folder.parent)


def card(name: str, base: str, facts: dict[str, str], how: str) -> str:
    rows = "\n".join(f"| {what} | {value} |" for what, value in facts.items())
    return f"""\
---
base_model: {base}
library_name: transformers
pipeline_tag: text-generation
tags: [user-simulation, thinkus]
---
# {name}

{how}

| | |
|---|---|
{rows}

## Use

{USE}

The licences of the base model and of the corpus count for these weights too.
"""

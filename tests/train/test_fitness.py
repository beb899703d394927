"""Models that cannot be trained here: one line each, with the key, the value, and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase

from thinkus.errors import ThinkusError
from thinkus.train.fitness import ARCHITECTURES, check_length, check_tokenizer, label_token, shape_of
from thinkus.weights import find, load_tokenizer


@pytest.fixture
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer(find("tiny").ready("model"))


def folder_with(tmp_path: Path, **changed: Any) -> Path:
    """Tiny's config.json, in which these keys are others."""
    config = json.loads((find("tiny").ready("model") / "config.json").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changed}))
    return tmp_path


def refused(error: pytest.ExceptionInfo[ThinkusError]) -> str:
    line = str(error.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_that_fits_gives_its_shape(tmp_path: Path, architecture: str) -> None:
    shape = shape_of(folder_with(tmp_path, architectures=[architecture]))
    assert (shape["hidden_size"], shape["num_hidden_layers"]) == (64, 2)


@pytest.mark.parametrize(
    ("architectures", "named"),
    [
        (["GPT2LMHeadModel"], "GPT2LMHeadModel"),
        (["MistralForCausalLM"], "Mistral"),
        ([], "none"),
        (None, "none"),
    ],
)
def test_an_architecture_that_was_not_proven_is_refused(
    tmp_path: Path, architectures: list[str] | None, named: str
) -> None:
    with pytest.raises(ThinkusError, match=r"^annotator\.model: ") as error:
        shape_of(folder_with(tmp_path, architectures=architectures), "annotator.model")
    line = refused(error)
    assert f"its architecture is {named}" in line
    assert line.endswith("those that can be trained: Llama, Qwen3, Gemma3")


@pytest.mark.parametrize("key", ["attention_dropout", "resid_pdrop", "hidden_dropout_prob"])
def test_dropout_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ThinkusError, match=r"^model: ") as error:
        shape_of(folder_with(tmp_path, **{key: 0.1}))
    line = refused(error)
    assert f"{key} is 0.1 in its config.json" in line
    assert line.endswith("set it to 0 there")


@pytest.mark.parametrize("value", [0, 0.0, None])
def test_no_dropout_is_fine(tmp_path: Path, value: float | None) -> None:
    assert shape_of(folder_with(tmp_path, attention_dropout=value))["attention_dropout"] == value


def test_what_is_longer_than_the_model_reads_is_refused() -> None:
    check_length({"max_position_embeddings": 4096}, 4096)
    check_length({}, 10**6)
    with pytest.raises(
        ThinkusError, match=r"^max_length: 4,097 is more than .* 4,096 tokens; lower it"
    ) as error:
        check_length({"max_position_embeddings": 4096}, 4097)
    assert refused(error)


def test_a_tokenizer_without_an_end_token_is_refused(tiny: PreTrainedTokenizerBase) -> None:
    check_tokenizer(tiny)
    tiny.eos_token = None
    with pytest.raises(ThinkusError, match=r"^model: ") as error:
        check_tokenizer(tiny)
    line = refused(error)
    assert "no end token (eos_token)" in line
    assert line.endswith("name one in its tokenizer_config.json")


def test_a_label_is_one_token(tiny: PreTrainedTokenizerBase) -> None:
    assert label_token(tiny, "1") == tiny.convert_tokens_to_ids("1")
    with pytest.raises(ThinkusError, match=r"^sft\.model: ") as error:
        label_token(tiny, "10", "sft.model")
    assert "its tokenizer makes 2 tokens of the label '10'; method=ending wants one" in refused(error)

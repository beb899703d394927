"""The configuration is complete, typed, and the same as the golden files say."""

import re
from pathlib import Path

import pytest

from thinkus import paths
from thinkus.cli import STAGES
from thinkus.compose import jobs
from thinkus.config import Data
from thinkus.errors import ConfigError
from thinkus.help import group_keys, groups, keys
from thinkus.schema import dotted, what_counts

GOLDEN = Path(__file__).parent / "golden"
OPTIONS = [
    (stage, group, option)
    for stage in STAGES
    for group, options in groups(stage).items()
    for option in options
]


@pytest.mark.parametrize(("stage", "group", "option"), OPTIONS)
def test_every_option_of_every_group_composes_and_validates(stage: str, group: str, option: str) -> None:
    (job,) = jobs(stage, [f"{group}={option}"], sweep=False)
    assert group == "experiment" or getattr(job.config, group).name == option


@pytest.mark.parametrize("stage", STAGES)
def test_the_composed_default_is_the_golden_file(stage: str) -> None:
    """After a wanted change: `for s in prepare ...; thinkus $s --show > tests/golden/$s.yaml`."""
    (job,) = jobs(stage, [], sweep=False)
    golden = (GOLDEN / f"{stage}.yaml").read_text()
    assert f"# thinkus {stage}: outputs/{stage}/{job.name}\n{job.yaml}" == golden


@pytest.mark.parametrize("stage", STAGES)
def test_every_key_that_help_and_completion_offer_exists(stage: str) -> None:
    (job,) = jobs(stage, [], sweep=False)
    dump = job.config.model_dump()
    known = {
        *dump,
        *dotted(dump),
        *(f"{above}.{key}" for above, value in dump.items() if isinstance(value, dict) for key in value),
    }
    assert {*keys(stage), *group_keys(stage)} <= known


def test_the_options_that_the_paper_needs_are_there() -> None:
    wanted = {
        "data": "lmsys wildchat sharegpt thoughttrace jsonl sample",
        "eval": "lmsys wildchat sharegpt thoughttrace jsonl sample",
        "model": "llama8b llama8b_instruct qwen3_4b qwen3_8b qwen3_4b_base qwen3_8b_base gemma270m tiny",
        "method": "prompt prompt_thinking utterance_sft thinkingus ending",
        "zero": "auto none zero1 zero2 zero3 zero3_offload",
        "cluster": "local slurm",
        "tracker": "none wandb tensorboard",
    }
    for group, options in wanted.items():
        assert paths.group_options(group) == sorted(options.split())


def test_the_papers_settings_are_the_defaults() -> None:
    config = jobs("sft", [], sweep=False)[0].config.model_dump()
    assert (config["epochs"], config["lr"], config["max_length"], config["global_batch"]) == (
        3,
        1e-5,
        4096,
        32,
    )


def test_eval_follows_data_unless_it_is_said() -> None:
    assert jobs("simulate", ["data=sample"], sweep=False)[0].config.model_dump()["eval"] == {"name": "sample"}
    words = ["data=sample", "eval=wildchat"]
    assert jobs("simulate", words, sweep=False)[0].config.model_dump()["eval"] == {"name": "wildchat"}


def test_where_a_corpus_lies_does_not_count_but_how_much_is_drawn_does() -> None:
    data = Data(
        name="a",
        format="jsonl",
        path="/x",
        hub=None,
        page=None,
        terms=None,
        train=None,
        test=5,
        annotator=None,
    )
    assert what_counts(data) == {"name": "a", "train": None, "test": 5}


def test_no_config_can_run_code_or_read_a_secret() -> None:
    for file in paths.CONF.rglob("*.yaml"):
        text = file.read_text()
        assert "_target_" not in text, file
        assert "oc.env" not in text, file


@pytest.mark.parametrize(
    "word",
    [
        "annotator.model=sk-abcdefghijklmnopqrstuvwxyz",
        "annotator.api_base=https://me:secret@host.example/v1",
        "annotator.extra={headers: {Authorization: 'Basic abc'}}",
        "annotator.extra={aws_secret_access_key: short}",
        "annotator.extra={api_key: anything}",
        "annotator.extra={cookie: a}",
    ],
)
def test_a_config_with_a_key_in_it_is_refused_without_repeating_it(word: str) -> None:
    with pytest.raises(ConfigError) as refused:
        jobs("annotate", [word], sweep=False)
    told = str(refused.value)
    assert "seems to hold a key" in told
    for secret in ("abcdefghij", "secret@", "Basic abc", "short", "anything"):
        assert secret not in told


@pytest.mark.parametrize(
    "word",
    [
        "annotator.model=hf_user/tokenizer-7b",
        "annotator.extra={max_thinking_tokens: 12345678, key_frames: 5}",
        "annotator.api_base=http://localhost:8000/v1",
    ],
)
def test_what_only_sounds_like_a_key_is_taken_as_it_is(word: str) -> None:
    (job,) = jobs("annotate", [word], sweep=False)
    assert re.split(r"[=/{]", word)[-1].rstrip("}").split(":")[0] in job.yaml

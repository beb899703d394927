"""Names and identities: equal results share them, different ones never meet."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.compose import jobs
from thinkus.identity import LONGEST_NAME, differences, identity_of, made_from


def name(stage: str, *words: str) -> str:
    return jobs(stage, list(words), sweep=False)[0].name


def identity(stage: str, *words: str) -> str:
    return identity_of(made_from(jobs(stage, list(words), sweep=False)[0].config, {}, {}))


def test_default_names() -> None:
    assert name("prepare", "data=sample") == "sample"
    assert name("annotate", "data=wildchat") == "wildchat"
    assert name("sft", "model=qwen3_8b") == "thinkingus-qwen3_8b-lmsys"
    assert name("simulate", "eval=wildchat") == "thinkingus-llama8b-lmsys.wildchat.offline"
    assert name("judge", "candidate=a.b.offline") == "pairwise.a.b.offline.deepseek_v3"
    assert name("judge", "task=hindsight", "eval=sample", "judge=hf") == "hindsight.sample.hf"


def test_what_differs_from_the_yaml_is_in_the_name() -> None:
    assert name("sft", "seed=1") == "thinkingus-llama8b-lmsys-seed_1"
    assert name("sft", "lr=2e-5", "layout=flat") == "thinkingus-llama8b-lmsys-lr_2e-05-layout_flat"
    assert name("annotate", "annotator=recorded") == "lmsys-annotator_recorded"


def test_what_cannot_change_the_result_is_not() -> None:
    for words in (["zero=zero3"], ["cluster=slurm"], ["tracker=wandb"], ["root=elsewhere"], ["lr=1e-5"]):
        assert name("sft", *words) == name("sft")
        assert identity("sft", *words) == identity("sft")


def test_two_keys_with_the_same_last_word_are_told_apart() -> None:
    assert name("simulate", "user.sampling.top_p=0.5").endswith("-user.sampling.top_p_0.5")
    assert name("simulate", "mode=online", "assistant.sampling.top_p=0.5").endswith(
        "-assistant.sampling.top_p_0.5"
    )


def test_what_cannot_matter_in_a_mode_is_in_neither_name_nor_identity() -> None:
    idle = ["ending=none", "max_turns=3", "n_scenarios=7", "assistant=scripted", "classifier=hf"]
    assert identity("simulate", *idle) == identity("simulate")
    assert name("simulate", *idle) == name("simulate")
    live = name("simulate", "mode=online", "assistant=scripted", "max_turns=3")
    assert live.endswith(".online-assistant_scripted-max_turns_3")
    assert identity("simulate", "mode=online", "ending=none") != identity("simulate", "mode=online")
    assert identity("simulate", "mode=online", "limit=3") == identity("simulate", "mode=online")
    by_person = ["mode=online", "ending=simulator"]
    assert identity("simulate", *by_person, "classifier=hf") == identity("simulate", *by_person)


def test_a_corpus_with_a_name_of_ones_own_is_what_is_tried_on() -> None:
    own = ["data=jsonl", "data.name=helpdesk"]
    assert name("simulate", *own) == "thinkingus-llama8b-helpdesk.helpdesk.offline"
    assert name("simulate", *own, "eval=wildchat") == "thinkingus-llama8b-helpdesk.wildchat.offline"
    assert name("simulate", *own, "eval.name=other") == "thinkingus-llama8b-helpdesk.other.offline"
    assert name("simulate", "eval=jsonl") == "thinkingus-llama8b-lmsys.jsonl.offline"


def test_a_user_has_the_name_of_the_run_that_taught_it() -> None:
    assert name("simulate", "input=outputs/sft/mine/").startswith("mine.lmsys.offline")
    assert name("simulate", "method=prompt", "model=llama8b_instruct").startswith(
        "prompt-llama8b_instruct.lmsys"
    )
    served = name("simulate", "method=prompt", "user=openai_compatible", "user.model=org/large")
    assert served == "prompt-large.lmsys.offline-user_openai_compatible"


def test_a_value_that_cannot_stand_in_a_file_name_becomes_digits() -> None:
    one, other = (name("annotate", f"annotator.model={model}") for model in ("org/a", "org:a"))
    assert one != other
    assert "/" not in one
    assert ":" not in other


def test_a_long_name_is_cut_and_stays_unique() -> None:
    many = [
        "epochs=7",
        "lr=3e-4",
        "max_length=1234",
        "global_batch=17",
        "warmup_share=0.123",
        "weight_decay=0.321",
    ]
    names = {name("sft", *many, "history=thoughts", "order=sample", f"seed={seed}") for seed in range(4)}
    assert len(names) == 4
    assert all(len(one) == LONGEST_NAME for one in names)


CHOICES: dict[str, list[Any]] = {
    "seed": [0, 1, 11],
    "lr": [1e-5, 1e-4, 1.0],
    "epochs": [1, 3, 11],
    "layout": ["tree", "flat"],
    "model": ["llama8b", "tiny"],
    "weight_decay": [0.0, 1.0, 11.0],
    "data": ["lmsys", "sample"],
}
configs = st.fixed_dictionaries(
    {}, optional={key: st.sampled_from(values) for key, values in CHOICES.items()}
)


@pytest.mark.parametrize("key", CHOICES)
def test_each_value_of_a_key_has_a_name_of_its_own(key: str) -> None:
    names = {name("sft", f"{key}={value}") for value in CHOICES[key]}
    assert len(names) == len(CHOICES[key])


@settings(max_examples=12, deadline=None)
@given(configs, configs)
def test_runs_share_a_name_exactly_when_they_share_their_result(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    words = [[f"{key}={value}" for key, value in chosen.items()] for chosen in (one, other)]
    same_name = name("sft", *words[0]) == name("sft", *words[1])
    # The data itself is an input, not a value of sft: here its name stands for it.
    same_data = one.get("data", "lmsys") == other.get("data", "lmsys")
    same_identity = same_data and identity("sft", *words[0]) == identity("sft", *words[1])
    assert same_name == same_identity


def test_inputs_and_prompts_are_part_of_the_identity() -> None:
    config = jobs("annotate", [], sweep=False)[0].config
    seen = {
        identity_of(made_from(config, inputs, prompts))
        for inputs in ({}, {"input": "a"}, {"input": "b"})
        for prompts in ({}, {"annotate/keyed": "1"}, {"annotate/keyed": "2"})
    }
    assert len(seen) == 9


def test_differences_name_what_changed() -> None:
    before = {"lr": 1e-5, "seed": 0, "prompt a": "0" * 64}
    now = {"lr": 2e-5, "seed": 0, "prompt a": "1" * 64, "new": True}
    assert differences(before, now) == [
        "lr: 1e-05 then, 2e-05 now",
        "prompt a: other content",
        "new: absent then, True now",
    ]


def test_data_with_an_annotator_of_its_own_is_named_by_what_differs_from_that() -> None:
    assert name("annotate", "data=sample") == "sample"
    assert name("annotate", "data=sample", "annotator=recorded") == "sample"
    assert name("annotate", "data=sample", "annotator=deepseek_v3") == "sample-annotator_deepseek_v3"
    assert name("annotate", "data=lmsys", "annotator=deepseek_v3") == "lmsys"

"""Mistakes on the command line: each in one line, all of them at once."""

import shutil
from pathlib import Path

import pytest

from thinkus import compose, paths
from thinkus.compose import jobs, sweep
from thinkus.config import SftConfig
from thinkus.errors import ConfigError


def mistakes(stage: str, *words: str, sweep: bool = False) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        jobs(stage, list(words), sweep=sweep)
    assert str(caught.value).count("\n") == len(caught.value.mistakes) - 1
    return caught.value.mistakes


def test_an_unknown_option_lists_the_options() -> None:
    (line,) = mistakes("sft", "model=nope")
    assert "'nope'" in line
    assert "gemma270m, llama8b, llama8b_instruct" in line


def test_a_near_miss_is_recognised() -> None:
    assert "did you mean llama8b?" in mistakes("sft", "model=lama8b")[0]
    assert "did you mean epochs?" in mistakes("sft", "epoks=3")[0]


def test_all_mistakes_come_at_once_by_their_dotted_keys() -> None:
    lines = mistakes(
        "simulate", "model=nope", "modus=x", "sampling.temperature=-1", "max_turns=few", "decode=no"
    )
    keys = ["model", "modus", "max_turns", "decode", "sampling.temperature"]
    assert sorted(line.split(":")[0] for line in lines) == sorted(keys)


def test_a_wrong_value_is_shown_with_what_is_wanted() -> None:
    assert mistakes("sft", "lr=abc") == ["lr: must be a valid number (got 'abc')"]
    assert mistakes("prepare", "keep_failures=some") == [
        "keep_failures: must be a valid integer or be 'all' (got 'some')"
    ]


def test_an_unknown_key_of_a_group_is_named_in_full() -> None:
    assert mistakes("prepare", "data.pfad=x")[0].startswith("data.pfad: prepare has no such key")


def test_a_key_that_was_added_by_force_is_refused_too() -> None:
    assert mistakes("sft", "+surprise=1") == [
        "surprise: sft has no such key (`thinkus sft --show` prints all)"
    ]


def test_a_key_that_was_taken_away_is_missing() -> None:
    assert mistakes("sft", "~lr") == ["lr: is missing"]


def test_a_word_without_an_equals_sign_is_no_override() -> None:
    assert "is not KEY=VALUE" in mistakes("sft", "llama8b")[0]


def test_several_values_without_m_are_not_guessed_at() -> None:
    assert mistakes("sft", "seed=0,1") == ["seed=0,1: several values are a sweep: add -m"]


def test_every_job_of_a_sweep_is_checked_before_any_runs() -> None:
    (line,) = mistakes("sft", "seed=0,1", "model=tiny,nope", sweep=True)
    assert line.startswith("model: there is no 'nope'")


def test_a_key_in_the_config_is_refused_and_not_repeated() -> None:
    (line,) = mistakes("judge", "judge.api_key_env=sk-12345")
    assert "environment variable" in line
    assert "12345" not in line


def test_a_run_name_cannot_leave_its_folder() -> None:
    for name in ("../x", "a/b", ".", "..", ".hidden", "x" * 121):
        assert mistakes("sft", f"name={name}")[0].startswith("name: ")


def test_a_sweep_makes_every_combination() -> None:
    names = [job.name for job in jobs("sft", ["model=llama8b,qwen3_8b", "seed=range(0,2)"], sweep=True)]
    assert names == [
        "thinkingus-llama8b-lmsys",
        "thinkingus-llama8b-lmsys-seed_1",
        "thinkingus-qwen3_8b-lmsys",
        "thinkingus-qwen3_8b-lmsys-seed_1",
    ]


def test_an_experiment_speaks_last_but_for_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "conf"
    shutil.copytree(paths.CONF, conf)
    (conf / "experiment").mkdir(exist_ok=True)
    (conf / "experiment" / "own.yaml").write_text("# @package _global_\nlr: 3.0e-4\nepochs: 7\n")
    monkeypatch.setattr(compose, "CONF", conf)
    monkeypatch.setattr(paths, "CONF", conf)
    (job,) = jobs("sft", ["experiment=own", "epochs=9"], sweep=False)
    assert isinstance(job.config, SftConfig)
    assert (job.config.lr, job.config.epochs) == (3e-4, 9)
    assert job.name == "thinkingus-llama8b-lmsys-epochs_9-lr_0.0003"


def test_of_several_experiments_the_last_has_the_last_word() -> None:
    words = ["experiment=[table1_utterance_sft,tiny]", "model=tiny", "data=sample"]
    (job,) = jobs("sft", words, sweep=False)
    assert isinstance(job.config, SftConfig)
    assert (job.config.method.name, job.config.model.name) == ("utterance_sft", "tiny")
    assert (job.config.epochs, job.config.global_batch) == (1, 16)
    (other,) = jobs("sft", ["experiment=[tiny,table1_utterance_sft]"], sweep=False)
    assert isinstance(other.config, SftConfig)
    assert (other.config.epochs, other.config.overlong) == (3, "truncate_history")
    assert mistakes("sft", "experiment=[tiny,tinny]")[0].endswith("did you mean tiny?")
    assert mistakes("sft", "model=[tiny,llama8b]")[0].startswith("model: there is no ")


def test_several_experiments_reach_every_job_of_a_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = jobs("sft", ["experiment=[table1_utterance_sft,tiny]", "seed=1,2"], sweep=True)
    done: list[int] = []
    sweep("sft", found, lambda job: done.append(job.config.seed))
    assert done == [1, 2]


@pytest.mark.parametrize("stage", ["prepare", "annotate", "judge", "report"])
def test_a_stage_does_not_hear_what_an_experiment_says_of_groups_that_it_has_not(stage: str) -> None:
    (job,) = jobs(stage, ["experiment=table4_thinkingus_base"], sweep=False)
    assert "method" not in job.config.model_dump()
    assert mistakes(stage, "method=ending")[0].startswith(f"method: {stage} has no such key")


def test_a_config_does_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hush")
    (line,) = mistakes("prepare", "data.page=${oc.env:SECRET}")
    assert "must not read the environment" in line
    assert "hush" not in line


def test_a_sweep_over_data_of_which_one_has_an_annotator_of_its_own_reaches_all_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = jobs("annotate", ["data=sample,lmsys"], sweep=True)
    assert [job.config.annotator.name for job in found] == ["recorded", "deepseek_v3"]  # type: ignore[attr-defined]
    done: list[str] = []
    sweep("annotate", found, lambda job: done.append(job.name))
    assert done == ["sample", "lmsys"]

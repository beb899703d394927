"""Who takes part in a run: all that is wrong with them is one line, and it comes before any model is loaded."""

import copy
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.llm.parts import endpoint
from tests.test_runs import manifest
from thinkus import prompts
from thinkus.compose import jobs
from thinkus.config import SimulateConfig
from thinkus.endpoint import Endpoint, Vllm
from thinkus.errors import ThinkusError
from thinkus.runs import load_manifest, save_manifest
from thinkus.user.cast import ASSISTANT, CLASSIFIER, USER, Cast, cast, with_memory
from thinkus.user.samples import SITUATION

THINKING, SILENT, LEAVING = (
    f"{method}-llama8b-sample" for method in ("thinkingus", "utterance_sft", "ending")
)
MY_SERVER = ("user=openai_compatible", "user.api_base=http://localhost:8000/v1", "user.model=mine")
LIVE = "mode=online assistant=scripted"

Playing = Callable[..., Cast]


def make(
    root: Path, reference: str, method: str = "thinkingus", counts: dict[str, Any] | None = None, **more: Any
) -> Path:
    """A finished run, as far as it can be told without looking into its weights."""
    directory = root / reference
    (directory / "model").mkdir(parents=True)
    (directory / "model" / "config.json").write_text("{}")
    (directory / "model" / "model.safetensors").write_text("weights")
    taught = {"method.name": method, "model.name": "llama8b", "first_thought": False, "history": "utterances"}
    stage, _, name = reference.partition("/")
    used = {SITUATION: prompts.load(SITUATION).digest}
    facts = {"stage": stage, "name": name, "status": "done", "counts": counts or {}, "prompts": used}
    save_manifest(directory, replace(manifest(**(taught | more)), **facts))
    return directory


@pytest.fixture
def play(tmp_path: Path) -> Playing:
    """The cast that the words of a command name, with three runs at hand."""
    make(tmp_path, f"sft/{THINKING}")
    make(tmp_path, f"sft/{SILENT}", "utterance_sft")
    make(tmp_path, f"sft/{LEAVING}", "ending", {"ending": {"threshold": 0.25}})

    def play_(*words: str) -> Cast:
        return cast(config(*words), tmp_path)

    return play_


COMMANDS = (
    "model=llama8b method=thinkingus user=vllm assistant=llama8b_instruct classifier=vllm",
    "model=llama8b_instruct method=prompt user=hf assistant=scripted classifier=openai_compatible",
    "model=qwen3_8b method=prompt_thinking user=openai_compatible assistant=openai_compatible",
    "model=qwen3_8b_base method=utterance_sft",
    "method=ending",
)
"""In which each option stands that a test names: to compose anew for every test would take half a minute."""


@cache
def composed() -> tuple[str, dict[str, Any]]:
    """The usual values, and those of each option."""
    usual, options = "", dict[str, Any]()
    for command in COMMANDS:
        (job,) = jobs("simulate", ["data=sample", *command.split()], sweep=False)
        usual = usual or job.config.model_dump_json()
        options |= {
            word: getattr(job.config, word.partition("=")[0]).model_dump() for word in command.split()
        }
    return usual, options


def config(*words: str) -> SimulateConfig:
    usual, options = composed()
    values = json.loads(usual)
    for word in words:
        key, _, value = word.partition("=")
        *above, last = key.split(".")
        place = values
        for part in above:
            place = place[part]
        assert last in place
        place[last] = copy.deepcopy(options[word]) if word in options else _read(value)
    return SimulateConfig.model_validate(values)


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def refusal(play: Playing, *words: str) -> str:
    with pytest.raises(ThinkusError) as refused:
        play(*words)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Who plays ------------------------------------------------------------------------------------


def test_a_run_of_sft_plays_the_person_as_it_was_taught(play: Playing, tmp_path: Path) -> None:
    directory = tmp_path / "sft" / THINKING
    found = play()
    assert found.manner == ("thinkingus", True, False, False)
    assert found.endpoints.keys() == {USER}
    assert found.endpoints[USER].model == play("user=hf").endpoints[USER].model == str(directory)
    assert found.inputs.keys() == {"input"}
    assert found.inputs["input"].read == str(directory)
    assert found.threshold is None
    assert (found.by.method, found.by.model, found.by.history) == ("thinkingus", "llama8b", "utterances")
    assert found.by.sampling == {"temperature": 0.7, "top_p": 0.9, "max_tokens": 512}
    make(tmp_path, "sft/remembers", history="thoughts", first_thought=True)
    other = play("input=remembers")
    assert (*other.manner, other.by.history) == ("thinkingus", True, True, True, "thoughts")
    silent = play("method=utterance_sft")
    assert (silent.manner.thinks, silent.endpoints[USER].model) == (False, str(tmp_path / "sft" / SILENT))


def test_another_run_is_another_input(play: Playing, tmp_path: Path) -> None:
    before = play().inputs["input"].identity
    directory = make(tmp_path, "sft/again", seed=1)
    assert play("input=again").inputs["input"].identity != before
    assert play(f"input={directory}").inputs["input"].read == str(directory)


def test_an_untrained_model_is_told_to_play(play: Playing, tmp_path: Path) -> None:
    for method, thinks in (("prompt", False), ("prompt_thinking", True)):
        found = play(f"method={method}", "model=llama8b_instruct")
        assert (found.manner.method, found.manner.thinks) == (method, thinks)
        assert found.endpoints[USER].model == "meta-llama/Llama-3.1-8B-Instruct"
        assert (found.by.model, found.inputs["model"].read) == ("llama8b_instruct", "llama8b_instruct")
    elsewhere = play("method=prompt", *MY_SERVER)
    assert (elsewhere.by.model, elsewhere.endpoints[USER].model, elsewhere.inputs) == ("mine", "mine", {})


def test_live_there_are_an_assistant_and_who_ends_it(play: Playing, tmp_path: Path) -> None:
    assert play("assistant=scripted").endpoints.keys() == {USER}, "replayed, nobody answers"
    for ending in ("classifier", "either"):
        found = play(*LIVE.split(), f"ending={ending}")
        assert found.endpoints.keys() == {USER, ASSISTANT, CLASSIFIER}
        assert found.endpoints[CLASSIFIER].model == str(tmp_path / "sft" / LEAVING)
        assert found.inputs.keys() == {"input", "ending_run"}
        assert (found.threshold, found.assistant_name) == (0.25, "scripted")
    for ending in ("simulator", "none"):
        found = play(*LIVE.split(), f"ending={ending}")
        assert found.endpoints.keys() == {USER, ASSISTANT}
        assert found.threshold is None
        assert found.inputs.keys() == {"input"}
    make(tmp_path, "sft/leaves", "ending", {"ending": {"threshold": 0.75}})
    assert play(*LIVE.split(), "ending_run=leaves").threshold == 0.75
    usual = refusal(play, *LIVE.split(), "model=qwen3_8b", f"input={THINKING}")
    assert re.match("ending_run: there is no run .*/sft/ending-qwen3_8b-sample; make it first: ", usual)
    assert play("mode=online").assistant_name == "meta-llama/Llama-3.1-8B-Instruct"


def test_what_a_run_rests_on_is_its_content(play: Playing, tmp_path: Path) -> None:
    """Of what was learnt, too: a training that is bounded by time never learns the same twice."""
    before = play(*LIVE.split()).inputs
    for role, name in (("input", THINKING), ("ending_run", LEAVING)):
        (tmp_path / "sft" / name / "model" / "model.safetensors").write_text(f"others of {name}")
        after = play(*LIVE.split()).inputs
        assert after[role].identity != before[role].identity
        assert {other for other in after if after[other] == before[other]} == before.keys() - {role}
        before = after


def test_a_run_that_was_taught_on_another_page_is_refused(play: Playing, tmp_path: Path) -> None:
    directory = tmp_path / "sft" / THINKING
    manifest = load_manifest(directory)
    assert manifest
    save_manifest(directory, replace(manifest, prompts={SITUATION: "0" * 64}))
    assert "was trained with another prompts/sft/situation.md" in refusal(play)


def test_a_model_that_is_named_for_the_user_is_checked_like_any(play: Playing) -> None:
    line = refusal(play, "method=prompt", "user=hf", "user.model=llama8b")
    assert line.startswith("user.model: llama8b follows no instructions")
    assert "use user.model=llama8b_instruct" in line
    assert "is not the run that is to speak" in refusal(play, "user=hf", "user.model=gemma270m")


# What is refused ------------------------------------------------------------------------------


def test_a_base_model_is_not_told_to_play(play: Playing) -> None:
    for method in ("prompt", "prompt_thinking"):
        line = refusal(play, f"method={method}", "model=llama8b")
        assert line.startswith("model: llama8b follows no instructions")
        assert "use model=llama8b_instruct" in line
        assert "untuned=allow" in line
    assert "use model=qwen3_8b," in refusal(play, "method=prompt", "model=qwen3_8b_base")
    tried = play("method=prompt", "model=llama8b", "untuned=allow")
    assert tried.endpoints[USER].model == "meta-llama/Llama-3.1-8B"
    assert play("model=llama8b").by.model == "llama8b", "one that was trained need not follow any"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("method=ending", "method: ending is the classifier and speaks to nobody"),
        ("input=nobody", "input: there is no run .*/sft/nobody; make it first: thinkus sft model=llama8b"),
        ("model=qwen3_8b", ".*; make it first: thinkus sft model=qwen3_8b data=sample method=thinkingus$"),
        (
            "data.name=rest",
            ".*; make it first: thinkus sft model=llama8b data=sample data.name=rest method=thinkingus$",
        ),
        ("input=thesis", "input: .*/sft/thesis is not a run, it has no run.json"),
        ("input=unfinished", "input: .*/sft/unfinished is not finished"),
        ("input=prepare/sample", "input: .*/prepare/sample is a run of prepare; name one of sft"),
        (f"input={LEAVING}", f"input: .*/{LEAVING} is the classifier of endings, and plays nobody"),
        (
            f"input={SILENT}",
            f"method: .*/{SILENT} was trained with method=utterance_sft, and method is think",
        ),
        ("input=hollow", "input: .*/sft/hollow holds no model"),
        ("input=half", "input: .*/sft/half is not complete: it lacks model.safetensors"),
        ("user=openai_compatible user.model=mine", "user.api_base: is null"),
        ("user=openai_compatible user.api_base=http://here/v1", "user.model: is null"),
        ("user.backend=litellm", "user.model: is null; name one as PROVIDER/NAME"),
        (
            "user.backend=scripted",
            "user: scripted has nothing to say there; use one of hf, openai_com.*, vllm$",
        ),
        ("user.backend=recorded", "user: recorded has nothing to say there"),
        ("user.backend=encoder", "user: encoder has nothing to say there"),
        (
            f"{LIVE} ending_run=nobody",
            "ending_run: there is no run .*: thinkus sft method=ending .*=simulator",
        ),
        (
            f"{LIVE} ending_run=prepare/sample",
            "ending_run: .*/prepare/sample is a run of prepare; name one of",
        ),
        (
            f"{LIVE} ending_run={SILENT}",
            f"ending_run: .*/{SILENT} is no classifier of endings; make one: thinkus",
        ),
        (
            f"{LIVE} classifier.backend=litellm",
            "classifier: litellm does not say how likely a word is; use clas",
        ),
        (f"{LIVE} classifier.backend=scripted", "classifier: scripted does not say how likely a word is"),
        (f"{LIVE} classifier=openai_compatible", "classifier.api_base: is null"),
        (
            f"{LIVE} assistant.backend=recorded",
            "assistant: recorded has nothing to say there; use one of hf, ",
        ),
        (f"{LIVE} assistant.backend=encoder", "assistant: encoder has nothing to say there; use one of hf, "),
        ("mode=online assistant=openai_compatible", "assistant.api_base: is null"),
    ],
)
def test_what_cannot_be_is_one_line(play: Playing, tmp_path: Path, words: str, line: str) -> None:
    make(tmp_path, "prepare/sample")
    (tmp_path / "sft" / "thesis").mkdir()
    (make(tmp_path, "sft/hollow") / "model" / "config.json").unlink()
    (make(tmp_path, "sft/half") / "model" / "model.safetensors").unlink()
    begun = make(tmp_path, "sft/unfinished")
    save_manifest(begun, manifest(a=1))
    assert re.match(line, refusal(play, *words.split()))


def test_a_run_that_is_not_there_is_found_under_a_longer_name(play: Playing, tmp_path: Path) -> None:
    make(tmp_path, f"sft/{LEAVING}-seed_1", "ending")
    (tmp_path / "sft" / LEAVING).rename(tmp_path / "sft" / "elsewhere")
    assert refusal(play, *LIVE.split()).endswith(f"; there is {LEAVING}-seed_1: ending_run={LEAVING}-seed_1")


def test_what_is_not_asked_is_not_looked_at(play: Playing) -> None:
    """Replayed, nobody answers and nobody ends it."""
    offline = play("assistant=openai_compatible", "classifier.backend=litellm", "ending_run=nobody")
    assert offline.endpoints.keys() == {USER}
    live = play(*LIVE.split(), "ending=simulator", "classifier.backend=litellm", "ending_run=nobody")
    assert live.endpoints.keys() == {USER, ASSISTANT}


def test_guided_needs_a_server_that_goes_on_from_given_words(play: Playing) -> None:
    line = refusal(play, *MY_SERVER, "decode=guided")
    assert line.startswith("decode: guided sets the tags, and this server cannot go on from words")
    assert "user.structured=vllm" in line
    assert "decode=free" in line
    refusal(play, *MY_SERVER, "decode=guided", "method=prompt_thinking")
    for words in (
        [*MY_SERVER, "decode=free"],
        [*MY_SERVER, "decode=guided", "user.structured=vllm"],
        [*MY_SERVER, "decode=guided", "method=utterance_sft"],
        [*MY_SERVER, "decode=guided", "method=prompt"],
        ["user=vllm", "decode=guided"],
        ["user=hf", "decode=guided"],
    ):
        play(*words)


# Who has how much of a GPU --------------------------------------------------------------------


def servers(given: list[float | None]) -> dict[str, Endpoint]:
    """Of ours, with these shares."""
    usual = Vllm(python=None, memory_share=None, max_length=None, arguments=["--seed=1"])
    options = [usual.model_copy(update={"memory_share": share}) for share in given]
    return {
        where: endpoint(None, backend="vllm", vllm=vllm)
        for where, vllm in zip((USER, ASSISTANT, CLASSIFIER), options, strict=False)
    }


def shares(endpoints: dict[str, Endpoint]) -> list[float | None]:
    return [one.vllm.memory_share if one.vllm else None for one in endpoints.values()]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([None], [0.9]),
        ([None, None], [0.45, 0.45]),
        ([None, None, None], [0.3, 0.3, 0.3]),
        ([None, 0.6, None], [0.15, 0.6, 0.15]),
        ([0.2, 0.6, None], [0.2, 0.6, 0.1]),
        ([0.5, 0.5], [0.5, 0.5]),
        ([0.95], [0.95]),
    ],
)
def test_servers_share_what_the_others_leave(given: list[float | None], expected: list[float]) -> None:
    before = servers(given)
    found = with_memory(before)
    assert shares(found) == pytest.approx(expected)
    assert shares(before) == given, "what was asked for is not written over"
    assert list(found) == list(before)
    assert all(one.vllm and one.vllm.arguments == ["--seed=1"] for one in found.values())


def test_only_servers_of_ours_take_memory() -> None:
    others = {
        ASSISTANT: endpoint("http://here/v1"),
        CLASSIFIER: endpoint(None, backend="hf", model="tiny"),
    }
    assert shares(with_memory(servers([None]) | others)) == [0.9, None, None]
    assert with_memory(others) == others


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([0.6, 0.6], "user.vllm.memory_share: all servers together would take 1.20 of a GPU's memory; "),
        ([0.9, None], "assistant.vllm.memory_share: the run's other servers take 0.90 of a GPU's memory"),
        ([None, 0.5, 0.7], "user.vllm.memory_share: the run's other servers take 1.20 of a GPU's memory"),
    ],
)
def test_more_than_there_is_is_refused(given: list[float | None], line: str) -> None:
    with pytest.raises(ThinkusError, match=f"^{line}") as refused:
        with_memory(servers(given))
    assert "\n" not in str(refused.value)


def test_a_run_shares_the_memory_between_its_three_servers(play: Playing) -> None:
    assert shares(play("mode=online").endpoints) == [0.3, 0.3, 0.3]
    assert shares(play("mode=online", "assistant.vllm.memory_share=0.5").endpoints) == [0.2, 0.5, 0.2]
    assert shares(play(*LIVE.split()).endpoints) == [0.45, None, 0.45]
    assert refusal(play, "mode=online", "user.vllm.memory_share=0.9").startswith("assistant.vllm.memory_sh")

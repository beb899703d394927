"""Who is asked: what can be seen to be wrong is refused at the door, and weights that are here are read."""

from pathlib import Path

import pytest

from tests.judging.parts import ANA, annotated, begun, config, finished, refused
from tests.judging.runs import live, replayed
from tests.user.test_cast import make
from thinkus.compose import jobs
from thinkus.config import JudgeConfig
from thinkus.identity import identity_of, made_from
from thinkus.judging import goals, online, pairwise, terminal
from thinkus.judging.task import Way, judge_of
from thinkus.llm.encoder import USUAL
from thinkus.weights import find

WAYS: dict[str, Way] = {"pairwise": pairwise, "terminal": terminal, "goals": goals, "online": online}
SIDES = {
    "pairwise": ("ours", "theirs"),
    "terminal": ("ours", None),
    "goals": (None, None),
    "online": ("live", None),
}
READ = {
    "pairwise": {"candidate", "baseline"},
    "terminal": {"candidate"},
    "goals": {"eval"},
    "online": {"candidate", "goals"},
}
"""Besides the judge."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where all that can be judged is at hand, and a model."""
    corpus = annotated(tmp_path, ANA)
    for name in ("ours", "theirs"):
        replayed(tmp_path, name, [ANA], lambda one, turn: "so", "thinkingus")
    live(tmp_path, "live", [ANA], lambda one: (["Hi"], "max_turns"), corpus)
    finished(tmp_path, "judge/listed", [], task="goals")
    make(tmp_path, "sft/taught")
    return tmp_path


def asked_for(task: str, *words: str, **changes: object) -> JudgeConfig:
    """Whose endpoint differs so from that of the config."""
    whole = config("task=pairwise", *words)
    candidate, baseline = SIDES[task]
    values: dict[str, object] = {
        "task": task,
        "candidate": candidate,
        "baseline": baseline,
        "goals": "listed",
        "eval": config("eval=sample").eval,
        "judge": whole.judge.model_copy(update=changes),
    }
    return whole.model_copy(update=values)


@pytest.mark.parametrize("task", WAYS)
def test_of_a_judge_that_is_asked_over_a_wire_nothing_is_read(root: Path, task: str) -> None:
    assert set(WAYS[task].inputs(asked_for(task), root)) == READ[task]


@pytest.mark.parametrize(
    ("task", "judge"),
    [("pairwise", "hf"), ("terminal", "hf"), ("online", "hf"), *((task, "vllm") for task in WAYS)],
)
def test_weights_that_are_here_are_an_input_and_others_make_another_run(
    root: Path, task: str, judge: str
) -> None:
    folder = root / "sft/taught/model"
    one = asked_for(task, f"judge={judge}", model=str(folder))
    read = WAYS[task].inputs(one, root)
    assert set(read) == {"judge", *READ[task]}
    assert read["judge"] == (str(folder), find(str(folder)).identity, judge)
    assert WAYS[task].inputs(one, root) == read
    begun(WAYS[task], one, root)
    (folder / "model.safetensors").write_text("other weights")
    again = WAYS[task].inputs(one, root)
    assert again["judge"].identity != read["judge"].identity
    assert again["judge"].read == read["judge"].read


def test_a_sentence_encoder_is_an_input_too(root: Path) -> None:
    read = pairwise.inputs(asked_for("pairwise", "judge=embedding"), root)
    assert list(read) == ["judge", "candidate", "baseline"]
    assert (read["judge"].read, read["judge"].description) == (USUAL, "embedding")
    assert judge_of(asked_for("pairwise", "judge=embedding"), "encoder") == {"judge": read["judge"]}
    assert len(read["judge"].identity) == 64


WRONG: list[tuple[str, dict[str, object], str]] = [
    ("deepseek_v3", {"api_base": None}, "judge.api_base: is null; say where the server is"),
    ("deepseek_v3", {"api_base": "localhost"}, "judge.api_base: must be an address"),
    ("deepseek_v3", {"api_base": "http://me:secret@there/v1"}, "judge.api_base: must end with its path"),
    ("deepseek_v3", {"model": None}, "judge.model: is null; say which one"),
    ("deepseek_v3", {"extra": {"messages": []}}, "judge.extra.messages: cannot be said there"),
    ("litellm", {"model": None}, "judge.model: is null; name one as PROVIDER/NAME"),
    ("vllm", {"model": None}, "judge.model: is null; name one of conf/model/, a folder, or one of the hub"),
    ("vllm", {"model": "no/such/folder"}, "judge.model: there is no folder no/such/folder"),
]


@pytest.mark.parametrize("task", WAYS)
@pytest.mark.parametrize(("judge", "change", "told"), WRONG)
def test_an_endpoint_that_cannot_answer_is_refused_before_anything_is_asked(
    root: Path, task: str, judge: str, change: dict[str, object], told: str
) -> None:
    """Even before the runs are looked for."""
    one = asked_for(task, f"judge={judge}", **change)
    said = refused(WAYS[task], one, root)
    assert said.startswith(told)
    assert "secret" not in said
    assert refused(WAYS[task], one, root / "nowhere") == said


@pytest.mark.parametrize(
    ("judge", "change", "told"),
    [
        ("hf", {"model": None}, "judge.model: is null; name one of conf/model/"),
        ("embedding", {"model": None}, "judge.model: is null; name a folder that holds a sentence encoder"),
    ],
)
def test_a_judge_in_this_process_has_to_be_named(
    root: Path, judge: str, change: dict[str, object], told: str
) -> None:
    assert refused(pairwise, asked_for("pairwise", f"judge={judge}", **change), root).startswith(told)


# Names and identities ------------------------------------------------------------------------


def job(*words: str) -> tuple[str, str]:
    (one,) = jobs("judge", ["candidate=a.b", *words], sweep=False)
    return one.name, identity_of(made_from(one.config, {}, {}))


def test_against_whom_stands_at_the_end_of_the_name_and_its_content_alone_in_the_identity() -> None:
    alone, identity = job()
    assert alone == "pairwise.a.b.deepseek_v3"
    for baseline in ("c.d", "simulate/c.d", "/some/outputs/simulate/c.d/"):
        assert job(f"baseline={baseline}") == (f"{alone}-baseline_c.d", identity)
    assert job("baseline=e")[0] == f"{alone}-baseline_e"
    assert job("task=online", "baseline=c.d")[0] == "online.a.b.deepseek_v3-baseline_c.d"
    assert job("protocol=paper", "baseline=e")[0] == f"{alone}-baseline_e-protocol_paper"
    assert job("task=terminal", "baseline=e") == job("task=terminal")


def test_another_baseline_makes_another_run(root: Path) -> None:
    """By its content, which is an input."""
    same = asked_for("pairwise")
    read = pairwise.inputs(same, root)
    other = replayed(root, "others", [ANA], lambda one, turn: "not so", "thinkingus")
    changed = pairwise.inputs(same.model_copy(update={"baseline": "others"}), root)
    assert changed["baseline"].read == str(other)
    assert changed["baseline"].identity != read["baseline"].identity
    assert changed["candidate"] == read["candidate"]

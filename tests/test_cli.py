"""The command line, as a person meets it."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Finished
from thinkus import compose, paths
from thinkus.cli import STAGES
from thinkus.errors import ConfigError

Thinkus = Callable[..., Finished]


def test_help_names_every_stage_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom thinkus.cli import app\n"
        "try: app(args=['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}"
        " & {'hydra', 'omegaconf', 'pydantic', 'torch', 'numpy', 'pyarrow', 'datasets', 'msgspec'}))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert all(stage in shown for stage in [*STAGES, "runs", "doctor"])
    assert shown.splitlines()[-1] == "[]"


def test_the_help_of_a_stage_lists_its_groups_with_their_options(thinkus: Thinkus) -> None:
    shown = thinkus("sft", "--help").stdout
    assert "gemma270m llama8b llama8b_instruct" in shown
    assert "zero3_offload" in shown
    assert "global_batch" in shown


@pytest.mark.parametrize("words", [["model=llama8b", "-m", "seed=0,1"], ["-m", "model=llama8b", "seed=0,1"]])
def test_m_may_stand_anywhere_and_names_two_runs(thinkus: Thinkus, words: list[str]) -> None:
    shown = thinkus("sft", "--show", *words)
    names = [line for line in shown.stdout.splitlines() if line.startswith("# ")]
    assert names == [
        "# thinkus sft: outputs/sft/thinkingus-llama8b-lmsys",
        "# thinkus sft: outputs/sft/thinkingus-llama8b-lmsys-seed_1",
    ]


@pytest.mark.parametrize("words", [["data=sample", "-m", "seed=0,1"], ["-m", "data=sample", "seed=0,1"]])
def test_a_sweep_makes_a_run_for_each_job(thinkus: Thinkus, workspace: Path, words: list[str]) -> None:
    finished = thinkus("prepare", *words)
    assert finished.returncode == 0, finished.stderr
    made = sorted(path.name for path in (workspace / "outputs" / "prepare").iterdir())
    assert made == ["sample", "sample-seed_1"]
    records = [(workspace / "outputs" / "prepare" / name / "records.jsonl").read_bytes() for name in made]
    assert records[0] != records[1]


def test_a_failed_job_of_a_sweep_hides_no_other(thinkus: Thinkus, workspace: Path) -> None:
    finished = thinkus("prepare", "data=sample", "-m", "data.test=9999,8")
    assert finished.returncode == 2
    assert "data.test: 9,999 conversations are asked for" in finished.stderr
    assert finished.stderr.splitlines()[-1] == "1 of 2 jobs failed, as said above: sample-test_9999"
    assert (workspace / "outputs" / "prepare" / "sample-test_8" / "records.jsonl").exists()


def test_show_and_dry_run_write_nothing(thinkus: Thinkus, workspace: Path) -> None:
    shown = thinkus("prepare", "data=sample", "--show")
    planned = thinkus("prepare", "data=sample", "--dry-run")
    assert shown.stdout.startswith("# thinkus prepare: outputs/prepare/sample\n")
    assert "writes outputs/prepare/sample" in planned.stdout
    assert list(workspace.iterdir()) == []


def test_root_moves_the_whole_workspace(thinkus: Thinkus, workspace: Path) -> None:
    assert thinkus("prepare", "data=sample", "root=elsewhere", "-m", "seed=3").returncode == 0
    assert [path.name for path in workspace.iterdir()] == ["elsewhere"]
    table = thinkus("runs", "root=elsewhere").stdout
    assert "sample-seed_3" in table
    assert "done" in table


def test_a_root_that_cannot_be_is_said_before_any_work(thinkus: Thinkus, workspace: Path) -> None:
    (workspace / "file").write_text("")
    finished = thinkus("prepare", "data=sample", "root=file")
    assert finished.returncode == 2
    assert finished.stderr.startswith("root: cannot write into file/prepare")
    assert finished.stderr.count("\n") == 1


def test_an_edited_value_is_noticed_and_redo_derives_again(thinkus: Thinkus, workspace: Path) -> None:
    assert thinkus("prepare", "data=sample", "name=mine").returncode == 0
    again = thinkus("prepare", "data=sample", "name=mine")
    assert again.returncode == 0
    assert again.stderr.splitlines()[-1] == "prepare: outputs/prepare/mine is already done"
    refused = thinkus("prepare", "data=sample", "name=mine", "seed=4")
    assert refused.returncode == 2
    assert "holds another result (seed: 0 then, 4 now)" in refused.stderr.splitlines()[-1]
    assert thinkus("prepare", "data=sample", "name=mine", "seed=4", "--redo").returncode == 0
    assert json.loads((workspace / "outputs/prepare/mine/run.json").read_text())["seed"] == 4


def test_an_edited_input_is_noticed(thinkus: Thinkus, workspace: Path) -> None:
    line = {"messages": [{"role": "user", "content": "hi there"}, {"role": "assistant", "content": "hello"}]}
    own = workspace / "own.jsonl"
    own.write_text(json.dumps(line) + "\n")
    words = ["prepare", "data=jsonl", "data.path=own.jsonl", "data.test=1", "data.train=0", "name=own"]
    assert thinkus(*words).returncode == 0
    line["messages"][0]["content"] = "good morning"
    own.write_text(json.dumps(line) + "\n")
    refused = thinkus(*words)
    assert refused.returncode == 2
    assert "corpus (read): other content" in refused.stderr.splitlines()[-1]


def test_no_home_directory_is_written_into_a_run(thinkus: Thinkus, workspace: Path) -> None:
    home = workspace.parent / "home"
    line = {"messages": [{"role": "user", "content": "hi there"}, {"role": "assistant", "content": "hello"}]}
    (home / "own.jsonl").write_text(json.dumps(line) + "\n")
    done = thinkus(
        "prepare",
        "data=jsonl",
        f"data.path={home}/own.jsonl",
        f"root={home}/results",
        "data.test=1",
        "data.train=0",
    )
    assert done.returncode == 0, done.stderr
    for file in (home / "results" / "prepare").rglob("*"):
        if file.is_file():
            assert str(home) not in file.read_text(), file


def test_runs_knows_done_from_damaged(thinkus: Thinkus, workspace: Path) -> None:
    thinkus("prepare", "-m", "data=sample", "seed=0,1")
    (workspace / "outputs/prepare/sample/run.json").write_text("{")
    lines = thinkus("runs").stdout.splitlines()
    states = {line.split()[1]: line.split()[2] for line in lines[1:3]}
    assert states == {"sample": "damaged", "sample-seed_1": "done"}
    assert lines[3].startswith("prepare/sample: outputs/prepare/sample/run.json: is damaged")


def test_runs_without_a_root_says_what_to_do(thinkus: Thinkus) -> None:
    finished = thinkus("runs")
    assert finished.returncode == 2
    assert "root: there is no folder outputs" in finished.stderr


def test_doctor_shows_keys_by_name_only(thinkus: Thinkus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-very-secret")
    shown = thinkus("doctor").stdout
    assert "DEEPSEEK_API_KEY" in shown
    assert "OPENROUTER_API_KEY" in shown
    assert "secret" not in shown
    assert "hf download lmsys/lmsys-chat-1m --repo-type dataset" in " ".join(shown.split())


def test_gated_data_that_is_not_there_says_how_to_get_it(thinkus: Thinkus) -> None:
    finished = thinkus("prepare", "data=lmsys")
    assert finished.returncode == 2
    assert "https://huggingface.co/datasets/lmsys/lmsys-chat-1m" in finished.stderr
    assert "data=sample" in finished.stderr


MISTAKES_IN_FLAGS = {
    (
        "prepare",
        "--data=sample",
    ): "no such option: --data; values are said without dashes, as KEY=VALUE: data=...",
    ("--show", "prepare"): "no such option: --show: flags come after the stage, as in thinkus prepare --show",
    ("preprae",): "no such command 'preprae'",
    ("prepare", "sample"): "'sample': is not KEY=VALUE; did you mean data=sample?",
    ("prepare", "redo"): "'redo': is not KEY=VALUE; did you mean --redo?",
    ("prepare", "hydra.run.dir=x"): "hydra.run.dir=x: speaks to Hydra itself",
    ("prepare", "data=sample", "-m", "name=a", "seed=0,1"): "a: is the name of several jobs of this sweep",
    ("prepare", "data=sample", "-m", "root=/dev/null/x"): "root: cannot write into /dev/null/x",
}


@pytest.mark.parametrize("words", MISTAKES_IN_FLAGS)
def test_a_mistake_in_the_words_is_one_line(thinkus: Thinkus, words: tuple[str, ...]) -> None:
    finished = thinkus(*words)
    assert finished.returncode == 2
    assert finished.stderr.startswith(MISTAKES_IN_FLAGS[words])
    assert finished.stderr.count("\n") == 1


def test_a_tilde_spaces_and_letters_beyond_ascii_need_no_quotes(thinkus: Thinkus, workspace: Path) -> None:
    line = {"messages": [{"role": "user", "content": "hi there"}, {"role": "assistant", "content": "hello"}]}
    (workspace.parent / "home" / "mein käse 1.jsonl").write_text(json.dumps(line) + "\n")
    words = [
        "data=jsonl",
        "data.path=~/mein käse 1.jsonl",
        "data.test=1",
        "data.train=0",
        "root=~/ergebnis ö",
        "name=a",
    ]
    assert thinkus("prepare", *words).returncode == 0
    assert (workspace.parent / "home" / "ergebnis ö" / "prepare" / "a" / "records.jsonl").exists()
    assert thinkus("prepare", "-m", *words[:-1], "seed=0,1").returncode == 0


def test_dry_run_says_what_would_become_of_the_run(thinkus: Thinkus) -> None:
    assert (
        thinkus("prepare", "data=sample", "--dry-run").stdout.splitlines()[-1]
        == "  writes outputs/prepare/sample"
    )
    thinkus("prepare", "data=sample")
    assert "already done" in thinkus("prepare", "data=sample", "--dry-run").stdout
    assert (
        "would be refused" in thinkus("prepare", "data=sample", "name=sample", "seed=3", "--dry-run").stdout
    )


def test_a_full_disk_is_one_line(thinkus: Thinkus, workspace: Path) -> None:
    code = "from thinkus.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", code, "prepare", "--show"]
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert finished.returncode == 2
    assert finished.stderr == "output: no space left on device; mend that, the same command goes on\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR2])
def test_an_interrupt_says_that_the_same_command_goes_on(workspace: Path, number: signal.Signals) -> None:
    lines = "".join(
        json.dumps({"messages": [{"role": "user", "content": str(n)}]}) + "\n" for n in range(300_000)
    )
    (workspace / "own.jsonl").write_text(lines)
    command = [sys.executable, "-m", "thinkus", "prepare", "data=jsonl", "data.path=own.jsonl", "name=own"]

    def hear_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # what runs in a shell's background is born deaf to it

    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c) as child:
        assert child.stderr is not None
        while not list((workspace / "outputs/prepare/own").glob("*.unfinished")):
            assert child.poll() is None, "it ended by itself"
            time.sleep(0.01)
        child.send_signal(number)
        assert child.stderr.read().splitlines()[-1] == "stopped; the same command goes on from here"
    assert child.returncode == 130
    assert not list((workspace / "outputs/prepare/own").glob("claim-*"))


def test_broken_yaml_is_named_with_its_line(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    conf = workspace / "conf"
    shutil.copytree(paths.CONF, conf)
    with (conf / "prepare.yaml").open("a") as file:
        file.write("filters: [\n")
    monkeypatch.setattr(compose, "CONF", conf)
    with pytest.raises(ConfigError, match=r"prepare\.yaml, line \d+: is no YAML"):
        compose.jobs("prepare", [], sweep=False)

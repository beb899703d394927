"""What Tab offers, asked as a real bash asks and as fish does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Offered = Callable[[str], list[str]]


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """An installed `thinkus`: its name is part of the protocol."""
    thinkus = tmp_path / "thinkus"
    thinkus.write_text(f"#!{sys.executable}\nfrom thinkus.cli import main\nmain()\n")
    thinkus.chmod(0o755)
    return thinkus


@pytest.fixture
def offered(command: Path) -> Offered:
    def ask(line: str) -> list[str]:
        environment = os.environ | {"_THINKUS_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": line}
        environment["_TYPER_COMPLETE_FISH_ACTION"] = "get-args"
        return subprocess.run([command], capture_output=True, text=True, env=environment).stdout.split()

    return ask


def test_group_names_and_keys(offered: Offered) -> None:
    assert {"method=", "model=", "max_length=", "max_grad_norm=", "max_tokens_per_rank="} == set(
        offered("thinkus sft m")
    )


def test_the_keys_of_a_group_come_after_its_dot(offered: Offered) -> None:
    assert {"data.path=", "data.test="} <= set(offered("thinkus prepare data."))


def test_the_options_of_a_group(offered: Offered) -> None:
    assert offered("thinkus sft model=q") == [
        f"model={name}" for name in ("qwen3_4b", "qwen3_4b_base", "qwen3_8b", "qwen3_8b_base")
    ]


def test_the_next_value_of_a_sweep(offered: Offered) -> None:
    assert offered("thinkus sft -m model=tiny,gem") == ["model=tiny,gemma270m"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_in_a_real_bash_that_splits_at_equals_signs(command: Path) -> None:
    script = """
        eval "$(_THINKUS_COMPLETE=source_bash thinkus)"
        ask() {
            COMPREPLY=(); COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 )); _thinkus_completion thinkus; echo "${COMPREPLY[@]}"
        }
        COMP_WORDS=(thinkus sft model = lla); ask
        COMP_WORDS=(thinkus sft model =); ask
        COMP_WORDS=(thinkus sft seed = 1 zer); ask
        COMP_WORDS=(thinkus si); ask
    """
    environment = os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}"}
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert shown.stdout.splitlines() == [
        "llama8b llama8b_instruct",
        "gemma270m llama8b llama8b_instruct qwen3_4b qwen3_4b_base qwen3_8b qwen3_8b_base tiny",
        "zero=",
        "simulate",
    ], shown.stderr

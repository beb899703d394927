"""The wheel holds all that a run needs: conf, prompts, the sample."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=CHECKOUT)
    (file,) = folder.glob("*.whl")
    return file


def test_everything_in_conf_and_prompts_travels(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("conf", "prompts"):
        for file in (CHECKOUT / folder).rglob("*.*"):
            assert f"thinkus/{file.relative_to(CHECKOUT)}" in names
    for file in (CHECKOUT / "thinkus" / "report" / "page").iterdir():
        assert f"thinkus/report/page/{file.name}" in names
    assert "thinkus/corpora/sample/conversations.jsonl" in names
    assert not any(name.startswith(("tests/", "scripts/", "bench/")) for name in names)


def test_it_runs_from_an_empty_folder_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    unpacked, empty = tmp_path / "unpacked", tmp_path / "empty"
    zipfile.ZipFile(wheel).extractall(unpacked)
    empty.mkdir()
    run = [sys.executable, "-m", "thinkus"]
    environment = os.environ | {"PYTHONPATH": str(unpacked)}
    where = [sys.executable, "-c", "import thinkus.paths; print(thinkus.paths.CONF)"]
    found = subprocess.run(where, capture_output=True, text=True, cwd=empty, env=environment)
    assert found.stdout.strip() == str(unpacked / "thinkus" / "conf")
    shown = subprocess.run(
        [*run, "sft", "--show"], capture_output=True, text=True, cwd=empty, env=environment
    )
    assert shown.stdout == (CHECKOUT / "tests" / "golden" / "sft.yaml").read_text()
    made = subprocess.run(
        [*run, "prepare", "data=sample"], capture_output=True, text=True, cwd=empty, env=environment
    )
    assert made.returncode == 0, made.stderr


@pytest.mark.real
def test_it_installs_into_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """With the network: the base install alone, as a person would."""
    environment, empty = tmp_path / "environment", tmp_path / "empty"
    venv.create(environment, with_pip=True)
    empty.mkdir()
    pip: list[str | Path] = [environment / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "--constraint", CHECKOUT / "constraints.txt", wheel], check=True)
    thinkus = environment / "bin" / "thinkus"
    shown = subprocess.run([thinkus, "sft", "--show"], capture_output=True, text=True, cwd=empty)
    assert shown.stdout == (CHECKOUT / "tests" / "golden" / "sft.yaml").read_text(), shown.stderr
    subprocess.run([thinkus, "prepare", "data=sample"], check=True, cwd=empty)

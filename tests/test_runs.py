"""The run contract: skip, resume, refuse, redo; and a word for every kind of damage."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.conftest import Finished
from thinkus import runs
from thinkus.claims import Claim
from thinkus.errors import RunRefused, ThinkusError
from thinkus.identity import identity_of
from thinkus.runs import Manifest, claimed, input_identity, input_run, load_manifest, make_writable, status


def manifest(**made_from: object) -> Manifest:
    return Manifest(
        schema=runs.RUN_SCHEMA,
        thinkus="0",
        stage="prepare",
        name="a",
        status="started",
        identity=identity_of(made_from),
        made_from=made_from,
        inputs={},
        prompts={},
        seed=0,
        git_commit=None,
        packages={},
        hardware={},
        started=runs.now(),
    )


def make(directory: Path, content: bytes = b"{}\n", redo: bool = False, **made_from: object) -> bool:
    """Write a run of one file; False when it was there already."""
    with claimed(directory, manifest(**made_from), "a: 1\n", redo=redo) as run:
        if run is None:
            return False
        with run.output("records.jsonl") as file:
            file.write(content)
        run.finish()
    return True


def test_done_is_skipped_and_started_goes_on(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    with pytest.raises(ZeroDivisionError), claimed(directory, manifest(lr=1), "", redo=False) as run:
        assert run is not None
        assert not run.is_resumed
        assert status(directory) == "running"
        raise ZeroDivisionError
    assert status(directory) == "failed"
    with claimed(directory, manifest(lr=1), "", redo=False) as run:
        assert run is not None
        assert run.is_resumed
        run.finish()
    assert status(directory) == "done"
    assert not make(directory, lr=1)


def test_a_stopped_run_is_interrupted_not_failed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), claimed(tmp_path, manifest(), "", redo=False):
        raise KeyboardInterrupt
    assert status(tmp_path) == "interrupted"


def test_another_identity_is_refused_with_what_differs(tmp_path: Path) -> None:
    make(tmp_path, lr=1, seed=0)
    with pytest.raises(RunRefused, match=r"\(lr: 1 then, 2 now\).*--redo"):
        make(tmp_path, lr=2, seed=0)
    assert (tmp_path / "records.jsonl").read_bytes() == b"{}\n"


def test_an_unfinished_run_of_another_identity_is_refused_too(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path, manifest(lr=1), "", redo=False):
        raise ZeroDivisionError
    (tmp_path / "completions.sqlite").write_text("dear")
    with pytest.raises(RunRefused, match="lr: 1 then, 2 now"):
        make(tmp_path, lr=2)


def test_a_run_that_ended_before_it_made_anything_is_in_nobodys_way(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path, manifest(lr=1), "", redo=False):
        raise ZeroDivisionError
    assert make(tmp_path, lr=2)


def test_redo_derives_again_and_keeps_what_was_paid_for(tmp_path: Path) -> None:
    make(tmp_path, lr=1)
    (tmp_path / "completions.sqlite").write_text("dear")
    (tmp_path / "failures.jsonl").write_text("of the old result")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("of the old result")
    assert make(tmp_path, b'{"b":1}\n', redo=True, lr=2)
    assert not (tmp_path / "failures.jsonl").exists()
    assert not (tmp_path / "model").exists()
    assert (tmp_path / "records.jsonl").read_bytes() == b'{"b":1}\n'
    assert (tmp_path / "completions.sqlite").read_text() == "dear"


def test_redo_touches_nothing_that_is_not_of_our_making(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(RunRefused, match=r"thesis\.tex"):
        make(tmp_path, redo=True)
    assert (tmp_path / "records.jsonl").exists()
    assert (tmp_path / "thesis.tex").exists()


@pytest.mark.parametrize("redo", [False, True])
def test_a_folder_that_was_never_a_run_is_left_alone(tmp_path: Path, redo: bool) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights.bin").write_text("years")
    (tmp_path / "chapter3.unfinished").write_text("years")
    (tmp_path / "part-two.tex").write_text("years")
    with pytest.raises(RunRefused, match=r"but no run\.json"):
        make(tmp_path, redo=redo)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chapter3.unfinished",
        "model",
        "part-two.tex",
    ]


def test_strangers_in_a_run_stay(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "drafts.unfinished").mkdir()
    (tmp_path / "part-0001-of-0002").mkdir()
    (tmp_path / "part-0001-of-0002" / "notes.txt").write_text("mine")
    with pytest.raises(RunRefused, match="is not of thinkus's making"):
        make(tmp_path, redo=True)
    assert (tmp_path / "part-0001-of-0002" / "notes.txt").exists()


def test_two_writers_halves_are_two_files(tmp_path: Path) -> None:
    """A writer that slept, was taken over and woke must not put the other's half in place."""
    refused = pytest.raises(RunRefused, match="another took the run over")
    with refused, claimed(tmp_path, manifest(), "", redo=False) as run:
        assert run is not None
        with run.output("records.jsonl") as file:
            file.write(b"slow\n")
            next(tmp_path.glob("claim-*")).unlink()
            assert make(tmp_path, b"quick\n")
    assert (tmp_path / "records.jsonl").read_bytes() == b"quick\n"
    assert status(tmp_path) == "done"


def test_a_run_in_other_hands_is_refused(tmp_path: Path) -> None:
    with Claim.take(tmp_path), pytest.raises(RunRefused, match="is being written by"):
        make(tmp_path)


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path, manifest(), "", redo=False) as run:
        assert run is not None
        with run.output("records.jsonl") as file:
            file.write(b"half")
            raise ZeroDivisionError
    assert not (tmp_path / "records.jsonl").exists()
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml", "records.jsonl", "run.json"]


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut": (lambda d: (d / "run.json").write_bytes((d / "run.json").read_bytes()[:40]), "is damaged; --redo"),
    "binary": (lambda d: (d / "run.json").write_bytes(b"\xff\xfe\x00"), "is damaged; --redo"),
    "not a manifest": (lambda d: (d / "run.json").write_text("[]"), "is damaged; --redo"),
    "field missing": (lambda d: (d / "run.json").write_text('{"schema": 1}'), r"is damaged \(.*\); --redo"),
    "other version": (
        lambda d: (d / "run.json").write_text('{"schema": 99}'),
        "schema 99 by another version",
    ),
    "records gone": (lambda d: (d / "records.jsonl").unlink(), "records.jsonl: is gone.*--redo"),
    "records cut": (lambda d: (d / "records.jsonl").write_bytes(b"{"), "has 1 bytes instead of 3.*--redo"),
    "manifest gone": (lambda d: (d / "run.json").unlink(), "but no run.json"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_said_in_one_line(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "a"
    make(directory)
    damage, message = DAMAGE[kind]
    damage(directory)
    with pytest.raises(RunRefused, match=message) as caught:
        make(directory)
    assert "\n" not in str(caught.value)
    assert status(directory) == "damaged"


@pytest.mark.parametrize("kind", [kind for kind in DAMAGE if kind != "manifest gone"])
def test_redo_mends_damage(tmp_path: Path, kind: str) -> None:
    directory = tmp_path / "a"
    make(directory)
    DAMAGE[kind][0](directory)
    assert make(directory, redo=True)
    assert status(directory) == "done"


def test_a_root_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ThinkusError, match=r"root: cannot write into .*not a directory.*root=DIR"):
        make_writable(tmp_path / "file" / "prepare")


def test_an_input_must_be_there_finished_and_whole(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match=r"there is no run .*first: thinkus prepare"):
        input_run(tmp_path, "prepare/a", "thinkus prepare")
    directory = tmp_path / "prepare" / "a"
    with pytest.raises(ZeroDivisionError), claimed(directory, manifest(), "", redo=False):
        with pytest.raises(ThinkusError, match="still being written by process"):
            input_run(tmp_path, "prepare/a", "thinkus prepare")
        raise ZeroDivisionError
    with pytest.raises(ThinkusError, match="is not finished"):
        input_run(tmp_path, "prepare/a", "thinkus prepare")
    make(directory)
    assert input_run(tmp_path, "prepare/a", "")[0] == directory
    assert input_run(tmp_path / "elsewhere", str(directory), "")[0] == directory
    (directory / "records.jsonl").unlink()
    with pytest.raises(RunRefused, match="is gone"):
        input_run(tmp_path, "prepare/a", "")


def test_an_inputs_identity_changes_with_its_content(tmp_path: Path) -> None:
    make(tmp_path)
    before = input_identity(input_run(tmp_path, str(tmp_path), "")[1])
    make(tmp_path, b"[]\n", redo=True)
    assert input_identity(input_run(tmp_path, str(tmp_path), "")[1]) != before


def test_a_result_that_was_edited_by_hand_is_noticed(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "records.jsonl").write_bytes(b"[]\n")  # as many bytes as before
    with pytest.raises(RunRefused, match=r"records\.jsonl: was changed after the run was done"):
        input_run(tmp_path, str(tmp_path), "")
    with pytest.raises(RunRefused, match=r"was changed after the run was done; --redo"):
        make(tmp_path)


def test_the_manifest_says_what_the_run_is(tmp_path: Path) -> None:
    make(tmp_path, lr=1)
    said = json.loads((tmp_path / "run.json").read_text())
    assert said["status"] == "done"
    assert said["made_from"] == {"lr": 1}
    assert said["files"]["records.jsonl"]["bytes"] == 3
    assert said["ended"] >= said["started"]
    assert load_manifest(tmp_path) == msgspec.json.decode((tmp_path / "run.json").read_bytes(), type=Manifest)


def test_two_writers_at_once_one_is_refused(thinkus: Callable[..., Finished], workspace: Path) -> None:
    thinkus("prepare", "data=sample")
    with Claim.take(workspace / "outputs" / "prepare" / "sample"):
        refused = thinkus("prepare", "data=sample", "--redo")
    assert refused.returncode == 2
    assert refused.stderr.splitlines()[-1].startswith("outputs/prepare/sample: is being written by process")
    assert "Traceback" not in refused.stderr

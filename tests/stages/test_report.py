"""report, of finished runs of judge: what is read, what is written, and when it is made anew."""

import csv
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.judging.parts import finished, person
from tests.report.parts import duels, leaving, sounding, turn
from tests.test_runs import manifest
from thinkus.claims import Claim
from thinkus.compose import jobs
from thinkus.errors import ThinkusError
from thinkus.execute import outlook
from thinkus.launch import dry_run, start
from thinkus.records import Simulated, Simulation
from thinkus.runs import InputFacts, claimed, input_identity, load_manifest

OUTPUTS = Path("outputs")
REPORT = OUTPUTS / "report" / "report"
WRITTEN = ("records.jsonl", "report.md", "figures.csv", "differences.csv")
NAMES = [f"c{at:02}" for at in range(12)]


def facts(place: Path) -> InputFacts:
    its = load_manifest(place)
    assert its is not None
    return InputFacts(str(place), input_identity(its))


def simulated(name: str, root: Path = OUTPUTS) -> InputFacts:
    """Of one conversation, which nobody judges: what was said does not matter here."""
    place = root / "simulate" / name
    if not place.exists():
        corpus = root / "annotate" / "chats"
        if not corpus.exists():
            finished(root, "annotate/chats", [])
        by = Simulated("prompt", "m", "utterances", "free", {})
        said = replace(person(name, "Hello?"), simulation=Simulation(by, ()))
        finished(root, f"simulate/{name}", [said], inputs={"eval": facts(corpus)}, mode="offline")
        (place / "failures.jsonl").touch()
    return facts(place)


def judged(
    name: str,
    rows: Sequence[msgspec.Struct],
    *,
    candidate: str = "ours",
    baseline: str | None = "base",
    root: Path = OUTPUTS,
    **made_from: Any,
) -> Path:
    """A finished run of judge."""
    read = {"candidate": simulated(candidate, root)}
    read |= {"baseline": simulated(baseline, root)} if baseline else {}
    told = {"task": "pairwise", "protocol": "both_orders", "judge.name": "hosted", "judge.model": "m"}
    identities = {f"{role} (read)": one.identity for role, one in read.items()}
    return finished(root, f"judge/{name}", rows, inputs=read, **(told | identities | made_from))


def pairs(candidate: str = "ours", letters: str = "wwl", root: Path = OUTPUTS, **made_from: Any) -> Path:
    rows = duels(candidate, dict.fromkeys(NAMES, letters)).rows
    return judged(f"pairwise.{candidate}", rows, candidate=candidate, root=root, **made_from)


def report(*words: str, redo: bool = False) -> None:
    start("report", words, sweep=False, redo=redo)


def refused(*words: str) -> str:
    with pytest.raises(ThinkusError) as raised:
        report(*words)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def contents() -> dict[str, bytes]:
    return {name: (REPORT / name).read_bytes() for name in WRITTEN}


Said = Callable[[], str]


@pytest.fixture
def said(workspace: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """On stderr, since the last time; in the workspace, since all is relative to it."""
    return lambda: capsys.readouterr().err


def test_all_that_is_done_is_laid_side_by_side(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs("ours")
    pairs("theirs", "llw")
    judged("ending.ours", leaving("ours", dict.fromkeys(NAMES, "ny")).rows, baseline=None, task="ending")
    sounds = sounding("ours", dict.fromkeys(NAMES, ("bake it", "please bake it"))).rows
    judged("likeness.ours", sounds, baseline=None, task="likeness")
    report()
    printed = capsys.readouterr()
    markdown = (REPORT / "report.md").read_text()
    for title in (
        "pairwise, on chats, by hosted (m), protocol both_orders",
        "ending, on chats",
        "likeness, on chats",
    ):
        assert "## {}\n".format(title.replace("_", "\\_")) in markdown
        assert f"\n{title}\n" in printed.out
    assert "r_w against base: ours - theirs" in printed.out
    assert "| wins | 24 | 12 |" in markdown
    assert "Of the runs outputs/judge/pairwise.ours, outputs/judge/pairwise.theirs." in markdown
    for name in WRITTEN[1:]:
        assert f"report: {REPORT / name}\n" in printed.err
    made = load_manifest(REPORT)
    assert made is not None
    assert made.counts == {"items": 4, "sections": 3, "cases": 0}
    assert {role: one.read for role, one in made.inputs.items()} == {
        name: f"outputs/judge/{name}"
        for name in ("ending.ours", "likeness.ours", "pairwise.ours", "pairwise.theirs")
    }


def test_the_same_command_again_is_already_done_and_prints_it_again(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs()
    report()
    first, before = capsys.readouterr(), (REPORT / "run.json").read_bytes()
    report()
    again = capsys.readouterr()
    assert again.out == first.out
    assert "is done" in first.err
    assert "is already done" in again.err
    assert (REPORT / "run.json").read_bytes() == before


def test_when_another_run_is_done_the_same_command_makes_it_anew(said: Said) -> None:
    pairs("ours")
    report()
    assert "theirs" not in (REPORT / "report.md").read_text()
    pairs("theirs")
    report()
    assert "writes outputs/report/report" in said()
    assert "| closer to the person? | ours | theirs |" in (REPORT / "report.md").read_text()


def test_when_a_run_is_derived_anew_or_gone_so_is_the_report(workspace: Path) -> None:
    ours = pairs("ours")
    report()
    shutil.rmtree(ours)
    pairs("ours", "lll")
    report()
    assert "| losses | 36 |" in (REPORT / "report.md").read_text()
    shutil.rmtree(ours)
    pairs("theirs")
    report()
    assert "ours" not in (REPORT / "report.md").read_text()


def test_what_was_begun_of_other_runs_is_no_hindrance(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs("ours")
    with monkeypatch.context() as broken:
        broken.setattr("thinkus.stages.report.as_markdown", lambda _made: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            report()
    assert (REPORT / "records.jsonl").exists()
    pairs("theirs")
    report()
    assert "theirs" in (REPORT / "report.md").read_text()


def test_redo_derives_it_again(said: Said) -> None:
    pairs()
    report()
    before = contents()
    (REPORT / "figures.csv").unlink()
    assert "is gone" in refused()
    report(redo=True)
    assert contents() == before


def test_a_strangers_file_is_never_removed(workspace: Path) -> None:
    pairs("ours")
    report()
    (REPORT / "notes.md").write_text("years")
    pairs("theirs")
    assert "notes.md" in refused()
    assert (REPORT / "notes.md").read_text() == "years"
    assert "ours" in (REPORT / "report.md").read_text()


# What is read --------------------------------------------------------------------------------


def unfinished(name: str) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        claimed(OUTPUTS / "judge" / name, manifest(task="pairwise"), "a: 1\n", redo=False),
    ):
        raise KeyboardInterrupt


def test_what_is_not_done_is_left_out_and_said_once(said: Said, capsys: pytest.CaptureFixture[str]) -> None:
    pairs()
    unfinished("broken.off")
    report()
    told = "report: leaves outputs/judge/broken.off out, which is interrupted\n"
    assert said().count(told) == 1
    report()
    assert said().count(told) == 1, "and of a report that is done"
    dry_run("report", [], sweep=False)
    assert "leaves outputs/judge/broken.off out, which is interrupted" in capsys.readouterr().out
    report("input=pairwise.ours", "name=named")
    assert "leaves" not in said()


def test_runs_can_be_named_by_name_or_path(said: Said, tmp_path: Path) -> None:
    pairs("ours")
    pairs("theirs")
    elsewhere = pairs("ours", "lll", root=tmp_path / "others")
    report(f"input=[pairwise.ours,{elsewhere}]", "name=named")
    markdown = (OUTPUTS / "report" / "named" / "report.md").read_text()
    assert "theirs" not in markdown
    assert "wins | 24 | 0 |" in markdown
    assert f"(pairwise, {12 * 3} items)" in said()
    report("input=judge/pairwise.theirs", "name=one")
    assert "| theirs |" in (OUTPUTS / "report" / "one" / "report.md").read_text()


def test_two_runs_of_one_name_are_told_apart(said: Said, tmp_path: Path) -> None:
    pairs("ours")
    elsewhere = pairs("ours", "lll", root=tmp_path / "others")
    report(f"input=[pairwise.ours,{elsewhere}]", "name=both")
    assert f"report: pairwise.ours, 2 is {elsewhere}" in said()
    rows = csv.DictReader((OUTPUTS / "report" / "both" / "figures.csv").open())
    places = "outputs/judge/pairwise.ours", elsewhere
    assert {row["column"] for row in rows} == {f"ours ({place})" for place in places}


def test_one_run_is_there_once_however_often_it_is_named_or_copied(said: Said) -> None:
    ours = pairs("ours")
    report("input=[pairwise.ours,judge/pairwise.ours,outputs/judge/pairwise.ours]")
    assert " copy" not in said()
    assert "| closer to the person? | ours |\n" in (REPORT / "report.md").read_text()
    shutil.copytree(ours, OUTPUTS / "judge" / "copied")
    report()
    assert "| closer to the person? | ours |\n" in (REPORT / "report.md").read_text()
    assert f"of which {ours} is a copy" in said()


def test_a_wrong_name_is_one_line(workspace: Path) -> None:
    pairs("ours")
    assert refused("input=[pairwise.ours,pairwise.hours]") == (
        "input: there is no run outputs/judge/pairwise.hours; make it first: thinkus judge ..."
    )
    assert refused("input=[pairwise.ours,simulate/ours]") == (
        "input: outputs/simulate/ours is a run of simulate; name runs of judge"
    )
    unfinished("broken.off")
    assert "outputs/judge/broken.off is not finished" in refused("input=broken.off")
    assert not REPORT.exists()


def test_a_part_is_no_run(workspace: Path) -> None:
    whole = pairs("ours")
    part = OUTPUTS / "judge" / "cut" / "part-0001-of-0002"
    shutil.copytree(whole, part)
    assert refused(f"input=[pairwise.ours,{part}]") == (
        f"input: {part} is a part of a run; name outputs/judge/cut once it is done"
    )
    report()
    assert "| closer to the person? | ours |\n" in (REPORT / "report.md").read_text()


def test_without_any_run_there_is_one_line(workspace: Path) -> None:
    there_is_none = "input: there is no finished run of judge under outputs; make one: thinkus judge ..."
    assert refused() == there_is_none
    unfinished("broken.off")
    assert refused() == there_is_none
    assert refused("input=[]") == there_is_none


def test_another_run_that_ends_meanwhile_is_read_by_the_next_command(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs("ours")
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr("thinkus.stages.report.figures_csv", lambda _made: str(pairs("another")))
        report()
    assert "another" not in (REPORT / "report.md").read_text()
    report()
    assert "| closer to the person? | another | ours |" in (REPORT / "report.md").read_text()


def test_a_run_that_changes_meanwhile_makes_no_report(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = pairs("ours")
    pairs("theirs")

    def changed(_made: object) -> str:
        shutil.rmtree(ours)
        return ""

    monkeypatch.setattr("thinkus.stages.report.figures_csv", changed)
    assert refused() == (
        "pairwise.ours: outputs/judge/pairwise.ours was changed while it was read; the same command begins anew"
    )
    assert not (REPORT / "report.md").exists()


# What is written -----------------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes_in_any_process(workspace: Path) -> None:
    letters = ("wwl", "llw", "wtx")
    for at, name in enumerate(("ours", "theirs", "third")):
        pairs(name, letters[at])
        rows = duels(name, dict.fromkeys(NAMES, letters[at - 1])).rows
        other: dict[str, Any] = {"judge.model": "other"}
        judged(f"other.{name}", rows, candidate=name, **other)
    found = []
    for seed in ("1", "2"):
        command = [sys.executable, "-m", "thinkus", "report", "--redo"]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
        found.append(contents())
    assert found[0] == found[1]


@pytest.mark.parametrize("ties", [0.9, 0.5])
def test_a_judge_that_fails_its_controls_has_its_report_stamped(workspace: Path, ties: float) -> None:
    """Six of ten tie; as many must as its run was told."""
    rows = [*duels("ours", dict.fromkeys(NAMES, "wwl")).rows]
    rows += [turn(name, 0, "t" if at < 6 else "l", control="itself") for at, name in enumerate(NAMES[:10])]
    rows += [turn(name, 0, "w", control="stranger") for name in NAMES[:10]]
    config = f"control_ties: {ties}\ncontrol_wins: 0.9\n"
    judged("stamped", rows, config_yaml=config)
    report()
    markdown = (REPORT / "report.md").read_text()
    assert ("NOT TO BE TRUSTED: ours" in markdown) == (ties == 0.9)
    assert "6 of 10" in markdown


def test_a_dry_run_writes_nothing(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs("ours")
    dry_run("report", [], sweep=False)
    told = capsys.readouterr().out
    assert "reads outputs/judge/pairwise.ours (pairwise, 36 items)" in told
    assert "lays 1 runs of judge side by side, and asks nobody" in told
    assert f"writes {REPORT}\n" in told
    assert not (OUTPUTS / "report").exists()
    report()
    before = contents()
    dry_run("report", [], sweep=False)
    assert "is already done" in capsys.readouterr().out
    pairs("theirs")
    dry_run("report", [], sweep=False)
    assert f"writes {REPORT} anew" in capsys.readouterr().out
    assert contents() == before


def test_in_a_queue_it_is_not_refused_either(workspace: Path) -> None:
    pairs("ours")
    (job,) = jobs("report", [], sweep=False)
    report()
    assert outlook("report", job.config, job.name, redo=False).is_done
    pairs("theirs")
    assert not outlook("report", job.config, job.name, redo=False).is_done


def test_two_at_once_do_not_write_over_each_other(workspace: Path) -> None:
    pairs("ours")
    report()
    pairs("theirs")
    with Claim.take(REPORT):
        assert "is being written by" in refused()


def test_no_name_does_anything_to_a_terminal(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server's own, a judge's, a candidate's."""
    rows = duels("ours", dict.fromkeys(NAMES, "wwl")).rows
    served = [replace(one, served_model="\x1b[2Jmodel|[a](http://b)") for one in rows[0].verdicts]
    rows = [replace(row, verdicts=tuple(served)) for row in rows]
    for name, asked in (("a", {"judge.model": "\x1b[2Jm"}), ("b", {"judge.model": "\x1b[2Jn"})):
        judged(name, rows, candidate="\x1b[2Jours", **asked)  # type: ignore[arg-type]
    report()
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "hosted (m) says" in printed
    assert "model\\|[a\\](http://b) (72)" in (REPORT / "report.md").read_text()

"""Funnels, curves, and what stands at the top: from the runs that others were made from."""

from pathlib import Path
from typing import Any

import msgspec

from tests.judging.parts import ANA, finished
from tests.report.made import cases, replayed
from tests.report.test_gather import facts
from thinkus.judging.judgement import Judgement
from thinkus.judging.origin import Corpus, Found
from thinkus.judging.pairwise import JudgedTurn, Verdict
from thinkus.report.head import head
from thinkus.report.history import MOST_POINTS, curves, funnels
from thinkus.report.lineage import ancestors
from thinkus.runs import load_manifest

COUNTS = {
    "read": 93, "removed": {"toxic": 3, "length": 0}, "kept": 90, "not_drawn": 20,
    "train": {"items": 56}, "test": {"items": 14},
}  # fmt: skip


def found(directory: Path) -> Found:
    manifest = load_manifest(directory)
    assert manifest is not None
    return Found(directory, manifest)


def made(root: Path) -> Found:
    """A run of simulate with all that it was made from."""
    prepared = finished(root, "prepare/mine", [ANA], counts=COUNTS)
    failed = {"read": 72, "failed": {"copied_text": 2}}
    annotated = finished(root, "annotate/mine", [ANA, ANA], counts=failed, inputs={"input": facts(prepared)})
    read = {"eval": facts(annotated), "input": facts(annotated)}
    return found(finished(root, "simulate/us", [ANA], inputs=read))


def test_all_runs_behind_one_are_found_once_and_the_nearest_first(tmp_path: Path) -> None:
    names = [f"{run.manifest.stage}/{run.manifest.name}" for run in ancestors([made(tmp_path)] * 2)]
    assert names == ["annotate/mine", "prepare/mine"]


def test_a_run_that_was_made_anew_is_not_the_one_that_was_read(tmp_path: Path) -> None:
    one = made(tmp_path)
    finished(tmp_path / "other", "prepare/mine", [ANA, ANA])
    (tmp_path / "prepare").rename(tmp_path / "gone")
    (tmp_path / "other" / "prepare").rename(tmp_path / "prepare")
    assert [run.manifest.stage for run in ancestors([one])] == ["annotate"]


def test_a_funnel_says_what_went_and_what_was_left(tmp_path: Path) -> None:
    told = {one.title: one.steps for one in funnels(ancestors([made(tmp_path)]))}
    assert told["prepare/mine"] == (
        ("read", 93, False), ("toxic", 3, True), ("kept", 90, False), ("not drawn", 20, True),
        ("train", 56, False), ("test", 14, False),
    )  # fmt: skip
    assert told["annotate/mine"] == (("read", 72, False), ("copied text", 2, True), ("annotated", 2, False))


def test_a_curve_of_many_steps_is_thinned_to_their_means(tmp_path: Path) -> None:
    named: dict[str, Any] = {"model.name": "tiny"}
    run = finished(tmp_path, "sft/us", [ANA], counts={"items": 9}, **named)
    zeros = dict.fromkeys(("lr", "gradient_norm", "seconds", "elapsed_s", "memory_gb", "epoch"), 0.0)
    zeros |= dict.fromkeys(("physical_tokens", "logical_tokens", "targets"), 0)
    lines: list[dict[str, Any]] = [
        {"kind": "step", "step": at, "loss": float(at % 2), **zeros} for at in range(1, 2 * MOST_POINTS + 1)
    ]
    lines.append({"kind": "evaluation", "step": 600, "loss": 0.25, "samples": 3})
    (run / "metrics.jsonl").write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    [curve] = curves([found(run)])
    assert curve.title == "sft/us"
    assert {loss for _, loss in curve.steps} == {0.5}
    assert (len(curve.steps), curve.steps[0][0], curve.held_out) == (MOST_POINTS, 1.5, ((600.0, 0.25),))


def judgement(corpus: str, closer: str) -> Judgement:
    verdict = Verdict("candidate", closer)  # type: ignore[arg-type]
    rows = [
        JudgedTurn("ana", 0, verdicts=(verdict,)),
        JudgedTurn("ana", 0, verdicts=(verdict,), control="stranger"),
    ]
    return Judgement("pairwise", "run.us", "a judge", {}, "run.them", rows, 0.9, 0.9, Corpus(corpus, "x"))


def test_a_judge_that_failed_its_controls_is_stamped_at_the_top() -> None:
    top = head("report", [judgement("sample", "baseline")], [], cases([]))
    assert top.stamps == (
        "NOT TO BE TRUSTED: a judge failed the controls that its verdicts on run.us come with",
    )
    assert not head("report", [judgement("sample", "candidate")], [], cases([])).stamps
    assert ("Tried on", "sample (1 conversation)") in top.facts


def test_a_gated_corpus_is_named_where_it_is_quoted_whatever_its_name(tmp_path: Path) -> None:
    shown = cases([replayed(1)])
    [terms] = head("report", [judgement("lmsys", "candidate")], [], shown).terms
    assert terms.startswith("The cases on this page quote lmsys, which is gated and may not be redistributed")
    assert not head("report", [judgement("lmsys", "candidate")], [], cases([])).terms
    assert not head("report", [judgement("sample", "candidate")], [], shown).terms
    prepared = found(finished(tmp_path, "prepare/mine", [ANA]))
    (prepared.directory / "config.yaml").write_text("data:\n  name: mine\n  format: lmsys\n  path: null\n")
    [terms] = head("report", [judgement("mine", "candidate")], [prepared], shown).terms
    assert terms.startswith("The cases on this page quote mine, which is gated")

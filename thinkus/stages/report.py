"""report: reads finished runs of judge, and lays what they measured side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from thinkus.belongings import DIFFERENCES_CSV, FIGURES_CSV, PAGE, PART, REPORT
from thinkus.config import ReportConfig
from thinkus.console import progress, say
from thinkus.errors import ThinkusError
from thinkus.help import yaml_value
from thinkus.judging.judgement import Judgement
from thinkus.judging.origin import Found
from thinkus.judging.showing import print_whole
from thinkus.judging.ways import WAYS
from thinkus.paths import expanded
from thinkus.records import read_records, to_line
from thinkus.report.cases import Cases
from thinkus.report.charts import spreads
from thinkus.report.gather import Judged, gather
from thinkus.report.head import head
from thinkus.report.history import curves, funnels
from thinkus.report.lineage import ancestors
from thinkus.report.markdown import (
    ABOUT_DIFFERENCES,
    DIFFERENCES,
    as_markdown,
    difference_cells,
    differences_csv,
    figures_csv,
)
from thinkus.report.page import page
from thinkus.report.sections import Section, sections
from thinkus.runs import Input, Run, all_runs, input_identity, input_run, load_manifest, run_reference, status
from thinkus.terminal import plain

ONLY_READS = True
"""What it makes is made anew whenever what it reads has changed."""
REMEDY = "thinkus judge ..."
RECORDS = "records.jsonl"


def inputs(config: ReportConfig, root: Path) -> dict[str, Input]:
    """The runs of judge that are named, or all that are done; by their names, so that another changes none."""
    named = config.input if config.input is not None else [str(place) for place in _finished(root)]
    runs = [named] if isinstance(named, str) else named
    if not runs:
        raise ThinkusError(f"input: there is no finished run of judge under {root}; make one: {REMEDY}")
    found: dict[str, Input] = {}
    for one in (_judged(root, run_reference("judge", run)) for run in runs):
        first = next((role for role, other in found.items() if other.identity == one.identity), None)
        if first is None:
            name = Path(one.read).name
            found[f"{name}, {len(found) + 1}" if name in found else name] = one
        elif one.read != found[first].read:
            copied = f"{found[first].description}, of which {one.read} is a copy"
            found[first] = found[first]._replace(description=copied)
    return found


def _judged(root: Path, named: str) -> Input:
    directory, manifest = input_run(root, named, REMEDY)
    if manifest.stage != "judge":
        raise ThinkusError(f"input: {directory} is a run of {manifest.stage}; name runs of judge")
    if PART.fullmatch(directory.name):
        raise ThinkusError(f"input: {directory} is a part of a run; name {directory.parent} once it is done")
    about = f"{manifest.made_from['task']}, {manifest.counts['items']:,} items"
    return Input(str(directory), input_identity(manifest), about)


def _finished(root: Path) -> list[Path]:
    return [place for place in _every(root) if status(place) == "done"]


def _every(root: Path) -> list[Path]:
    return [place for stage, place in all_runs(root) if stage == "judge"]


def _left_out(config: ReportConfig, root: Path) -> list[str]:
    """What nobody named, and was not to be had."""
    if config.input is not None:
        return []
    states = ((place, status(place)) for place in _every(root))
    return [f"leaves {place} out, which is {state}" for place, state in states if state != "done"]


def prompts(_config: ReportConfig) -> Sequence[str]:
    return ()


def plan(config: ReportConfig, root: Path) -> list[str]:
    count = len(inputs(config, root))
    return [*_left_out(config, root), f"lays {count:,} runs of judge side by side, and asks nobody"]


def run(config: ReportConfig, run: Run) -> None:
    judged = [_judged_run(Path(place)) for place in run.inputs.values()]
    judgements = [one.judgement for one in judged]
    made = list(progress(sections(judgements), "report", None))
    with run.output(RECORDS) as file:
        file.writelines(map(to_line, made))
    texts = {
        REPORT: as_markdown(made),
        FIGURES_CSV: figures_csv(made),
        DIFFERENCES_CSV: differences_csv(made),
    }
    for name, text in texts.items():
        with run.output(name) as file:
            file.write(text.encode())
    cases = gather(judged, config.cases)
    _write_page(run, made, judged, cases)
    run.counts = {"items": len(judgements), "sections": len(made), "cases": len(cases.shown)}


def _write_page(run: Run, made: Sequence[Section], judged: Sequence[Judged], cases: Cases) -> None:
    for sentence in cases.gone:
        say(f"report: {sentence}")
    judgements = [one.judgement for one in judged]
    behind = ancestors(one.run for one in judged)
    top = head(run.manifest.name, judgements, behind, cases)
    likeness = list(spreads(judgements))
    with run.output(PAGE) as file:
        file.writelines(page(top, made, likeness, list(curves(behind)), list(funnels(behind)), cases))


def _judged_run(directory: Path) -> Judged:
    manifest = load_manifest(directory)
    assert manifest is not None, "it was opened before"
    rows = list(read_records(directory / RECORDS, WAYS[str(manifest.made_from["task"])].ROW))
    limits = (float(yaml_value(directory / "config.yaml", f"control_{one}") or 0) for one in ("ties", "wins"))
    return Judged(Found(directory, manifest), Judgement.of(directory, manifest, rows, *limits))


def show_results(finished: Sequence[tuple[Path, ReportConfig]]) -> None:
    console = Console(highlight=False, markup=False)
    for directory, config in finished:
        for section in read_records(directory / RECORDS, Section):
            console.print(f"\n{plain(section.title)}", style="bold")
            for told in (*section.told, *_differences(section)):
                print_whole(told, console)
        for name in (REPORT, FIGURES_CSV, DIFFERENCES_CSV, PAGE):
            say(f"report: {directory / name}")
        for line in _left_out(config, expanded(config.root)):
            say(f"report: {line}")


def _differences(section: Section) -> Iterator[Table | str]:
    if section.differences:
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for at, name in enumerate(DIFFERENCES):
            table.add_column(name or "differences", justify="right" if at else "left", no_wrap=True)
        for one in section.differences:
            table.add_row(*map(plain, difference_cells(one)))
        yield table
        yield ABOUT_DIFFERENCES

"""What stands at the top of the page: what is reported, over what, by whom, and what to beware of."""

import re
from collections.abc import Iterator, Sequence

from thinkus.help import yaml_value
from thinkus.judging.judgement import Judgement
from thinkus.judging.origin import Found
from thinkus.paths import CONF
from thinkus.report.cases import Cases
from thinkus.report.page import Head, how_many

TITLE = "Simulated people beside real ones"


def head(name: str, judgements: Sequence[Judgement], behind: Sequence[Found], cases: Cases) -> Head:
    return Head(
        TITLE,
        name,
        tuple((label, "; ".join(said)) for label, said in _facts(judgements, cases) if said),
        tuple(_stamps(judgements)),
        tuple(_terms(judgements, behind)) if cases.shown else (),
    )


def _facts(judgements: Sequence[Judgement], cases: Cases) -> Iterator[tuple[str, list[str]]]:
    short = {speaker.run: speaker.name for speaker in cases.speakers}
    yield (
        "Simulated people",
        sorted({short.get(one.candidate, one.candidate) for one in judgements if one.task != "goals"}),
    )
    over: dict[str, set[str]] = {}
    for one in judgements:
        over.setdefault(one.corpus.name, set()).update(row.conversation for row in one.rows)
    yield (
        "Tried on",
        [f"{name or 'a corpus'} ({_counted(len(ids))})" for name, ids in sorted(over.items())],
    )
    yield "Judged by", sorted({one.judge for one in judgements if one.judge})
    yield "Runs of judge", [f"{len(judgements):,}"]
    yield "Cases", [how_many(cases), *cases.gone]


def _counted(conversations: int) -> str:
    return f"{conversations:,} conversation{'' if conversations == 1 else 's'}"


def _stamps(judgements: Sequence[Judgement]) -> Iterator[str]:
    failed: dict[str, list[str]] = {}
    for one in judgements:
        if one.is_untrusted:
            failed.setdefault(one.judge, []).append(one.candidate)
    for judge, candidates in failed.items():
        told = ", ".join(candidates)
        yield f"NOT TO BE TRUSTED: {judge} failed the controls that its verdicts on {told} come with"


def _terms(judgements: Sequence[Judgement], behind: Sequence[Found]) -> Iterator[str]:
    """Of corpora whose words may not be passed on; the page quotes them."""
    corpora = {one.corpus.name: one.corpus.name for one in judgements if one.corpus.name}
    corpora |= {run.manifest.name: _format(run) for run in behind if run.manifest.stage == "prepare"}
    for name, option in corpora.items():
        file = CONF / "data" / f"{option}.yaml"
        if file.is_file() and (terms := yaml_value(file, "terms")):
            yield f"The cases on this page quote {name}, which {terms}: show it only to those who may read them."


def _format(run: Found) -> str:
    """Of a corpus, whatever name it was given."""
    config = (run.directory / "config.yaml").read_text(encoding="utf-8")
    named = re.search(r"^data:\n(?:  .*\n)*?  format: (\w+)", config, re.MULTILINE)
    return named[1] if named else run.manifest.name

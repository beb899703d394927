"""The report as one page: a file that needs no network and runs nothing but its own script.

Texts of data sets go in as JSON that no parser of HTML can leave, and come out as text.
"""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from string import Template
from typing import Any

import msgspec

from thinkus import __version__
from thinkus.paths import PACKAGE
from thinkus.report.cases import Cases
from thinkus.report.charts import Spread, charts
from thinkus.report.history import Curve, Funnel
from thinkus.report.markdown import ABOUT_DIFFERENCES
from thinkus.report.sections import Section

PARTS = PACKAGE / "report" / "page"
SCRIPTS = ("dom.js", "charts.js", "tables.js", "entries.js", "list.js", "case.js", "cases.js", "main.js")
BLOCK = 150_000
"""Bytes of cases that are read at once: more would hold the page up for longer than one notices."""
USE = (
    "For research only. A simulated person must not be used to impersonate or to deceive anyone, and thoughts are "
    "reconstructions: nothing here says what a particular person thinks."
)
_ESCAPES = {one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}


class Head(msgspec.Struct, frozen=True):
    """What stands at the top."""

    title: str
    name: str
    facts: tuple[tuple[str, str], ...]
    stamps: tuple[str, ...]
    terms: tuple[str, ...]


def page(
    head: Head,
    sections: Sequence[Section],
    likeness: Sequence[tuple[str, list[Spread]]],
    curves: Sequence[Curve],
    funnels: Sequence[Funnel],
    cases: Cases,
) -> Iterator[bytes]:
    """In pieces, since it may be large."""
    drawn = [{"section": section, "charts": list(charts(section))} for section in sections]
    data = msgspec.to_builtins(head) | {
        "sections": drawn,
        "about_differences": ABOUT_DIFFERENCES,
        "spreads": likeness,
        "curves": curves,
        "funnels": funnels,
        "use": f"{USE} Made with thinkus {__version__}.",
        "cases": {
            "speakers": cases.speakers,
            "judges": cases.judges,
            "gone": cases.gone,
            "told": how_many(cases),
        },
    }
    script = "\n".join(_part(name) for name in SCRIPTS)
    style = _part("page.css")
    filled = Template(_part("page.html")).substitute(
        title=_text(head.title),
        script=script,
        script_hash=_source_hash(script),
        style=style,
        style_hash=_source_hash(style),
        data=_json(data),
        cases=_HERE,
    )
    before, after = filled.split(_HERE)
    yield before.encode()
    for block in _blocks(cases.shown):
        yield f'<script type="application/json" class="cases">{block}</script>\n'.encode()
    yield after.encode()


_HERE = "<!-- cases -->"
"""No text can hold it: each of its signs is escaped."""


def how_many(cases: Cases) -> str:
    shown, every = len(cases.shown), cases.there_are
    if not every:
        return "There are no cases: no run of simulate was judged, or all of them are gone."
    if shown == every:
        return f"All {every:,} conversations and scenarios are shown."
    return (
        f"Of {every:,} conversations and scenarios {shown:,} are shown, drawn by a hash of their ids, the same for "
        "all methods; cases= asks for more of them."
    )


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _source_hash(source: str) -> str:
    return base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()


def _blocks(cases: Iterable[msgspec.Struct]) -> Iterator[str]:
    block: list[str] = []
    for case in cases:
        block.append(_json(case))
        if sum(map(len, block)) > BLOCK:
            yield f"[{','.join(block)}]"
            block = []
    if block:
        yield f"[{','.join(block)}]"


def _json(made: Any) -> str:
    return _escaped(msgspec.json.encode(made).decode())


def _escaped(text: str) -> str:
    """So that it stays JSON, and nothing in it is markup; these signs stand in JSON's strings alone."""
    return re.sub("[<>&\u2028\u2029]", lambda sign: _ESCAPES[sign[0]], text)


def _text(text: str) -> str:
    """A title."""
    return text.replace("&", "&amp;").replace("<", "&lt;")

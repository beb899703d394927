"""Sections as Markdown for a reader, and as CSV for a spreadsheet or a script."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from thinkus.judging.figures import UNDEFINED
from thinkus.judging.lines import Cell, Lines
from thinkus.report.differences import PEOPLE
from thinkus.report.sections import Differing, Section
from thinkus.terminal import plain

DIFFERENCES = ("", "difference", "p", "p, Holm", "could have been seen from", "conversations")
ABOUT_DIFFERENCES = (
    "Each difference is between two on the same conversations, with its 95 % interval. p: how often chance "
    "would make as large a one of two that are the same (conversations swapped between them); Holm: corrected "
    "for all differences of this table. A true difference below the one that could have been seen would have "
    "been missed more than once in five times."
)


def as_markdown(sections: Sequence[Section]) -> str:
    return "\n".join(("# Report", *(line for section in sections for line in _section(section)), ""))


def difference_cells(one: Differing) -> tuple[str, ...]:
    return (
        f"{one.figure.strip()}: {one.one} - {one.other}",
        one.difference.printed,
        _p(one.p),
        _p(one.p_holm),
        one.smallest,
        f"{one.conversations:,}" + (f" ({one.left_out:,} left out)" if one.left_out else ""),
    )


def figures_csv(sections: Sequence[Section]) -> str:
    """A row for each figure of each column; what others have published stands in a table that says so."""
    head = ("section", "table", "column", "figure", "value", "low", "high", "interval")
    return _csv(head, (row for section in sections for row in _figures(section)))


def differences_csv(sections: Sequence[Section]) -> str:
    head = (
        "section", "figure", "one", "other", "difference", "low", "high", "interval", "p", "p_holm",
        "could_have_been_seen_from", "conversations", "left_out",
    )  # fmt: skip
    rows = (
        (
            section.title, one.figure.strip(), one.one, one.other, *_values(one.difference), one.p, one.p_holm,
            _plain(one.smallest), one.conversations, one.left_out,
        )
        for section in sections
        for one in section.differences
    )  # fmt: skip
    return _csv(head, rows)


def _section(section: Section) -> Iterator[str]:
    yield from ("", f"## {_escaped(section.title)}")
    for told in section.told:
        yield ""
        if isinstance(told, str):
            yield _paragraph(told)
        else:
            yield from _lines(told)
    if section.differences:
        yield ""
        yield from _table(DIFFERENCES, map(difference_cells, section.differences))
        yield from ("", ABOUT_DIFFERENCES)
    if section.runs:
        yield from ("", f"Of the runs {', '.join(map(_escaped, section.runs))}.")


def _lines(lines: Lines) -> Iterator[str]:
    if lines.above:
        yield from (_paragraph(lines.above), "")
    rows = ((name, *(cell.printed for cell in cells)) for name, cells in lines.rows)
    yield from _table((lines.title, *lines.columns), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield "|---|" + "---:|" * (len(head) - 1)
    yield from map(_row, rows)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_escaped, cells))} |"


def _paragraph(text: str) -> str:
    """That begins neither a list nor a heading."""
    return re.sub(r"\A(\d*)([-+=.)])", r"\1\\\2", _escaped(text).strip())


def _escaped(text: str) -> str:
    """Names may hold what Markdown takes for its own; intervals keep their brackets, which are no links' so."""
    shown = re.sub(r"([\\`*_{}<>|~#&$!])", r"\\\1", " ".join(plain(text).splitlines()))
    return re.sub(r"\](?=[(:\[])", r"\\]", shown).replace("\\~[", "~[")


def _figures(section: Section) -> Iterator[tuple[str, ...]]:
    for told in section.told:
        if isinstance(told, Lines):
            columns, of = tuple(_columns(section, told.columns)), ""
            for name, cells in told.rows:
                of = of if name.startswith(" ") else name
                figure = name if name == of else f"{of}: {name.strip()}"
                for column, cell in zip(columns, cells, strict=True):
                    if cell.value:
                        yield section.title, told.title, column, figure, *_values(cell)


def _columns(section: Section, names: Sequence[str]) -> Iterator[str]:
    """In full; those of people, and of what is tried beside several, with whom they stand beside."""
    full = [section.names.get(name, name) for name in names]
    for at, name in enumerate(full):
        if full.count(name) == 1:
            yield name
        else:
            yield f"{name} (beside {''.join(full[at + 1 : at + 2]) if name == PEOPLE else full[at - 1]})"


def _values(cell: Cell) -> tuple[str, ...]:
    if cell.interval is None:
        return _plain(cell.value), "", "", ""
    return _plain(cell.value), *map(_plain, cell.interval), "percentile" if cell.is_percentile else "bca"


def _plain(value: str) -> str:
    """A number without the commas that part its thousands; and nothing where there is none."""
    if value == UNDEFINED:
        return ""
    return value.replace(",", "") if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?%?", value) else value


def _p(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(map(_no_formula, row) for row in rows)
    return file.getvalue()


def _no_formula(value: object) -> object:
    """A spreadsheet would compute a name that looks like one; a number stays what it is."""
    if not isinstance(value, str):
        return value
    shown = plain(value)
    is_formula = re.match(r"[=+@\t-]", shown) and not re.fullmatch(r"-[\d.,% -]+", shown)
    return f"'{shown}" if is_formula else shown

"""A report's sections: the runs of judge that belong together, each with its tables and what differs in it."""

from collections.abc import Iterator, Sequence

import msgspec

from thinkus.judging.agreement import between_judges
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.tables import tables
from thinkus.report.differences import Compared, compared

TASKS = ("pairwise", "terminal", "online", "ending", "likeness", "hindsight", "goals")
"""In the order in which they are shown."""


class Differing(msgspec.Struct, frozen=True):
    """A figure of `one` less that of `other`, on the conversations that both have."""

    figure: str
    one: str
    other: str
    difference: Cell
    p: float | None
    """How often two methods that are the same would differ as much; None where swapping them says nothing."""
    p_holm: float | None
    """The same, corrected for all differences of its section."""
    smallest: str
    """The smallest true difference that would have been called one, four times in five; empty if unknown."""
    conversations: int
    left_out: int
    """Conversations that only one of the two has."""


class Section(msgspec.Struct, frozen=True):
    """Of one task, one corpus and one judge."""

    title: str
    task: str
    corpus: str
    judge: str
    told: tuple[Lines | str, ...]
    differences: tuple[Differing, ...] = ()


def sections(judgements: Sequence[Judgement]) -> Iterator[Section]:
    ordered = sorted(judgements, key=lambda one: (TASKS.index(one.task), one.corpus, one.is_live))
    for key, ones in _grouped(ordered).items():
        first = ones[0]
        title = ", ".join(filter(None, (first.task, *key[1:])))
        differing = tuple(map(_differing, compared(ones)))
        yield Section(title, first.task, first.corpus.name, first.judge, tuple(tables(ones)), differing)
    by_corpus: dict[tuple[str, object], list[Judgement]] = {}
    for one in ordered:
        by_corpus.setdefault((one.task, one.corpus), []).append(one)
    for (task, _), ones in by_corpus.items():
        if told := tuple(between_judges(ones)):
            corpus = ones[0].corpus.name
            title = ", ".join(filter(None, (task, _on(corpus), "by several judges")))
            yield Section(title, task, corpus, "", told)


def _grouped(judgements: Sequence[Judgement]) -> dict[tuple[str, ...], list[Judgement]]:
    """By all that figures must share to stand beside each other, in words."""
    found: dict[tuple[object, ...], list[Judgement]] = {}
    for one in judgements:
        key = one.task, one.corpus, one.is_live, one.judge, one.facts.get("protocol")
        found.setdefault(key, []).append(one)
    return {
        (
            one.task,
            _on(one.corpus.name),
            "live" if one.is_live and one.task != "online" else "",
            f"by {one.judge}" if one.judge and one.task not in ("ending", "likeness") else "",
            f"protocol {one.facts['protocol']}"
            if one.task == "pairwise" and one.facts.get("protocol")
            else "",
            one.corpus.identity[:8] if _is_named_twice(one, judgements) else "",
        ): ones
        for ones in found.values()
        for one in ones[:1]
    }


def _on(corpus: str) -> str:
    return f"on {corpus}" if corpus else ""


def _is_named_twice(one: Judgement, judgements: Sequence[Judgement]) -> bool:
    return any(
        other.corpus.name == one.corpus.name and other.corpus.identity != one.corpus.identity
        for other in judgements
    )


def _differing(one: Compared) -> Differing:
    value, interval, _, _ = one.difference.estimate
    assert value is not None, "or it would not be here"
    ends = interval and (one.form(interval.low), one.form(interval.high))
    cell = Cell(one.form(value), ends, interval is not None and interval.method == "percentile")
    smallest = one.difference.smallest
    return Differing(
        one.figure,
        one.one,
        one.other,
        cell,
        _rounded(one.difference.p),
        _rounded(one.p_holm),
        "" if smallest is None else one.form(smallest),
        one.conversations,
        one.left_out,
    )


def _rounded(p: float | None) -> float | None:
    return None if p is None else round(p, 6)

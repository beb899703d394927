"""A report's sections: the runs of judge that belong together, each with its tables and what differs in it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import TypeVar

import msgspec

from thinkus.judging.agreement import between_judges
from thinkus.judging.figures import UNDEFINED
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.origin import Corpus
from thinkus.judging.tables import tables, told_apart
from thinkus.report.differences import Compared, compared, not_compared
from thinkus.report.paper import beside_paper

K = TypeVar("K")
Key = tuple[str, ...]
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
    runs: tuple[str, ...] = ()
    """Of judge, that it is made of."""
    names: dict[str, str] = {}
    """Of candidates in full, by those that the tables have."""


def sections(judgements: Sequence[Judgement]) -> Iterator[Section]:
    ordered = sorted(judgements, key=lambda one: (TASKS.index(one.task), one.corpus, one.is_live))
    groups: dict[Key, list[Judgement]] = {}
    for one in ordered:
        groups.setdefault(_key(one), []).append(one)
    for key, title in _titles(groups).items():
        yield _section(title, _named_apart(groups[key]))
    yield from _by_several(ordered)


def _section(title: str, ones: Sequence[Judgement]) -> Section:
    first = ones[0]
    short = told_apart([one.candidate for one in ones])
    told = tuple(tables(ones))
    return Section(
        title,
        first.task,
        first.corpus.name,
        first.judge,
        (*told, *beside_paper(ones, short, told), *_of_unknown_origin(ones), *not_compared(ones)),
        tuple(map(_differing, compared(ones))),
        tuple(one.run for one in ones),
        {short[one.candidate]: one.candidate for one in ones},
    )


def _by_several(ordered: Sequence[Judgement]) -> Iterator[Section]:
    by_corpus: dict[tuple[str, Corpus], list[Judgement]] = {}
    for one in ordered:
        by_corpus.setdefault((one.task, one.corpus), []).append(one)
    titles = _distinct(
        {key: _words(key[0], _on(key[1].name), "by several judges") for key in by_corpus},
        {key: (f"corpus {key[1].identity[:8]}",) for key in by_corpus},
    )
    for (task, corpus), ones in by_corpus.items():
        if told := tuple(between_judges(ones)):
            stamps = filter(None, (one.stamp for one in ones))
            yield Section(titles[task, corpus], task, corpus.name, "", (*told, *stamps))


def _key(one: Judgement) -> Key:
    """All that figures must share to stand beside each other; where nobody knows over what they are, they do not."""
    corpus = one.corpus.identity or one.identity("candidate")
    return one.task, one.corpus.name, corpus, str(one.is_live), one.judge, one.asked


def _titles(groups: Mapping[Key, Sequence[Judgement]]) -> dict[Key, str]:
    words, digests = {}, {}
    for key, (one, *_) in groups.items():
        asks = one.judge and one.task not in ("ending", "likeness")
        protocol = one.facts.get("protocol") if one.task == "pairwise" else ""
        words[key] = _words(
            one.task,
            _on(one.corpus.name),
            "live" if one.is_live and one.task != "online" else "",
            f"by {one.judge}" if asks else "",
            f"protocol {protocol}" if protocol else "",
        )
        whence = "corpus" if one.corpus.identity else one.candidate
        digests[key] = f"{whence} {key[2][:8]}", f"asked as {one.asked[:8]}"
    return _distinct(words, digests)


def _distinct(words: Mapping[K, str], digests: Mapping[K, Sequence[str]]) -> dict[K, str]:
    """What two titles share is told apart by as much of what they are made of as differs."""
    found = {}
    for key, title in words.items():
        alike = [digests[other] for other, its in words.items() if its == title]
        apart = (own for own, *others in zip(digests[key], *alike, strict=True) if len(set(others)) > 1)
        found[key] = _words(title, *apart)
    return found


def _words(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _on(corpus: str) -> str:
    return f"on {corpus}" if corpus else ""


def _named_apart(ones: Sequence[Judgement]) -> list[Judgement]:
    """One candidate judged twice, or two of one name, are told apart by their runs of judge."""
    by_run = [one._replace(candidate=f"{one.candidate} ({PurePath(one.run).name})") for one in ones]
    by_place = [one._replace(candidate=f"{one.candidate} ({one.run})") for one in ones]
    found = list(ones)
    for longer in (by_run, by_place):
        names = Counter(one.candidate for one in found)
        found = [more if names[one.candidate] > 1 else one for one, more in zip(found, longer, strict=True)]
    return found


def _of_unknown_origin(ones: Sequence[Judgement]) -> Iterator[str]:
    if not ones[0].corpus.identity:
        yield (
            f"{ones[0].candidate}: the runs that say over which conversations this is are gone or were derived anew, "
            "so it stands alone"
        )


def _differing(one: Compared) -> Differing:
    value, interval, _, _ = one.difference.estimate
    ends = interval and (one.form(interval.low), one.form(interval.high))
    printed = UNDEFINED if value is None else one.form(value)
    cell = Cell(printed, ends, interval is not None and interval.method == "percentile")
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

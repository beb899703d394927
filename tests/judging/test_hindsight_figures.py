"""What comes of weighing turns on three pages: rows, figures, and what planted thoughts come to."""

import math
import random
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from tests.judging.parts import filtered, judged, person
from tests.judging.printed import judgement, lines
from tests.judging.test_hindsight import task, thinker, units
from thinkus.judging import figures, intervals
from thinkus.judging.hindsight import Shown, WeighedTurn
from thinkus.llm.exchange import Completion, Request
from thinkus.llm.forms import Likelihood
from thinkus.records import Conversation, Failure
from thinkus.scoring.bootstrap import estimates


def weighed(
    folder: Path, people: Sequence[Conversation], judge: Callable[[Request], str | Completion]
) -> tuple[list[WeighedTurn], list[Failure]]:
    found = units(folder, people)
    rows: list[WeighedTurn] = []
    failures: list[Failure] = []
    for row, its in judged(task(folder), folder / "answers", judge, found):
        assert isinstance(row, WeighedTurn)
        rows.append(row)
        failures += its
    return rows, failures


def test_a_row_holds_what_each_page_came_to(tmp_path: Path) -> None:
    nats = {"hindsight/own": -4.5, "hindsight/none": -6.25, "hindsight/stranger": -7.0}
    people = [thinker("ana", 3), thinker("ben", 3)]
    rows, failures = weighed(tmp_path, people, lambda request: Likelihood.written(nats[request.purpose], 5))
    likelihoods: dict[Shown, float] = {"own": -4.5, "none": -6.25, "stranger": -7.0}
    assert sorted(rows, key=lambda row: row.conversation) == [
        WeighedTurn(name, 2, 1, other, 5, likelihoods, "", "scripted", "now")
        for name, other in (("ana", "ben"), ("ben", "ana"))
    ]
    assert failures == []


def test_a_turn_that_failed_on_one_page_is_in_no_figure(tmp_path: Path) -> None:
    def judge(request: Request) -> str | Completion:
        if request.item.startswith("ben"):
            return {"own": Likelihood.written(-1.0, 9), "none": "?", "stranger": filtered()}[
                request.purpose.removeprefix("hindsight/")
            ]  # type: ignore[return-value]
        return Likelihood.written(-8.0, 4)

    rows, failures = weighed(tmp_path, [thinker("ana", 3), thinker("ben", 3)], judge)
    ben = next(row for row in rows if row.conversation == "ben")
    assert (ben.wrong, ben.likelihoods, ben.tokens) == ("off_form", {"own": -1.0}, 9)
    assert [(one.item, one.reason, one.raw) for one in failures] == [
        ("ben#2/none", "off_form", "?"),
        ("ben#2/stranger", "filtered", ""),
    ]
    told = dict(figures.foretold(rows))
    assert (told["turns"], told["  tokens"], told["with their own thoughts"]) == ("1", "4", "-2.0000")
    assert (told["failed"], told["not asked about"]) == ("1", "0")


def test_figures_are_over_all_tokens_and_say_what_was_left_out() -> None:
    rows = [
        WeighedTurn("a", 2, 1, "b", 10, {"own": -20.0, "none": -30.0, "stranger": -25.0}),
        WeighedTurn("a", 3, 2, "b", 30, {"own": -70.0, "none": -60.0, "stranger": -95.0}),
        WeighedTurn("b", 2, 1, "a", 10, {"own": -10.0, "none": -20.0, "stranger": -5.0}),
        WeighedTurn("c", 2, wrong="no_stranger"),
        WeighedTurn("d", 2, wrong="no_thoughts"),
        WeighedTurn("d", 3, wrong="too_long"),
    ]
    assert figures.foretold(rows) == [
        ("turns", "3"),
        ("  of conversations", "2"),
        ("  tokens", "50"),
        ("with their own thoughts", "-2.0000"),
        ("without thoughts", "-2.2000"),
        ("with a stranger's", "-2.5000"),
        ("own - without", "0.2000"),
        ("own - a stranger's", "0.5000"),
        ("not asked about", "2"),
        ("failed", "1"),
    ]


def test_what_thoughts_give_away_is_printed_with_what_was_left_out() -> None:
    rows = [
        WeighedTurn("a", 2, 1, "b", 10, {"own": -20.0, "none": -30.0, "stranger": -25.0}),
        WeighedTurn("b", 2, 1, "a", 1200, {"own": -2400.0, "none": -3600.0, "stranger": -3000.0}),
        WeighedTurn("b", 3, wrong="no_thoughts"),
        WeighedTurn("b", 4, wrong="no_stranger"),
        WeighedTurn("c", 2, 1, "a", wrong="too_long"),
    ]
    assert lines("hindsight", judgement(rows)) == [
        ["judge a judge"],
        ["what comes later, nats a token", "ours"],
        ["turns", "2"],
        ["of conversations", "2"],
        ["tokens", "1,210"],
        ["with their own thoughts", "-2.0000"],
        ["without thoughts", "-3.0000"],
        ["with a stranger's", "-2.5000"],
        ["own - without", "1.0000"],
        ["own - a stranger's", "0.5000"],
        ["not asked about", "2"],
        ["failed", "1"],
        ["ours, a judge: cannot be read: 1 too long (failures.jsonl has them)"],
    ]


# Planted -------------------------------------------------------------------------------------

WORDS = [f"w{number}" for number in range(400)]


def by_overlap(request: Request) -> str:
    """A scorer that is real enough: what stands on the page is twenty times as likely."""
    page = set(re.findall(r"\w+", " ".join(said.content for said in request.messages)))
    assert isinstance(request.form, Likelihood)
    words = request.form.words.split()
    return Likelihood.written(sum(math.log(0.2 if word in page else 0.01) for word in words), len(words))


def planted(*, tells: bool) -> list[Conversation]:
    """Whose thoughts quote what comes a turn later; or are words like any others."""
    draw = random.Random(5)
    people = []
    for number in range(40):
        said = [" ".join(draw.choices(WORDS, k=draw.randint(4, 9))) for _ in range(5)]
        noise = [" ".join(draw.choices(WORDS, k=7)) for _ in range(4)]
        thoughts = [later for _, later in pairwise(said[1:])] + noise[:1] if tells else noise
        people.append(person(f"c{number}", *said, thoughts=tuple(thoughts)))
    return people


def intervals_of(rows: Sequence[WeighedTurn]) -> dict[str, tuple[float, float]]:
    found = estimates({name: one.figure for name, one in intervals.of_foretelling(rows).items()}, 0)
    ends = {}
    for name, one in found.items():
        assert one.interval is not None
        ends[name] = (one.interval.low, one.interval.high)
    return ends


def test_thoughts_that_quote_what_comes_show_and_noise_does_not(tmp_path: Path) -> None:
    rows, _ = weighed(tmp_path / "tells", planted(tells=True), by_overlap)
    told = intervals_of(rows)
    assert len(rows) == 120
    assert told["own - without"][0] > 2.5, "of log 20, for words that stood there in any case"
    assert told["own - a stranger's"][0] > 2.5
    rows, _ = weighed(tmp_path / "noise", planted(tells=False), by_overlap)
    told = intervals_of(rows)
    assert told["own - without"][0] > 0, "for any thoughts hold some words; hence the stranger's"
    low, high = told["own - a stranger's"]
    assert low < 0 < high
    assert max(-low, high) < 0.15

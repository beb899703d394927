"""What a judge was shown, for a person who looks at a few of its verdicts."""

from collections.abc import Sequence
from io import StringIO

import pytest
from rich.console import Console

from tests.judging.parts import ANA, config, filtered
from tests.judging.test_attacks import CLOSE, FAR, REAL, pair
from tests.llm.parts import completion
from thinkus.judging.fences import parts_of
from thinkus.judging.pairwise import Pairwise
from thinkus.judging.showing import MOST_LINES, show_question
from thinkus.llm.exchange import Answer, Failure, Kind, Outcome, Request
from thinkus.llm.forms import Likelihood
from thinkus.records import Message
from thinkus.user.scene import lines_of, scenario_of
from thinkus.user.talk import classifying

ASKED = Pairwise(config("judge=deepseek_v3"), {})
NEARNESS = Pairwise(config("judge=embedding"), {})
ANSWER = Answer(value="so", is_stored=False, completion=completion("I say so."))
NONE = Failure(kind=Kind.FILTERED, detail="no")


def shown(request: Request, outcome: Outcome = ANSWER) -> list[str]:
    console = Console(width=100, file=StringIO())
    show_question(request, outcome, console)
    assert isinstance(console.file, StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]


def position(lines: Sequence[str], *words: str) -> list[int]:
    return [next(at for at, line in enumerate(lines) if word in line) for word in words]


def test_a_fenced_page_is_shown_part_by_part_and_without_its_fences() -> None:
    request, _ = ASKED.requests(pair(CLOSE, FAR))
    told = shown(request)
    assert "c0#1" in told[0]
    assert "pairwise/candidate_first" in told[0]
    heads = [part.heading for part in parts_of(request.messages[1].content)[0]]
    assert [line for line in told if line in heads] == heads
    order = position(told, "Ana, 40, bakes", "A loaf by noon.", REAL, CLOSE, FAR, "I say so.")
    assert order == sorted(order)
    assert not any("===" in line for line in told)
    assert told[-1].startswith("judge ")
    assert told[order[-1] - 1] != "task"


def test_a_page_without_fences_is_shown_message_by_message() -> None:
    """Such as those of a classifier, and of an encoder."""
    scenario = scenario_of(ANA)
    assert scenario is not None
    told = shown(classifying(scenario, "ana", lines_of(ANA)[:2]))
    assert [line.split()[0] for line in told if not line.startswith(" ")][-4:] == [
        "system", "assistant", "user", "judge",
    ]  # fmt: skip
    order = position(
        told, "ana bakes.", "How do I bake bread?", "As to How do I bake bread?: so.", "I say so."
    )
    assert order == sorted(order)
    for request, words in zip(NEARNESS.requests(pair(CLOSE, FAR)), (CLOSE, FAR), strict=True):
        assert shown(request)[1:3] == [f"user        {REAL}", f"user        {words}"]
    *_, looks_fenced = NEARNESS.requests(pair(CLOSE, "=== Title ===\nhello"))
    assert shown(looks_fenced)[2] == "user        === Title ==="


def test_words_that_are_weighed_are_shown_after_their_page() -> None:
    page = Message("system", "=== not ours ==="), Message("user", "Go on.")
    request = Request(item="c#2", purpose="hindsight/own", messages=page, form=Likelihood("So I will."))
    assert shown(request)[1:] == [
        "system      === not ours ===",
        "user        Go on.",
        "how likely?  So I will.",
        "judge       I say so.",
    ]


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (NONE, "judge       no answer"),
        (Failure(kind=Kind.FILTERED, detail="no", completion=filtered()), "judge"),
        (
            Failure(kind=Kind.CUT, detail="no", completion=completion("I s", finish="length")),
            "judge       I s",
        ),
    ],
)
def test_what_came_is_shown_even_where_it_is_no_verdict(outcome: Outcome, told: str) -> None:
    (request, _) = ASKED.requests(pair(CLOSE, FAR))
    assert shown(request, outcome)[-1] == told


def test_of_a_long_text_the_beginning_is_shown() -> None:
    long = "\n".join(f"line {number}" for number in range(30))
    (request, _) = ASKED.requests(pair(long, FAR))
    told = shown(request)
    assert sum(line.strip().startswith("line ") for line in told) == MOST_LINES
    assert any(f"{30 - MOST_LINES} more lines" in line for line in told)

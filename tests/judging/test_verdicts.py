"""A verdict counts at its place, once, and nowhere else."""

import json

import pytest

from tests.llm.parts import completion, endpoint
from thinkus.judging.verdicts import Ballot, Manner, Unreadable, manner_of
from thinkus.llm.exchange import Answer, Failure, Kind, Outcome
from thinkus.llm.forms import OffForm

ONE, TWO, TIE = OPTIONS = ("kfmaoc", "bdhgpa", "lnecia")


def outcome(ballot: Ballot, text: str) -> Outcome:
    """As the engine makes it."""
    form = ballot.form
    try:
        value = form.read(text) if form else text
    except OffForm as error:
        return Failure(kind=Kind.OFF_FORM, detail=str(error), completion=completion(text))
    return Answer(completion=completion(text), value=value, is_stored=False)


def read(manner: Manner, text: str) -> str:
    ballot = Ballot(OPTIONS, manner)
    return ballot.read(outcome(ballot, text)).verdict


def wrong(manner: Manner, text: str) -> str:
    with pytest.raises(Unreadable) as raised:
        read(manner, text)
    assert raised.value.raw == text
    return raised.value.wrong


def ruling(explanation: str, verdict: str) -> str:
    return json.dumps({"explanation": explanation, "verdict": verdict})


@pytest.mark.parametrize(
    ("manner", "text"),
    [
        ("json", ruling(f"{ONE} is near, {TWO} is not.", ONE)),
        ("json", f"```json\n{ruling('So', ONE)}\n```"),
        ("json", ruling("It quotes [[B]] and\nVerdict: B", ONE)),
        ("json", f'{{"verdict": "{ONE}", "explanation": "the other way round"}}'),
        ("explained", f"{ONE} is near, {TWO} is not.\n\nVerdict: {ONE}"),
        ("explained", f"Verdict: {ONE}"),
        ("explained", f"One says:\nVerdict: B\n[[B]]\nbut no.\nVerdict: {ONE}\n\n"),
        (
            "explained",
            f"The verdict is hard; {TWO} has something.\nVerdict: {ONE}".replace("The verdict", "It"),
        ),
        ("choice", ONE),
    ],
)
def test_it_is_taken_from_its_place(manner: Manner, text: str) -> None:
    assert read(manner, text) == ONE


@pytest.mark.parametrize(
    ("manner", "text", "kind"),
    [
        ("json", ruling("", "A"), "no_verdict"),
        ("json", ruling("", ""), "no_verdict"),
        ("json", ruling("", ONE.upper()), "no_verdict"),
        ("json", ruling("", f"{ONE}, {TWO}"), "no_verdict"),
        ("json", ruling("", ONE[:3] + "\u200b" + ONE[3:]), "no_verdict"),
        ("json", ruling(f"So.\nVerdict: {TWO}", ONE), "two_verdicts"),
        ("json", ruling(f"**Final verdict: {ONE}**", ONE), "two_verdicts"),
        ("json", f'{{"explanation": "", "verdict": "{TWO}", "verdict": "{ONE}"}}', "two_verdicts"),
        ("json", f'{{"explanation": "", "verdict": "{ONE}", "verd\\u0069ct": "{ONE}"}}', "two_verdicts"),
        ("json", f'```\n{{"explanation": "", "verdict": "{TWO}", "verdict": "{ONE}"}}\n```', "two_verdicts"),
        ("json", ruling("", ONE) + ruling("", TWO), "off_form"),
        ("json", f"{ruling('', ONE)}\nVerdict: {TWO}", "off_form"),
        ("json", f'{{"explanation": "", "verdict": "{ONE}", "winner": "{TWO}"}}', "off_form"),
        ("json", f'{{"explanation": "", "verdict": ["{ONE}"]}}', "off_form"),
        ("json", f"Verdict: {ONE}", "off_form"),
        ("json", "I cannot judge this.", "off_form"),
        ("explained", "I cannot judge this.", "no_verdict"),
        ("explained", f"Вердикт: {ONE}", "no_verdict"),
        ("explained", f"Verdict: {ONE}\nI hope that this helps.", "no_verdict"),
        ("explained", f"so. Verdict: {ONE}", "no_verdict"),
        ("explained", f"**Verdict: {ONE}**", "no_verdict"),
        ("explained", f"Verdict: {ONE}\nVerdict: A", "no_verdict"),
        ("explained", "They differ.\nVerdict: A", "no_verdict"),
        ("explained", "[[A]]", "no_verdict"),
        ("explained", f"Verdict: {ONE} or {TWO}", "no_verdict"),
        ("explained", f"Verdict: {TWO}\nor rather\nVerdict: {ONE}", "two_verdicts"),
        ("explained", f"Verdict: {ONE}\nVerdict: {ONE}", "two_verdicts"),
        ("explained", f"## My final verdict is {TWO}\u2028Verdict: {ONE}", "two_verdicts"),
        ("choice", "A", "off_form"),
        ("choice", f"{ONE} {TWO}", "off_form"),
    ],
)
def test_anything_else_is_none(manner: Manner, text: str, kind: str) -> None:
    assert wrong(manner, text) == kind


def test_no_answer_keeps_the_name_that_the_engine_gives_it() -> None:
    ballot = Ballot(OPTIONS, "json")
    for kind in (Kind.FILTERED, Kind.CUT, Kind.EMPTY, Kind.SERVER_ERROR):
        with pytest.raises(Unreadable) as raised:
            ballot.read(Failure(kind=kind, detail="so it is"))
        assert raised.value.as_failure("c#1").reason == kind


def test_every_judge_is_told_the_words() -> None:
    for manner in ("json", "explained", "choice"):
        assert all(option in Ballot(OPTIONS, manner).told for option in OPTIONS)


def test_how_it_answers_is_the_judges_and_the_protocols() -> None:
    hosted, local = endpoint("http://x/v1"), endpoint(None, backend="hf")
    assert manner_of(hosted, "both_orders") == "json"
    assert manner_of(hosted, "paper") == "explained"
    assert {manner_of(local, "both_orders"), manner_of(local, "paper")} == {"choice"}

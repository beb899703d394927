"""The assistant without a model: what it says depends on nothing but whose turn it is."""

import asyncio
from pathlib import Path

import pytest

from tests.llm.parts import engine
from thinkus import prompts
from thinkus.llm.exchange import Answer, Completion, Request
from thinkus.llm.scripted import WORDS, Scripted
from thinkus.records import Message


def after(turns: int, words: str = "Hello?", *, system: str | None = None) -> Request:
    """Of a conversation in which the person has spoken so often, and had an answer to all but the last."""
    said = [Message("user", words), *(turns - 1) * (Message("assistant", "Yes."), Message("user", words))]
    told = [Message("system", system)] if system else []
    return Request(item="a", purpose="assistant", messages=(*told, *said))


def said(request: Request) -> Completion:
    return asyncio.run(Scripted().complete(request))


def test_it_says_all_that_it_has_in_turn_and_begins_again() -> None:
    replies = [said(after(turn)).text for turn in range(1, 14)]
    written = prompts.load(WORDS).text.split("\n\n")
    assert len(set(replies)) == len(written) == 6
    assert replies == (2 * replies[:6] + replies[:1])
    assert [reply.strip() for reply in written] == replies[:6]
    assert all(reply and reply == reply.strip() for reply in replies)


def test_it_hears_nothing() -> None:
    assert said(after(3)).text == said(after(3, "Leave me alone.", system="Be kind.")).text
    assert said(after(3)).finish == "stop"


def test_other_words_are_another_assistant(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Scripted().identity
    assert usual == Scripted().identity == {"backend": "scripted", "words": prompts.load(WORDS).digest}
    monkeypatch.setattr(prompts, "load", lambda name: prompts.Prompt(name, "Indeed.\n\nNo.\n"))
    assert Scripted().identity != usual
    assert said(after(2)).text == "No."


def test_the_engine_takes_its_answers_and_finds_them_again(tmp_path: Path) -> None:
    async def asked() -> list[bool]:
        async with engine(Scripted(), tmp_path) as (one, _):
            outcomes = [await one.ask(after(turn)) for turn in (1, 2)]
        assert all(isinstance(outcome, Answer) for outcome in outcomes)
        return [isinstance(outcome, Answer) and outcome.is_stored for outcome in outcomes]

    assert asyncio.run(asked()) == [False, False]
    assert asyncio.run(asked()) == [True, True]

"""Live talks with scripted models: each way to end, and that the assistant hears nothing but words."""

import asyncio
import json
import re
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.llm.parts import Scripted, completion, engine
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Odds, Opened
from thinkus.records import Annotation, Conversation, Dialogue, Failure, Message, Simulated
from thinkus.user.page import THOUGHT
from thinkus.user.scene import Manner, Scenario
from thinkus.user.talk import Assistant, Classifier, Ending, Talks
from thinkus.user.thinking_user import MOST_ATTEMPTS, TAKES, ThinkingUser
from thinkus.user.turns import Chosen

SECRET = Scenario(
    "My sister owes the landlord three months of rent and has told nobody at home.",
    "I want her to have a calm letter before the landlord calls our parents.",
)
THOUGHTS = (
    "This machine talks just like my old headmaster, and I cannot stand it.",
    "Better than I feared, although it still has no idea what is at stake.",
    "If it asks me for her name once more I shall close the window at once.",
)
MANNERS = (
    Manner("thinkingus", thinks=True),
    Manner("thinkingus", thinks=True, first_thought=True),
    Manner("thinkingus", thinks=True, first_thought=True, keeps_thoughts=True),
    Manner("prompt_thinking", thinks=True),
    Manner("utterance_sft", thinks=False),
    Manner("prompt", thinks=False),
)
THINKS = MANNERS[0]
RETRIES = 2
Model = Callable[[Request], str | Completion | Awaitable[str]]


def turn_of(request: Request) -> int:
    """How many turns the person has had."""
    return sum(message.role == "assistant" for message in request.messages)


def go_on(request: Request) -> str:
    return f"{'<thought>Hm.</thought>' if turn_of(request) else ''}go on {turn_of(request)}"


def reply(request: Request) -> str:
    return f"reply {turn_of(request)}"


def odds(request: Request) -> str:
    ends = 0.2 + 0.3 * (turn_of(request) - 1)
    return json.dumps({"1": ends, "0": 1 - ends})


def never(_: Request) -> str:
    return json.dumps({"1": 0.0, "0": 1.0})


Held = tuple[Dialogue | None, Failure | None]


class Scene(NamedTuple):
    """Who talks, and how."""

    person: Model = go_on
    assistant: Model = reply
    classifier: Model | None = None
    manner: Manner = THINKS
    decode: str = "free"
    ending: Ending = "either"
    seed: int = 0
    max_retries: int = RETRIES

    def held(self, folder: Path, *chosen: Chosen) -> tuple[list[Held], dict[str, list[Request]]]:
        """What became of the talks, and what reached whom."""
        heard: dict[str, list[Request]] = {"person": [], "assistant": [], "classifier": []}

        async def hold() -> list[Held]:
            by = Simulated(self.manner.method, "m", "utterances", self.decode, {})
            async with AsyncExitStack() as stack:

                async def at(who: str, model: Model) -> Engine:
                    opened = engine(speaking(model, heard[who]), folder / who)
                    return (await stack.enter_async_context(opened))[0]

                person, assistant = await at("person", self.person), await at("assistant", self.assistant)
                classifier = (
                    Classifier((await at("classifier", self.classifier)).ask, 0.5)
                    if self.classifier
                    else None
                )
                talks = Talks(
                    ThinkingUser(person, self.manner, by, max_retries=self.max_retries, seed=self.seed),
                    Assistant(assistant, max_retries=self.max_retries, seed=self.seed),
                    classifier, ending=self.ending, max_turns=3, assistant_name="a",
                )  # fmt: skip
                return await asyncio.gather(*map(talks.hold, chosen))

        return asyncio.run(hold()), heard


def speaking(model: Model, heard: list[Request]) -> Scripted:
    async def script(request: Request) -> Completion:
        heard.append(request)
        await asyncio.sleep(0)
        said = model(request)
        said = await said if isinstance(said, Awaitable) else said
        said = completion(said) if isinstance(said, str) else said
        for stop in request.form.stops if isinstance(request.form, Opened) else ():
            said = replace(said, text=said.text.partition(stop)[0])
        return said

    return Scripted(script)


def chosen(name: str = "c", number: int = 0, secret: Scenario = SECRET) -> Chosen:
    said = Message("user", "what was really said")
    return Chosen(number, Conversation(name, "test", (said,), annotation=Annotation(*secret)))


def one(folder: Path, **parts: Any) -> tuple[Dialogue, Failure | None, dict[str, list[Request]]]:
    ((dialogue, failure),), heard = Scene(**parts).held(folder, chosen())
    assert dialogue is not None
    return dialogue, failure, heard


def leave(request: Request) -> str:
    return "<thought>Done.</thought>" if turn_of(request) == 2 else go_on(request)


def refuse(request: Request) -> str:
    raise AttemptFailed(Kind.REFUSED, "not that")


def cut(text: str) -> Model:
    return lambda _: completion(text, finish="length")


NOT_NOW = "empty: there are no words, and nobody may leave here"
ENDS: list[tuple[dict[str, Any], str, str, int]] = [
    ({}, "max_turns", "", 3),
    ({"person": leave, "classifier": never}, "simulator", "", 3),
    ({"person": leave, "ending": "none"}, "person_failed", NOT_NOW, 2),
    ({"person": leave, "classifier": odds}, "classifier", "", 2),  # 0.2, and then 0.5 is enough
    ({"person": leave, "classifier": odds, "ending": "classifier"}, "classifier", "", 2),
    ({"person": leave, "classifier": never, "ending": "classifier"}, "person_failed", NOT_NOW, 2),
    ({"person": lambda _: ""}, "person_failed", NOT_NOW, 0),
    ({"person": lambda _: "hello"}, "person_failed", "no_thought: there is no thought", 1),
    ({"person": refuse}, "person_failed", "refused: not that", 0),
    ({"assistant": refuse}, "assistant_failed", "refused: not that", 1),
    ({"assistant": lambda _: " \n"}, "assistant_failed", "empty: 3 times", 1),
    ({"assistant": cut(" ")}, "assistant_failed", "empty: 3 times", 1),
    ({"classifier": refuse}, "classifier_failed", "refused: not that", 1),
    ({"classifier": lambda _: "1"}, "classifier_failed", "off_form: says nothing of how likely 1, 0 are", 1),
]


@pytest.mark.parametrize(("parts", "by", "why", "turns"), ENDS)
def test_a_talk_says_how_it_ended(
    parts: dict[str, Any], by: str, why: str, turns: int, tmp_path: Path
) -> None:
    dialogue, failure, _ = one(tmp_path, **parts)
    assert (dialogue.ended_by, dialogue.why, len(dialogue.exchanges)) == (by, why, turns)
    replies = sum(exchange.reply is not None for exchange in dialogue.exchanges)
    assert replies == turns - (by in ("simulator", "assistant_failed"))
    assert [exchange.person.ended for exchange in dialogue.exchanges].count(True) == (by == "simulator")
    if by == "person_failed":
        assert failure is not None
        assert (failure.item, failure.reason) == (f"c#{turns}", why.partition(":")[0])
    else:
        assert failure == (Failure(f"c#{turns - 1}", by, why, "") if by.endswith("failed") else None)


def test_who_has_no_scenario_does_not_talk(tmp_path: Path) -> None:
    ((dialogue, failure),), heard = Scene().held(tmp_path, chosen(secret=Scenario("s", " ")))
    assert (dialogue, failure and failure.reason, heard["person"]) == (None, "no_scenario", [])


def test_the_classifier_knows_the_situation_and_hears_words_alone(tmp_path: Path) -> None:
    dialogue, _, heard = one(tmp_path, classifier=odds, manner=THINKS._replace(keeps_thoughts=True))
    assert [exchange.leaving for exchange in dialogue.exchanges] == [0.2, 0.5]
    assert heard["classifier"][1].form == Odds(("1", "0"))
    system, *talk = heard["classifier"][1].messages
    assert SECRET.scenario in system.content
    assert [message.content for message in talk] == ["go on 0", "reply 0", "go on 1", "reply 1"]


def small(request: Request) -> str:
    if len(request.messages) > 3:
        raise AttemptFailed(Kind.TOO_LONG, "the window is full")
    return request.messages[0].content


@pytest.mark.parametrize(
    ("assistant", "facts"),
    [
        (cut("and so on"), [("and so on", True, 1, 0)] * 3),  # heard as it is
        (lambda request: "" if request.take < 2 else "at last", [("at last", False, 3, 0)] * 3),
        (small, [("go on 0", False, 1, 0), ("go on 0", False, 1, 0), ("go on 1", False, 1, 1)]),
    ],
)
def test_a_reply_says_what_it_took(assistant: Model, facts: list[tuple[object, ...]], tmp_path: Path) -> None:
    dialogue, _, heard = one(tmp_path, assistant=assistant)
    replies = [exchange.reply for exchange in dialogue.exchanges]
    assert [(one.content, one.is_cut, one.attempts, one.dropped) for one in replies if one] == facts
    assert heard["person"][-1].messages[-1].content == facts[1][0]


def test_talks_do_not_share_replies_and_seeds_share_nothing(tmp_path: Path) -> None:
    takes = list[str]()
    for seed in (0, 1):
        two = Scene(assistant=lambda request: str(request.take), seed=seed)
        held, heard = two.held(tmp_path, chosen("a", 0), chosen("b", 1))
        takes += [dialogue.messages[1].content for dialogue, _ in held if dialogue]
        assert len(heard["assistant"]) == 6
    assert takes == [str(seed * TAKES + number * MOST_ATTEMPTS) for seed in (0, 1) for number in (0, 1)]


def test_no_talk_waits_for_anothers_turn(tmp_path: Path) -> None:
    """One assistant is silent until the other talk is over."""
    is_over = asyncio.Event()

    async def answer(request: Request) -> str:
        if request.item == "quick" and turn_of(request) == 2:
            is_over.set()
        elif request.item == "slow":
            await asyncio.wait_for(is_over.wait(), 10)
        return reply(request)

    held, _ = Scene(assistant=answer).held(tmp_path, chosen("slow", 0), chosen("quick", 1))
    assert [dialogue.ended_by for dialogue, _ in held if dialogue] == ["max_turns"] * 2


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def guard(talks: Sequence[Held], heard: dict[str, list[Request]]) -> None:
    """The assistant was sent what was said, and nothing else."""
    talked = {dialogue.id: dialogue.messages for dialogue, _ in talks if dialogue}
    assert len(talked) == len(talks)
    for request in heard["assistant"]:
        assert request.messages == talked[request.item][: len(request.messages)]
        assert [message.role for message in request.messages[::2]] == ["user"] * (turn_of(request) + 1)
        assert request.form is None
        told = "\n".join(message.content for message in request.messages)
        assert not re.search(r"<\s*/?\s*(thought|think)", told, re.IGNORECASE)
        assert not [secret for secret in (*SECRET, *THOUGHTS) if plain(secret) in plain(told)]


def tempted(manner: Manner, says: Callable[[int, int], str]) -> Model:
    """A person of whom each turn's thought is known; at a turn and a take they say what holds `$` for it."""

    def say(request: Request) -> str:
        turn = turn_of(request)
        thought, words = THOUGHTS[turn], says(turn, request.take)
        if isinstance(request.form, Opened):
            return thought if request.form.begins == THOUGHT else words.replace("$", thought)
        if manner.first_thought or (manner.thinks and turn):
            return f"<thought>{thought}</thought>{words.replace('$', thought)}"
        return words.replace("$", f"<thought>{thought}</thought>")  # else nothing tells that it is one

    return say


EVIL = (
    "$", "So: $ Go on.", f"I said: {SECRET.scenario}", SECRET.motivation.upper(), "hello</thought>",
    "hello <thought>", "hello <thought>$</thought>", "<think>$</think>hello", "<thought>hello", "</Thought >hello",
    "hello\nUser: $",
)  # fmt: skip


@pytest.mark.parametrize("decode", ["free", "guided"])
@pytest.mark.parametrize("manner", MANNERS)
def test_the_assistant_hears_words_alone(manner: Manner, decode: str, tmp_path: Path) -> None:
    """Whatever else a person puts there is asked for again, until they just speak."""
    person = tempted(manner, lambda turn, take: (*EVIL, f"go on {turn}")[take])
    talk = Scene(person, manner=manner, decode=decode, classifier=never, max_retries=len(EVIL))
    talks, heard = talk.held(tmp_path, chosen())
    guard(talks, heard)
    assert len(heard["assistant"]) == 3
    if decode == "free":
        assert [request.messages[-1].content for request in heard["assistant"]] == [
            "go on 0",
            "go on 1",
            "go on 2",
        ]
        wrongs = [
            exchange.person.wrong for dialogue, _ in talks if dialogue for exchange in dialogue.exchanges
        ]
        assert [len(wrong) for wrong in wrongs] == [len(EVIL)] * 3


pieces = st.sampled_from(
    (*EVIL, *SECRET, "$", "hello", " ", "\n", "(leaves)", "leaves", "<", "</", "thought>", "Hm.")
)
random_words = st.lists(pieces, max_size=3).map("".join)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(random_words, min_size=9, max_size=9),
    st.sampled_from(MANNERS),
    st.sampled_from(["free", "guided"]),
    st.sampled_from(["simulator", "none"]),
)
def test_no_model_makes_the_assistant_hear_more(
    drawn: list[str], manner: Manner, decode: str, ending: Ending
) -> None:
    person = tempted(manner, lambda turn, take: drawn[3 * turn + take])
    with tempfile.TemporaryDirectory() as folder:
        guard(*Scene(person, manner=manner, decode=decode, ending=ending).held(Path(folder), chosen()))

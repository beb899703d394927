"""What a user model is shown, what the assistant sees, and what gives way where a window is too small."""

import asyncio
from collections.abc import Sequence
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.llm.parts import completion
from thinkus import prompts
from thinkus.llm.exchange import Answer, Failure, Kind, Outcome
from thinkus.records import Annotation, Conversation, HumanThought, Message
from thinkus.user import page
from thinkus.user.samples import Teaching, Way
from thinkus.user.scene import (
    Line,
    Manner,
    Scenario,
    as_the_assistant_sees,
    lines_of,
    prompts_of,
    scenario_of,
    within_window,
)
from thinkus.user.words import LEAVES

SCENARIO = Scenario(" My sister owes the landlord three months of rent. ", "Get her a calm letter.\n")
LINES = (
    Line("person", "hello there", "I know this will be tedious."),
    Line("assistant", "Good day."),
    Line("person", "write her a letter", "It is polite, at least."),
    Line("assistant", "Dear Sir,"),
)
TALK = (
    Message("assistant", "hello there"),
    Message("user", "Good day."),
    Message("assistant", "write her a letter"),
    Message("user", "Dear Sir,"),
)
WITH_THOUGHTS = (
    Message("assistant", "<thought>I know this will be tedious.</thought>hello there"),
    TALK[1],
    Message("assistant", "<thought>It is polite, at least.</thought>write her a letter"),
    TALK[3],
)
MANNERS = {
    "prompt": Manner("prompt", thinks=False),
    "prompt_thinking": Manner("prompt_thinking", thinks=True),
    "utterance_sft": Manner("utterance_sft", thinks=False),
    "thinkingus": Manner("thinkingus", thinks=True),
    "thoughts": Manner("thinkingus", thinks=True, keeps_thoughts=True),
    "first_thought": Manner("thinkingus", thinks=True, first_thought=True),
    "ending": Manner("ending", thinks=False),
}
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
lines = st.lists(
    st.builds(Line, st.sampled_from(["person", "assistant"]), texts, st.none() | texts), max_size=6
)  # fmt: skip


@pytest.mark.parametrize("method", ["prompt", "prompt_thinking"])
def test_a_model_that_is_told_hears_how_to_play_and_is_asked_to_begin(method: str) -> None:
    told, opening, *talk = MANNERS[method].messages(SCENARIO, LINES)
    assert (told.role, opening.role) == ("system", "user")
    assert "My sister owes the landlord three months of rent.\n" in told.content
    assert "Get her a calm letter.\n" in told.content
    assert "{{" not in told.content
    assert ("<thought>" in told.content, LEAVES in told.content) == (
        method == "prompt_thinking",
        method == "prompt",
    )
    assert opening.content == prompts.load("simulate/opening").text.strip()
    assert tuple(talk) == TALK
    assert MANNERS[method].messages(SCENARIO, []) == (told, opening)


@pytest.mark.parametrize("method", ["utterance_sft", "thinkingus", "first_thought", "ending"])
def test_a_model_that_was_taught_knows_the_situation_alone(method: str) -> None:
    system, *talk = MANNERS[method].messages(SCENARIO, LINES)
    assert system.role == "system"
    assert system.content == (
        "A conversation between a person and an AI assistant.\n\n"
        "The person's situation: My sister owes the landlord three months of rent.\n\n"
        "What brings the person here: Get her a calm letter."
    )
    assert tuple(talk) == TALK


def test_its_own_thoughts_are_shown_to_a_model_that_keeps_them_and_to_no_other() -> None:
    for method, manner in MANNERS.items():
        told = manner.messages(SCENARIO, LINES)
        assert told[-4:] == (WITH_THOUGHTS if method == "thoughts" else TALK)
    bare = [line._replace(thought=None) for line in LINES]
    assert MANNERS["thoughts"].messages(SCENARIO, bare)[-4:] == TALK


@given(lines)
def test_the_assistant_is_the_user_of_whoever_plays_the_person(talk: list[Line]) -> None:
    for method, manner in MANNERS.items():
        told = manner.messages(SCENARIO, talk)
        roles = [{"person": "assistant", "assistant": "user"}[line.who] for line in talk]
        before = ["system", "user"] if method.startswith("prompt") else ["system"]
        assert [message.role for message in told] == before + roles


@pytest.mark.parametrize("way", get_args(Way))
@pytest.mark.parametrize(("keeps_thoughts", "first_thought"), [(False, False), (True, False), (True, True)])
def test_a_model_is_asked_as_it_was_taught(way: Way, keeps_thoughts: bool, first_thought: bool) -> None:
    """The page that it wrote under in training, to the letter, at every turn."""
    conversation = Conversation(
        "c",
        "test",
        (
            Message("system", "Be brief."),
            Message("user", " hello there\n"),
            Message("assistant", "\nGood day. "),
            Message("user", "of <thought>course</thought>"),
            Message("assistant", "Dear Sir,"),
        ),
        annotation=Annotation(
            *SCENARIO,
            thoughts=(" It is polite.\n",),
            first_thought="Here we go." if first_thought else None,
            terminal_thought="Done.",
        ),
    )
    teaching = Teaching(way, keeps_thoughts, first_thought)
    made_from = {
        "method.name": way,
        "history": "thoughts" if keeps_thoughts else "utterances",
        "first_thought": first_thought,
    }
    manner, scenario = Manner.of_run(made_from), scenario_of(conversation)
    assert scenario is not None
    for sample in teaching.samples(conversation):
        heard = lines_of(conversation)[: 2 * sample.turn]
        asked = [page.Message(one.role, one.content) for one in manner.messages(scenario, heard)]
        assert list(teaching.page.pieces(asked)) == list(teaching.page.pieces(sample.history))


@pytest.mark.parametrize(
    ("made_from", "manner"),
    [
        (("thinkingus", False, "utterances"), MANNERS["thinkingus"]),
        (("thinkingus", True, "utterances"), MANNERS["first_thought"]),
        (("thinkingus", False, "thoughts"), MANNERS["thoughts"]),
        (("utterance_sft", True, "thoughts"), MANNERS["utterance_sft"]),  # which has none to keep
    ],
)
def test_a_run_says_how_it_is_asked(made_from: tuple[Any, ...], manner: Manner) -> None:
    keys = ("method.name", "first_thought", "history")
    assert Manner.of_run(dict(zip(keys, made_from, strict=True))) == manner


def test_a_thought_is_asked_for_where_it_was_taught() -> None:
    asked = {
        method: (manner.thinking([]), manner.thinking(LINES), manner.leaves_by)
        for method, manner in MANNERS.items()
    }
    assert asked == {
        "prompt": ("never", "never", LEAVES),
        "prompt_thinking": ("may", "must", LEAVES),
        "utterance_sft": ("never", "never", ""),
        "thinkingus": ("may", "must", ""),
        "thoughts": ("may", "must", ""),
        "first_thought": ("must", "must", ""),
        "ending": ("never", "never", ""),
    }


def test_every_word_that_is_said_to_a_model_is_part_of_a_run() -> None:
    assert prompts_of("prompt") == ("simulate/person", "simulate/opening")
    assert prompts_of("prompt_thinking") == ("simulate/person_thinking", "simulate/opening")
    assert prompts_of("thinkingus") == prompts_of("utterance_sft") == ("sft/situation",)


@given(lines)
def test_the_assistant_sees_words_alone(talk: list[Line]) -> None:
    seen = as_the_assistant_sees(talk)
    assert [(message.role, message.content) for message in seen] == [
        ("user" if who == "person" else "assistant", words) for who, words, _ in talk
    ]
    assert seen == as_the_assistant_sees([line._replace(thought="other") for line in talk])


def test_a_conversation_gives_the_scene() -> None:
    messages = (
        Message("system", "Be brief."),
        *(Message(role, role) for role in ("user", "assistant", "user")),
    )
    conversation = Conversation(
        "c", "test", messages, human_thoughts=(HumanThought(1, "reason", "hm", None),)
    )
    assert scenario_of(conversation) is None
    bare = [Line("person", "user"), Line("assistant", "assistant"), Line("person", "user")]
    assert lines_of(conversation) == bare
    for empty in (("", "m"), ("s", " \n")):
        assert scenario_of(Conversation("c", "test", messages, annotation=Annotation(*empty))) is None
    annotation = Annotation("s", "m", ("then",), first_thought="first", terminal_thought="last")
    annotated = Conversation("c", "test", messages, annotation=annotation)
    assert scenario_of(annotated) == Scenario("s", "m")
    assert [line.thought for line in lines_of(annotated)] == ["first", None, "then"]


@given(st.integers(0, 12), st.integers(0, 12), st.integers(0, 2))
def test_whole_exchanges_give_way_and_the_last_stays(count: int, capacity: int, given_up: int) -> None:
    """In both chairs: after a reply (an even count) and after the person's words."""
    start = min(2 * given_up, max(0, count - 1) // 2 * 2)
    talk = [Line("assistant" if place % 2 else "person", str(place)) for place in range(count)]
    asked: list[Sequence[Line]] = []

    async def ask(shown: Sequence[Line]) -> Outcome:
        asked.append(shown)
        if len(shown) > capacity:
            return Failure(kind=Kind.TOO_LONG, detail=str(len(shown)))
        return Answer(completion=completion("yes"), value=len(shown), is_stored=False)

    outcome, begins = asyncio.run(within_window(ask, talk, start))
    least = 1 if count % 2 else min(2, count)
    assert [list(shown) for shown in asked] == [talk[at:] for at in range(start, begins + 1, 2)]
    assert begins % 2 == 0
    assert isinstance(outcome, Failure) == (capacity < least)
    if isinstance(outcome, Answer):  # with as much as there is room for
        assert begins == start or len(talk) - begins + 2 > capacity
    else:
        assert len(asked[-1]) == least


@pytest.mark.parametrize("kind", sorted(set(Kind) - {Kind.TOO_LONG}))
def test_nothing_is_dropped_for_any_other_reason(kind: Kind) -> None:
    asked = []

    async def ask(shown: Sequence[Line]) -> Outcome:
        asked.append(shown)
        return Failure(kind=kind, detail="")

    outcome, begins = asyncio.run(within_window(ask, LINES))
    assert (outcome, begins, asked) == (Failure(kind=kind, detail=""), 0, [LINES])

"""What a conversation teaches: how many samples, what each is shown, and why some teach nothing."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.records import Annotation, Conversation
from thinkus.records import Message as Said
from thinkus.user.page import ASSISTANT, IS_THE_END, PERSON, Message
from thinkus.user.samples import CONTINUES, ENDS, CannotTeach, Sample, Teaching, Way

ANNOTATION = Annotation(
    " Someone is at a concert.\n",
    "To follow {{scenario}}",
    ("Too long. ", "Better."),
    first_thought="What is that?",
    terminal_thought=" Good, the lights go down.\n",
)
CONVERSATION = Conversation(
    "c1",
    "sample",
    (
        Said("system", "You are an assistant."),
        Said("user", " what is a lute\n"),
        Said("assistant", "An instrument. "),
        Said("user", "shorter"),
        Said("system", "Be brief."),
        Said("assistant", "A guitar."),
        Said("user", "older?"),
        Said("assistant", "Yes."),
    ),
    "train",
    annotation=ANNOTATION,
)
WAYS: tuple[Way, ...] = ("thinkingus", "utterance_sft", "ending")


def taught(
    way: Way, conversation: Conversation = CONVERSATION, *, keeps: bool = False, first: bool = False
) -> list[Sample]:
    return Teaching(way, keeps, first).samples(conversation)


def annotated(annotation: Annotation | None) -> Conversation:
    return Conversation("c1", "sample", CONVERSATION.messages, "train", annotation=annotation)


@settings(deadline=None)
@given(st.integers(1, 8), st.booleans(), st.booleans())
def test_k_turns_are_k_and_one_samples_and_k_endings(turns: int, keeps: bool, first: bool) -> None:
    messages = [Said(role, role) for _ in range(turns) for role in ("user", "assistant")]
    annotation = Annotation("s", "m", ("t",) * (turns - 1), first_thought="f", terminal_thought="l")
    conversation = Conversation("c", "test", tuple(messages), annotation=annotation)
    for way in WAYS:
        samples = taught(way, conversation, keeps=keeps, first=first)
        turns_of = [sample.turn for sample in samples]
        assert turns_of == (list(range(1, turns + 1)) if way == "ending" else list(range(turns + 1)))
        replies = [sum(message.role == "user" for message in sample.history) for sample in samples]
        assert replies == turns_of, "a sample comes after as many replies as its number says"
        assert {sample.conversation for sample in samples} == {"c"}


def test_a_thinking_person_thinks_before_all_but_the_first_words() -> None:
    assert [sample.target for sample in taught("thinkingus")] == [
        "what is a lute",
        "<thought>Too long.</thought>shorter",
        "<thought>Better.</thought>older?",
        "<thought>Good, the lights go down.</thought>",
    ]


@pytest.mark.parametrize("keeps", [False, True])
def test_the_first_thought_is_taught_where_it_is_wanted(keeps: bool) -> None:
    with_first, without = (taught("thinkingus", keeps=keeps, first=first) for first in (True, False))
    assert with_first[0].target == "<thought>What is that?</thought>what is a lute"
    assert without[0].target == "what is a lute"
    assert [one.target for one in with_first[1:]] == [one.target for one in without[1:]]
    assert with_first[1].history[1].content == with_first[0].target
    assert without[1].history[1].content == without[0].target


def test_a_person_without_thoughts_says_the_words_and_leaves_with_none() -> None:
    assert [sample.target for sample in taught("utterance_sft")] == [
        "what is a lute",
        "shorter",
        "older?",
        "",
    ]


def test_an_ending_is_one_label_after_each_reply() -> None:
    samples = taught("ending")
    assert [sample.target for sample in samples] == [CONTINUES, CONTINUES, ENDS]
    assert [sample.history[-1].content.strip() for sample in samples] == [
        "An instrument.",
        "A guitar.",
        "Yes.",
    ]
    assert samples[0].history[1] == Message("assistant", "what is a lute")


@pytest.mark.parametrize("way", WAYS)
def test_each_history_goes_on_where_the_one_before_it_stopped(way: Way) -> None:
    samples = taught(way, keeps=True)
    for before, after in pairwise(samples):
        assert after.history[: len(before.history)] == before.history
        said, reply = after.history[len(before.history) :]
        assert (said.role, reply.role) == ("assistant", "user")
        if way != "ending":
            assert said.content == before.target


def test_a_page_shows_the_thoughts_of_earlier_turns_where_they_are_kept() -> None:
    (last,) = taught("thinkingus")[-1:]
    pages = {
        keeps: list(Teaching("thinkingus", keeps, False).page.pieces(last.history)) for keeps in (False, True)
    }
    assert f"{PERSON}<thought>Better.</thought>older?" in pages[True]
    assert f"{PERSON}older?" in pages[False]
    assert not any("thought" in piece for piece in pages[False] if isinstance(piece, str))


@pytest.mark.parametrize("way", WAYS)
def test_the_situation_opens_every_history(way: Way) -> None:
    for sample in taught(way):
        first, *said = sample.history
        assert first.role == "system"
        assert "situation: Someone is at a concert.\n" in first.content
        assert first.content.endswith("To follow {{scenario}}"), "a text is no template"
        assert all(message.role != "system" for message in said)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_system_says_in_a_corpus_is_said_by_nobody(way: Way) -> None:
    plain = Conversation(
        "c1",
        "sample",
        tuple(message for message in CONVERSATION.messages if message.role != "system"),
        "train",
        annotation=ANNOTATION,
    )
    assert taught(way, first=True) == taught(way, plain, first=True)


def test_the_model_is_asked_for_words_or_for_the_end() -> None:
    assert [Teaching(way, False, False).page.asks for way in WAYS] == [PERSON, PERSON, IS_THE_END]
    assert len({PERSON, ASSISTANT, IS_THE_END}) == 3


# What cannot be taught ------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_without_an_annotation_nothing_is_taught(way: Way) -> None:
    with pytest.raises(CannotTeach) as refused:
        taught(way, annotated(None))
    assert (refused.value.kind, str(refused.value)) == ("no_annotation", "it has no annotation")


@pytest.mark.parametrize(
    ("annotation", "first", "kind", "says"),
    [
        (
            Annotation("s", "m", ("a", "b"), terminal_thought="l"),
            True,
            "no_first_thought",
            "before the first",
        ),
        (Annotation("s", "m", ("a",), terminal_thought="l"), False, "no_thoughts", r"^1 of"),
        (Annotation("s", "m", terminal_thought="l"), False, "no_thoughts", r"^2 of"),
        (
            Annotation("s", "m", ("a",), first_thought="f", terminal_thought="l"),
            True,
            "no_thoughts",
            r"^1 of",
        ),
        (Annotation("s", "m", ("a", "b")), False, "no_terminal_thought", "terminal"),
        (
            Annotation("s", "m", ("a<thought>", "b"), terminal_thought="l"),
            False,
            "tag_in_thought",
            "<thought>",
        ),
        (Annotation("s", "m", ("a", "b"), terminal_thought="</thought>"), False, "tag_in_thought", "holds"),
        (
            Annotation("s", "m", ("a", "b"), first_thought="</thought>", terminal_thought="l"),
            True,
            "tag_in_thought",
            "holds",
        ),
    ],
)
def test_what_thinking_lacks_is_said_with_its_kind(
    annotation: Annotation, first: bool, kind: str, says: str
) -> None:
    with pytest.raises(CannotTeach, match=says) as refused:
        taught("thinkingus", annotated(annotation), first=first)
    assert refused.value.kind == kind
    assert len(taught("utterance_sft", annotated(annotation), first=first)) == 4, "which needs no thoughts"
    assert len(taught("ending", annotated(annotation), first=first)) == 3


def test_a_first_thought_that_is_not_taught_may_be_anything() -> None:
    odd = Annotation("s", "m", ("a", "b"), first_thought="</thought>", terminal_thought="l")
    assert len(taught("thinkingus", annotated(odd))) == 4

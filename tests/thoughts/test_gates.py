"""Gates: careful thoughts pass, planted faults are caught, and the complaint says where and what to do."""

import json
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import pytest

from thinkus import paths
from thinkus.records import Conversation, Message
from thinkus.thoughts import keyed
from thinkus.thoughts.drafts import Draft, Thought
from thinkus.thoughts.gates import Limits, copied_share, objection, terminal_objection, words_ahead

LIMITS = Limits(copy=0.35, foresight=3, least_words=3, most_words=120)
TALK = Conversation(
    "c",
    "test",
    (
        Message("user", "my sourdough comes out flat, what do i do wrong"),
        Message("assistant", "It may be the starter. How long after feeding do you use it?"),
        Message("user", "about a day. should it float in water or is that a myth"),
        Message("assistant", "At its peak. Proof the loaf in a banneton overnight in the fridge, then score it."),
        Message("user", "ok trying that tonight"),
        Message("assistant", "Good luck. Preheat the casserole for an hour, and bake with steam."),
    ),
)  # fmt: skip
FINE = "So it's me and not the flour. Somebody on the bus swore by dropping a blob in a glass."


class Sample(NamedTuple):
    conversation: Conversation
    draft: Draft
    last: str


def sample() -> list[Sample]:
    def lines(name: str) -> Iterator[Any]:
        return map(json.loads, (paths.SAMPLE / name).read_text(encoding="utf-8").splitlines())

    answers = {(entry["item"], entry["purpose"]): entry["answer"] for entry in lines("recorded.jsonl")}
    found = []
    for row in lines("conversations.jsonl"):
        item, said = row["conversation_id"], row["conversation"]
        if (item, "annotate") in answers:
            # One ends with words of the person's that nobody answered; prepare cuts them off.
            messages = tuple(Message(m["role"], m["content"]) for m in said[: len(said) // 2 * 2])
            conversation = Conversation(item, "sample", messages)
            answer = msgspec.convert(answers[item, "annotate"], keyed.Answer)
            draft = keyed.draft(answer, conversation, first_thought=True)
            found.append(Sample(conversation, draft, answers[item, "terminal_thought"]["thought"]))
    return found


SAMPLE = sample()
THOUGHTS = [
    (one.conversation, thought.turn, thought.text)
    for one in SAMPLE
    for thought in one.draft.thoughts
    if thought.turn > 1
]


def kind_of(
    text: str, turn: int = 2, conversation: Conversation = TALK, limits: Limits = LIMITS
) -> str | None:
    found = objection(Draft("s", "m", (Thought(turn, text),)), conversation, limits)
    return found.kind if found else None


def test_careful_thoughts_pass() -> None:
    """The one that does not comes before anything was said: there a person's own world looks like foresight."""
    objections = [
        (one.conversation.id[:4], found.kind, found.complaint[:25])
        for one in SAMPLE
        if (found := objection(one.draft, one.conversation, LIMITS))
        or (found := terminal_objection(one.last, one.conversation, LIMITS))
    ]
    assert len(SAMPLE) == 72
    assert objections == [("7382", "foresees", "the thought before turn 1")]


def test_careful_thoughts_stay_far_from_the_limits() -> None:
    shares, ahead = [], []
    for conversation, turn, text in THOUGHTS:
        said = [message.content for message in conversation.messages]
        at = 2 * (turn - 1)
        shares += [copied_share(text, said[at]), copied_share(text, said[at - 1])]
        ahead.append(len(words_ahead(text, said[: at + 1], said[at + 1 :])))
    assert max(shares) < LIMITS.copy / 2
    assert sum(count == LIMITS.foresight - 1 for count in ahead) <= 0.01 * len(ahead)


def some_words_changed(text: str) -> str:
    words, draw = text.split()[:50], random.Random(text)
    for place in draw.sample(range(len(words)), min(2, len(words))):
        words[place] = "something"
    return " ".join(words)


def utterance(conversation: Conversation, turn: int) -> str:
    return conversation.messages[2 * (turn - 1)].content


PLANTED: dict[str, tuple[float, Callable[[Conversation, int, str], str]]] = {
    "copies_utterance": (0.97, lambda c, turn, _: some_words_changed(utterance(c, turn))),
    # The other replies offer help, which is graver.
    "copies_reply": (0.93, lambda c, turn, _: some_words_changed(c.messages[2 * turn - 3].content)),
    "speaks_as_author": (1, lambda c, turn, text: f"The user wants to know more. {text}"),
    "speaks_as_assistant": (1, lambda c, turn, text: f"{text} Let me know if you need anything else."),
    # Words alone show only the plainest of looks ahead: here sixteen of the next reply's.
    "foresees": (0.35, lambda c, turn, text: f"{text} {' '.join(c.messages[2 * turn - 1].content.split()[-16:])}"),
    "thought_too_long": (1, lambda c, turn, text: " ".join([text] * 5)),
    "thought_too_short": (1, lambda c, turn, text: "Hm."),
    "thought_empty": (1, lambda c, turn, text: " \n"),
    "tag_broken": (1, lambda c, turn, text: f"{text}</thought>"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_planted_faults_are_caught(kind: str) -> None:
    least, plant = PLANTED[kind]
    caught = [kind_of(plant(c, turn, text), turn, c) == kind for c, turn, text in THOUGHTS]
    assert sum(caught) / len(caught) >= least


@pytest.mark.parametrize(
    "text",
    [
        "The user is asking about flour, though they never said so.",
        "User wants a quick fix for the loaf.",
        "Flat again. This user needs a better recipe than that, clearly.",
        "It is fair to say that the user's frustration is growing here.",
        "The person hopes for a simple answer and gets a question.",
    ],
)
def test_reports_about_the_person(text: str) -> None:
    assert kind_of(text) == "speaks_as_author"


@pytest.mark.parametrize(
    "text",
    [
        "As an AI language model, I do not eat bread.",
        "I\u2019d be happy to help with the loaf.",
        "How can I assist you with the bread today?",
        "Here is a better recipe for the loaf: flour, salt, time.",
        "Please let me know if that does not work.",
        "I'm sorry, but I can't judge a loaf from here.",
        '"I can help you with that."',
    ],
)
def test_offers_of_help(text: str) -> None:
    assert kind_of(text) == "speaks_as_assistant"


@pytest.mark.parametrize(
    "text",
    [
        "The user manual said nothing of this, nor did the user account page.",
        "This person at the mill is driving me mad with his advice.",
        "Should I ask the person who sold me the oven?",
        "'I'd be happy to help', it says, and then asks me a question.",
        "\u201cLet me know if you need more\u201d... I need less, that's what.",
        "I'd be happy to help her eat it, if there were anything to eat.",
        "She said she would let me know if hers came out flat.",
        "Here's the thing: nobody ever told me about feeding.",
        "As an AI it has never smelt bread, but let it try.",
        "Of course I fed it. Sure, a day ago, but still.",
    ],
)
def test_a_person_may_think_so(text: str) -> None:
    assert kind_of(text) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The user thinks that it hangs, because nothing moves.", "speaks_as_author"),
        ("So when the user thinks that it hangs they click again. The user is logged in twice.", None),
    ],
)
def test_those_who_make_programs_may_think_of_users(text: str, kind: str | None) -> None:
    talk = Conversation("c", "test", (Message("user", "my users see a blank page"), *TALK.messages[1:]))
    assert kind_of(text, conversation=talk) == kind


def test_words_that_come_later_are_counted_once_and_only_if_new() -> None:
    known, later = (
        ["the loaf is flat"],
        ["Score the loaves. Bake it in a banneton, and steam it, steaming hot."],
    )
    assert words_ahead("Bannetons and steam, steamed loaf, flatly good", known, later) == [
        "bannetons",
        "steam",
    ]
    assert words_ahead("floating, floated, floats", ["it FLOATS"], ["float floated floating"]) == []
    assert words_ahead("a hot bap, another time", known, ["hot bap another time"]) == []


def test_what_they_are_about_to_write_is_not_ahead() -> None:
    assert kind_of("Does it float? A myth, surely.", limits=LIMITS._replace(foresight=1)) is None


def test_no_reply_comes_before_the_first_thought() -> None:
    last = TALK.messages[-1].content
    assert kind_of(last, turn=1, limits=LIMITS._replace(foresight=99)) is None


def test_a_look_ahead_names_the_words() -> None:
    thought = "A banneton in the fridge overnight, and score it, maybe."
    found = objection(Draft("s", "m", (Thought(2, thought),)), TALK, LIMITS)
    assert found is not None
    assert found.kind == "foresees"
    assert (
        "before turn 2 holds words that come up only later (banneton, fridge, overnight, score)"
        in found.complaint
    )
    assert kind_of(thought, turn=3) is None


@pytest.mark.parametrize(
    ("thought", "text", "share"),
    [
        ("one two three", "Zero, one: two; THREE four", 1),
        ("one two three four", "one two three five", 1 / 2),
        ("one two", "One, two!", 1),
        ("one two", "one two three", 0),
        ("one two three", "", 0),
        ("我没有经验", "我没有经验怎么办", 1),
    ],
)
def test_copied_share(thought: str, text: str, share: float) -> None:
    assert copied_share(thought, text) == share


def test_every_turn_at_fault_is_named_and_the_gravest_fault_first() -> None:
    thoughts = (Thought(1, "Hm."), Thought(2, ""), Thought(3, " "))
    found = objection(Draft("s", "m", thoughts), TALK, LIMITS)
    assert found is not None
    assert (found.kind, found.complaint) == (
        "thought_empty",
        "the thought before turn 2 is empty; the thought before turn 3 is empty. Write what goes through their head.",
    )


@pytest.mark.parametrize(
    ("draft", "kind"), [(Draft("", "m"), "scenario_empty"), (Draft("s", "\n"), "motivation_empty")]
)
def test_empty_descriptions(draft: Draft, kind: str) -> None:
    found = objection(draft, TALK, LIMITS)
    assert found is not None
    assert found.kind == kind


def test_nothing_is_wrong_with_a_good_draft() -> None:
    assert objection(Draft("s", "m", (Thought(2, FINE),)), TALK, LIMITS) is None
    assert objection(Draft("s", "m"), TALK, LIMITS) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (FINE, None),
        ("", "thought_empty"),
        ("Good luck. Preheat the casserole for an hour, then.", "copies_reply"),
        ("ok trying that tonight", None),
        ("The user is satisfied and leaves.", "speaks_as_author"),
        ("Is there anything else I can do?", "speaks_as_assistant"),
        ("Hm.", "thought_too_short"),
        (FINE * 10, "thought_too_long"),
    ],
)
def test_the_last_thought(text: str, kind: str | None) -> None:
    found = terminal_objection(text, TALK, LIMITS)
    assert (found and found.kind) == kind
    if found:
        assert found.complaint.startswith("the last thought ")

"""What a user model wrote is read as it stands, or it is wrong in a way that has a name."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thinkus.user.page import ASSISTANT, END_OF_THOUGHT, IS_THE_END, PERSON, THOUGHT, said
from thinkus.user.words import (
    COPIED_WORDS,
    FEWEST_WORDS,
    LEAVES,
    Thinking,
    Turn,
    Unreadable,
    Wrong,
    read,
    recited,
)

SECRETS = (
    ("My sister owes the landlord three months of rent and hides it.", Wrong.RECITAL),
    ("Get her a calm letter today.", Wrong.RECITAL),
)
ALOUD = "This machine talks like my old headmaster, which I cannot stand at all."
HM = "<thought>Hm.</thought>"

SCRIPTS = ("**User:** hi", "### Assistant\nhi", "> User: hi", "- Assistant: hi", "AI Assistant: hi", "[User]: hi",
           "<user>hi</user>", "Thought: he is wrong\nhello")  # fmt: skip
OTHER_TAGS = ("<thoughts>x</thoughts>hi", "<inner_thought>x</inner_thought>hi", "<reasoning>x</reasoning>hi", "hi<thou",
              '<thought type="a">x hi', "[thought]x[/thought]hi", "< /thought>hi", "<thought\nhi",
              "&lt;thought&gt;x hi", "<thou\u200bght>x")  # fmt: skip
WITHOUT_SPACES = (
    "\u4ed6\u603b\u662f\u4e0d\u76f4\u63a5\u56de\u7b54",
    "\u3053\u308c\u306f\u79c1\u304c\u672c\u5f53\u306b",
)
DISGUISED = ("I do not tr\u200bust this at a\u200bll today", "I_do_not_trust_this_at_all_today")
VOICES = ("I\u2019m an AI, so no.", "I\u2019d be happy to help.", "As a large language model, I cannot.",
          "I'm a large language model.")  # fmt: skip
WRONG: list[tuple[Wrong, Thinking, str, str]] = [
    (Wrong.NO_THOUGHT, "must", "", "hello there"),
    (Wrong.BROKEN_TAGS, "must", "", "<thought>Hm. hello there"),
    (Wrong.BROKEN_TAGS, "must", "", "Hm.</thought>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", "</thought>Hm.<thought>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", f"well {HM}hello there"),
    (Wrong.BROKEN_TAGS, "must", "", f"{HM}{HM}hello there"),
    (Wrong.BROKEN_TAGS, "must", "", f"{HM}hello there</thought>"),
    (Wrong.BROKEN_TAGS, "must", "", f"{HM}hello there<thought>"),
    (Wrong.BROKEN_TAGS, "must", "", "<thought>Hm.<thought>So.</thought>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", "<Thought>Hm.</Thought>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", "<think>Hm.</think>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", f"{HM}<thinking>So.</thinking>hello there"),
    (Wrong.BROKEN_TAGS, "must", "", f"{HM}hello < thought > there"),
    (Wrong.BROKEN_TAGS, "may", "", "<thought>Hm. hello there"),
    (Wrong.BROKEN_TAGS, "never", "", f"{HM}hello there"),
    (Wrong.BROKEN_TAGS, "never", LEAVES, "<think>So.</think>(leaves)"),
    (Wrong.EMPTY_THOUGHT, "must", "", "<thought> \n</thought>hello there"),
    (Wrong.EMPTY_THOUGHT, "must", "", "<thought></thought>"),
    (Wrong.EMPTY_THOUGHT, "may", "", "<thought></thought>hello there"),
    (Wrong.EMPTY, "must", "", " \n"),
    (Wrong.EMPTY, "never", LEAVES, " \n"),
    (Wrong.GLUED_END, "never", LEAVES, "thanks, bye (leaves)"),
    (Wrong.GLUED_END, "never", LEAVES, "(leaves)\nthanks"),
    (Wrong.ROLE_MARKER, "must", "", f"{HM}hello\nAssistant: Good day."),
    (Wrong.ROLE_MARKER, "must", "", f"{HM}Person: hello"),
    (Wrong.ROLE_MARKER, "never", "", "**User**: hello"),
    (Wrong.ROLE_MARKER, "never", "", "hello\n\n## Human:\nhello"),
    (Wrong.ROLE_MARKER, "never", "", "hello<|im_end|>"),
    (Wrong.ROLE_MARKER, "never", "", "hello<end_of_turn>"),
    (Wrong.ROLE_MARKER, "never", "", "hello [/INST]"),
    *((Wrong.ROLE_MARKER, "must", "", f"{HM}hello{head}1") for head in (PERSON, ASSISTANT, IS_THE_END)),
    *((Wrong.ROLE_MARKER, "must", "", HM + words) for words in SCRIPTS),
    *((Wrong.BROKEN_TAGS, "must", "", HM + words) for words in OTHER_TAGS),
    *((Wrong.LEAK, "must", "", f"<thought>{words}</thought>{words}") for words in WITHOUT_SPACES),
    *((Wrong.LEAK, "must", "", f"<thought>I do not trust this at all today</thought>{words}") for words in DISGUISED),
    *((Wrong.INVERSION, "never", "", words) for words in VOICES),
    (Wrong.INVERSION, "must", "", f"{HM}As an AI I have no landlord."),
    (Wrong.INVERSION, "may", "", "Hello! How can I help you?"),
    (Wrong.INVERSION, "never", "", "Of course. I'd be happy to help with the letter."),
    (Wrong.LEAK, "must", "", f"<thought>{ALOUD}</thought>{ALOUD}"),
    (Wrong.LEAK, "may", "", f"<thought>Well. {ALOUD}</thought>So: {ALOUD.upper()} Go on."),
    (Wrong.LEAK, "must", "", "<thought>that is not it</thought>No. That is not it!"),
    (Wrong.RECITAL, "must", "", f"{HM}My situation is this: {SECRETS[0][0]}"),
    (Wrong.RECITAL, "never", "", f"so {SECRETS[1][0].lower()}"),
    (Wrong.RECITAL, "may", "", "my sister owes the landlord\nthree, months - of rent"),
]  # fmt: skip

GOOD: list[tuple[Thinking, str, str, Turn]] = [
    ("must", "", f"{HM}hello there", Turn("Hm.", "hello there", ended=False)),
    ("must", "", " <thought>\nHm.\n</thought>\n\nhello\nthere\n", Turn("Hm.", "hello\nthere", ended=False)),
    ("must", "", f"{HM} \n", Turn("Hm.", "", ended=True)),
    ("must", "", f"{HM}if a < b then </p>", Turn("Hm.", "if a < b then </p>", ended=False)),
    ("must", "", f"{HM}(leaves)", Turn("Hm.", "(leaves)", ended=False)),
    ("must", LEAVES, f"{HM}(Leaves)", Turn("Hm.", "", ended=True)),
    ("must", LEAVES, HM, Turn("Hm.", "", ended=True)),
    ("must", "", "<thought>No.</thought>No.", Turn("No.", "No.", ended=False)),
    ("may", "", f"{HM}hello there", Turn("Hm.", "hello there", ended=False)),
    ("may", "", "hello there", Turn(None, "hello there", ended=False)),
    ("never", "", "hello there ", Turn(None, "hello there", ended=False)),
    ("never", "", "", Turn(None, "", ended=True)),
    ("never", LEAVES, "\n(leaves) ", Turn(None, "", ended=True)),
    ("never", LEAVES, "she leaves on Monday", Turn(None, "she leaves on Monday", ended=False)),
    *(
        ("never", "", words, Turn(None, words, ended=False))
        for words in (
            "As an AI, do you have feelings?",
            "Act as an AI text game",
            "I'm an AI researcher",
            "user: root\nsystem: linux",
            "[thinking about it] hi",
        )
    ),
    ("never", "", "who is the user: me?", Turn(None, "who is the user: me?", ended=False)),
    ("must", "", f"{HM}my sister owes the landlord three months", Turn(
        "Hm.", "my sister owes the landlord three months", ended=False)),
]  # fmt: skip


@pytest.mark.parametrize(("wrong", "thinking", "leaves_by", "text"), WRONG)
def test_what_no_person_could_have_said_has_a_class(
    wrong: Wrong, thinking: Thinking, leaves_by: str, text: str
) -> None:
    with pytest.raises(Unreadable) as caught:
        read(text, thinking=thinking, leaves_by=leaves_by, secrets=SECRETS)
    assert caught.value.wrong is wrong
    assert caught.value.detail


def test_each_class_is_shown_above() -> None:
    assert {wrong for wrong, *_ in WRONG} == set(Wrong) - {Wrong.CUT}  # which the words do not show


@pytest.mark.parametrize(("thinking", "leaves_by", "text", "turn"), GOOD)
def test_a_turn_is_read(thinking: Thinking, leaves_by: str, text: str, turn: Turn) -> None:
    assert read(text, thinking=thinking, leaves_by=leaves_by, secrets=SECRETS) == turn


def test_a_detail_holds_what_was_found() -> None:
    details = {}
    for text in ("Hi\n  User: 1", "How may I assist you?", f"So, {SECRETS[1]}"):
        with pytest.raises(Unreadable) as caught:
            read(text, thinking="never", secrets=SECRETS)
        details[caught.value.wrong] = caught.value.detail
    assert details == {
        Wrong.ROLE_MARKER: "'User:'",
        Wrong.INVERSION: "How may I assist you",
        Wrong.RECITAL: "get her a calm letter today",
    }


# Greek in thoughts alone: so nothing in the words is recited. The rest could begin a tag or a marker, or
# not be seen at all.
words = st.text(
    st.characters(exclude_categories=["Cs", "Cf"], exclude_characters="<:#[αβγδε"), min_size=1, max_size=40
).filter(lambda text: text.strip() == text)
thoughts = st.text("αβγδε ,.\n:#[\u200f", min_size=1, max_size=40).filter(lambda text: text.strip() == text)
space = st.sampled_from(["", " ", "\n", "\n\n", "\t"])
thinkings: st.SearchStrategy[Thinking] = st.sampled_from(["must", "may"])


@given(thoughts, words, space, space, thinkings)
def test_a_well_formed_turn_comes_back_as_it_was(
    thought: str, utterance: str, before: str, between: str, thinking: Thinking
) -> None:
    assert read(said(thought, utterance), thinking=thinking) == Turn(thought, utterance, ended=False)
    spaced = f"{before}{THOUGHT}{between}{thought}{before}{END_OF_THOUGHT}{between}{utterance}{before}"
    assert read(spaced, thinking=thinking) == Turn(thought, utterance, ended=False)
    assert read(said(thought, ""), thinking=thinking) == Turn(thought, "", ended=True)


@given(words, space)
def test_words_alone_come_back_as_they_were(utterance: str, around: str) -> None:
    spaced = around + utterance + around
    assert read(spaced, thinking="may") == Turn(None, utterance, ended=False)
    assert read(spaced, thinking="never") == Turn(None, utterance, ended=False)


PIECES = (
    THOUGHT, END_OF_THOUGHT, "<think>", "</Thinking >", "< thought>", LEAVES, "(leaves", "leaves)", "User: ",
    "\nAssistant: ", "### Person:", "as an AI", "How can I help you", "<|im_end|>", "hello", "Hm.",
    *(f" {sentence} " for sentence in (ALOUD, *SECRETS)),
    " ", "\n", "\u200b", "<", ">",
)  # fmt: skip
written = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


@settings(max_examples=500)
@given(written, st.booleans(), st.sampled_from(["must", "may", "never"]), st.sampled_from(["", LEAVES]))
def test_nothing_is_ever_edited(text: str, is_formed: bool, thinking: Thinking, leaves_by: str) -> None:
    """Whatever is read stands in the text as it is, and all of the text is read."""
    text = f"{HM}{text}" if is_formed else text
    try:
        turn = read(text, thinking=thinking, leaves_by=leaves_by, secrets=SECRETS)
    except Unreadable:
        return
    spoken = {leaves_by, ""} if turn.ended else {turn.utterance}
    if turn.thought is None:
        assert text.strip() in spoken
    else:
        thought, tag, rest = text.strip().removeprefix(THOUGHT).partition(END_OF_THOUGHT)
        assert (thought.strip(), tag) == (turn.thought, END_OF_THOUGHT)
        assert rest.strip() in spoken
        assert thinking != "never"
    assert turn.ended == (turn.utterance == "")
    assert not re.search("<[^<>]*thought|<[^<>]*think", f"{turn.thought} {turn.utterance}", re.IGNORECASE)
    assert not any(secret in turn.utterance for secret, _ in SECRETS)
    assert turn.thought is None or turn.thought == "Hm." or turn.thought not in turn.utterance


SECRET = [f"w{number}" for number in range(2 * COPIED_WORDS)]
between = st.sampled_from([" ", ", ", "\n", " - ", "... ", '" "'])


@given(st.integers(0, COPIED_WORDS), st.lists(between, min_size=COPIED_WORDS - 1), st.booleans())
def test_a_run_of_words_is_found_in_whatever_dress(start: int, dress: list[str], is_loud: bool) -> None:
    run = SECRET[start : start + COPIED_WORDS]
    spoken = run[0] + "".join(gap + word for gap, word in zip(dress, run[1:], strict=False))
    spoken = f"well, {spoken.upper() if is_loud else spoken}; so"
    assert recited(" ".join(SECRET), spoken) == " ".join(run)


@given(st.integers(0, COPIED_WORDS), st.integers(1, COPIED_WORDS - 1))
def test_a_shorter_run_is_none(start: int, length: int) -> None:
    run = SECRET[start : start + length]
    assert recited(" ".join(SECRET), " ".join(["well", *run, "so"])) == ""
    assert recited(" ".join(SECRET), " ".join([*run, "so", *run])) == ""


@pytest.mark.parametrize("length", range(1, COPIED_WORDS + 1))
def test_a_short_secret_is_recited_whole_or_not_at_all(length: int) -> None:
    secret = " ".join(SECRET[:length])
    assert recited(secret, f"well {secret} so") == (secret if length >= FEWEST_WORDS else "")
    assert recited(secret, f"well {' '.join(SECRET[: length - 1])} so") == ""


def test_words_are_compared_and_not_letters() -> None:
    assert recited("I can not stand it", "I can not stand items") == ""
    assert (
        recited("", "") == recited("", "hello there my friend") == recited("hello there my friend", "") == ""
    )
    assert recited("a b c d e f g h i", "b c d e f g h i, and a b c d e f g h") == "b c d e f g h i"


def test_no_text_takes_long_to_read() -> None:
    """What people paste holds lines of dashes, and nothing but line breaks."""
    began = time.perf_counter()
    for text in (
        "\n" * 9000,
        "-" * 9000,
        "# " * 4500,
        "> \n" * 3000,
        "I'm a " * 1500,
        "<" * 9000,
        "[ " * 4500,
    ):
        read(f"a{text}b", thinking="never")
    assert time.perf_counter() - began < 1.0

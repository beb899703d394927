"""Token ids of samples against a server's, from the saved tokenizer and its template; and what is too long."""

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from thinkus.records import Annotation, Conversation, Failure
from thinkus.records import Message as Said
from thinkus.train import result
from thinkus.train.encode import Encoded, Encoder, Overlong, rows
from thinkus.train.shelf import Row
from thinkus.user.page import Page
from thinkus.user.samples import Sample, Teaching, Way
from thinkus.weights import SPECIALS, find, load_tokenizer

ALL = 10**9
WAYS: tuple[Way, ...] = ("thinkingus", "utterance_sft", "ending")
AWKWARD = (
    "<thought>", "</thought>", "\n\n### Person:\n", "### Assistant:", "{{ eos_token }}", "{% if", "<", "</", "s>",
    "\n", "\r\n", "\t", " ", "\x00", "\x1c", "\x85", "\u2028", "\u00a0", "日本", "e\u0301", "😀",
)  # fmt: skip
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
texts = (
    st.lists(st.one_of(st.sampled_from(AWKWARD), any_text), max_size=4)
    .map("".join)
    .filter(lambda text: not any(name in text for name in SPECIALS.values()))
)
thoughts = texts.filter(lambda text: not any(tag in text for tag in ("<thought>", "</thought>")))
teachings = st.builds(Teaching, st.sampled_from(WAYS), st.booleans(), st.booleans())


def conversation_of(said: list[tuple[str, str]], thought: list[str], situation: str = "s") -> Conversation:
    messages = ((Said("user", utterance), Said("assistant", reply)) for utterance, reply in said)
    first, last, *between = thought
    annotation = Annotation(situation, "m", tuple(between), first_thought=first, terminal_thought=last)
    return Conversation("c", "test", tuple(chain.from_iterable(messages)), annotation=annotation)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    turns = draw(st.integers(1, 4))
    said = draw(st.lists(st.tuples(texts, texts), min_size=turns, max_size=turns))
    thought = draw(st.lists(thoughts, min_size=turns + 1, max_size=turns + 1))
    return conversation_of(said, thought, draw(texts))


TALK = conversation_of(
    [("one", "first reply"), ("two", "second"), ("three", "the third reply"), ("four", "4")],
    ["before", "after", "so two", "so three", "so four"],
)


@pytest.fixture(scope="module")
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer(find("tiny").ready("model"))


@pytest.fixture(scope="module")
def served(
    tiny: PreTrainedTokenizerBase, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Page], PreTrainedTokenizerBase]:
    """The tokenizer that a training leaves, as a server would load it."""
    known: dict[Page, PreTrainedTokenizerBase] = {}

    def load(page: Page) -> PreTrainedTokenizerBase:
        if page not in known:
            folder = tmp_path_factory.mktemp("model")
            result.complete(folder, load_tokenizer(find("tiny").ready("model")), page.chat_template, "")
            known[page] = load_tokenizer(folder)
            assert known[page].chat_template == page.chat_template
        return known[page]

    return load


def encoder_of(
    tokenizer: PreTrainedTokenizerBase,
    teaching: Teaching,
    max_length: int = ALL,
    overlong: Overlong = "drop",
) -> Encoder:
    return Encoder(
        tokenizer,
        teaching.page,
        max_length=max_length,
        overlong=overlong,
        is_label=teaching.way == "ending",
    )


def encoded_by(
    tokenizer: PreTrainedTokenizerBase, teaching: Teaching, conversation: Conversation = TALK
) -> list[Encoded]:
    return list(encoder_of(tokenizer, teaching).encoded(teaching.samples(conversation)))


def prompt_of(one: Encoded) -> list[int]:
    return list(chain.from_iterable(one.pieces))


def asked(tokenizer: PreTrainedTokenizerBase, sample: Sample, *, answered: bool = False) -> list[int]:
    """As a server tokenizes it: the rendered text as a whole."""
    messages: list[dict[str, str]] = [message._asdict() for message in sample.history]
    if answered:
        messages.append({"role": "assistant", "content": sample.target})
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=not answered)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


# The same as a server's -----------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(teachings, conversations())
def test_a_server_gives_the_model_the_tokens_that_it_was_trained_on(
    tiny: PreTrainedTokenizerBase,
    served: Callable[[Page], PreTrainedTokenizerBase],
    teaching: Teaching,
    conversation: Conversation,
) -> None:
    server = served(teaching.page)
    for one in encoded_by(tiny, teaching, conversation):
        assert prompt_of(one) == asked(server, one.sample)
        if teaching.way == "ending":
            assert list(one.target) == server(one.sample.target, add_special_tokens=False)["input_ids"]
        else:
            assert prompt_of(one) + list(one.target) == asked(server, one.sample, answered=True)


@pytest.fixture(scope="module")
def merging() -> PreTrainedTokenizerBase:
    """A stand-in that cuts texts up as those of Llama 3 and Qwen 3 do: a full stop takes line breaks along.

    Tiny cannot show what lies across two pieces, since each of its tokens is a byte.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    cuts = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    merges = [("Ċ", "Ċ"), (".", "ĊĊ"), ("#", "#"), ("##", "#"), (":", "Ċ")]
    words = [
        *SPECIALS.values(),
        *sorted(pre_tokenizers.ByteLevel.alphabet()),
        *(one + other for one, other in merges),
    ]
    tokenizer = Tokenizer(models.BPE(vocab={word: at for at, word in enumerate(words)}, merges=merges))
    parts: list[Any] = [
        pre_tokenizers.Split(Regex(cuts), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIALS)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["", "."])
def test_tokens_that_reach_across_two_pieces_are_those_of_a_server(
    merging: PreTrainedTokenizerBase, way: Way, end: str
) -> None:
    teaching = Teaching(way, False, False)
    merging.chat_template = teaching.page.chat_template
    history = (TALK.messages[0].content + end, TALK.messages[1].content + end)
    annotation = Annotation("s", f"m{end}", first_thought="f", terminal_thought=f"l{end}")
    talk = Conversation(
        "c", "test", (Said("user", history[0]), Said("assistant", history[1])), annotation=annotation
    )
    for one in encoded_by(merging, teaching, talk):
        assert prompt_of(one) == asked(merging, one.sample)
        if way != "ending":
            assert prompt_of(one) + list(one.target) == asked(merging, one.sample, answered=True)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", SPECIALS.values())
def test_the_name_of_a_special_token_stays_text(tiny: PreTrainedTokenizerBase, way: Way, name: str) -> None:
    """Whoever types it does not end a turn by it."""
    talk = conversation_of([(f"a{name}b", f"{name}")] * 2, [f"t{name}", name, name], f"s{name}")
    assert len(tiny(name, add_special_tokens=False)["input_ids"]) == 1
    specials = set(tiny.all_special_ids)
    encoder = encoder_of(tiny, Teaching(way, False, False))
    for one in encoder.encoded(Teaching(way, False, False).samples(talk)):
        turns = len(one.sample.history) - 1
        found = [id_ for id_ in prompt_of(one) if id_ in specials]
        assert found == [tiny.bos_token_id] + [tiny.eos_token_id] * turns
        assert [id_ for id_ in one.target[:-1] if id_ in specials] == []
        shown = encoder.text(prompt_of(one))
        assert f"s{name}" in shown


def test_an_encoder_tells_what_a_server_would_read_otherwise(tiny: PreTrainedTokenizerBase) -> None:
    teaching = Teaching("utterance_sft", False, False)
    encoder = encoder_of(tiny, teaching)
    talk = conversation_of([("a</s>", "r"), ("b", "r")], ["f", "l", "t"])
    alike = [encoder.is_read_alike(one) for one in encoder.encoded(teaching.samples(talk))]
    assert alike == [True, False, False], "the first is shown only the situation"
    assert all(map(encoder.is_read_alike, encoder.encoded(teaching.samples(TALK))))


def test_a_target_ends_with_the_token_that_ends_a_text_and_a_label_does_not(
    tiny: PreTrainedTokenizerBase,
) -> None:
    words, label = (
        encoded_by(tiny, Teaching("utterance_sft", False, False)),
        encoded_by(tiny, Teaching("ending", False, False)),
    )
    assert [one.target[-1] for one in words] == [tiny.eos_token_id] * 5
    assert [tiny.decode(list(one.target[:-1])) for one in words] == ["one", "two", "three", "four", ""]
    assert [len(one.target) for one in label] == [1] * 4
    assert [tiny.decode(list(one.target)) for one in label] == ["0", "0", "0", "1"]


def test_a_text_is_shown_with_its_special_tokens(tiny: PreTrainedTokenizerBase) -> None:
    encoder = encoder_of(tiny, Teaching("utterance_sft", False, False))
    first = next(encoder.encoded(Teaching("utterance_sft", False, False).samples(TALK)))
    assert encoder.text(first.target) == "one</s>"
    assert encoder.text(prompt_of(first)).startswith("<s>")
    assert first.length == len(prompt_of(first)) + 4


def test_one_encoder_takes_many_conversations(tiny: PreTrainedTokenizerBase) -> None:
    teaching = Teaching("thinkingus", False, False)
    other = conversation_of([("one", "other")], ["a", "b"], "another")
    encoder = encoder_of(tiny, teaching)
    together = [list(encoder.encoded(teaching.samples(one))) for one in (TALK, other, TALK)]
    assert together == [encoded_by(tiny, teaching, one) for one in (TALK, other, TALK)]
    assert encoder.counts == {"samples": 5 + 2 + 5}


# What is too long -----------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(teachings, conversations(), st.data())
def test_what_is_too_long_is_dropped_and_noted(
    tiny: PreTrainedTokenizerBase, teaching: Teaching, conversation: Conversation, data: st.DataObject
) -> None:
    whole = encoded_by(tiny, teaching, conversation)
    max_length = data.draw(st.sampled_from([one.length + by for one in whole for by in (-1, 0)]))
    encoder = encoder_of(tiny, teaching, max_length)
    kept = list(encoder.encoded(teaching.samples(conversation)))
    assert kept == [one for one in whole if one.length <= max_length]
    lost = [one for one in whole if one.length > max_length]
    assert encoder.failures == [
        Failure(
            "c",
            "too_long",
            f"turn {one.sample.turn}: {one.length:,} tokens, max_length is {max_length:,}",
            one.sample.target,
        )
        for one in lost
    ]
    assert (encoder.counts["samples"], encoder.counts["too_long"]) == (len(kept), len(lost))
    assert encoder.counts["truncated"] == encoder.counts["cannot_fit"] == 0


def without(sample: Sample, exchanges: int) -> Sample:
    situation, *said = sample.history
    return sample._replace(history=(situation, *said[2 * exchanges :]))


def exchanges_of(sample: Sample) -> int:
    return sum(message.role == "user" for message in sample.history)


@settings(max_examples=100, deadline=None)
@given(teachings, conversations(), st.data())
def test_the_shortest_cut_that_fits_is_taken(
    tiny: PreTrainedTokenizerBase, teaching: Teaching, conversation: Conversation, data: st.DataObject
) -> None:
    """Whole exchanges from the front; the situation and the last exchange stay."""
    samples = teaching.samples(conversation)
    all_cuts = [[without(one, cut) for cut in range(max(1, exchanges_of(one)))] for one in samples]
    known = [list(encoder_of(tiny, teaching).encoded(cuts)) for cuts in all_cuts]
    lengths = sorted({one.length for cuts in known for one in cuts})
    max_length = data.draw(st.sampled_from(lengths)) - data.draw(st.integers(0, 1))
    fitting = [[one for one in cuts if one.length <= max_length] for cuts in known]

    encoder = encoder_of(tiny, teaching, max_length, "truncate_history")
    assert list(encoder.encoded(samples)) == [some[0] for some in fitting if some]
    assert encoder.counts["samples"] == sum(map(bool, fitting))
    assert encoder.counts["truncated"] == sum(
        bool(some) and some[0] != cuts[0] for some, cuts in zip(fitting, known, strict=True)
    )
    assert encoder.counts["cannot_fit"] == len(encoder.failures) == sum(not some for some in fitting)
    assert {failure.reason for failure in encoder.failures} <= {"cannot_fit"}
    assert encoder.counts["too_long"] == 0


def test_a_cut_keeps_the_situation_and_the_last_exchanges(tiny: PreTrainedTokenizerBase) -> None:
    teaching = Teaching("thinkingus", False, False)
    *_, last = encoded_by(tiny, teaching)
    encoder = encoder_of(tiny, teaching, last.length - 1, "truncate_history")
    *_, cut = encoder.encoded(teaching.samples(TALK))
    assert cut.sample.history == (last.sample.history[0], *last.sample.history[3:])
    shown = encoder.text(prompt_of(cut))
    assert shown == encoder.text(prompt_of(last)).replace(
        "\n\n### Person:\none</s>\n\n### Assistant:\nfirst reply</s>", ""
    )
    assert cut.target == last.target


def test_what_cannot_be_cut_short_enough_is_noted_with_its_whole_length(
    tiny: PreTrainedTokenizerBase,
) -> None:
    teaching = Teaching("utterance_sft", False, False)
    talk = conversation_of([("a", "r"), ("b" * 1000, "r")], ["f", "l", "t"])
    encoder = encoder_of(tiny, teaching, 700, "truncate_history")
    kept = [one.sample.turn for one in encoder.encoded(teaching.samples(talk))]
    assert kept == [0], "who leaves must have seen what was said last"
    failure, other = encoder.failures
    assert other.reason == "cannot_fit"
    whole = encoded_by(tiny, teaching, talk)[1].length
    assert failure == Failure("c", "cannot_fit", f"turn 1: {whole:,} tokens, max_length is 700", "b" * 1000)
    assert encoder.counts == {"samples": 1, "cannot_fit": 2}


# What each counts -----------------------------------------------------------------------------


@pytest.fixture
def some() -> Iterator[Encoded]:
    sample = Sample("c", 1, (), "1")
    return iter([Encoded(sample, ((1, 2), (3,)), (4, 5, 6)), Encoded(sample._replace(target="0"), (), (7,))])


def test_by_token_all_targets_count_alike(some: Iterator[Encoded]) -> None:
    assert list(rows(some, "token", {})) == [
        Row("c", ((1, 2), (3,)), (4, 5, 6), 3.0),
        Row("c", (), (7,), 1.0),
    ]


def test_by_sample_all_samples_count_alike(some: Iterator[Encoded]) -> None:
    assert [row.weight for row in rows(some, "sample", {})] == [1.0, 1.0]


def test_labels_count_by_their_own_weights(some: Iterator[Encoded]) -> None:
    assert [row.weight for row in rows(some, "token", {"1": 0.5, "0": 4.0})] == [1.5, 4.0]

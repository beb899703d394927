"""From conversations to shelves: which side each goes to, what a label counts, and what was lost on the way."""

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from thinkus.records import Annotation, Conversation, Message, Split
from thinkus.train import fitness
from thinkus.train.encode import Encoder, LossNorm
from thinkus.train.lessons import HELD_OUT, SHELVES, Lessons
from thinkus.train.shelf import Shelf
from thinkus.user.samples import CONTINUES, ENDS, Teaching, Way
from thinkus.weights import find, load_tokenizer

WAYS: tuple[Way, ...] = ("thinkingus", "utterance_sft", "ending")


def talk(name: str, turns: int = 2, split: Split | None = "train", thoughts: bool = True) -> Conversation:
    messages = [Message(role, f"{role} {at}") for at in range(turns) for role in ("user", "assistant")]
    annotation = Annotation(
        "s", "m", ("t",) * (turns - 1) if thoughts else (), terminal_thought="l" if thoughts else None
    )
    return Conversation(name, "test", tuple(messages), split, annotation=annotation)


MANY = [talk(f"c{number}", 1 + number % 5, "test" if number % 7 == 0 else "train") for number in range(300)]


@pytest.fixture(scope="module")
def tiny() -> PreTrainedTokenizerBase:
    return load_tokenizer(find("tiny").ready("model"))


def lessons_of(
    tokenizer: PreTrainedTokenizerBase,
    way: Way,
    *,
    seed: int = 0,
    max_length: int = 10**6,
    norm: LossNorm = "token",
) -> Lessons:
    teaching = Teaching(way, False, False)
    encoder = Encoder(
        tokenizer, teaching.page, max_length=max_length, overlong="drop", is_label=way == "ending"
    )
    return Lessons(teaching, encoder, norm, seed)


def sides_of(lessons: Lessons, conversations: Sequence[Conversation], folder: Path) -> dict[str, set[str]]:
    lessons.shelve(conversations, folder, lambda: None)
    shelves = {name: Shelf(folder / name) for name in SHELVES}
    return {name: set(shelf.conversations(range(len(shelf)))) for name, shelf in shelves.items()}


@pytest.mark.parametrize("way", WAYS)
def test_the_test_split_is_tested_on_and_nothing_else_is(
    tiny: PreTrainedTokenizerBase, tmp_path: Path, way: Way
) -> None:
    sides = sides_of(lessons_of(tiny, way), MANY, tmp_path / "x")
    assert sides["test"] == {one.id for one in MANY if one.split == "test"}
    assert sides["train"] | sides["held_out"] == {one.id for one in MANY if one.split == "train"}
    assert not sides["train"] & sides["held_out"]


def test_without_a_split_all_is_for_training(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    sides = sides_of(lessons_of(tiny, "thinkingus"), [talk("a", split=None)], tmp_path / "x")
    assert sides == {"train": {"a"}, "test": set(), "held_out": set()}


@pytest.mark.parametrize("way", ["thinkingus", "utterance_sft"])
def test_only_for_endings_some_are_held_out(tiny: PreTrainedTokenizerBase, tmp_path: Path, way: Way) -> None:
    assert sides_of(lessons_of(tiny, way), MANY, tmp_path / "x")["held_out"] == set()
    held_out = sides_of(lessons_of(tiny, "ending"), MANY, tmp_path / "y")["held_out"]
    trained = sum(one.split == "train" for one in MANY)
    assert 0.5 * HELD_OUT < len(held_out) / trained < 1.5 * HELD_OUT


def test_who_is_held_out_does_not_depend_on_the_others(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    lessons = lessons_of(tiny, "ending")
    held_out = sides_of(lessons, MANY, tmp_path / "all")["held_out"]
    some = random.Random(1).sample(MANY, 150)
    fewer = sides_of(lessons, some, tmp_path / "some")
    assert fewer["held_out"] == held_out & {one.id for one in some}
    assert fewer["held_out"]
    other = sides_of(lessons_of(tiny, "ending", seed=1), MANY, tmp_path / "other")["held_out"]
    assert other != held_out, "another seed holds out others"


def weights_by_label(shelf: Shelf) -> dict[int, list[float]]:
    weights: dict[int, list[float]] = {}
    for number in range(len(shelf)):
        label = int(shelf.sequel(number).ids[-1])
        weights.setdefault(label, []).append(float(shelf.samples.weight[number]))
    return weights


def test_both_labels_count_the_same_together(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    lessons_of(tiny, "ending").shelve(MANY, tmp_path / "x", lambda: None)
    train, test, held_out = (weights_by_label(Shelf(tmp_path / "x" / side)) for side in SHELVES)
    goes_on, ends = (fitness.label_token(tiny, label) for label in (CONTINUES, ENDS))
    assert set(train) == {goes_on, ends}
    assert len(train[goes_on]) > len(train[ends])
    assert sum(train[goes_on]) == pytest.approx(sum(train[ends]))
    together = sum(train[goes_on]) + sum(train[ends])
    assert together == pytest.approx(len(train[goes_on]) + len(train[ends])), "on average a sample counts 1"
    for label in (goes_on, ends):
        (alike,) = set(train[label])
        assert {*test[label], *held_out[label]} == {alike}, "by what was found in training"


def test_one_label_alone_counts_one(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    lessons_of(tiny, "ending").shelve([talk(f"c{at}", 1) for at in range(9)], tmp_path / "x", lambda: None)
    assert set(Shelf(tmp_path / "x" / "train").samples.weight.tolist()) == {1.0}


@pytest.mark.parametrize("norm", ["token", "sample"])
def test_words_count_as_the_norm_says(tiny: PreTrainedTokenizerBase, tmp_path: Path, norm: LossNorm) -> None:
    lessons_of(tiny, "thinkingus", norm=norm).shelve(MANY[:20], tmp_path / "x", lambda: None)
    samples = Shelf(tmp_path / "x" / "train").samples
    expected = samples.targets.tolist() if norm == "token" else [1] * len(samples.targets)
    assert samples.weight.tolist() == expected


def test_each_side_says_what_it_holds_and_what_was_lost(
    tiny: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    moves: list[None] = []
    conversations = [
        talk("a"),
        talk("b", split="test"),
        talk("c", thoughts=False),
        talk("d", thoughts=False, split="test"),
        talk("e", 30),
        talk("f", 1),
    ]
    lessons = lessons_of(tiny, "thinkingus", max_length=600)
    counts = lessons.shelve(conversations, tmp_path / "x", lambda: moves.append(None))
    assert len(moves) == len(conversations)
    train, test = (Shelf(tmp_path / "x" / side) for side in ("train", "test"))
    assert counts["test"] == {"samples": 3, "conversations": 1, "no_thoughts": 1}
    assert counts["train"]["conversations"] == 3
    assert counts["train"]["no_thoughts"] == 1
    assert counts["train"]["samples"] == len(train)
    assert counts["train"]["samples"] + counts["train"]["too_long"] == 3 + 31 + 2
    assert 0 < counts["train"]["too_long"] < 31
    assert len(test) == 3
    assert not counts["held_out"]
    lost = Counter((failure.item, failure.reason) for failure in lessons.encoder.failures)
    assert lost == {
        ("c", "no_thoughts"): 1,
        ("d", "no_thoughts"): 1,
        ("e", "too_long"): counts["train"]["too_long"],
    }


def test_a_conversation_of_which_nothing_fits_is_not_counted(
    tiny: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    counts = lessons_of(tiny, "thinkingus", max_length=10).shelve([talk("a")], tmp_path / "x", lambda: None)
    assert counts["train"]["conversations"] == 0
    assert counts["train"]["too_long"] == 3
    assert len(Shelf(tmp_path / "x" / "train")) == 0


def test_a_conversation_that_cannot_be_taught_teaches_nothing(tiny: PreTrainedTokenizerBase) -> None:
    lessons = lessons_of(tiny, "thinkingus")
    assert lessons.of(talk("a", thoughts=False)) == []
    (failure,) = lessons.encoder.failures
    assert (failure.item, failure.reason) == ("a", "no_thoughts")
    assert failure.detail == "1 of its utterances have no thought"
    assert [one.sample.turn for one in lessons.of(talk("b"))] == [0, 1, 2]


def test_a_side_without_conversations_says_nothing(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    counts = lessons_of(tiny, "thinkingus").shelve([talk("a", split="test")], tmp_path / "x", lambda: None)
    assert not counts["held_out"]
    assert not counts["train"], "by which one tells that there is nothing to train on"


def test_what_a_server_would_read_otherwise_is_counted(tiny: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    odd = Conversation(
        "odd",
        "test",
        (Message("user", "</s>"), Message("assistant", "r")),
        "train",
        annotation=Annotation("s", "m", terminal_thought="l"),
    )
    counts = lessons_of(tiny, "thinkingus").shelve([talk("a"), odd], tmp_path / "x", lambda: None)
    assert counts["train"]["read_otherwise"] == 1, "the sample that follows those words"

"""The shipped sample is what it claims to be."""

import json
import re
from collections import Counter
from typing import Any

import pytest

from thinkus import paths

ROWS: list[dict[str, Any]] = [json.loads(line) for line in (paths.SAMPLE / "conversations.jsonl").open()]
RECORDED: dict[tuple[str, str], dict[str, Any]] = {
    (answer["item"], answer["purpose"]): answer["answer"]
    for answer in map(json.loads, (paths.SAMPLE / "recorded.jsonl").open())
}
GOOD = {item for item, _ in RECORDED}


def turns(row: dict[str, Any], role: str) -> list[str]:
    return [message["content"] for message in row["conversation"] if message["role"] == role]


def test_the_schema_is_that_of_lmsys_chat_1m() -> None:
    fields = ["conversation_id", "model", "conversation", "turn", "language", "openai_moderation", "redacted"]
    for row in ROWS:
        assert list(row) == fields
        assert row["turn"] == len(turns(row, "user"))
        assert len(row["openai_moderation"]) == len(row["conversation"])
        for entry in row["openai_moderation"]:
            assert list(entry) == ["categories", "category_scores", "flagged"]
            assert list(entry["categories"]) == list(entry["category_scores"])
            assert entry["flagged"] == any(entry["categories"].values())


def test_there_is_enough_and_it_varies() -> None:
    good = [row for row in ROWS if row["conversation_id"] in GOOD]
    assert len(good) == len(GOOD) >= 64
    lengths = Counter(len(turns(row, "user")) for row in good)
    assert set(range(1, 9)) <= set(lengths)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["conversation_id"] in GOOD], ids=lambda r: r["conversation_id"][:8]
)
def test_each_good_conversation_has_every_answer(row: dict[str, Any]) -> None:
    item = row["conversation_id"]
    annotation = RECORDED[item, "annotate"]
    answered = len(turns(row, "assistant"))
    assert [turn["turn"] for turn in annotation["turns"]] == list(range(1, answered + 1))
    assert [turn["relation"] == "opens" for turn in annotation["turns"]] == [True] + [False] * (answered - 1)
    assert RECORDED[item, "fulfilment"]["fulfilled"] in {"fully", "mostly", "partly", "barely", "not"}
    assert len(RECORDED[item, "goals"]["goals"]) >= 3
    thoughts = [turn["thought"] for turn in annotation["turns"]] + [
        RECORDED[item, "terminal_thought"]["thought"]
    ]
    for thought in thoughts:
        assert not re.search(r"\bthe (user|assistant)\b|as an AI", thought, re.IGNORECASE), thought
    for thought, utterance in zip(thoughts, turns(row, "user"), strict=False):
        shared = words(thought) & words(utterance)
        assert len(shared) <= max(3, len(words(thought)) / 2), (thought, utterance)


def words(text: str) -> set[str]:
    return {word for word in re.findall(r"[a-z']+", text.lower()) if len(word) > 3}


def test_nothing_in_it_names_a_real_address() -> None:
    text = (paths.SAMPLE / "conversations.jsonl").read_text() + (paths.SAMPLE / "recorded.jsonl").read_text()
    assert not re.search(r"[\w.]+@[\w-]+\.(com|org|net|de|uk)\b", text.replace("example.com", ""))

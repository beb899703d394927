"""ThoughtTrace: conversations with what their people wrote down of their own thoughts."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from thinkus.corpora.files import read_records
from thinkus.corpora.rows import BadRow, Row, make_row
from thinkus.records import HumanThought, Message


class Thought(msgspec.Struct):
    content: str
    label: str | None = None


class Turn(msgspec.Struct):
    type: Literal["user", "assistant"]
    content: str
    reasons: tuple[Thought, ...] | None = None
    reactions: tuple[Thought, ...] | None = None


class Record(msgspec.Struct):
    id: str
    messages: tuple[Turn, ...]
    model_name: str | None = None
    created_at: str | int | float | None = None
    task_summary: str | None = None
    task_expectation: str | None = None
    survey_answers: list[dict[str, Any]] | None = None


def read(files: Sequence[Path], *, source: str) -> Iterator[Row | BadRow]:
    for found in read_records(files, Record):
        yield found if isinstance(found, BadRow) else _row(*found, source)


def _row(where: str, record: Record, source: str) -> Row | BadRow:
    for number, turn in enumerate(record.messages):
        if turn.reactions if turn.type == "user" else turn.reasons:
            problem = f"a thought of the wrong kind for the {turn.type}'s message - at `$.messages[{number}]`"
            return BadRow(where, problem, msgspec.json.encode(record).decode())
    return make_row(
        where,
        source,
        [Message(turn.type, turn.content) for turn in record.messages],
        own_id=record.id,
        human_thoughts=[*_thoughts(record.messages)],
        model=record.model_name,
        user=record.id.partition("_")[0] or None,
        timestamp=record.created_at,
        task_summary=record.task_summary,
        task_expectation=record.task_expectation,
        survey=record.survey_answers or None,
    )


def _thoughts(turns: Sequence[Turn]) -> Iterator[HumanThought]:
    for number, turn in enumerate(turns):
        for thought in turn.reasons or ():
            yield HumanThought(number, "reason", thought.content, thought.label)
        for thought in turn.reactions or ():
            yield HumanThought(number, "reaction", thought.content, thought.label)

"""A server that annotates: rightly, or wrongly in the way that a conversation's number asks for."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Body

# Words that stand in no conversation: no gate can take them for a copy or a look ahead.
THOUGHT = "Hm, mirfel brundle oskat, I should quandle that before tea."
GOOD_END = {"reason": "It is good enough.", "thought": THOUGHT}
GOOD_JUDGEMENT = {"reflection": "Most of it was there.", "fulfilled": "mostly"}
Plan = Callable[[int, str, int], Behaviour | str | None]
"""For a conversation's number, a purpose and an attempt: a behaviour, a text, or None for a right answer."""


def purpose_of(task: str) -> str:
    if "`fulfilled`:" in task:
        return "fulfilment"
    return "terminal_thought" if "`reason`:" in task else "annotate"


def annotating(plan: Plan) -> misbehaving.Behave:
    def behave(_: int, body: Body) -> Behaviour:
        messages = body["messages"]
        prompt: str = messages[1]["content"]
        found = re.search(r"conversation (\d+)", prompt)
        number = int(found[1]) if found else -1
        attempt = (len(messages) - 2) // 2
        planned = plan(number, purpose_of(prompt), attempt)
        if isinstance(planned, Behaviour):
            return planned
        return misbehaving.answer(right_answer(prompt) if planned is None else planned)

    return behave


def right_answer(prompt: str) -> str:
    purpose = purpose_of(prompt)
    if purpose == "fulfilment":
        return as_json(GOOD_JUDGEMENT)
    if purpose == "terminal_thought":
        return as_json(GOOD_END)
    scenario = {"scenario": "A person of forty with a garden.", "motivation": "To have it settled."}
    if "<scenario>" in prompt:
        return inline_answer(prompt, scenario)
    wanted = re.search(r"of these turns of the person: ([\d, ]+)", prompt)
    if wanted is None:
        return as_json(scenario)
    turns = [int(turn) for turn in wanted[1].split(", ")]
    return as_json(scenario | {"turns": [a_turn(turn) for turn in turns]})


def a_turn(turn: int, thought: str = THOUGHT) -> dict[str, Any]:
    return {"turn": turn, "relation": "opens" if turn == 1 else "follows", "thought": thought}


def inline_answer(prompt: str, scenario: dict[str, str]) -> str:
    dialogue = re.search(r"\A(=== \w+ turn 1: person ===\n.*\n=== \w+ end ===)", prompt, re.DOTALL)
    assert dialogue is not None

    def with_thought(marker: re.Match[str]) -> str:
        return marker[0] if marker[1] == "1" else f"{marker[0]}\n<thought>{THOUGHT}</thought>"

    inserted = re.sub(r"^=== \w+ turn (\d+): person ===$", with_thought, dialogue[1], flags=re.MULTILINE)
    return f"<scenario>{scenario['scenario']}</scenario>\n<motivation>{scenario['motivation']}</motivation>\n{inserted}"


def as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()

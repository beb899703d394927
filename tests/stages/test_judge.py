"""judge, with a real server: what is asked, what is counted, what is refused."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.judging.attacks import Seen
from tests.judging.runs import live, replayed
from tests.llm import misbehaving
from tests.llm.misbehaving import serving
from tests.stages.judges import failures, judge, judging, rows, words_of
from tests.train.parts import annotated, conversations
from thinkus.errors import ThinkusError
from thinkus.judging.ending import Left
from thinkus.judging.online import JudgedDialogue
from thinkus.judging.pairwise import JudgedTurn
from thinkus.judging.terminal import RatedThought
from thinkus.launch import dry_run, preview, start
from thinkus.records import Conversation, SpokenTurn
from thinkus.scoring.wins import fold

TEST = 24
OUTPUTS = Path("outputs")
PLANNED = (
    "win",
    "loss",
    "tie",
    "turns",
    "no verdict",
    "twice",
    "prose",
    "both failed",
    "ours failed",
    "theirs failed",
)


@pytest.fixture
def people(workspace: Path) -> list[Conversation]:
    """Of the test split, in an annotated run that has others as well."""
    records = conversations(TEST + 4, test=TEST)
    annotated(workspace / "outputs", records, "chats")
    return records[:TEST]


def plan(conversation: str, turn: int) -> str:
    return PLANNED[(int(conversation[1:]) * 5 + turn * 3) % len(PLANNED)]


@pytest.fixture
def planned(people: list[Conversation]) -> Counter[str]:
    """What should come out of judging two runs, by what is planted at each turn."""

    def saying(who: str) -> None:
        def say(one: Conversation, turn: int) -> str | None:
            planted = plan(one.id, turn)
            return None if planted in ("both failed", f"{who} failed") else f"{who} {one.id} {turn}"

        replayed(OUTPUTS, who, people, say)

    saying("ours")
    saying("theirs")
    return Counter(plan(one.id, turn) for one in people for turn in range(one.user_turns))


def by_plan(seen: Seen) -> int | str:
    """Tells the two apart by what they say, and not by where they stand."""
    first, _second = (text for head, text in seen.texts.items() if head.startswith("utterance"))
    assert seen.options[0] in " ".join(seen.texts)
    who, conversation, turn = first.split()
    ours, theirs = (0, 1) if who == "ours" else (1, 0)
    planted = plan(conversation, int(turn))
    if planted == "no verdict":
        return json.dumps({"explanation": "", "verdict": "A"})
    if planted == "twice":
        return f'{{"verdict": "{seen.options[0]}", "explanation": "", "verdict": "{seen.options[1]}"}}'
    if planted == "prose":
        return "Je préfère la première, merci."
    return {"win": ours, "loss": theirs, "tie": 2, "turns": 0}[planted]


def test_planted_verdicts_come_out_as_planted(
    planned: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(judging(by_plan)) as server:
        run = judge(server, "candidate=ours", "baseline=theirs")
        asked = len(server.seen)
    turns: list[JudgedTurn] = rows(run)
    assert len(turns) == planned.total()
    strict, lenient, turned = fold(one.duel for one in turns)
    assert turned == planned["turns"]
    assert strict.wins == planned["win"] + planned["theirs failed"]
    assert strict.losses == planned["loss"] + planned["ours failed"]
    assert strict.ties == planned["tie"] + planned["turns"] + planned["both failed"]
    assert strict.invalid == planned["no verdict"] + planned["twice"] + planned["prose"]
    assert lenient.wins == strict.wins + planned["turns"] / 2
    assert (strict.candidate_failed, strict.baseline_failed, strict.both_failed) == (
        planned["ours failed"], planned["theirs failed"], planned["both failed"],
    )  # fmt: skip
    failed = sum(planned[kind] for kind in ("both failed", "ours failed", "theirs failed"))
    assert asked == 2 * (planned.total() - failed), "in both orders, and not where somebody failed"
    assert Counter(one.reason for one in failures(run)) == {
        "no_verdict": 2 * planned["no verdict"],
        "two_verdicts": 2 * planned["twice"],
        "off_form": 2 * planned["prose"],
    }
    told = capsys.readouterr().out
    assert f"{strict.rate:.4f}" in told
    assert f"{strict.without_failed.rate:.4f}" in told
    stood = 1 - turned / (planned.total() - failed - strict.invalid)
    assert f"stood the swap {100 * stood:.2f} [" in " ".join(told.split())
    assert f"a bootstrap over {TEST} conversations" in " ".join(told.split())


def test_the_papers_protocol_asks_once_and_wants_it_explained(planned: Counter[str]) -> None:
    with serving(judging(by_plan)) as server:
        run = judge(server, "candidate=ours", "baseline=theirs", "protocol=paper")
        assert all("response_format" not in seen.body for seen in server.seen)
        asked = len(server.seen)
    turns: list[JudgedTurn] = rows(run)
    judged = [one for one in turns if not one.failed]
    assert len(judged) == asked
    assert {len(one.verdicts) for one in judged} == {1}
    assert {one.verdicts[0].first for one in judged} == {"candidate", "baseline"}, (
        "neither has the better place"
    )
    for one in judged:
        (verdict,), planted = one.verdicts, plan(one.conversation, one.turn)
        if planted == "turns":
            assert verdict.closer == verdict.first
        elif planted in ("win", "loss"):
            assert verdict.closer == ("candidate" if planted == "win" else "baseline")
            assert verdict.why == f"Since it is {int(verdict.closer != verdict.first)}."
        elif planted == "prose":
            assert verdict.wrong == "no_verdict"


def test_some_turns_are_asked_about_again(planned: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    with serving(judging(by_plan)) as server:
        once = judge(server, "candidate=ours", "baseline=theirs", "name=once")
        asked = len(server.seen)
        run = judge(server, "candidate=ours", "baseline=theirs", "repeat=3", "repeat_items=5")
        assert len(server.seen) - asked == asked + 5 * 2 * 2
    told_once, told_again = (
        [(row.conversation, row.turn, row.duel) for row in rows(which) if not row.take]
        for which in (once, run)
    )
    assert told_once == told_again
    again = [row for row in rows(run) if row.take]
    assert Counter(row.take for row in again) == {1: 5, 2: 5}
    told = " ".join(capsys.readouterr().out.split())
    assert "questions asked again 10" in told
    assert "the same answer 100.00" in told


def test_a_run_that_is_done_shows_its_table_again_and_asks_nobody(
    planned: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(judging(by_plan)) as server:
        judge(server, "candidate=ours", "baseline=theirs")
        before, asked = capsys.readouterr().out, len(server.seen)
        run = judge(server, "candidate=ours", "baseline=theirs")
        content = (run / "records.jsonl").read_bytes()
        judge(server, "candidate=ours", "baseline=theirs", redo=True)
        assert len(server.seen) == asked
    assert capsys.readouterr().out == 2 * before
    assert (run / "records.jsonl").read_bytes() == content


def test_several_judges_are_laid_side_by_side(
    planned: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "candidate=ours",
        "baseline=theirs",
        "judge.model=one,other",
        "judge=openai_compatible",
        "controls=0",
    ]
    with serving(judging(by_plan)) as server:
        start("judge", [*words, f"judge.api_base={server.url}"], sweep=True, redo=False)
    told = capsys.readouterr().out
    assert len(re.findall(r"^closer to the person", told, re.MULTILINE)) == 1
    assert "(one)" in told
    assert "(other)" in told
    assert re.search(r"^Cohen's kappa +1\.0000", told, re.MULTILINE), "both say the same"


def test_parts_together_are_the_whole(planned: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    with serving(judging(by_plan)) as server:
        whole = judge(server, "candidate=ours", "baseline=theirs", "name=whole")
        told = capsys.readouterr().out
        for part in (1, 2, 3):
            assert not capsys.readouterr().out, "a part alone says nothing"
            cut = judge(server, "candidate=ours", "baseline=theirs", "name=cut", f"shard={part}/3")
    assert [one.duel for one in rows(cut)] == [one.duel for one in rows(whole)]
    assert capsys.readouterr().out == told


def test_a_window_that_holds_less_is_shown_the_latest_exchanges(people: list[Conversation]) -> None:
    longest = max(people, key=lambda one: one.user_turns)

    def full(_number: int, body: misbehaving.Body) -> misbehaving.Behaviour | None:
        if body["messages"][1]["content"].count("turn ") <= 2:
            return None
        words = "This model's maximum context length is 100 tokens. However, you requested 200 tokens."
        return misbehaving.status(400, words)

    for who in ("ours", "theirs"):
        replayed(OUTPUTS, who, [longest], lambda one, turn, who=who: f"{who} {one.id} {turn}")  # type: ignore[misc]
    with serving(judging(lambda _seen: 2, full)) as server:
        run = judge(server, "candidate=ours", "baseline=theirs")
    turns: list[JudgedTurn] = rows(run)
    assert [one.verdicts[0].dropped for one in turns] == [
        max(0, turn - 1) for turn in range(longest.user_turns)
    ]
    assert {verdict.closer for one in turns for verdict in one.verdicts} == {"tie"}


# The other tasks -------------------------------------------------------------------------------


def thinking(one: Conversation, turn: int) -> SpokenTurn | None:
    """The last thought of each sixth conversation fails."""
    if turn == one.user_turns:
        number = int(one.id[1:])
        return None if number % 6 == 5 else SpokenTurn(turn, "", f"level {number % 5} I leave", ended=True)
    return SpokenTurn(turn, "words", "a thought")


def test_last_thoughts_get_the_levels_that_are_planted(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    replayed(OUTPUTS, "ours", people, thinking, method="thinkingus")

    def rule(seen: Seen) -> int:
        thought = seen.texts["last thought"]
        return int(thought.split()[1]) if thought.startswith("level") else len(thought) % 5

    with serving(judging(rule)) as server:
        run = judge(server, "task=terminal", "candidate=ours")
    rated: list[RatedThought] = rows(run)
    ours = Counter(one.level for one in rated if one.whose == "candidate")
    numbers = [number for number in range(TEST) if number % 6 != 5]
    order = ("excellent", "good", "average", "poor", "extremely_poor")
    assert ours == Counter(order[number % 5] for number in numbers) + Counter({None: TEST - len(numbers)})
    theirs = Counter(one.level for one in rated if one.whose == "person")
    assert theirs == Counter(
        order[len(one.annotation.terminal_thought or "") % 5] for one in people if one.annotation
    )
    assert "divergence" in capsys.readouterr().out


GOALS = {"none": 0, "one": 1, "three": 3}


def goals_answer(seen: Seen) -> str:
    number = len(seen.texts["scenario"]) % 4
    return json.dumps(
        {"goals": [f"The person wants {seen.texts['motivation']} {at}." for at in range(number)]}
    )


def test_goals_are_made_once_and_dialogues_held_against_them(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    for who in ("ours", "theirs"):
        live(
            OUTPUTS, who, people,
            lambda one, who=who: ([f"{who} {one.id}", "more", ""], "simulator"),  # type: ignore[misc]
            OUTPUTS / "annotate" / "chats",
        )  # fmt: skip

    def rule(seen: Seen) -> int:
        """The candidate reveals all goals, the baseline conflicts with the first and says nothing new."""
        is_ours = seen.texts["turn 1: person"].startswith("ours")
        if "goal" in seen.texts:
            return 0 if is_ours else 2 if seen.texts["goal"].endswith(" 0.") else 1
        return 0 if is_ours else 1

    with serving(judging(goals_answer)) as server:
        judge(server, "task=goals", "eval=jsonl", "eval.name=chats", "name=goals.chats.openai_compatible")
        assert len(server.seen) == TEST
    with serving(judging(rule)) as server:
        run = judge(server, "task=online", "candidate=ours", "baseline=theirs")
    judged: list[JudgedDialogue] = rows(run)
    assert len(judged) == 2 * TEST
    for one in judged:
        number = one.goals or 0
        if one.whose == "candidate":
            assert one.scores("disclosure") == [1] * number
            assert one.scores("additional") == [1]
        else:
            assert one.scores("disclosure") == [-1, 0, 0][:number]
            assert one.scores("additional") == [0]
        assert one.scores("progression") == ([] if not number else [1 if one.whose == "candidate" else 0])
    told = capsys.readouterr().out
    assert "1.0000" in told


def test_endings_and_likeness_ask_nobody(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    """One leaves after every reply, the other where the person does and says what they said."""
    replayed(OUTPUTS, "hasty", people, lambda _one, turn: "" if turn else "hello there")
    replayed(OUTPUTS, "exact", people, exact)
    start("judge", ["task=ending,likeness", "candidate=hasty,exact"], sweep=True, redo=False)
    told = capsys.readouterr().out
    assert told.count("leaving, after real replies") == 1
    assert told.count("how it sounds") == 1
    assert (OUTPUTS / "judge" / "ending.exact" / "run.json").exists()
    lines = {line.split("  ")[0]: line.split() for line in reversed(told.splitlines())}
    assert "100.00" in lines["F1"]
    assert lines["precision"][1] == f"{100 * TEST / sum(one.user_turns for one in people):.2f}"


# Judges without a server ---------------------------------------------------------------------


def exact(one: Conversation, turn: int) -> str:
    """What the person said."""
    words = [message.content for message in one.messages if message.role == "user"]
    return words[turn] if turn < len(words) else ""


def test_a_small_model_always_has_a_valid_verdict(people: list[Conversation], one_tiny_model: None) -> None:
    replayed(OUTPUTS, "ours", people[:3], exact)
    replayed(OUTPUTS, "theirs", people[:3], lambda _one, _turn: "something else")
    start(
        "judge",
        ["candidate=ours", "baseline=theirs", "judge=hf", "judge.model=tiny", "name=made", "controls=0"],
        sweep=False,
        redo=False,
    )
    turns: list[JudgedTurn] = rows(OUTPUTS / "judge" / "made")
    assert len(turns) == 1 + 2 + 3
    assert all(verdict.closer for one in turns for verdict in one.verdicts)


def test_by_nearness_the_persons_own_words_win_and_the_same_words_tie(
    people: list[Conversation], capsys: pytest.CaptureFixture[str]
) -> None:
    replayed(OUTPUTS, "ours", people[:3], exact)
    replayed(
        OUTPUTS, "theirs", people[:3], lambda _one, _turn: "something else, at some length, is wanted now"
    )
    for baseline, expected in (("theirs", {("win",)}), ("ours", {("tie",)})):
        words = [
            "candidate=ours",
            f"baseline={baseline}",
            "judge=embedding",
            f"name={baseline}",
            "controls=0",
        ]
        start("judge", words, sweep=False, redo=False)
        turns: list[JudgedTurn] = rows(OUTPUTS / "judge" / baseline)
        assert {one.duel.verdicts for one in turns} == expected
        assert {one.nearness["candidate"].whole for one in turns if not one.same} <= {1.0}
    told = " ".join(capsys.readouterr().out.split())
    assert "a cheap proxy" in told
    assert "turned with the order" not in told


def test_a_classifier_of_endings_is_tried_at_every_real_reply(
    people: list[Conversation], one_tiny_model: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a tiny model that was taught for a step or two."""
    words = ["method=ending", "model=tiny", "data=jsonl", "data.name=chats", "epochs=1", "name=ending-tiny"]
    start("sft", words, sweep=False, redo=False)
    candidate = ["task=ending", "candidate=sft/ending-tiny", "classifier=hf", "eval=jsonl", "eval.name=chats"]
    start("judge", candidate, sweep=False, redo=False)
    (run,) = (OUTPUTS / "judge").iterdir()
    left: list[Left] = rows(run)
    assert [one.conversation for one in left] == [one.id for one in people]
    assert [len(one.leaves) for one in left] == [one.user_turns for one in people]
    assert all(leaves is not None for one in left for leaves in one.leaves)
    assert "never leaves" in capsys.readouterr().out
    with pytest.raises(ThinkusError, match="candidate: there is no run"):
        start("judge", [*candidate, "candidate=sft/nobody"], sweep=False, redo=False)


def test_a_few_can_be_looked_at_and_are_not_asked_for_again(
    planned: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(judging(by_plan)) as server:
        words = words_of(server, "candidate=ours", "baseline=theirs")
        preview("judge", words, 4, sweep=False)
        asked, told = len(server.seen), capsys.readouterr().out
        assert 0 < asked <= 8
        assert "real" in told
        assert "ours c000 0" in told
        start("judge", words, sweep=False, redo=False)
        whole = len(server.seen)
        preview("judge", words, 2, sweep=False)
        assert len(server.seen) == whole
    failed = sum(planned[kind] for kind in PLANNED[-3:])
    assert whole == 2 * (planned.total() - failed)
    assert '"conversation": "c000"' in capsys.readouterr().out


# Bad input -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ([], "candidate: is null, and task=pairwise needs one"),
        (["candidate=ours"], "baseline: is null"),
        (["candidate=ours", "baseline=nobody"], "baseline: there is no run outputs/simulate/nobody"),
        (
            ["candidate=ours", "baseline=theirs", "protocol=paper", "judge=hf"],
            "protocol: paper has the judge explain",
        ),
        (["task=terminal", "candidate=ours"], "candidate: .*method=prompt, which has no thoughts"),
        (["task=online", "candidate=ours"], "candidate: .*mode=offline, and task=online judges"),
        (["task=goals", "judge=hf"], r"judge: hf \(backend hf\) cannot answer what task=goals asks"),
        (["task=terminal", "candidate=ours", "judge=embedding"], "judge: embedding .* cannot answer"),
        (["candidate=annotate/chats", "baseline=ours"], "candidate: .* is a run of annotate"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_a_line(
    planned: Counter[str], words: list[str], line: str
) -> None:
    with pytest.raises(ThinkusError, match=line) as refused:
        start("judge", words, sweep=False, redo=False)
    assert "\n" not in str(refused.value)
    with pytest.raises(ThinkusError, match=line):
        dry_run("judge", words, sweep=False)
    assert not (OUTPUTS / "judge").exists() or not list((OUTPUTS / "judge").iterdir())

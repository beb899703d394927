"""Cases gathered from runs: who said what where, what a judge made of it, and what is not there any more."""

import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from tests.judging.parts import ANA, BEN, EVE, annotated, finished, person
from tests.judging.runs import live, replayed
from thinkus.judging.ending import Left
from thinkus.judging.judgement import Judgement
from thinkus.judging.online import JudgedDialogue
from thinkus.judging.online import Verdict as Answer
from thinkus.judging.origin import Found
from thinkus.judging.pairwise import JudgedTurn, Nearness, Verdict
from thinkus.judging.terminal import NO_THOUGHT, RatedThought
from thinkus.records import Conversation, SpokenTurn
from thinkus.report.cases import Cases, Live, Replayed, Spoken
from thinkus.report.gather import Judged, gather
from thinkus.runs import InputFacts, input_identity, load_manifest

PEOPLE = (ANA, BEN, EVE)
PAIRWISE = {"judge.name": "j", "judge.model": "m", "protocol": "both_orders"}


def facts(run: Path) -> InputFacts:
    manifest = load_manifest(run)
    assert manifest is not None
    return InputFacts(str(run), input_identity(manifest))


def judged(
    root: Path, name: str, rows: Sequence[msgspec.Struct], task: str, *read: Path, **made_from: Any
) -> Judged:
    inputs = {side: facts(run) for side, run in zip(("candidate", "baseline"), read, strict=False)}
    directory = finished(root, f"judge/{name}", rows, inputs=inputs, task=task, **made_from)
    manifest = load_manifest(directory)
    assert manifest is not None
    return Judged(Found(directory, manifest), Judgement.of(directory, manifest, rows, 0.9, 0.9))


def echo(one: Conversation, turn: int) -> SpokenTurn:
    words = "" if turn == one.user_turns else f"as {one.id} at {turn}"
    return SpokenTurn(turn, words, f"thinking of {turn}" if turn else None, ended=not words)


def plainly(one: Conversation, turn: int) -> str | None:
    return None if (one.id, turn) == ("ben", 1) else f"plain {turn}"


def verdicts(*closer: str | None) -> tuple[Verdict, ...]:
    orders = zip(("candidate", "baseline"), closer, strict=True)
    return tuple(Verdict(first, one, f"{first} why", "" if one else "cut") for first, one in orders)  # type: ignore[arg-type]


ROWS = (
    JudgedTurn("ana", 0, verdicts=verdicts("candidate", "candidate")),
    JudgedTurn("ana", 1, verdicts=verdicts("candidate", "baseline")),
    JudgedTurn("ben", 0, verdicts=verdicts("baseline", None)),
    JudgedTurn("ben", 1, ("baseline",)),
    JudgedTurn("ben", 2, same=True),
    JudgedTurn("eve", 0, verdicts=verdicts("tie", "tie")),
    JudgedTurn("ana", 0, verdicts=verdicts("tie", "tie"), control="itself"),
)


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    said = {"eval": facts(annotated(tmp_path, *PEOPLE))}
    made = []
    for name, say, method in (("us.offline", echo, "thinkingus"), ("prompt.offline", plainly, "prompt")):
        run = replayed(tmp_path, name, PEOPLE, say, method)
        manifest = load_manifest(run)
        assert manifest is not None
        (run / "run.json").write_bytes(msgspec.json.encode(replace(manifest, inputs=said)))
        made.append(run)
    return made[0], made[1]


def pairwise(root: Path, runs: tuple[Path, Path]) -> Cases:
    return gather([judged(root, "pairwise", ROWS, "pairwise", *runs, **PAIRWISE)], 10)


def of(found: Cases, name: str) -> Replayed:
    [one] = [case for case in found.shown if case.id == name]
    assert isinstance(one, Replayed)
    return one


def by(spoken: Sequence[Spoken], name: str, found: Cases) -> Spoken:
    [one] = [each for each in spoken if found.speakers[each.by].name == name]
    return one


def test_each_turn_has_the_words_of_all_beside_the_persons(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    found = pairwise(tmp_path, runs)
    assert [one.name for one in found.speakers] == ["us", "prompt"]
    ben = of(found, "ben")
    assert ben.corpus == "sample"
    assert [text for role, text in ben.messages if role == "user"] == [
        "Why is my dough wet?", "I used rye.", "Thanks.",
    ]  # fmt: skip
    assert (ben.thoughts[-1], len(ben.thoughts), len(ben.turns)) == ("ben is glad.", 4, 4)
    assert [by(turn, "us", found).words for turn in ben.turns] == [
        "as ben at 0",
        "as ben at 1",
        "as ben at 2",
        "",
    ]
    assert by(ben.turns[2], "us", found).thought == "thinking of 2"
    assert by(ben.turns[1], "prompt", found).failed == "empty"


def test_a_verdict_stands_with_the_words_it_is_on(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    found = pairwise(tmp_path, runs)
    came = {
        (name, turn): [ruling.came_to for ruling in by(spoken, "us", found).rulings]
        for name in ("ana", "ben", "eve")
        for turn, spoken in enumerate(of(found, name).turns)
    }
    assert came == {
        ("ana", 0): ["win"], ("ana", 1): ["turned with the order"], ("ana", 2): [],
        ("ben", 0): ["invalid"], ("ben", 1): ["win"], ("ben", 2): ["draw"], ("ben", 3): [],
        ("eve", 0): ["draw"], ("eve", 1): [],
    }  # fmt: skip
    assert not any(by(spoken, "prompt", found).rulings for spoken in of(found, "ana").turns)
    [ruling] = by(of(found, "ana").turns[1], "us", found).rulings
    assert [(one.said, one.first, one.why) for one in ruling.opinions] == [
        ("candidate", "candidate", "candidate why"), ("baseline", "baseline", "baseline why"),
    ]  # fmt: skip
    assert by(of(found, "ben").turns[0], "us", found).rulings[0].opinions[1].said == "invalid (cut)"
    assert by(of(found, "ben").turns[1], "us", found).rulings[0].note == "baseline failed"


def test_nearness_is_told_where_nobody_was_asked_in_words(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    near = {"candidate": Nearness(0.5, 0.25), "baseline": Nearness(0.1, 0.2)}
    row = JudgedTurn("ana", 0, verdicts=(Verdict("candidate", "candidate"),), nearness=near)  # type: ignore[arg-type]
    found = gather([judged(tmp_path, "near", [row], "pairwise", *runs)], 10)
    [ruling] = by(of(found, "ana").turns[0], "us", found).rulings
    assert ruling.note == "candidate 0.50 in meaning, 0.25 in style, baseline 0.10 in meaning, 0.20 in style"
    assert [one.first for one in ruling.opinions] == [""]


def test_the_last_thoughts_of_both_are_rated_at_the_end_and_a_persons_once(
    tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    rows = (
        RatedThought("ana", "person", "extremely_poor", "so it is"),
        RatedThought("ana", "candidate", "good", "so it seems"),
        RatedThought("ben", "candidate", None, "", NO_THOUGHT),
    )
    twice = [judged(tmp_path, f"terminal{at}", rows, "terminal", run) for at, run in enumerate(runs)]
    found = gather(twice, 10)
    ana = of(found, "ana")
    assert [one.came_to for one in ana.last] == ["extremely poor"]
    assert [one.came_to for one in by(ana.turns[-1], "us", found).rulings] == ["good"]
    assert not any(spoken.rulings for turn in of(found, "ben").turns for spoken in turn)


def test_live_dialogues_of_a_scenario_stand_beside_each_other(tmp_path: Path) -> None:
    people = annotated(tmp_path, *PEOPLE)
    ours = live(
        tmp_path, "us.online", PEOPLE, lambda one: (("Hello", f"I am {one.id}", ""), "simulator"), people
    )
    theirs = live(tmp_path, "prompt.online", PEOPLE, lambda one: (("Hi",), "max_turns"), people)
    answers = (
        Answer("disclosure", -1, "to bake", "it conflicts"),
        Answer("progression", None, "", "", "cut"),
    )
    rows = [
        JudgedDialogue("ana", "candidate", "a", "simulator", 1, "judged", answers),
        JudgedDialogue("ana", "baseline", "a", "max_turns", 1, "judged", (Answer("additional", 1),)),
    ]
    found = gather([judged(tmp_path, "online", rows, "online", ours, theirs)], 10)
    [case] = found.shown
    assert isinstance(case, Live)
    assert [(talk.ended_by, len(talk.exchanges)) for talk in case.talks] == [
        ("simulator", 3),
        ("max_turns", 1),
    ]
    assert case.talks[0].exchanges[1:] == (("I am ana", None, "reply 1"), ("", None, None))
    told = [[(ruling.came_to, ruling.note) for ruling in talk.rulings] for talk in case.talks]
    assert told == [
        [("disclosure: conflicts", "to bake"), ("progression: invalid", "")],
        [("additional: yes", "")],
    ]


def test_the_same_conversations_are_drawn_for_all_by_a_hash_of_their_ids(tmp_path: Path) -> None:
    many = [person(f"p{at}", "Hello?") for at in range(12)]
    chosen = sorted((one.id for one in many), key=lambda one: sha256(one.encode()).digest())[:5]
    sides = [replayed(tmp_path, "a.offline", many, plainly), replayed(tmp_path, "b.offline", many, echo)]
    rows = [Left(one.id, 1) for one in many]
    both = [
        judged(tmp_path, name, rows[::step], "ending", run)
        for name, step, run in zip("ab", (1, -1), sides, strict=True)
    ]
    found = gather(both, 5)
    assert ([one.id for one in found.shown], found.there_are) == (chosen, 12)
    assert all(len(turn) == 2 for one in found.shown if isinstance(one, Replayed) for turn in one.turns)
    assert gather(both, 0).shown == []


def test_what_is_gone_or_was_made_anew_is_said_and_the_rest_is_shown(
    tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    one = judged(tmp_path, "pairwise", ROWS, "pairwise", *runs)
    shutil.rmtree(runs[1])
    found = gather([one], 10)
    assert [speaker.name for speaker in found.speakers] == ["us.offline"]
    assert by(of(found, "ana").turns[0], "us.offline", found).rulings
    [gone] = found.gone
    assert "simulate/prompt.offline" in gone
    shutil.rmtree(runs[0])
    replayed(tmp_path, "us.offline", PEOPLE[:2], echo, "thinkingus")
    found = gather([one], 10)
    assert (found.shown, len(found.gone)) == ([], 2)


def test_runs_that_were_moved_together_are_found_beside_each_other(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    ours = replayed(here, "us.offline", PEOPLE, echo, "thinkingus")
    one = judged(here, "ending", [Left("ana", 2)], "ending", ours)
    here.rename(there)
    moved = Judged(Found(there / "judge" / "ending", one.run.manifest), one.judgement)
    assert [case.id for case in gather([moved], 10).shown] == ["ana"]


def test_what_a_page_would_obey_is_taken_out_of_texts(tmp_path: Path) -> None:
    nasty = person("nasty", "\x1b[31mred\x1b[0m \u202eback\u202c \x00 <b>\u2028x")
    ours = replayed(tmp_path, "us.offline", [nasty], lambda one, turn: "a\x07b" if not turn else "")
    found = gather([judged(tmp_path, "ending", [Left("nasty", 1)], "ending", ours)], 10)
    case = of(found, "nasty")
    assert case.messages[0] == ("user", "red back  <b>\nx")
    assert case.turns[0][0].words == "ab"

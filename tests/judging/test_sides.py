"""Which runs can be judged, and beside which: what does not fit is said in one line, before anything is asked."""

import shutil
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.judging.parts import (
    ANA,
    BEN,
    EVE,
    annotated,
    begun,
    config,
    person,
    refused,
)
from tests.judging.runs import live, replayed
from tests.test_runs import manifest
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.judging import ending, likeness, online, pairwise, terminal
from thinkus.judging.sides import held
from thinkus.judging.task import Way
from thinkus.records import Conversation, Message
from thinkus.runs import claimed
from thinkus.shards import Shard

PAIRWISE = config("task=pairwise", "candidate=ours", "baseline=theirs")
PEOPLE = (ANA, BEN, EVE)
WAYS: dict[str, Way] = {
    "pairwise": pairwise,
    "terminal": terminal,
    "online": online,
    "ending": ending,
    "likeness": likeness,
}


def echo(one: Conversation, turn: int) -> str:
    return f"{one.id} {turn}" if turn < one.user_turns else ""


def told_of(root: Path, ours: Sequence[Conversation], theirs: Sequence[Conversation]) -> str:
    replayed(root, "ours", ours, echo)
    replayed(root, "theirs", theirs, echo)
    return refused(pairwise, PAIRWISE, root)


def test_every_turn_of_every_conversation_is_a_pair_in_their_order(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", PEOPLE, echo)
    replayed(tmp_path, "theirs", PEOPLE, lambda one, turn: None if one is BEN and turn == 1 else "other")
    units = list(begun(pairwise, PAIRWISE, tmp_path).units())
    assert [(one.item, one.candidate, one.baseline) for one in units] == [
        (f"{one.id}#{turn}", f"{one.id} {turn}", None if (one, turn) == (BEN, 1) else "other")
        for one in PEOPLE
        for turn in range(one.user_turns)
    ]


@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        ((BEN, ANA, EVE), r"at conversation 1 one has ana and the other ben;"),
        ((ANA, person("joe", "Hi"), EVE), r"at conversation 2 one has ben and the other joe;"),
        ((ANA, BEN), r"at conversation 3 only .*/ours goes on, with eve;"),
        ((*PEOPLE, person("joe", "Hi")), r"at conversation 4 only .*/theirs goes on, with joe;"),
        ((), r"at conversation 1 only .*/ours goes on, with ana;"),
        (
            (ANA, replace(BEN, messages=(*BEN.messages[:2], Message("user", "I used wheat."), *BEN.messages[3:])), EVE),
            r"at conversation 2 \(ben\) message 3 differs;",
        ),
        ((ANA, BEN, replace(EVE, messages=EVE.messages[:1])), r"at conversation 3 \(eve\) message 2 differs;"),
        ((ANA, person("ben", "Why?", scenario="He does not bake."), EVE), r"\(ben\) message 1 differs;"),
        (
            (ANA, replace(BEN, annotation=person("ben", scenario="ben cooks.").annotation), EVE),
            r"at conversation 2 \(ben\) the scenario differs;",
        ),
        (
            (replace(ANA, annotation=person("ana", motivation="Two loaves.").annotation), BEN, EVE),
            r"at conversation 1 \(ana\) the scenario differs;",
        ),
        ((replace(ANA, annotation=None), BEN, EVE), r"at conversation 1 \(ana\) the scenario differs;"),
    ],
)  # fmt: skip
def test_runs_over_other_conversations_are_refused_with_the_first_difference(
    tmp_path: Path, theirs: Sequence[Conversation], difference: str
) -> None:
    told = told_of(tmp_path, PEOPLE, theirs)
    ours = tmp_path / "simulate/ours"
    assert told.startswith(
        f"baseline: {tmp_path / 'simulate/theirs'} is not over the same conversations as {ours}: "
    )
    assert told.endswith("simulate both with the same eval= and limit=")
    with pytest.raises(AssertionError, match=difference):
        raise AssertionError(told)


@pytest.mark.parametrize("shard", ["1/2", "2/2", "3/5"])
@pytest.mark.parametrize(
    ("theirs", "difference"),
    [
        ((ANA, BEN), "at conversation 3 only {ours} goes on, with eve;"),
        ((BEN, EVE), "at conversation 1 one has ana and the other ben;"),
        ((*PEOPLE, person("joe", "Hi")), "at conversation 4 only {theirs} goes on, with joe;"),
    ],
)
def test_of_runs_of_different_sizes_every_part_tells_the_first_difference_of_all(
    tmp_path: Path, theirs: Sequence[Conversation], difference: str, shard: str
) -> None:
    """Their parts would not lie beside each other."""
    replayed(tmp_path, "ours", PEOPLE, echo)
    replayed(tmp_path, "theirs", theirs, echo)
    told = refused(pairwise, PAIRWISE.model_copy(update={"shard": shard}), tmp_path)
    runs = {name: tmp_path / "simulate" / name for name in ("ours", "theirs")}
    assert difference.format(**runs) in told


def test_other_thoughts_are_no_difference(tmp_path: Path) -> None:
    """No judge of words sees them."""
    replayed(tmp_path, "ours", [ANA], echo)
    replayed(tmp_path, "theirs", [person("ana", *ANA.user_text.split("\n"), terminal_thought="So so.")], echo)
    assert len(list(begun(pairwise, PAIRWISE, tmp_path).units())) == 2


@pytest.mark.parametrize("key", ["candidate", "baseline"])
def test_a_turn_that_is_neither_words_nor_a_failure_is_named(tmp_path: Path, key: str) -> None:
    def falling_silent(one: Conversation, turn: int) -> str | None:
        return None if (one, turn) == (BEN, 1) else echo(one, turn)

    runs = {"candidate": "ours", "baseline": "theirs"}
    for side, name in runs.items():
        replayed(tmp_path, name, PEOPLE, falling_silent if side == key else echo)
    task = begun(pairwise, PAIRWISE, tmp_path)
    assert len(list(task.units())) == 6
    run = tmp_path / "simulate" / runs[key]
    (run / "failures.jsonl").write_bytes(b"")
    with pytest.raises(ThinkusError) as raised:
        list(task.units())
    assert str(raised.value) == (
        f"{key}: {run} has neither words nor a failure for turn 1 of ben, so it is not whole; simulate it again "
        "with --redo"
    )


@pytest.mark.parametrize(
    ("task", "matters"), [("pairwise", False), ("likeness", False), ("terminal", True), ("ending", True)]
)
def test_the_turn_after_the_last_is_asked_for_where_it_is_judged(
    tmp_path: Path, task: str, matters: bool
) -> None:
    def silent_at_the_end(one: Conversation, turn: int) -> str | None:
        return None if turn == one.user_turns else "so"

    for name in ("ours", "theirs"):
        run = replayed(tmp_path, name, [ANA], silent_at_the_end, "thinkingus")
    one = begun(WAYS[task], config(f"task={task}", "candidate=ours", "baseline=theirs"), tmp_path)
    for run in (tmp_path / "simulate").iterdir():
        (run / "failures.jsonl").write_bytes(b"")
    if matters:
        with pytest.raises(ThinkusError, match=r"neither words nor a failure for turn 2 of ana"):
            list(one.units())
    else:
        assert list(one.units())


@pytest.mark.parametrize("key", ["candidate", "baseline"])
def test_a_side_has_to_be_named(tmp_path: Path, key: str) -> None:
    replayed(tmp_path, "ours", [ANA], echo)
    other = {"candidate": "baseline", "baseline": "candidate"}[key]
    assert refused(pairwise, config("task=pairwise", f"{other}=ours"), tmp_path).startswith(
        f"{key}: is null, and task=pairwise needs one; name a run of simulate"
    )


@pytest.mark.parametrize("task", ["terminal", "online", "likeness"])
def test_without_a_candidate_there_is_nothing_to_judge(tmp_path: Path, task: str) -> None:
    assert refused(WAYS[task], config(f"task={task}"), tmp_path).startswith("candidate: is null")


def test_a_run_of_another_stage_is_refused(tmp_path: Path) -> None:
    annotated(tmp_path, *PEOPLE)
    replayed(tmp_path, "ours", PEOPLE, echo)
    for key in ("candidate", "baseline"):
        named = {"candidate": "ours", "baseline": "ours"} | {key: "annotate/sample"}
        words = (f"{side}={name}" for side, name in named.items())
        assert refused(pairwise, config("task=pairwise", *words), tmp_path) == (
            f"{key}: {tmp_path / 'annotate/sample'} is a run of annotate; name one of simulate"
        )


@pytest.mark.parametrize(
    ("task", "named", "has", "wants"),
    [
        ("pairwise", "candidate=live baseline=real", "online", "offline"),
        ("pairwise", "candidate=real baseline=live", "online", "offline"),
        ("terminal", "candidate=live", "online", "offline"),
        ("online", "candidate=real", "offline", "online"),
        ("online", "candidate=live baseline=real", "offline", "online"),
    ],
)
def test_a_run_of_the_other_mode_is_refused(
    tmp_path: Path, task: str, named: str, has: str, wants: str
) -> None:
    replayed(tmp_path, "real", PEOPLE, echo, "thinkingus")
    live(tmp_path, "live", PEOPLE, lambda one: ((), "max_turns"), annotated(tmp_path, *PEOPLE), "thinkingus")
    told = refused(WAYS[task], config(f"task={task}", *named.split()), tmp_path)
    assert f"was made with mode={has}, and task={task} judges those with mode={wants}; " in told
    (key,) = (
        word.partition("=")[0]
        for word in named.split()
        if word.endswith({"online": "live", "offline": "real"}[has])
    )
    assert told.startswith(f"{key}: ")


def test_a_run_that_is_not_finished_is_refused(tmp_path: Path) -> None:
    replayed(tmp_path, "theirs", PEOPLE, echo)
    unfinished = replace(manifest(), stage="simulate", name="ours")
    with (
        pytest.raises(KeyboardInterrupt),
        claimed(tmp_path / "simulate/ours", unfinished, "a: 1\n", redo=False),
    ):
        raise KeyboardInterrupt
    assert refused(pairwise, PAIRWISE, tmp_path).startswith(
        f"candidate: {tmp_path / 'simulate/ours'} is not finished"
    )


def test_a_run_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "candidate: there is no run" in refused(pairwise, PAIRWISE, tmp_path)


def test_a_run_that_was_changed_afterwards_is_refused(tmp_path: Path) -> None:
    for name in ("ours", "theirs"):
        replayed(tmp_path, name, PEOPLE, echo)
    records = tmp_path / "simulate/ours/records.jsonl"
    records.write_bytes(records.read_bytes().replace(b"ana 0", b"eve 0"))
    assert "was changed after the run was done" in refused(pairwise, PAIRWISE, tmp_path)


@pytest.mark.parametrize("parts", range(1, 6))
def test_the_parts_of_a_run_are_together_the_whole(tmp_path: Path, parts: int) -> None:
    """More parts than conversations too; one of them has nothing then."""
    corpus = annotated(tmp_path, *PEOPLE)
    for name in ("ours", "theirs"):
        replayed(tmp_path, name, PEOPLE, echo, "thinkingus")
        live(tmp_path, f"{name}-live", PEOPLE, lambda one: (["Hi", ""], "simulator"), corpus, "thinkingus")
    asked = {
        "pairwise": ("ours", "theirs"),
        "terminal": ("ours", ""),
        "ending": ("ours", ""),
        "likeness": ("ours", ""),
    }
    for task, (ours, theirs) in asked.items():
        words = (f"task={task}", f"candidate={ours}", *([f"baseline={theirs}"] if theirs else []))
        whole = list(begun(WAYS[task], config(*words), tmp_path).units())
        cut = [list(begun(WAYS[task], part, tmp_path).units()) for part in _parts(config(*words), parts)]
        assert len(whole) >= 3
        assert list(chain.from_iterable(cut)) == whole
    dialogues = [
        [one.id for one in held(part, tmp_path / "simulate/ours-live")] for part in _parts(config(), parts)
    ]
    assert list(chain.from_iterable(dialogues)) == ["ana", "ben", "eve"]


def _parts(whole: JudgeConfig, parts: int) -> list[JudgeConfig]:
    return [whole.model_copy(update={"shard": f"{number}/{parts}"}) for number in range(1, parts + 1)]


def test_a_part_is_as_careful_as_the_whole(tmp_path: Path) -> None:
    replayed(tmp_path, "ours", PEOPLE, echo)
    replayed(tmp_path, "theirs", (ANA, EVE, BEN), echo)
    second = PAIRWISE.model_copy(update={"shard": "2/3"})
    assert "at conversation 2 one has ben and the other eve" in refused(pairwise, second, tmp_path)


@pytest.mark.parametrize("task", ["ending", "likeness"])
def test_the_people_of_a_live_run_are_looked_for_beside_it_first(tmp_path: Path, task: str) -> None:
    """Where both have been moved or copied, they are still found; where it was moved alone, they are too."""
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    live(first, "ours", PEOPLE, lambda one: (["Hi"], "max_turns"), annotated(first, *PEOPLE))
    asked_for = config(f"task={task}", "candidate=ours")

    def people(root: Path) -> str:
        return WAYS[task].inputs(asked_for, root)["people"].read

    shutil.copytree(first, second)
    shutil.copytree(first / "simulate", third / "simulate")
    assert [people(root) for root in (first, second, third)] == [
        str(root / "annotate/sample") for root in (first, second, first)
    ]
    shutil.rmtree(first)
    assert people(second) == str(second / "annotate/sample")
    assert len(list(begun(WAYS[task], asked_for, second).units())) == 3
    assert refused(WAYS[task], asked_for, third).startswith(
        f"candidate: there is no run {first / 'annotate/sample'}; make it first: thinkus annotate"
    )


@given(st.integers(0, 50), st.integers(1, 20))
def test_blocks_lie_side_by_side(items: int, parts: int) -> None:
    blocks = [Shard(number, parts).block(items) for number in range(1, parts + 1)]
    assert list(chain.from_iterable(blocks)) == list(range(items))

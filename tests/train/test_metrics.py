"""The metrics as they grow: whoever watches gets each line once, whole, and anew where the file was cut."""

from pathlib import Path

import pytest

from thinkus.train.metrics import Evaluation, Follower, Line, Metrics, StepFacts


def step(number: int) -> StepFacts:
    return StepFacts(
        step=number,
        epoch=number / 3,
        loss=1 / number,
        lr=1e-5,
        gradient_norm=0.1,
        physical_tokens=10,
        logical_tokens=20,
        targets=5,
        seconds=0.5,
        elapsed_s=number / 2,
        memory_gb=1.5,
        peak_share=None if number % 2 else 0.4,
    )


LINES: list[Line] = [
    Evaluation(step=0, loss=4.5, samples=7),
    step(1),
    step(2),
    Evaluation(step=2, loss=3.5, samples=7),
    step(3),
]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def write(file: Path, lines: list[Line]) -> None:
    metrics = Metrics(file)
    for line in lines:
        metrics.add(line)


def test_what_is_read_is_what_was_written(file: Path) -> None:
    write(file, LINES)
    assert Follower(file).new() == LINES
    assert len(file.read_bytes().splitlines()) == len(LINES)


def test_each_look_gives_what_is_new(file: Path) -> None:
    follower, metrics = Follower(file), Metrics(file)
    assert follower.new() == [], "there is no file yet"
    for line in LINES:
        metrics.add(line)
        assert follower.new() == [line]
        assert follower.new() == []
    write(file, LINES[1:3])
    assert follower.new() == LINES[1:3]


@pytest.mark.parametrize("length", [1, 20, -1])
def test_a_half_written_line_is_left_until_it_is_whole(file: Path, length: int) -> None:
    write(file, LINES)
    content = file.read_bytes()
    *above, last = content.splitlines(keepends=True)
    file.write_bytes(b"".join(above) + last[:length])
    follower = Follower(file)
    assert follower.new() == LINES[:-1]
    assert follower.new() == []
    with file.open("ab") as half:
        half.write(last[length:])
    assert follower.new() == LINES[-1:]


def test_a_file_that_was_cut_is_read_anew(file: Path) -> None:
    write(file, LINES)
    follower = Follower(file)
    follower.new()
    assert Metrics(file).cut(2) == LINES[:4]
    write(file, [step(3), step(4), step(5)])
    assert follower.new() == [*LINES[:4], step(3), step(4), step(5)], "though it is longer than what was seen"
    assert follower.new() == []


def test_an_evaluation_that_was_cut_off_is_forgotten_with_its_line(file: Path) -> None:
    """It is made up for, and must not be there twice."""
    write(file, LINES)
    assert Metrics(file).cut(2, is_evaluated=False) == LINES[:3]


def test_a_file_that_was_cut_twice_between_two_looks_is_read_anew(file: Path) -> None:
    """The second replacement may get the number that the file had which was seen."""
    write(file, LINES)
    follower, metrics = Follower(file), Metrics(file)
    follower.new()
    metrics.cut(1)
    metrics.cut(1)
    write(file, [step(2), step(3), step(4), step(5)])
    assert follower.new() == [*LINES[:2], step(2), step(3), step(4), step(5)]


def test_a_file_that_was_cut_to_nothing_is_read_from_its_beginning(file: Path) -> None:
    write(file, LINES)
    follower = Follower(file)
    follower.new()
    Metrics(file).cut(0)
    assert follower.new() == []
    write(file, LINES[1:2])
    assert follower.new() == LINES[1:2]


def test_another_file_in_its_place_is_read_from_its_beginning(file: Path) -> None:
    write(file, LINES)
    follower = Follower(file)
    follower.new()
    write(file.with_suffix(".new"), LINES)
    file.with_suffix(".new").replace(file)
    assert follower.new() == LINES


def test_cutting_keeps_what_was_until_then(file: Path) -> None:
    write(file, [*LINES, step(4)])
    with file.open("ab") as half:
        half.write(b'{"kind":"step","st')
    assert Metrics(file).cut(3) == LINES
    assert Follower(file).new() == LINES
    assert file.read_bytes().endswith(b"}\n")


def test_there_may_be_nothing_to_cut(file: Path) -> None:
    assert Metrics(file).cut(5) == []
    assert file.read_bytes() == b""
    write(file, LINES)
    assert Metrics(file).cut(0) == [], "a training from its beginning evaluates again"
    assert Follower(file).new() == []


def test_what_is_not_known_is_not_written(file: Path) -> None:
    write(file, [step(1), step(2)])
    first, second = file.read_text().splitlines()
    assert ("peak_share" in first, "peak_share" in second) == (False, True)
    assert first.startswith('{"kind":"step","step":1,')

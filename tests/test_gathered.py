"""What comes in any order is written in one, and what it lay in meanwhile is gone afterwards, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_runs import manifest
from thinkus.gathered import gathered
from thinkus.records import Conversation, Failure, Message, read_records
from thinkus.runs import Run, claimed

ROOT = Path(__file__).parents[1]
WORDS = "words\n\u2028 \x85\r"
"""With all that passes for the end of a line somewhere."""


def record(number: int, part: int) -> Conversation:
    return Conversation(f"{number}.{part}", "test", (Message("user", WORDS),))


def failure(number: int, part: int) -> Failure:
    return Failure(f"{number}.{part}", "cut", "after 3 tokens", WORDS)


def fill(run: Run, counts: dict[int, tuple[int, int]]) -> None:
    """With so many records and failures of each number, in this order."""
    with gathered(run) as rows:
        for number, (made, failed) in counts.items():
            rows.add(
                number,
                (record(number, part) for part in range(made)),
                (failure(number, part) for part in range(failed)),
            )
        rows.write()
    run.finish()


def left_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


USUAL = {"run.json", "config.yaml", "records.jsonl", "failures.jsonl"}
some = st.tuples(st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=25, deadline=None)
@given(
    st.dictionaries(st.integers(0, 1000), some, max_size=12).flatmap(
        lambda one: st.permutations(list(one.items()))
    )
)
def test_rows_come_out_in_order_whatever_order_they_came_in(
    tmp_path_factory: pytest.TempPathFactory, items: list[tuple[int, tuple[int, int]]]
) -> None:
    directory = tmp_path_factory.mktemp("runs") / "a"
    with claimed(directory, manifest(), "", redo=False) as run:
        assert run is not None
        fill(run, dict(items))
    assert list(read_records(directory / "records.jsonl", Conversation)) == [
        record(number, part) for number, (made, _) in sorted(items) for part in range(made)
    ]
    assert list(read_records(directory / "failures.jsonl", Failure)) == [
        failure(number, part) for number, (_, failed) in sorted(items) for part in range(failed)
    ]
    assert left_in(directory) == USUAL


def test_nothing_is_left_where_it_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(tmp_path, manifest(), "", redo=False) as run:
        assert run is not None
        with gathered(run) as rows:
            rows.add(1, [record(1, 0)])
            assert any("unfinished" in name for name in left_in(tmp_path))
            raise ZeroDivisionError
    assert left_in(tmp_path) == {"run.json", "config.yaml"}, "nor is a half of the records there"


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.test_gathered import gathered, manifest, record
from thinkus.runs import claimed

with claimed(Path(sys.argv[1]), manifest(), "", redo=False) as run, gathered(run) as rows:
    rows.add(2, [record(2, part) for part in range(10_000)])
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_kill_leaves_the_next_one_clears(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.glob("*.unfinished")
    assert left.stat().st_size > 0
    with claimed(tmp_path, manifest(), "", redo=False) as run:
        assert run is not None
        assert run.is_resumed
        assert not left.exists()
        fill(run, {1: (1, 0), 0: (1, 1)})
    ids = [one.id for one in read_records(tmp_path / "records.jsonl", Conversation)]
    assert ids == ["0.0", "1.0"]
    assert left_in(tmp_path) == USUAL

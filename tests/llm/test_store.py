"""Answers on disk before anyone is told; a ledger that forgets nothing; others' stores only read."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.llm.parts import completion
from thinkus.errors import RunRefused
from thinkus.llm.store import ANSWERED, NAME, SENT, Attempt, Row, Store, is_on_network


def row(key: bytes, text: str = "text") -> Row:
    return Row(key, b'{"asked": 1}', b'{"model": "m"}', "purpose", "item", completion(text))


def attempt(number: int, event: str = ANSWERED, **more: float | None) -> Attempt:
    return Attempt(number, event, b"key", 0.0, None, None, None, 10, 5, **more)


def test_what_was_put_is_there_for_every_other_process_at_once(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path)
        await store.put(row(b"key", "kept \ud7ff\U0001f642\x00 text"), attempt(1, usd=0.5))
        command = f"import sqlite3; print(sqlite3.connect({str(tmp_path / NAME)!r}).execute("
        command += "'select text from completions').fetchall())"
        seen = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
        assert eval(seen.stdout) == [("kept \ud7ff\U0001f642\x00 text",)]
        found = await store.get(b"key")
        await store.close()
        assert found == completion("kept \ud7ff\U0001f642\x00 text")

    asyncio.run(run())


def test_the_first_answer_stays(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path)
        await store.put(row(b"key", "first"), attempt(1, usd=1.0))
        await store.put(row(b"key", "second"), attempt(2, usd=1.0))
        found = await store.get(b"key")
        assert found is not None
        assert found.text == "first"
        assert (await store.spent()).usd == 2.0, "both were paid for"
        await store.close()

    asyncio.run(run())


def test_the_ledger_counts_an_attempt_without_an_end_with_what_it_may_have_cost(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path)
        store.note(Attempt(1, SENT, b"a", 0.0, usd=9.0))
        store.note(attempt(1, usd=2.0))
        store.note(Attempt(2, SENT, b"b", 0.0, usd=4.0))
        await store.close()
        again = Store(tmp_path)
        spent = await again.spent()
        assert (spent.usd, spent.is_usd_known, spent.attempts) == (6.0, True, 2)
        assert again.next_attempt() == 3
        again.note(attempt(3, usd=None))
        spent = await again.spent()
        assert (spent.usd, spent.is_usd_known) == (6.0, False)
        await again.close()

    asyncio.run(run())


def test_anothers_answer_becomes_ones_own_and_the_other_stays_as_it_was(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "other"
    mine.mkdir()
    other.mkdir()

    async def run() -> None:
        store = Store(other)
        await store.put(row(b"key", "theirs"), attempt(1, usd=1.0))
        await store.close()
        before = (other / NAME).read_bytes()
        store = Store(mine, [other / NAME])
        found = await store.get(b"key")
        assert found is not None
        assert found.text == "theirs"
        assert await store.get(b"other key") is None
        assert (await store.spent()).usd == 0.0, "it was paid for elsewhere"
        await store.close()
        assert (other / NAME).read_bytes() == before
        assert [file.name for file in other.iterdir()] == [NAME]
        shutil.rmtree(other)
        alone = Store(mine)
        assert await alone.get(b"key") is not None
        await alone.close()

    asyncio.run(run())


def test_a_store_can_be_read_while_another_process_writes_it(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()

    async def run() -> None:
        writing = Store(other)
        await writing.put(row(b"one"), attempt(1))
        reading = Store(tmp_path, [other / NAME])
        await writing.put(row(b"two"), attempt(2))
        assert await reading.get(b"two") is not None
        await reading.close()
        await writing.close()

    asyncio.run(run())


def test_many_writes_share_a_commit(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path)
        commits = 0

        def count(statement: str) -> None:
            nonlocal commits
            commits += statement == "commit"

        store._writer.set_trace_callback(count)
        await asyncio.gather(*(store.put(row(bytes([number])), attempt(number)) for number in range(200)))
        assert commits < 5
        await store.close()

    asyncio.run(run())


def test_a_closed_store_is_one_file_that_opens_where_nothing_may_be_written(tmp_path: Path) -> None:
    async def run() -> None:
        store = Store(tmp_path)
        await store.put(row(b"key"), attempt(1))
        await store.close()

    asyncio.run(run())
    assert [file.name for file in tmp_path.iterdir()] == [NAME]
    uri = f"file:{tmp_path / NAME}?mode=ro&immutable=1"
    assert sqlite3.connect(uri, uri=True).execute("select count(*) from completions").fetchone() == (1,)


@pytest.mark.parametrize("damage", ["rubbish", "version", "cut"])
def test_a_damaged_store_is_refused_in_one_line(tmp_path: Path, damage: str) -> None:
    async def make() -> None:
        store = Store(tmp_path)
        await asyncio.gather(*(store.put(row(bytes([n]) * 9, "x" * 5000), attempt(n)) for n in range(50)))
        await store.close()

    asyncio.run(make())
    file = tmp_path / NAME
    if damage == "rubbish":
        file.write_bytes(b"no database at all" * 1000)
    elif damage == "version":
        sqlite3.connect(file, isolation_level=None).execute("pragma user_version = 99")
    else:
        file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(RunRefused) as refused:
        Store(tmp_path)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_network_file_systems_are_told_by_their_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/vda / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\nscratch /home/local ext4 rw 0 0\n"
        "scratch@tcp:/x /scratch lustre rw 0 0\n"
    )
    assert is_on_network(Path("/home/me/outputs/x.sqlite"), str(mounts))
    assert is_on_network(Path("/scratch/x.sqlite"), str(mounts))
    assert not is_on_network(Path("/home/local/x.sqlite"), str(mounts))
    assert not is_on_network(Path("/homework/x.sqlite"), str(mounts))
    assert not is_on_network(Path("/x"), str(tmp_path / "none"))


def test_on_a_network_file_system_the_plain_journal_does_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thinkus.llm.store.is_on_network", lambda path: True)

    async def run() -> None:
        store = Store(tmp_path)
        assert store._writer.execute("pragma journal_mode").fetchone() == ("truncate",)
        await asyncio.gather(*(store.put(row(bytes([n])), attempt(n)) for n in range(100)))
        assert await store.get(bytes([99])) is not None
        assert (await store.spent()).attempts == 100
        await store.close()

    asyncio.run(run())

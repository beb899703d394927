"""Answers and what they cost, on disk before anyone is told: one SQLite file a run.

Whatever is killed, what was handed on is there, and what was sent is in the ledger. One
process writes, the one that holds the run; other runs' stores are only read.
"""

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from thinkus.console import say
from thinkus.errors import RunRefused, ThinkusError
from thinkus.llm.exchange import Completion

NAME = "completions.sqlite"
SCHEMA = 1
GATHER_S = 0.001
"""How long a commit waits for company."""
NETWORK_FILE_SYSTEMS = {
    "nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "afs", "9p", "fuse.sshfs", "glusterfs",
    "fuse.glusterfs", "pvfs2", "panfs", "wekafs", "fuse.ceph", "virtiofs",
}  # fmt: skip
"""Where several machines cannot share the memory that SQLite's write-ahead log needs."""

_TABLES = """
create table completions (
    key blob primary key, request text not null, identity text not null, purpose text not null, item text not null,
    text text not null, finish text not null, served_model text not null, fingerprint text,
    input_tokens integer, cached_tokens integer not null, output_tokens integer, at text not null
);
create table attempts (
    attempt integer not null, event text not null, key blob not null, at real not null, status integer,
    retry_after_s real, detail text, input_tokens integer, output_tokens integer, usd real
);
"""
FACTS = Completion.__struct_fields__
_FACT_NAMES = ", ".join(FACTS)
_WHOLE_ROW = f"select key, request, identity, purpose, item, {_FACT_NAMES} from completions where key = ?"
_FOUND = f"select {_FACT_NAMES} from completions where key = ?"
_INSERT = (
    f"insert or ignore into completions (key, request, identity, purpose, item, {_FACT_NAMES}) "
    f"values ({', '.join('?' * 13)})"
)
_NOTE = f"insert into attempts values ({', '.join('?' * 10)})"

ANSWERED = "answered"
SENT = "sent"
"""An attempt may cost as much as its row says; it counts until the same attempt's end says better."""


class Row(NamedTuple):
    """A completion with what it belongs to."""

    key: bytes
    request: bytes
    identity: bytes
    purpose: str
    item: str
    completion: Completion


class Attempt(NamedTuple):
    """A line of the ledger; nothing in it is ever changed."""

    attempt: int
    event: str
    """`sent`, `answered`, or the kind of failure."""
    key: bytes
    at: float
    status: int | None = None
    retry_after_s: float | None = None
    detail: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    """None where a price is not known."""


class Spent(NamedTuple):
    input_tokens: int
    output_tokens: int
    usd: float
    unpriced: int
    """Attempts that may have cost something, and nobody knows what."""
    attempts: int

    @property
    def is_usd_known(self) -> bool:
        return not self.unpriced

    def __add__(self, other: "Spent") -> "Spent":  # type: ignore[override]
        return Spent._make(one + more for one, more in zip(self, other, strict=True))


class Store:
    """The run's own completions, and behind them those of other runs, to be read from."""

    def __init__(self, directory: Path, others: Sequence[Path] = ()) -> None:
        self.path = directory / NAME
        self._reader = opened(self.path)
        self._writer = opened(self.path)
        self._others = {path: opened_for_reading(path) for path in others if has_answers(path)}
        self._waiting: list[tuple[str, tuple[Any, ...], asyncio.Future[None]]] = []
        self._flush: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "thinkus-store")
        self._error: BaseException | None = None
        (last,) = self._reader.execute("select coalesce(max(attempt), 0) from attempts").fetchone()
        self._last_attempt: int = last

    async def get(self, key: bytes) -> Completion | None:
        """What is found in another store becomes the run's own, so that the run stands alone."""
        try:
            if row := self._reader.execute(_FOUND, (key,)).fetchone():
                return Completion(**dict(zip(FACTS, row, strict=True)))
        except sqlite3.Error as error:
            raise ThinkusError(_unreadable(self.path, error)) from None
        for path, other in list(self._others.items()):
            try:
                row = other.execute(_WHOLE_ROW, (key,)).fetchone()
            except sqlite3.Error as error:
                del self._others[path]
                say(f"{path}: cannot be read any more ({error}), so its answers are asked for again")
                continue
            if row:
                await self._enqueue(_INSERT, row)
                return Completion(**dict(zip(FACTS, row[-len(FACTS) :], strict=True)))
        return None

    async def put(self, row: Row, attempt: Attempt) -> None:
        """Both are on the disk when this returns."""
        completion = row.completion
        facts = (_storable(getattr(completion, name)) for name in FACTS)
        self.note(attempt)
        await self._enqueue(
            _INSERT, (row.key, row.request.decode(), row.identity.decode(), row.purpose, row.item, *facts)
        )

    def note(self, attempt: Attempt) -> asyncio.Future[None]:
        """On the disk when what is returned is done; who does not care need not wait."""
        return self._enqueue(_NOTE, attempt)

    def next_attempt(self) -> int:
        self._last_attempt += 1
        return self._last_attempt

    async def spent(self) -> Spent:
        """All that was asked to be paid here; an attempt without an end counts with what it may have cost."""
        await self._drained()
        return _spent_in(self._reader)

    def spent_in_others(self, paths: Collection[Path]) -> Spent:
        """The same of those of the other stores."""
        total = Spent(0, 0, 0.0, 0, 0)
        for path, other in self._others.items():
            total += _spent_in(other) if path in paths else Spent(0, 0, 0.0, 0, 0)
        return total

    async def close(self) -> None:
        with contextlib.suppress(ThinkusError):
            await self._drained()
        self._thread.shutdown()
        with contextlib.suppress(sqlite3.Error):
            self._reader.close()
            # Leaves one ordinary file, which can also be read where nothing may be written.
            self._writer.execute("pragma journal_mode = delete")
        self._writer.close()
        for other in self._others.values():
            other.close()

    def _enqueue(self, statement: str, values: tuple[Any, ...]) -> asyncio.Future[None]:
        done = asyncio.get_running_loop().create_future()
        done.add_done_callback(lambda future: future.cancelled() or future.exception())  # may go unheard
        self._waiting.append((statement, values, done))
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flushed())
        return done

    async def _flushed(self) -> None:
        """Write what waits until nothing does; what comes meanwhile goes with the next commit."""
        await asyncio.sleep(GATHER_S)
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                if self._error is None:
                    await asyncio.get_running_loop().run_in_executor(self._thread, self._write, batch)
            except Exception as error:  # whatever it is: nobody may wait for ever
                self._error = ThinkusError(
                    f"{self.path}: cannot be written ({error}); mend that, the same command goes on"
                )
            for _, _, done in batch:
                if done.done():
                    continue
                if self._error is None:
                    done.set_result(None)
                else:
                    done.set_exception(self._error)
        self._flush = None

    def _write(self, batch: Iterable[tuple[str, tuple[Any, ...], object]]) -> None:
        with transaction(self._writer):
            for statement, values, _ in batch:
                self._writer.execute(statement, values)

    async def _drained(self) -> None:
        while self._flush is not None:
            await asyncio.shield(self._flush)


def _spent_in(store: sqlite3.Connection) -> Spent:
    ended = "select attempt from attempts where event != ?"
    found = store.execute(
        "select coalesce(sum(input_tokens), 0), coalesce(sum(output_tokens), 0), coalesce(sum(usd), 0.0), "
        f"count(*) - count(usd), count(*) from attempts where event != ? or attempt not in ({ended})",
        (SENT, SENT),
    ).fetchone()
    return Spent(*found)


def _storable(value: object) -> object:
    """Half of a character, as some servers send them, fits into no file."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def has_answers(path: Path) -> bool:
    """Not yet, where another process is making it just now."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as store:
            return _version(store) > 0
    except sqlite3.Error:
        return True  # what is wrong with it, its reader says


def opened(path: Path) -> sqlite3.Connection:
    """For reading and writing, made where there is none."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
    try:
        if is_on_network(path):
            connection.execute("pragma journal_mode = truncate")
        else:
            # Committed is what outlives any kill. A cut in the power can take the last moments' answers with
            # it, but nothing else: to sync each commit would hold every slot for as long as a disk needs.
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
        with transaction(connection):
            if _version(connection) == 0:
                for table in filter(str.strip, _TABLES.split(";")):
                    connection.execute(table)
                connection.execute(f"pragma user_version = {SCHEMA}")
        _check_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise RunRefused(_unreadable(path, error)) from None
    return connection


def opened_for_reading(path: Path) -> sqlite3.Connection:
    """Another run's: it may stand where nothing may be written, or be written at this moment."""
    is_at_rest = not path.with_name(f"{path.name}-wal").exists() and not os.access(path.parent, os.W_OK)
    uri = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_at_rest else ''}"
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False, timeout=60)
    try:
        _check_version(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise ThinkusError(_unreadable(path, error)) from None
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("begin immediate")
    try:
        yield
    except BaseException:
        connection.execute("rollback")
        raise
    connection.execute("commit")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("pragma user_version").fetchone()
    return int(version)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    if (version := _version(connection)) != SCHEMA:
        raise RunRefused(
            f"{path}: was written in schema {version} by another version of thinkus, this one reads {SCHEMA}; "
            "use that version, or move the file away (its answers would have to be paid for again)"
        )


def _unreadable(path: Path, error: sqlite3.Error) -> str:
    return f"{path}: cannot be used ({error}); if it is damaged move it away (its answers would be asked for again)"


def is_on_network(path: Path, mounts: str = "/proc/mounts") -> bool:
    """Whether a path lies on a file system that several machines share."""
    try:
        lines = Path(mounts).read_text().splitlines()
    except OSError:
        return False
    points = {words[1]: words[2] for line in lines if len(words := line.split()) > 2}
    there = path.resolve()
    while str(there) not in points and there != there.parent:
        there = there.parent
    return points.get(str(there)) in NETWORK_FILE_SYSTEMS

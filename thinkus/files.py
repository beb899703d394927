"""Writing that a kill at any moment cannot leave half done."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

from thinkus.paths import without_home

UNFINISHED = ".unfinished"


def write_whole(path: Path, content: bytes) -> None:
    """The file holds all of the content, or what it held before."""
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: Path, token: str = "", check: Callable[[], None] | None = None) -> Iterator[BinaryIO]:
    """A file that appears under its name only when all of it is on the disk.

    `token` keeps two writers' halves apart; `check` may object at the last moment.
    """
    unfinished = path.with_name(f"{path.name}{token and '.'}{token}{UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if check is not None:
            check()
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)  # it would keep a full disk full
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """So that a rename in it outlives a power cut."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems have no such call and need none
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# Full, forbidden, read-only, broken, or names that no disk takes.
_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENAMETOOLONG,
    errno.ELOOP,
}


def of_the_machine(error: BaseException, where: Path | None = None) -> str | None:
    """The line for an error that is no mistake of ours; None where it may be. `where` it was, if it does not say."""
    if not isinstance(error, OSError) or error.errno not in _OF_THE_MACHINE:
        return None
    what = without_home(error.filename or where or "output")
    return f"{what}: {(error.strerror or '').lower()}; mend that, the same command goes on"


def known_sha256_of(path: Path) -> str:
    """Read once while the file stays the same: large weights take half a minute, and are asked for again and again."""
    now = path.stat()
    return _sha256_while(path.absolute(), now.st_size, now.st_mtime_ns)


@cache
def _sha256_while(path: Path, _size: int, _changed_ns: int) -> str:
    return sha256_of(path)

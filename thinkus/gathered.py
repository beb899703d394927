"""Results that come in any order, and become records and failures in the order of what was read."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import msgspec

from thinkus.belongings import SCRATCH
from thinkus.records import Failure, to_line
from thinkus.runs import Run


class _Place(NamedTuple):
    """Where in the scratch file an item's lines are, and how many of each kind."""

    offset: int
    records: int
    failures: int


class Gathered:
    def __init__(self, run: Run, scratch: BinaryIO) -> None:
        self._run = run
        self._scratch = scratch
        self._places: dict[int, _Place] = {}

    def add(
        self, number: int, records: Iterable[msgspec.Struct] = (), failures: Iterable[Failure] = ()
    ) -> None:
        """All that came of the item of this number."""
        made, failed = [to_line(record) for record in records], [to_line(failure) for failure in failures]
        self._places[number] = _Place(self._scratch.tell(), len(made), len(failed))
        self._scratch.writelines(made + failed)

    def write(self) -> None:
        with self._run.output("records.jsonl") as records, self._run.output("failures.jsonl") as failures:
            for _, place in sorted(self._places.items()):
                self._scratch.seek(place.offset)
                records.writelines(self._scratch.readline() for _ in range(place.records))
                failures.writelines(self._scratch.readline() for _ in range(place.failures))


@contextmanager
def gathered(run: Run) -> Iterator[Gathered]:
    path = run.scratch(SCRATCH)
    try:
        with path.open("w+b") as file:
            yield Gathered(run, file)
    finally:
        path.unlink(missing_ok=True)

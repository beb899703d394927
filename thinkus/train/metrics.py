"""`metrics.jsonl`: a line for each step and each evaluation, as it happens; whoever watches reads it too."""

import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from thinkus.files import write_whole


class StepFacts(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="step", tag_field="kind"):
    step: int
    epoch: float
    loss: float
    """Of the step's samples, before the step."""
    lr: float
    gradient_norm: float
    physical_tokens: int
    """Those that were computed."""
    logical_tokens: int
    """Those of the samples, had each been computed by itself."""
    targets: int
    seconds: float
    elapsed_s: float
    memory_gb: float
    """The most that a rank of this machine has held so far: of the GPU, or of the process."""
    peak_share: float | None = None
    """Of what the GPU could compute in bfloat16, where that is known; recomputation does not count."""


class Evaluation(
    msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="evaluation", tag_field="kind"
):
    step: int
    """After so many steps."""
    loss: float
    """On the test split."""
    samples: int


Line = StepFacts | Evaluation


class Metrics:
    """The file, for the one rank that writes it."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def cut(self, steps: int, *, is_evaluated: bool = True) -> list[Line]:
        """Forget what came after so many steps, or after their evaluation: it will come again."""
        kept = [
            line
            for line in (Follower(self.file).new() if steps else [])
            if line.step < steps
            or (line.step == steps and (is_evaluated or not isinstance(line, Evaluation)))
        ]
        write_whole(self.file, b"".join(map(_encoded, kept)))
        return kept

    def add(self, line: Line) -> None:
        with self.file.open("ab") as file:
            file.write(_encoded(line))

    def sync(self) -> None:
        """Before a checkpoint, which promises that what came before it is there."""
        with self.file.open("rb") as file:
            os.fsync(file.fileno())


class Follower:
    """Whoever watches: the lines that are new at each look, and all of them where the file is another one."""

    def __init__(self, file: Path) -> None:
        self._path = file
        self._file: BinaryIO | None = None

    def new(self) -> list[Line]:
        # The file that was read last stays open, so that no other can be taken for it.
        if self._file is None or not _is_at(self._file, self._path):
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return []
        start = self._file.tell()
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]  # the last may not be written to its end
        self._file.seek(start + len(whole))
        return [msgspec.json.decode(line, type=Line) for line in whole.splitlines()]


def _is_at(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _encoded(line: Line) -> bytes:
    return msgspec.json.encode(line) + b"\n"

"""`shard=i/n`: several processes or machines at one run, each in a part of its directory.

A part is a run of its own, claimed, skipped and resumed like any other; whoever finishes
the last one joins them.
"""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from thinkus.errors import RunRefused
from thinkus.runs import Manifest, Run, Usage, load_manifest

_PART = re.compile(r"part-(\d{4})-of-(\d{4})")


class Shard(NamedTuple):
    number: int
    """From 1."""
    total: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The config has checked its form."""
        number, total = text.split("/")
        return cls(int(number), int(total))

    def directory(self, run: Path) -> Path:
        return run / f"part-{self.number:04}-of-{self.total:04}"

    def holds(self, index: int) -> bool:
        """Whether the item at this index of the input is this shard's: dealt out in turn, so that all get alike."""
        return index % self.total == self.number - 1


def check_count(run: Path, shard: Shard | None) -> None:
    """Parts of one run must all be cut alike, and a run that is made in parts is not begun whole."""
    for part in parts_of(run):
        total = int(_PART.fullmatch(part.name)[2])  # type: ignore[index]
        if shard is None:
            raise RunRefused(
                f"{run}: is being made in {total} parts; go on with shard=i/{total}, or --redo to begin it whole"
            )
        if total != shard.total:
            raise RunRefused(f"{run}: is cut in {total} parts; use shard={min(shard.number, total)}/{total}")


def parts_of(run: Path) -> list[Path]:
    return sorted(path for path in run.glob("part-*") if _PART.fullmatch(path.name))


def unfinished_parts(run: Path, shard: Shard) -> list[int]:
    """The numbers of the parts that are not done."""
    numbers = []
    for number in range(1, shard.total + 1):
        directory = Shard(number, shard.total).directory(run)
        manifest = load_manifest(directory) if directory.is_dir() else None
        if manifest is None or manifest.status != "done":
            numbers.append(number)
    return numbers


def join(run: Run) -> None:
    """Write the parts' records and failures, part after part, as those of the whole; then drop the parts."""
    parts = parts_of(run.directory)
    manifests = [manifest for part in parts if (manifest := load_manifest(part))]
    for name in sorted(
        {name for manifest in manifests for name in manifest.files if name.endswith(".jsonl")}
    ):
        with run.output(name) as whole:
            for part in parts:
                if (part / name).exists():
                    with (part / name).open("rb") as piece:
                        shutil.copyfileobj(piece, whole)
    run.counts = _added(manifest.counts for manifest in manifests)
    run.usage = _spent(manifests)
    run.finish()
    for part in parts:
        shutil.rmtree(part)


def _added(counts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for one in counts:
        for key, value in one.items():
            if isinstance(value, dict):
                total[key] = _added([total.get(key, {}), value])
            else:
                total[key] = total.get(key, 0) + value
    return total


def _spent(manifests: Iterable[Manifest]) -> Usage:
    """A cost that one part does not know is not known for the whole."""
    usages = [manifest.usage for manifest in manifests]
    costs = [usage.cost_usd for usage in usages]
    return Usage(
        sum(usage.input_tokens for usage in usages),
        sum(usage.output_tokens for usage in usages),
        None if None in costs else sum(cost for cost in costs if cost is not None),
    )

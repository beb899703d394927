"""`shard=i/n`: several processes or machines at one run, each in a part of its directory.

A part is a run of its own, claimed, skipped and resumed like any other; whoever finds all of
them done joins them. Each has a block of the input, so that the parts in their order are the whole.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from thinkus import belongings
from thinkus.belongings import Kind, entries
from thinkus.errors import RunRefused
from thinkus.identity import differences
from thinkus.runs import Manifest, Run, Usage, check_files, load_manifest


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

    def block(self, items: int) -> range:
        """Which of the input's items are this shard's."""
        return range((self.number - 1) * items // self.total, self.number * items // self.total)


def check_parts(run: Path, shard: Shard | None, fresh: Manifest) -> None:
    """Parts of one run are all cut alike and made from the same; a run made in parts is not begun whole."""
    for part in entries(run, Kind.PART):
        there = load_manifest(part)
        if there is None:
            continue
        total = int(part.name[-4:])
        if shard is None:
            raise RunRefused(
                f"{run}: is being made in {total} parts; go on with shard=i/{total}, or --redo to begin it whole"
            )
        if total != shard.total:
            raise RunRefused(f"{run}: is cut in {total} parts; use shard={min(shard.number, total)}/{total}")
        if there.identity != fresh.identity:
            changed = "; ".join(differences(there.made_from, fresh.made_from))
            raise RunRefused(f"{part}: holds a part of another result ({changed}); choose another name=")


def unfinished_parts(run: Path, shard: Shard) -> list[int]:
    """The numbers of the parts that are not done."""
    numbers = []
    for number in range(1, shard.total + 1):
        directory = Shard(number, shard.total).directory(run)
        manifest = load_manifest(directory) if directory.is_dir() else None
        if manifest is None or manifest.status != "done":
            numbers.append(number)
    return numbers


def join(run: Run, shard: Shard) -> None:
    """Write the parts' records and failures, part after part, as those of the whole."""
    parts = [Shard(number, shard.total).directory(run.directory) for number in range(1, shard.total + 1)]
    manifests = [manifest for part in parts if (manifest := load_manifest(part))]
    for part, manifest in zip(parts, manifests, strict=True):
        check_files(part, manifest, content=True)
    for name in sorted(
        {name for manifest in manifests for name in manifest.files if name.endswith(".jsonl")}
    ):
        with run.output(name) as whole:
            for part, manifest in zip(parts, manifests, strict=True):
                if name in manifest.files:
                    with (part / name).open("rb") as piece:
                        shutil.copyfileobj(piece, whole)
    run.counts = _added(manifest.counts for manifest in manifests)
    run.usage = _spent(manifests)
    run.finish()


def drop_parts(run: Path) -> None:
    """Of a whole that is done; what was paid for stays."""
    for part in entries(run, Kind.PART):
        belongings.clear(part)
        for entry in entries(part, Kind.RESULT, Kind.TRACE):
            entry.unlink(missing_ok=True)
        if not any(part.iterdir()):
            part.rmdir()


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

"""prepare: a corpus in its published form -> clean, split, traceable records.

One pass over the corpus keeps what the filters let through in a scratch file, and of each
conversation only what telling twins apart needs in memory; then duplicates go, the split
is drawn, and a pass over the scratch file writes the records.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
from msgspec.structs import replace

from thinkus import corpora
from thinkus.config import PrepareConfig
from thinkus.console import funnel_table, progress
from thinkus.corpora.filters import FILTERS, first_objection, normalised, tidied
from thinkus.corpora.near_duplicates import NearDuplicates
from thinkus.corpora.rows import BadRow
from thinkus.corpora.splits import draw, joined
from thinkus.errors import ThinkusError
from thinkus.files import UNFINISHED
from thinkus.records import Conversation, Failure, Split, to_line
from thinkus.runs import Input, Run

PAPER_TURNS = "paper: 5.6 in its test set, 2.0 in its corpus"
REASONS = ("bad_row", *FILTERS, "exact_duplicate", "near_duplicate")
FEWEST_ROWS_TO_JUDGE = 1000
"""Before so many rows a share of bad ones says little, so it is judged at the end."""


def inputs(config: PrepareConfig, root: Path) -> dict[str, Input]:
    return {"corpus": corpora.identify(config.data)}


def prompts(config: PrepareConfig) -> Sequence[str]:
    return ()


def plan(config: PrepareConfig, root: Path) -> list[str]:
    filters = ", ".join(REASONS)
    train = "all others" if config.data.train is None else f"{config.data.train:,}"
    return [f"filters by {filters}", f"draws {config.data.test:,} for test, {train} for train"]


class Twins(NamedTuple):
    """Of each conversation that passed the filters, what is needed to know it from the others."""

    ids: list[str]
    exact: list[bytes]
    users: list[str | None]
    near: NearDuplicates
    offsets: list[int]


class Failures:
    """Counts every conversation that did not make it, and keeps examples of each reason."""

    def __init__(self, file: BinaryIO, keep: int | None) -> None:
        self.counts: Counter[str] = Counter()
        self._file = file
        self._keep = keep

    def add(self, item: str, reason: str, detail: str, raw: str) -> None:
        self.counts[reason] += 1
        if self._keep is None or self.counts[reason] <= self._keep:
            self._file.write(to_line(Failure(item, reason, detail, raw)))


def run(config: PrepareConfig, run: Run) -> None:
    scratch_path = run.directory / f"passed{UNFINISHED}"
    keep = None if config.keep_failures == "all" else config.keep_failures
    with scratch_path.open("w+b") as scratch, run.output("failures.jsonl") as failures_file:
        failures = Failures(failures_file, keep)
        twins = _pass_filters(config, scratch, failures)
        read = len(twins.ids) + failures.counts.total()
        kept = _without_duplicates(twins, scratch, failures)
        splits = _split(config, twins, kept)
        with run.output("records.jsonl") as records:
            turns = _write_records(twins, kept, splits, scratch, records)
    scratch_path.unlink()
    run.counts = _funnel(read, failures.counts, len(kept), splits, turns)
    funnel_table(run.counts, PAPER_TURNS)


def _pass_filters(config: PrepareConfig, scratch: BinaryIO, failures: Failures) -> Twins:
    """Write down what the filters let through, one line each."""
    last_bad: BadRow | None = None
    twins = Twins([], [], [], NearDuplicates(config.filters.near_duplicate), [])
    bad = read = 0
    for row in progress(corpora.read(config.data), "prepare"):
        read += 1
        if isinstance(row, BadRow):
            bad, last_bad = bad + 1, row
            failures.add(row.where, "bad_row", row.problem, row.raw)
            if read >= FEWEST_ROWS_TO_JUDGE:
                _check_bad_share(bad, read, config, row)
            continue
        conversation = tidied(row.conversation, config.filters)
        if objection := first_objection(row._replace(conversation=conversation), config.filters):
            failures.add(conversation.id, *objection, _raw(row.conversation))
            continue
        twins.offsets.append(scratch.tell())
        scratch.write(to_line(conversation))
        twins.ids.append(conversation.id)
        words = normalised(conversation.messages)
        twins.exact.append(hashlib.blake2b(words.encode("utf-8", "surrogatepass"), digest_size=16).digest())
        twins.users.append(conversation.meta.get("user") or conversation.meta.get("group"))
        twins.near.add(conversation.user_text)
    if last_bad:
        _check_bad_share(bad, read, config, last_bad)
    if not twins.ids:
        counts = ", ".join(f"{reason} {count:,}" for reason, count in failures.counts.most_common())
        raise ThinkusError(
            f"data: {config.data.name} has no conversation left of {read:,} ({counts or 'it is empty'}); "
            "loosen filters.*, or look at another file with data.path="
        )
    return twins


def _check_bad_share(bad: int, read: int, config: PrepareConfig, last: BadRow) -> None:
    if bad > config.max_bad_share * read:
        raise ThinkusError(
            f"data: {bad:,} of {read:,} rows of {config.data.name} do not fit the schema of "
            f"{config.data.format}, the last at {last.where}: {last.problem}; "
            f"check data=, or raise max_bad_share={config.max_bad_share}"
        )


def _without_duplicates(twins: Twins, scratch: BinaryIO, failures: Failures) -> list[int]:
    """Of each set of twins the one with the smallest id stays, whatever the order of the rows."""
    exact = joined(len(twins.ids), [twins.exact])
    unique = _smallest(range(len(twins.ids)), exact, twins.ids)
    near = twins.near.clusters()
    kept = _smallest(unique, near, twins.ids)
    unique_set, kept_set = set(unique), set(kept)
    stays = {near[index]: twins.ids[index] for index in kept}
    for index, offset in enumerate(twins.offsets):
        if index in kept_set:
            continue
        reason = "near_duplicate" if index in unique_set else "exact_duplicate"
        detail = f"of {stays.get(near[index], 'another')}, which stays"
        scratch.seek(offset)
        failures.add(twins.ids[index], reason, detail, scratch.readline().decode().rstrip())
    return kept


def _smallest(members: Iterable[int], labels: Sequence[int], ids: Sequence[str]) -> list[int]:
    """Of each label's members the one with the smallest id, in the order of the corpus."""
    best: dict[int, int] = {}
    for index in members:
        label = labels[index]
        if label not in best or ids[index] < ids[best[label]]:
            best[label] = index
    return sorted(best.values())


def _split(config: PrepareConfig, twins: Twins, kept: Sequence[int]) -> list[Split | None]:
    data = config.data
    if len(kept) <= data.test and data.train != 0:
        raise ThinkusError(
            f"data.test: {data.test:,} conversations are asked for testing, but only {len(kept):,} are left "
            "and some must remain for training; set data.test= lower"
        )
    groups = joined(len(kept), [[twins.users[index] for index in kept]])
    return draw([twins.ids[i] for i in kept], groups, train=data.train, test=data.test, seed=config.seed)


def _write_records(
    twins: Twins, kept: Sequence[int], splits: Sequence[Split | None], scratch: BinaryIO, records: BinaryIO
) -> Counter[str]:
    """The drawn conversations, in the order of the corpus; counts their user turns by split."""
    turns: Counter[str] = Counter()
    decoder = msgspec.json.Decoder(Conversation)
    for index, split in zip(kept, splits, strict=True):
        if split is None:
            continue
        scratch.seek(twins.offsets[index])
        conversation = decoder.decode(scratch.readline())
        records.write(to_line(replace(conversation, split=split)))
        turns[split] += conversation.user_turns
    return turns


def _funnel(
    read: int, failed: Counter[str], kept: int, splits: Sequence[Split | None], turns: Counter[str]
) -> dict[str, object]:
    """What came in, what each filter took, what was drawn."""
    removed = {reason: failed[reason] for reason in REASONS}
    drawn = Counter(splits)
    written = drawn["train"] + drawn["test"]
    return {
        "read": read,
        "removed": removed,
        "kept": kept,
        "not_drawn": drawn[None],
        "items": written,
        "train": drawn["train"],
        "test": drawn["test"],
        "user_turns": dict(sorted(turns.items())),
        "mean_user_turns": round(turns.total() / written, 2),
    }


def _raw(conversation: Conversation) -> str:
    return to_line(conversation).decode().rstrip()

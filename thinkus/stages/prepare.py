"""prepare: a corpus in its published form -> clean, split, traceable records.

One pass over the corpus writes what the filters let through to a scratch file; then what
resembles another goes, the split is drawn, and the drawn lines become the records.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec.structs import replace

from thinkus import corpora
from thinkus.belongings import SCRATCH
from thinkus.config import PrepareConfig
from thinkus.console import funnel_table, progress, say
from thinkus.corpora import candidates
from thinkus.corpora.candidates import Candidates
from thinkus.corpora.filters import FILTERS, first_objection, tidied
from thinkus.corpora.rows import BadRow
from thinkus.corpora.splits import draw, joined
from thinkus.errors import ThinkusError
from thinkus.files import sha256_of
from thinkus.paths import expanded
from thinkus.records import Conversation, Failure, Split, read_conversations, to_line
from thinkus.runs import Input, Run, input_identity, input_run, run_reference

PAPER_TURNS = {
    "lmsys": "(the paper: 5.6 user turns each in its test set, 2.0 in its corpus)",
    "wildchat": "(the paper: 2.17 user turns each)",
}
FEWEST_ROWS_TO_JUDGE = 1000
"""Before so many rows a share of bad ones says little, so it is judged at the end."""
REASONS = ("bad_row", *FILTERS, *candidates.REASONS)


def inputs(config: PrepareConfig, root: Path) -> dict[str, Input]:
    found = {"corpus": corpora.identify(config.data)}
    if config.against is not None:
        remedy = f"thinkus prepare data={config.against}"
        directory, manifest = input_run(root, run_reference("prepare", config.against), remedy, key="against")
        identity = input_identity(manifest)
        found["against"] = Input(str(directory), identity, f"{manifest.counts['items']:,} conversations")
    if config.hold_out is not None:
        ids = _held_out(config)
        found["hold_out"] = Input(config.hold_out, sha256_of(expanded(config.hold_out)), f"{len(ids):,} ids")
    return found


def prompts(config: PrepareConfig) -> Sequence[str]:
    return ()


def plan(config: PrepareConfig, root: Path) -> list[str]:
    train = "all others" if config.data.train is None else f"{config.data.train:,}"
    rows = corpora.count_rows(config.data)
    return [
        f"reads {'about ' + format(rows, ',') if rows else 'an unknown number of'} rows",
        f"filters by {', '.join(REASONS)}",
        f"draws {config.data.test:,} for test, {train} for train, with seed {config.seed}",
    ]


class Failures:
    """Counts every conversation that did not make it, and keeps examples of each reason."""

    def __init__(self, file: BinaryIO, keep: int | None) -> None:
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        """Of each reason the first detail, to show what it means."""
        self._file = file
        self._keep = keep

    def add(self, item: str, reason: str, detail: str, raw: bytes | str) -> None:
        self.counts[reason] += 1
        self.first.setdefault(reason, f"{detail} ({item})")
        if self._keep is None or self.counts[reason] <= self._keep:
            text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
            self._file.write(to_line(Failure(item, reason, detail, text.rstrip("\n"))))


def run(config: PrepareConfig, run: Run) -> None:
    scratch_path = run.scratch(SCRATCH)
    keep = None if config.keep_failures == "all" else config.keep_failures
    known = Candidates(config.filters.near_duplicate, config.filters.shared_opening)
    if config.against is not None:
        for conversation in read_conversations(Path(run.inputs["against"]) / "records.jsonl"):
            known.add_stranger(conversation)
    with scratch_path.open("w+b") as scratch, run.output("failures.jsonl") as failures_file:
        failures = Failures(failures_file, keep)
        offsets = []
        for conversation in _passing(config, failures):
            offsets.append(scratch.tell())
            scratch.write(to_line(conversation))
            known.add(conversation)
        read = len(offsets) + failures.counts.total()
        if offsets:
            say(f"prepare: compares the {len(offsets):,} conversations that passed with each other")
        removals = known.removals()
        for index, removal in sorted(removals.items()):
            scratch.seek(offsets[index])
            failures.add(known.ids[index], *removal, scratch.readline())
        kept = [index for index in range(len(offsets)) if index not in removals]
        splits = _split(config, known, kept, read, failures)
        with run.output("records.jsonl") as records:
            turns = _write_records([offsets[index] for index in kept], splits, scratch, records)
    scratch_path.unlink()
    run.counts = _funnel(read, failures.counts, splits, turns)
    funnel_table(run.counts, PAPER_TURNS.get(config.data.format))


def _passing(config: PrepareConfig, failures: Failures) -> Iterator[Conversation]:
    """What the filters let through."""
    read = 0
    for read, row in enumerate(
        progress(corpora.read(config.data), "prepare", corpora.count_rows(config.data)), 1
    ):
        if isinstance(row, BadRow):
            failures.add(row.where, "bad_row", row.problem, row.raw)
            if read >= FEWEST_ROWS_TO_JUDGE:
                _check_bad_share(failures, read, config)
            continue
        conversation = tidied(row.conversation, config.filters)
        if objection := first_objection(row._replace(conversation=conversation), config.filters):
            failures.add(conversation.id, *objection, to_line(row.conversation))
        else:
            yield conversation
    _check_bad_share(failures, read, config)


def _check_bad_share(failures: Failures, read: int, config: PrepareConfig) -> None:
    bad = failures.counts["bad_row"]
    if bad > config.max_bad_share * read:
        share, name = bad / read, config.data.name
        mend = (
            "is it what data= names?"
            if share > 0.5
            else f"mend them, or raise max_bad_share={config.max_bad_share}"
        )
        raise ThinkusError(
            f"data: {bad:,} of {read:,} rows of {name} ({share:.1%}) do not fit the schema of {config.data.format}, "
            f"the first: {failures.first['bad_row']}; {mend}"
        )


def _split(
    config: PrepareConfig, known: Candidates, kept: Sequence[int], read: int, failures: Failures
) -> list[Split | None]:
    data = config.data
    if not kept:
        if not read:
            raise ThinkusError(f"data: {data.name} is empty; name another file with data.path=")
        reason, count = failures.counts.most_common(1)[0]
        raise ThinkusError(
            f"data: of {read:,} conversations of {data.name} none is left; {reason} took {count:,}, "
            f"the first because it {failures.first[reason]}; loosen that filter (filters.*), or mend the data"
        )
    if len(kept) <= data.test and data.train != 0:
        raise ThinkusError(
            f"data.test: {data.test:,} conversations are asked for testing, but only {len(kept):,} are left "
            "and some must remain for training; set data.test= lower"
        )
    ids = [known.ids[index] for index in kept]
    held_out = _held_out(config)
    if missing := sorted(held_out.difference(ids)):
        raise ThinkusError(
            f"hold_out: {len(missing):,} of {len(held_out):,} ids of {config.hold_out} are not among the "
            f"{len(ids):,} conversations that are left, the first is {missing[0]!r}; loosen the filter that took "
            "it (keep_failures=all shows which), or take it off the list"
        )
    groups = joined(len(kept), [[known.owners[index] for index in kept]])
    splits = draw(ids, groups, train=data.train, test=data.test, seed=config.seed, held_out=held_out)
    sizes: dict[Split, int | None] = {"train": data.train, "test": data.test}
    for side, asked in sizes.items():
        if asked is not None and (drawn := splits.count(side)) < asked:
            say(f"prepare: only {drawn:,} of the {asked:,} conversations of data.{side}= are left to draw")
    if data.train != 0 and "train" not in splits:
        raise ThinkusError(
            f"data: no conversation is left for training; the {len(set(groups)):,} users of {data.name} "
            "all went into test, because a user must not stand on both sides; set data.test= lower"
        )
    return splits


def _held_out(config: PrepareConfig) -> frozenset[str]:
    if config.hold_out is None:
        return frozenset()
    try:
        lines = expanded(config.hold_out).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ThinkusError(
            f"hold_out: cannot read {config.hold_out} ({error}); it wants one id a line"
        ) from None
    return frozenset(line.strip() for line in lines if line.strip())


def _write_records(
    offsets: Sequence[int], splits: Sequence[Split | None], scratch: BinaryIO, records: BinaryIO
) -> Counter[str]:
    """The drawn conversations, in the order of the corpus; counts their user turns by split."""
    turns: Counter[str] = Counter()
    decoder = msgspec.json.Decoder(Conversation)
    for offset, split in zip(offsets, splits, strict=True):
        if split is not None:
            scratch.seek(offset)
            conversation = decoder.decode(scratch.readline())
            records.write(to_line(replace(conversation, split=split)))
            turns[split] += conversation.user_turns
    return turns


def _funnel(
    read: int, removed: Counter[str], splits: Sequence[Split | None], turns: Counter[str]
) -> dict[str, object]:
    """What came in, what each filter took, what was drawn."""
    drawn = Counter(splits)
    return {
        "read": read,
        "removed": {reason: removed[reason] for reason in REASONS},
        "kept": len(splits),
        "not_drawn": drawn[None],
        "items": drawn["train"] + drawn["test"],
        **{side: {"items": drawn[side], "user_turns": turns[side]} for side in ("train", "test")},
    }

"""The runs that are judged: what somebody said at the turns of real conversations, or in live ones."""

from collections.abc import Iterator
from itertools import islice, zip_longest
from pathlib import Path
from typing import Literal, TypeVar

from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.paths import expanded
from thinkus.records import Conversation, Dialogue, Failure, read_records
from thinkus.runs import Input, Manifest, age, input_identity, input_run, load_manifest, run_reference
from thinkus.shards import Shard

Mode = Literal["offline", "online"]
Row = TypeVar("Row", Conversation, Dialogue)


def simulated(
    config: JudgeConfig, root: Path, key: Literal["candidate", "baseline"]
) -> tuple[Path, Manifest]:
    """A finished run of simulate."""
    named = config.candidate if key == "candidate" else config.baseline
    if named is None:
        raise ThinkusError(
            f"{key}: is null, and task={config.task} needs one; name a run of simulate (`thinkus runs` lists them)"
        )
    remedy = "thinkus simulate ..."
    directory, manifest = input_run(root, run_reference("simulate", named), remedy, key)
    if manifest.stage != "simulate":
        raise ThinkusError(f"{key}: {directory} is a run of {manifest.stage}; name one of simulate")
    return directory, manifest


def mode_of(manifest: Manifest) -> Mode:
    mode: Mode = manifest.made_from["mode"]
    return mode


def check_mode(directory: Path, manifest: Manifest, key: str, task: str, wanted: Mode) -> None:
    if (mode := mode_of(manifest)) != wanted:
        raise ThinkusError(
            f"{key}: {directory} was made with mode={mode}, and task={task} judges those with mode={wanted}; "
            f"name another, or make it: thinkus simulate mode={wanted} ..."
        )


def as_input(directory: Path, manifest: Manifest) -> Input:
    about = f"{manifest.made_from['method.name']}, {manifest.counts['items']:,} conversations, {age(manifest)} old"
    return Input(str(directory), input_identity(manifest), about)


def as_people(directory: Path, manifest: Manifest) -> Input:
    """A run that holds real conversations."""
    about = f"{manifest.counts['items']:,} conversations, {age(manifest)} old"
    return Input(str(directory), input_identity(manifest), about)


def real_conversations(directory: Path, manifest: Manifest) -> tuple[Path, Manifest]:
    """The run that a live one took its scenarios from: what people said in them."""
    facts = manifest.inputs["eval"]
    read = expanded(facts.read)
    # Beside the run, where all was moved; or, where it was moved alone, where it read them.
    beside = directory.parent.parent / "annotate" / read.name
    for place in dict.fromkeys([beside, read] if beside.is_dir() else [read]):
        found, its = input_run(directory.parent.parent, str(place), "thinkus annotate ...", "candidate")
        if input_identity(its) == facts.identity:
            return found, its
    raise ThinkusError(
        f"candidate: {read}, from which {directory} took its scenarios, was derived anew since; simulate again"
    )


def with_people(config: JudgeConfig, root: Path) -> dict[str, Input]:
    """A run of either mode, with what the real persons said: a replayed one holds that itself."""
    directory, manifest = simulated(config, root, "candidate")
    found = {"candidate": as_input(directory, manifest)}
    if mode_of(manifest) == "online":
        found["people"] = as_people(*real_conversations(directory, manifest))
    return found


def failed_turns(run: Path) -> frozenset[str]:
    """As `conversation#turn`."""
    return frozenset(failure.item for failure in read_records(run / "failures.jsonl", Failure))


def replayed(config: JudgeConfig, run: Path) -> Iterator[Conversation]:
    """Those of an offline run, or of this part of it."""
    return _of_this_part(config, run, Conversation)


def held(config: JudgeConfig, run: Path) -> Iterator[Dialogue]:
    """Those of an online run, or of this part of it."""
    return _of_this_part(config, run, Dialogue)


def side_by_side(
    config: JudgeConfig, ours: Path, theirs: Path
) -> Iterator[tuple[Conversation, Conversation]]:
    """The same real conversations in both runs, or none are judged."""
    for number, one, other in numbered_pairs(config, ours, theirs, Conversation):
        difference = _difference(one, other) if one and other else ""
        if one is None or other is None or difference:
            more = one or other
            told = difference or f"only {ours if one else theirs} goes on, with {more.id if more else ''}"
            raise ThinkusError(
                f"baseline: {theirs} is not over the same conversations as {ours}: at conversation {number} {told}; "
                "simulate both with the same eval= and limit="
            )
        yield one, other


def check_whole(conversation: Conversation, turns: int, failed: frozenset[str], key: str, run: Path) -> None:
    """Each turn was either had or is a failure; one that is neither would be counted as nothing at all."""
    assert conversation.simulation is not None, "it is a run of simulate"
    had = {spoken.turn for spoken in conversation.simulation.turns}
    for turn in range(turns):
        if turn not in had and f"{conversation.id}#{turn}" not in failed:
            raise ThinkusError(
                f"{key}: {run} has neither words nor a failure for turn {turn} of {conversation.id}, so it is not "
                "whole; simulate it again with --redo"
            )


def numbered_pairs(
    config: JudgeConfig, ours: Path, theirs: Path, kind: type[Row]
) -> Iterator[tuple[int, Row | None, Row | None]]:
    """The records of two runs that should be over the same; of all, where one has more: no part may be judged then."""
    whole = config.model_copy(update={"shard": None})
    part = config if _items(ours) == _items(theirs) else whole
    both = zip_longest(_of_this_part(part, ours, kind), _of_this_part(part, theirs, kind))
    for number, (one, other) in enumerate(both, block(part, _items(ours)).start + 1):
        yield number, one, other


def _of_this_part(config: JudgeConfig, run: Path, kind: type[Row]) -> Iterator[Row]:
    part = block(config, _items(run))
    return islice(read_records(run / "records.jsonl", kind), part.start, part.stop)


def block(config: JudgeConfig, items: int) -> slice:
    """Those of this part."""
    places = Shard.parse(config.shard or "1/1").block(items)
    return slice(places.start, places.stop)


def _items(run: Path) -> int:
    manifest = load_manifest(run)
    assert manifest is not None, "it was opened before"
    return int(manifest.counts["items"])


def _difference(one: Conversation, other: Conversation) -> str:
    if one.id != other.id:
        return f"one has {one.id} and the other {other.id}"
    for place, (ours, theirs) in enumerate(zip_longest(one.messages, other.messages)):
        if ours != theirs:
            return f"({one.id}) message {place + 1} differs"
    scenarios = [(a.scenario, a.motivation) if a else None for a in (one.annotation, other.annotation)]
    return f"({one.id}) the scenario differs" if scenarios[0] != scenarios[1] else ""

"""Run directories, the only thing that passes between stages.

`outputs/<stage>/<name>/run.json` is written first as "started" and last as "done"; whoever
finds "done" may trust what it lists. Same identity: done means skip, started means go on.
Another identity under the same name is refused with what differs.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

import msgspec

from thinkus import __version__, belongings
from thinkus.belongings import MANIFEST, Kind, entries
from thinkus.claims import Claim, RunHeld, holder
from thinkus.errors import RunRefused, ThinkusError
from thinkus.files import UNFINISHED, sha256_of, write_whole, writing
from thinkus.identity import differences
from thinkus.paths import expanded, without_home

RUN_SCHEMA = 1
LARGE = 10_000_000
"""Bytes; of weights."""
STAGES = ("prepare", "annotate", "sft", "simulate", "judge", "report")


class FileFacts(msgspec.Struct, frozen=True):
    bytes: int
    sha256: str
    """Empty for what is large: to read it at every look would take minutes."""


class Usage(msgspec.Struct, frozen=True):
    """What was asked of models; a cost that is not known is None, never 0."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class InputFacts(msgspec.Struct, frozen=True):
    """What a run read: which run (or corpus), and with what in it."""

    read: str
    identity: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: what a run is, from what it was made, and how far it came."""

    schema: int
    thinkus: str
    stage: str
    name: str
    status: Literal["started", "done", "failed"]
    identity: str
    made_from: dict[str, Any]
    """All that the identity is the hash of, so that a refusal can say what differs."""
    inputs: dict[str, InputFacts]
    prompts: dict[str, str]
    """Name -> sha256 of its text."""
    seed: int
    git_commit: str | None
    packages: dict[str, str]
    hardware: dict[str, Any]
    counts: dict[str, Any] = {}
    usage: Usage = Usage()
    files: dict[str, FileFacts] = {}
    started: str
    ended: str | None = None
    error: str | None = None


class Input(NamedTuple):
    """What a stage reads: its identity decides whether a result is still the same."""

    read: str
    """The run's directory, or the corpus by name."""
    identity: str
    description: str
    """How large and how old, for the stage's first line."""


class Run:
    """A run directory that this process holds, while its stage fills it."""

    def __init__(self, directory: Path, manifest: Manifest, claim: Claim, *, is_resumed: bool) -> None:
        self.directory = directory
        self.inputs = {role: str(expanded(facts.read)) for role, facts in manifest.inputs.items()}
        self.manifest = manifest
        self.is_resumed = is_resumed
        """An earlier process began it, with the same identity."""
        self._claim = claim
        self.counts: dict[str, Any] = {}
        self.usage = Usage()

    @contextmanager
    def output(self, name: str) -> Iterator[BinaryIO]:
        """A file of the run; it appears when the block ends, whole, or not at all."""
        with writing(self.directory / name, self._claim.token, self._claim.check) as file:
            yield file

    def scratch(self, name: str) -> Path:
        """Where this process, and no other, may keep what it needs on the way."""
        return self.directory / f"{name}.{self._claim.token}{UNFINISHED}"

    def finish(self) -> None:
        """All outputs are in place: say so, as the last thing of all."""
        self._claim.check()
        results = entries(self.directory, Kind.RESULT)
        made = [file for file in results if file.is_file() and file.name != MANIFEST]
        made += self.directory.glob("model/*")
        files = {str(file.relative_to(self.directory)): _facts(file) for file in sorted(made)}
        self._save(status="done", counts=self.counts, usage=self.usage, files=files, ended=now())
        belongings.remove_passing(self.directory)

    def fail(self, error: str) -> None:
        """What was written stays, and the same command goes on from there."""
        with suppress(OSError, ThinkusError):
            self._claim.check()
            told = without_home(error)
            self._save(status="failed", counts=self.counts, usage=self.usage, ended=now(), error=told)

    def _save(self, **changes: Any) -> None:
        self.manifest = msgspec.structs.replace(self.manifest, **changes)
        save_manifest(self.directory, self.manifest)


def _facts(file: Path) -> FileFacts:
    size = file.stat().st_size
    is_record = file.suffix == ".jsonl"
    return FileFacts(size, sha256_of(file) if is_record or size < LARGE else "")


@contextmanager
def claimed(directory: Path, fresh: Manifest, config_yaml: str, *, redo: bool) -> Iterator[Run | None]:
    """Hold a run directory for writing; None when its result is there already."""
    if not redo and is_finished(directory, fresh):  # needs no claim, and so no write access
        if belongings.passing(directory):  # a kill came between "done" and this
            with suppress(RunHeld, OSError), Claim.take(directory):
                belongings.remove_passing(directory)
        yield None
        return
    make_writable(directory)
    with Claim.take(directory) as claim:
        # Only now is nobody else changing it, so this look is the one that counts.
        if redo:
            belongings.refuse_to_clear(directory)
        elif is_finished(directory, fresh):
            yield None
            return
        is_resumed = not redo and (directory / MANIFEST).exists()
        save_manifest(directory, fresh)
        if redo:  # only now that the manifest no longer says "done"
            belongings.clear(directory)
        belongings.remove_leftovers(directory)
        write_whole(directory / "config.yaml", config_yaml.encode())
        run = Run(directory, fresh, claim, is_resumed=is_resumed)
        try:
            yield run
        except KeyboardInterrupt:
            raise  # stays "started": the same command goes on
        except BaseException as error:
            run.fail(f"{type(error).__name__}: {error}")
            raise


def is_finished(directory: Path, fresh: Manifest) -> bool:
    """Whether this very result is there; another one under the same name is refused."""
    there = load_manifest(directory)
    if there is None or (there.status != "done" and belongings.is_bare(directory)):
        return False
    if there.identity != fresh.identity:
        changed = "; ".join(differences(there.made_from, fresh.made_from))
        raise RunRefused(
            f"{directory}: holds another result ({changed}); choose another name=, or --redo to derive it again"
        )
    if there.status != "done":
        return False
    check_files(directory, there, content=True)
    return True


def load_manifest(directory: Path) -> Manifest | None:
    """The manifest of a run, or None where there is no run yet; damage is refused in one line."""
    file = directory / MANIFEST
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        if others := entries(directory, Kind.RESULT, Kind.STRANGER):
            raise RunRefused(
                f"{directory}: holds {others[0].name} but no {MANIFEST}; move it away or choose another name="
            ) from None
        return None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise RunRefused(f"{file}: cannot be read ({reason}); mend that, or choose another name=") from None
    try:
        schema = msgspec.json.decode(content)["schema"]
    except (msgspec.DecodeError, UnicodeDecodeError, LookupError, TypeError):
        raise RunRefused(f"{file}: is damaged; --redo derives the run again") from None
    if schema != RUN_SCHEMA:
        raise RunRefused(
            f"{file}: was written in schema {schema!r} by another version of thinkus, this one ({__version__}) "
            f"reads {RUN_SCHEMA}; use that version, choose another name=, or --redo to derive it again"
        )
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise RunRefused(f"{file}: is damaged ({error}); --redo derives the run again") from None


def save_manifest(directory: Path, manifest: Manifest) -> None:
    write_whole(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def check_files(directory: Path, manifest: Manifest, *, content: bool) -> None:
    """A finished run must hold what it says that it holds; its content takes a second a gigabyte."""
    for name, facts in manifest.files.items():
        file = directory / name
        found = file.stat().st_size if file.is_file() else None
        if found != facts.bytes:
            what = "is gone" if found is None else f"has {found:,} bytes instead of {facts.bytes:,}"
            raise RunRefused(f"{file}: {what}, the run is damaged; --redo derives it again")
        if content and facts.sha256 and sha256_of(file) != facts.sha256:
            raise RunRefused(f"{file}: was changed after the run was done; --redo derives it again")


def make_writable(directory: Path) -> None:
    """Create a run's directory, and say before any work if that or writing into it is impossible."""
    probe = directory / f".writable-{uuid.uuid4().hex}"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ThinkusError(
            f"root: cannot write into {directory} ({reason}); choose another with root=DIR"
        ) from None


def status(directory: Path) -> str:
    """In one word, for a table."""
    try:
        manifest = load_manifest(directory)
        if manifest is not None and manifest.status == "done":
            check_files(directory, manifest, content=False)
            return "done"
    except RunRefused:
        return "damaged"
    if holder(directory):
        return "running"
    return "failed" if manifest and manifest.status == "failed" else "interrupted"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def age(manifest: Manifest) -> str:
    """How long ago a run ended, or began."""
    try:
        moment = datetime.fromisoformat(manifest.ended or manifest.started)
    except ValueError:
        return "unknown"
    seconds = max(0.0, (datetime.now(UTC) - moment).total_seconds())
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "under a minute"


def all_runs(root: Path) -> Iterator[tuple[str, Path]]:
    """Every stage and run directory under a root, in the order of the stages."""
    for stage in STAGES:
        folder = root / stage
        for directory in sorted(folder.iterdir()) if folder.is_dir() else []:
            if directory.is_dir():
                yield stage, directory


def run_reference(stage: str, name: str) -> str:
    """A run as a person names it: by its name alone, by stage/name, or by a path."""
    return name if "/" in name else f"{stage}/{name}"


def named_run(root: Path, reference: str) -> Path:
    """A run's directory, by path or by `stage/name` under the root."""
    directory = expanded(reference)
    return directory if directory.is_absolute() or directory.is_dir() else root / reference


def input_run(root: Path, reference: str, remedy: str, key: str = "input") -> tuple[Path, Manifest]:
    """A finished run to read from: by `stage/name` under the root, or by path."""
    directory = named_run(root, reference)
    if not directory.is_dir():
        like = sorted(other.name for other in directory.parent.glob(f"{directory.name}-*") if other.is_dir())
        there = f"; there is {', '.join(like)}: {key}={like[0]}" if like else f"; make it first: {remedy}"
        raise ThinkusError(f"{key}: there is no run {directory}{there}")
    if not (directory / MANIFEST).exists() and not holder(directory):
        raise ThinkusError(f"{key}: {directory} is not a run, it has no {MANIFEST}; make one: {remedy}")
    manifest = load_manifest(directory)
    if manifest is None or manifest.status != "done":
        owner = holder(directory)
        state = f"is still being written by {owner}" if owner else "is not finished"
        raise ThinkusError(f"{key}: {directory} {state}; finish it first: {remedy}")
    check_files(directory, manifest, content=True)
    return directory, manifest


def input_identity(manifest: Manifest) -> str:
    """The identity of a run as another's input: how it was made, and what came of it."""
    records = manifest.files.get("records.jsonl")
    return f"{manifest.identity[:32]}{records.sha256[:32]}" if records else manifest.identity

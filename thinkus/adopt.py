"""Annotations that others made, joined to one's own copy of the conversations: an annotate run like any other."""

from pathlib import Path

from thinkus import __version__, facts
from thinkus.errors import ThinkusError
from thinkus.files import sha256_of
from thinkus.identity import identity_of
from thinkus.paths import without_home
from thinkus.records import RECORD_SCHEMA, Conversation, to_line
from thinkus.runs import RUN_SCHEMA, InputFacts, Manifest, claimed, input_identity, input_run, now
from thinkus.thoughts.overlay import unpack


def adopt(file: Path, directory: Path, root: Path, *, redo: bool) -> tuple[int, int] | None:
    """How many annotations found their conversation, and how many did not; None when it was done before."""
    prepared = f"prepare/{directory.name}"
    read, made_by = input_run(root, prepared, f"thinkus prepare data={directory.name}")
    identity = input_identity(made_by)
    parts = {
        "annotations": sha256_of(file),
        "input (read)": identity,
        "record schema": RECORD_SCHEMA,
    }
    fresh = Manifest(
        schema=RUN_SCHEMA,
        thinkus=__version__,
        stage="annotate",
        name=directory.name,
        status="started",
        identity=identity_of(parts),
        made_from=parts,
        inputs={"input": InputFacts(without_home(str(read)), identity)},
        prompts={},
        seed=made_by.seed,
        git_commit=facts.git_commit(),
        packages=facts.packages(),
        hardware=facts.hardware(),
        started=now(),
    )
    with claimed(directory, fresh, f"annotations: {file.name}\n", redo=redo) as run:
        if run is None:
            return None
        joined = lost = 0
        with run.output("records.jsonl") as records, run.output("failures.jsonl") as failures:
            for one in unpack(file, read / "records.jsonl"):
                if isinstance(one, Conversation):
                    joined += 1
                    records.write(to_line(one))
                else:
                    lost += 1
                    failures.write(to_line(one))
        if not joined:
            raise ThinkusError(
                f"{file}: none of its {lost:,} annotations fits a conversation of {read}; is it of the same corpus?"
            )
        run.counts = {"items": joined, "failed": lost}
        run.finish()
    return joined, lost

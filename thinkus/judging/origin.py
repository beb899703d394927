"""What a run of judge was made from, as far as that is still there, and what figures hang on in it."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from thinkus.errors import RunRefused
from thinkus.identity import identity_of
from thinkus.judging.online import conditions
from thinkus.llm.engine import is_same_model
from thinkus.paths import expanded
from thinkus.runs import Manifest, input_identity, load_manifest

_FAMILIES = re.compile(
    r"llama|qwen|qwq|deepseek|gpt(?!q)|claude|gemini|gemma|[a-z]*[sx]tral|(?<![a-z])phi(?![a-z])|glm|kimi|grok"
    r"|command|olmo|smollm"
)
_SISTERS = {"qwq": "qwen", "mixtral": "mistral", "ministral": "mistral", "magistral": "mistral"} | {
    f"{name}stral": "mistral" for name in ("code", "dev", "vo")
}
"""Models of a family that do not bear its name."""
TRAINED = ("epochs", "lr", "max_length", "global_batch", "budget_s")
"""What a training hangs on that a report may hold against another's."""

ALSO = " and "
"""Between models that shared in a work."""


class Corpus(NamedTuple):
    """The real conversations that somebody was tried on."""

    name: str = ""
    identity: str = ""
    """Empty where the run that says so is gone."""


class Found(NamedTuple):
    """A finished run, where it lies now."""

    directory: Path
    manifest: Manifest


def behind(run: Found | None, role: str) -> Found | None:
    """What it read, if that very result is still there: where it lay, or beside the run, where all was moved."""
    facts = run.manifest.inputs.get(role) if run else None
    if run is None or facts is None:
        return None
    read = expanded(facts.read)
    for place in dict.fromkeys((read, run.directory.parent.parent / read.parent.name / read.name)):
        with suppress(RunRefused, OSError):
            manifest = load_manifest(place)
            if manifest and manifest.status == "done" and _is_that(manifest, facts.identity):
                return Found(place, manifest)
    return None


def facts_of(user: Found | None) -> dict[str, str]:
    """Of a simulated user."""
    if user is None:
        return {}
    made_from = user.manifest.made_from
    facts = {
        fact: str(made_from.get(key, "")) for key, fact in (("method.name", "method"), ("decode", "decode"))
    }
    if made_from.get("mode") == "online":
        model = made_from.get("assistant.model")
        told = f" ({model})" if model else ""
        facts["assistant"] = f"{made_from.get('assistant.name', '')}{told}"
        facts |= {key: str(made_from.get(key, "")) for key in ("ending", "max_turns")}
    return facts


def recipe_of(run: Found, user: Found | None) -> dict[str, str]:
    """How a simulated user came to be, and beside whom it was judged, as far as that is still there."""
    if user is None:
        return {}
    other, taught, people = behind(run, "baseline"), behind(user, "input"), behind(user, "eval")
    trained = taught.manifest if taught else None
    facts = {
        "corpus": user.manifest.made_from.get("eval.name"),
        "method": user.manifest.made_from.get("method.name"),
        "model": _model_of(user),
        "baseline method": other and other.manifest.made_from.get("method.name"),
        "baseline model": _model_of(other),
        "annotator": _annotator_of(people),
        "annotator of the training": _annotator_of(behind(taught, "input")),
        "assistant": user.manifest.made_from.get("assistant.model"),
        "ending": user.manifest.made_from.get("ending"),
        **({key: trained.made_from.get(key) for key in TRAINED} if trained else {}),
        "trained on": trained and (trained.counts.get("train") or {}).get("conversations"),
    }
    return {name: str(fact) for name, fact in facts.items() if fact is not None}


def talk_of(user: Found | None) -> str:
    """With whom live dialogues were held, and what ends them, in a word that is the same where these are."""
    is_live = user is not None and user.manifest.made_from.get("mode") == "online"
    return identity_of(conditions(user.manifest)) if user and is_live else ""


def corpus_of(run: Found, user: Found | None) -> Corpus:
    """By whichever of the runs that were read says it."""
    known = (run.manifest.inputs.get("eval"), run.manifest.inputs.get("people"))
    told = (user, behind(run, "baseline"), behind(run, "goals"))
    for facts in (*known, *(one.manifest.inputs.get("eval") for one in told if one)):
        if facts is not None:
            return Corpus(facts.read.rpartition("/")[2], facts.identity)
    return Corpus()


def kin_of(run: Found, user: Found | None) -> Iterator[str]:
    """Judges are said to like what is written as they would write it."""
    judge = run.manifest.made_from.get("judge.model")
    if not judge or run.manifest.made_from.get("judge.backend") == "encoder":
        return
    own = families(str(judge))
    annotator = behind(run, "eval") or behind(user, "eval")
    models = {
        "candidate": _model_of(user),
        "annotator": annotator and annotator.manifest.made_from.get("annotator.model"),
    }
    for who, model in models.items():
        if model and (shared := own & families(str(model))):
            yield f"{who} ({model}) are of one family, {' and '.join(sorted(shared))}"


def families(model: str) -> set[str]:
    """By its name: a model that was distilled from another is of both; one that nobody knows is its own."""
    own = model.rstrip("/").rpartition("/")[2].lower()
    known = {_SISTERS.get(name, name) for name in _FAMILIES.findall(own)}
    return known or set(re.findall(r"\A[a-z]+", own))


def _model_of(user: Found | None) -> str | None:
    """One that was taught is what it was before; a server may have any name for it."""
    if user is None:
        return None
    taught, made_from = behind(user, "input"), user.manifest.made_from
    before = taught.manifest.made_from.get("model.name") if taught else None
    return before or made_from.get("user.model") or made_from.get("model.name")


def _annotator_of(people: Found | None) -> str | None:
    """Who was asked; or who answered, where that is known to be another."""
    if people is None:
        return None
    asked = people.manifest.made_from.get("annotator.model")
    served = people.manifest.counts.get("answered_by", {})
    if asked and not all(is_same_model(asked, model) for model in served):
        return ALSO.join(served)
    return asked


def _is_that(manifest: Manifest, identity: str) -> bool:
    """Weights are told by how they were made: to read them for this would take minutes."""
    own = input_identity(manifest)
    return own == identity if "records.jsonl" in manifest.files else own[:32] == identity[:32]

"""A finished run of judge as tables and reports take it: its rows, and what they hang on."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, NamedTuple

from thinkus.errors import RunRefused
from thinkus.judging.figures import Controls, Figures
from thinkus.judging.intervals import Sure, with_intervals
from thinkus.judging.lines import Column
from thinkus.paths import expanded
from thinkus.runs import Manifest, load_manifest

FACTS = ("against", "judge", "protocol", "assistant", "method", "decode", "ending", "max_turns")
"""What figures hang on: said once where it is the same for all."""
_FAMILIES = re.compile(
    "llama|qwen|deepseek|gpt|claude|gemini|gemma|mistral|mixtral|phi|glm|kimi|grok|command|olmo|smollm"
)


class Corpus(NamedTuple):
    """The real conversations that somebody was tried on."""

    name: str = ""
    identity: str = ""
    """Empty where the run that says so is gone."""


class Judgement(NamedTuple):
    """A finished run."""

    task: str
    candidate: str
    judge: str
    facts: Mapping[str, str]
    """Some of FACTS; and `judge.model`, as it was asked for."""
    against: str | None
    rows: Sequence[Any]
    ties: float = 0.0
    """The share of controls that must tie, and that must win."""
    wins: float = 0.0
    corpus: Corpus = Corpus()
    kin: tuple[str, ...] = ()
    """Who else is of the judge's family, and of which."""
    again: Sequence[Any] = ()
    """Rows of what the judge was asked again."""

    @classmethod
    def of(cls, manifest: Manifest, rows: Sequence[Any], ties: float, wins: float) -> "Judgement":
        made_from = manifest.made_from
        judge, model = str(made_from.get("judge.name") or ""), made_from.get("judge.model")
        candidate = _name(manifest, "candidate") or _name(manifest, "eval") or ""
        user = _run_of(manifest, "candidate")
        told = {"protocol": str(made_from.get("protocol") or ""), "judge.model": str(model or "")}
        return cls(
            str(made_from["task"]),
            candidate,
            f"{judge} ({model})" if model else judge,
            told | _of_the_user(user),
            _name(manifest, "baseline"),
            tuple(row for row in rows if not getattr(row, "take", 0)),
            ties,
            wins,
            _corpus(manifest, user),
            tuple(_kin(manifest, user)),
            tuple(row for row in rows if getattr(row, "take", 0)),
        )

    @property
    def is_untrusted(self) -> bool:
        """Its judge failed the controls."""
        return self.task == "pairwise" and Controls.of(self.rows).failed(self.ties, self.wins)

    @property
    def is_live(self) -> bool:
        return self.task == "online" or any(getattr(row, "ended_by", None) for row in self.rows)

    @property
    def sides(self) -> "list[Judgement]":
        """Of live dialogues: the candidate's, and the baseline's beside them as another's."""
        own = [row for row in self.rows if row.whose == "candidate"]
        other = [row for row in self.rows if row.whose == "baseline"]
        theirs = self._replace(candidate=self.against or "", facts={**self.facts, "method": ""}, rows=other)
        return [self._replace(rows=own), *([theirs] if other else [])]

    def column(self, printed: Figures, sure: Mapping[str, Sure] = MappingProxyType({})) -> Column:
        told = {"against": self.against or "", "judge": self.judge, **self.facts}
        facts = [(fact, told.get(fact, "")) for fact in FACTS]
        return Column(self.candidate, facts, with_intervals(printed, sure))


def families(model: str) -> set[str]:
    """By its name: a model that was distilled from another is of both; one that nobody knows is its own."""
    own = model.rstrip("/").rpartition("/")[2].lower()
    return set(_FAMILIES.findall(own)) or set(re.findall(r"\A[a-z]+", own))


def _name(manifest: Manifest, role: str) -> str | None:
    facts = manifest.inputs.get(role)
    return facts.read.rpartition("/")[2] if facts else None


def _run_of(manifest: Manifest | None, role: str) -> Manifest | None:
    """What it read, as long as that is there."""
    facts = manifest.inputs.get(role) if manifest else None
    with suppress(RunRefused):
        return load_manifest(expanded(facts.read)) if facts else None
    return None


def _of_the_user(user: Manifest | None) -> dict[str, str]:
    if user is None:
        return {}
    keys = {"method.name": "method", "decode": "decode"}
    if user.made_from.get("mode") == "online":
        keys |= {"assistant.name": "assistant", "ending": "ending", "max_turns": "max_turns"}
    return {fact: str(user.made_from.get(key, "")) for key, fact in keys.items()}


def _corpus(manifest: Manifest, user: Manifest | None) -> Corpus:
    facts = manifest.inputs.get("eval") or (user and user.inputs.get("eval"))
    return Corpus(facts.read.rpartition("/")[2], facts.identity) if facts else Corpus()


def _kin(manifest: Manifest, user: Manifest | None) -> Iterator[str]:
    """Judges are said to like what is written as they would write it."""
    judge = manifest.made_from.get("judge.model")
    if not judge or manifest.made_from.get("judge.backend") == "encoder":
        return
    own = families(str(judge))
    annotator = _run_of(manifest, "eval") or _run_of(user, "eval")
    models = {
        "candidate": user and (user.made_from.get("user.model") or user.made_from.get("model.name")),
        "annotator": annotator and annotator.made_from.get("annotator.model"),
    }
    for who, model in models.items():
        if model and (shared := own & families(str(model))):
            yield f"{who} ({model}) are of one family, {' and '.join(sorted(shared))}"

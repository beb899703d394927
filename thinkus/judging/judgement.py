"""A finished run of judge as tables and reports take it: its rows, and what they hang on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from thinkus.identity import identity_of
from thinkus.judging.figures import Controls, Figures
from thinkus.judging.intervals import Sure, with_intervals
from thinkus.judging.lines import Column
from thinkus.judging.online import BROKEN
from thinkus.judging.origin import Corpus, Found, behind, corpus_of, facts_of, kin_of, recipe_of, talk_of
from thinkus.paths import without_home
from thinkus.runs import Manifest

FACTS = ("against", "judge", "protocol", "assistant", "method", "decode", "ending", "max_turns")
"""What figures hang on: said once where it is the same for all."""


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
    run: str = ""
    """Its directory."""
    read: Mapping[str, str] = MappingProxyType({})
    """What it was made from: by role, what tells it from all else."""
    asked: str = ""
    """How its judge was asked, in a word that is the same where that is: the model, the sampling, the prompts."""
    talk: str = ""
    """The same of how its live dialogues were held; empty where the run that says so is gone."""
    recipe: Mapping[str, str] = MappingProxyType({})
    """How its candidate came to be, and its baseline; empty where the runs that say so are gone."""

    @classmethod
    def of(
        cls, directory: Path, manifest: Manifest, rows: Sequence[Any], ties: float, wins: float
    ) -> "Judgement":
        run, made_from = Found(directory, manifest), manifest.made_from
        judge, model = str(made_from.get("judge.name") or ""), made_from.get("judge.model")
        user = behind(run, "candidate")
        told = {"protocol": str(made_from.get("protocol") or ""), "judge.model": str(model or "")}
        return cls(
            str(made_from["task"]),
            _name(manifest, "candidate") or _name(manifest, "eval") or "",
            f"{judge} ({model})" if model else judge,
            told | facts_of(user),
            _name(manifest, "baseline"),
            tuple(row for row in rows if not getattr(row, "take", 0)),
            ties,
            wins,
            corpus_of(run, user),
            tuple(kin_of(run, user)),
            tuple(row for row in rows if getattr(row, "take", 0)),
            without_home(directory),
            {role: facts.identity for role, facts in manifest.inputs.items()},
            _asked(manifest),
            talk_of(user),
            recipe_of(run, user),
        )

    @property
    def is_untrusted(self) -> bool:
        """Its judge failed the controls."""
        return self.task == "pairwise" and Controls.of(self.rows).failed(self.ties, self.wins)

    @property
    def stamp(self) -> str:
        """For a reader, where its judge failed them."""
        if not self.is_untrusted:
            return ""
        return (
            f"NOT TO BE TRUSTED: {self.candidate}, {self.judge}: this judge failed its controls (at least "
            f"{self.ties:.0%} of the real texts must tie themselves, and {self.wins:.0%} beat a stranger's)"
        )

    @property
    def is_live(self) -> bool:
        is_told = self.task == "online" or "people" in self.read
        return is_told or any(getattr(row, "ended_by", None) for row in self.rows)

    @property
    def conditions(self) -> dict[str, str]:
        """What the figures of two must share, besides conversations and judge, to be held against each other."""
        shared = {"baseline": self.identity("baseline")} if self.task == "pairwise" else {}
        if self.is_live and self.task != "likeness":  # that is held against people alone
            held = (self.facts.get(fact, "") for fact in ("assistant", "ending", "max_turns"))
            shared["assistant or ending"] = " ".join((self.talk or self.run, *held))
        return shared | ({"list of goals": self.read.get("goals", "")} if self.task == "online" else {})

    def identity(self, role: Literal["candidate", "baseline"]) -> str:
        """Of what it read; two runs may have one name."""
        name = self.candidate if role == "candidate" else self.against
        return self.read.get(role) or name or ""

    @property
    def held(self) -> dict[str, list[Any]]:
        """The rows that count, by conversation: no controls, and no dialogue that broke off."""
        found: dict[str, list[Any]] = {}
        for row in self.rows:
            is_broken = getattr(row, "state", "") == "broken" or getattr(row, "ended_by", None) in BROKEN
            if getattr(row, "control", None) is None and not is_broken:
                found.setdefault(row.conversation, []).append(row)
        return found

    @property
    def sides(self) -> "list[Judgement]":
        """Of live dialogues: the candidate's, and the baseline's beside them as another's."""
        own = [row for row in self.rows if row.whose == "candidate"]
        other = [row for row in self.rows if row.whose == "baseline"]
        theirs = self._replace(
            candidate=self.against or "",
            facts={**self.facts, "method": "", "decode": ""},
            rows=other,
            read={**self.read, "candidate": self.identity("baseline")},
        )
        return [self._replace(rows=own), *([theirs] if other else [])]

    def column(self, printed: Figures, sure: Mapping[str, Sure] = MappingProxyType({})) -> Column:
        told = {"against": self.against or "", "judge": self.judge, **self.facts}
        facts = [(fact, told.get(fact, "")) for fact in FACTS]
        return Column(self.candidate, facts, with_intervals(printed, sure))


def _name(manifest: Manifest, role: str) -> str | None:
    facts = manifest.inputs.get(role)
    return facts.read.rpartition("/")[2] if facts else None


def _asked(manifest: Manifest) -> str:
    kept = {
        key: value
        for key, value in manifest.made_from.items()
        if key == "protocol" or key.startswith(("judge.", "prompt "))
    }
    return identity_of(kept)

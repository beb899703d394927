"""A verdict, read strictly: one word of those allowed, from its own place, and there alone."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import msgspec

from thinkus import prompts
from thinkus.endpoint import Endpoint
from thinkus.llm.exchange import Answer, Outcome
from thinkus.llm.forms import Choice, Form, Json
from thinkus.records import Failure

Manner = Literal["json", "explained", "choice"]
"""How a judge answers: with an object, with words and a last line, or by which allowed word it finds likeliest."""
TOLD: dict[Manner, str] = {
    "json": "judge/answer_json",
    "explained": "judge/answer_explained",
    "choice": "judge/answer_choice",
}
_VERDICT = re.compile(r"[\W_]*(?:(?:my|the|final)\s+)*verdict\b", re.IGNORECASE)
_LAST_LINE = re.compile(r"Verdict: (\S+)")


def manner_of(judge: Endpoint, protocol: Literal["both_orders", "paper"] = "both_orders") -> Manner:
    if judge.backend == "hf":  # small ones hold no form, but find one word likelier than another
        return "choice"
    return "explained" if protocol == "paper" else "json"


class Ruling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of one type for all: servers prepare a schema once, and the allowed words differ from text to text."""

    explanation: str
    verdict: str


class Wrong(StrEnum):
    """Why an answer that has the right form is no verdict; for what has not, the engine has names."""

    NO_VERDICT = "no_verdict"
    """Its place is empty, or holds no word that is allowed."""
    TWO_VERDICTS = "two_verdicts"
    """Agreeing or not: which of them was meant?"""


class Unreadable(Exception):
    def __init__(self, wrong: str, detail: str, raw: str) -> None:
        super().__init__(f"{wrong}: {detail}")
        self.wrong = wrong
        self.detail = detail
        self.raw = raw

    def as_failure(self, item: str) -> Failure:
        return Failure(item, self.wrong, self.detail, self.raw)


class Ballot(NamedTuple):
    """What one question may be answered with, and how."""

    options: tuple[str, ...]
    manner: Manner

    @property
    def form(self) -> Form | None:
        forms: dict[Manner, Form] = {"json": Json(Ruling), "choice": Choice(self.options)}
        return forms.get(self.manner)

    @property
    def told(self) -> str:
        return prompts.load(TOLD[self.manner]).fill(options=", ".join(self.options)).strip()

    def read(self, outcome: Outcome) -> Ruling:
        """The option that was chosen, and why; or Unreadable."""
        raw = outcome.completion.text if outcome.completion else ""
        if not isinstance(outcome, Answer):
            raise Unreadable(outcome.kind, outcome.detail, raw)
        ruling = self._ruling(outcome.value)
        if self.manner == "json" and (doubled := _doubled_keys(raw)):
            raise Unreadable(Wrong.TWO_VERDICTS, f"{', '.join(doubled)} stands there twice", raw)
        if ruling.verdict not in self.options:
            raise Unreadable(
                Wrong.NO_VERDICT, f"{ruling.verdict!r} is none of {', '.join(self.options)}", raw
            )
        if other := next(self._verdicts_in(ruling.explanation), None):
            raise Unreadable(Wrong.TWO_VERDICTS, f"{other!r} stands before it", raw)
        return ruling

    def _ruling(self, value: Any) -> Ruling:
        """What stands where a verdict has to; not yet whether it is one."""
        if isinstance(value, Ruling):
            return value
        if self.manner == "choice":
            return Ruling("", value)
        *before, last = value.strip().splitlines()
        at_its_place = _LAST_LINE.fullmatch(last.strip())
        return Ruling("\n".join(before).strip(), at_its_place[1] if at_its_place else "")

    def _verdicts_in(self, explanation: str) -> Iterator[str]:
        """Lines that would be one at another place. Quoted from a text they are not: no text holds an option."""
        for line in explanation.splitlines():
            if _VERDICT.match(line) and any(option in line for option in self.options):
                yield line.strip()


def _doubled_keys(text: str) -> list[str]:
    """Decoders take the last of them and say nothing. The text is known to be an object, perhaps in a fence."""
    doubled: list[str] = []

    def look(pairs: Sequence[tuple[str, Any]]) -> None:
        doubled.extend(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)

    json.loads(text[text.index("{") : text.rindex("}") + 1], object_pairs_hook=look)
    return doubled

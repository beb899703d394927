"""The form that an answer must have. Servers are told of it where they listen; we check it always."""

import math
import re
from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any

import msgspec

DIGITS = 6
"""Of odds; the others are noise, of who was computed together."""
NOT_NEAR = (
    "a language model does not say how near two texts are; only a sentence encoder (judge=embedding) does"
)
NOT_WEIGHED = "only a model in this process (judge=hf) says how likely words are that are given to it"
NATS_DIGITS = 3
"""Of the likelihood of a whole text; here too the others are noise."""
_Cosine = Annotated[float, msgspec.Meta(ge=-1, le=1)]
_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*)\n```\Z", re.DOTALL)


class OffForm(Exception):
    """The text is not of the form."""


class Choice(msgspec.Struct, frozen=True):
    """One of these words and nothing else."""

    options: tuple[str, ...]

    def read(self, text: str) -> str:
        word = text.strip()
        if word not in self.options:
            raise OffForm(f"is none of {', '.join(self.options)}")
        return word

    @property
    def schema(self) -> dict[str, Any]:
        """For servers that know JSON schemas only: see `unwrapped`."""
        return {
            "type": "object",
            "properties": {"choice": {"type": "string", "enum": list(self.options)}},
            "required": ["choice"],
            "additionalProperties": False,
        }

    @staticmethod
    def unwrapped(text: str) -> str:
        """The word out of the object that `schema` asked for; any other text as it is."""
        try:
            return str(msgspec.json.decode(text)["choice"])
        except (msgspec.DecodeError, LookupError, TypeError):
            return text

    def described(self) -> dict[str, Any]:
        return {"choice": list(self.options)}


class Json(msgspec.Struct, frozen=True):
    """A JSON object of this type (a msgspec.Struct)."""

    kind: type

    def read(self, text: str) -> Any:
        """Servers without schemas like to put JSON into a fence; nothing else is forgiven."""
        stripped = text.strip()
        if fenced := _FENCE.match(stripped):
            stripped = fenced[1]
        try:
            return msgspec.json.decode(stripped, type=self.kind)
        except (msgspec.DecodeError, UnicodeError) as error:
            raise OffForm(str(error)) from None

    @property
    def schema(self) -> dict[str, Any]:
        return _schema_of(self.kind)

    def described(self) -> dict[str, Any]:
        return {"schema": self.schema}


class Opened(msgspec.Struct, frozen=True):
    """The words that go on from `begins`, as if the model had written that, up to one of `stops` or its own end."""

    begins: str
    stops: tuple[str, ...] = ()

    def read(self, text: str) -> str:
        return text

    def described(self) -> dict[str, Any]:
        return {"begins": self.begins, "stops": list(self.stops)}


class Odds(msgspec.Struct, frozen=True):
    """How likely each of these words is, against the others; each has to be one token."""

    options: tuple[str, ...]

    def read(self, text: str) -> dict[str, float]:
        try:
            odds = msgspec.json.decode(text, type=dict[str, float])
        except msgspec.DecodeError:
            odds = {}
        if set(odds) != set(self.options):
            raise OffForm(f"says nothing of how likely {', '.join(self.options)} are")
        return odds

    def written(self, logarithms: Mapping[str, float]) -> str:
        """As a text, from the logarithms of their likelihoods."""
        most = max(logarithms[word] for word in self.options)
        likely = {word: math.exp(logarithms[word] - most) for word in self.options}
        return msgspec.json.encode(
            {word: round(one / sum(likely.values()), DIGITS) for word, one in likely.items()}
        ).decode()

    def described(self) -> dict[str, Any]:
        return {"odds": list(self.options)}


class Near(msgspec.Struct, frozen=True):
    """How near the request's two messages are in meaning, from -1 to 1; sentence encoders alone say it."""

    def read(self, text: str) -> float:
        try:
            return msgspec.json.decode(text, type=_Cosine)
        except (msgspec.DecodeError, UnicodeError):
            raise OffForm("is no number from -1 to 1") from None

    def described(self) -> dict[str, Any]:
        return {"near": True}


class Weighed(msgspec.Struct, frozen=True):
    """How likely given words are."""

    logarithm: Annotated[float, msgspec.Meta(le=0)]
    """The natural one, of the likelihood of all of them together."""
    tokens: Annotated[int, msgspec.Meta(ge=1)]


class Likelihood(msgspec.Struct, frozen=True):
    """How likely it is that the model goes on with `words`, as if it had written `begins`; that it ends there is no
    part of it."""

    words: str
    begins: str = ""

    def read(self, text: str) -> Weighed:
        try:
            return msgspec.json.decode(text, type=Weighed)
        except (msgspec.DecodeError, UnicodeError):
            raise OffForm("does not say how likely the words are") from None

    @staticmethod
    def written(logarithm: float, tokens: int) -> str:
        rounded = round(logarithm, NATS_DIGITS)
        return msgspec.json.encode(Weighed(0.0 if rounded > 0 else rounded, tokens)).decode()

    def described(self) -> dict[str, Any]:
        return {"likelihood": self.words, "begins": self.begins}


Form = Choice | Json | Opened | Odds | Near | Likelihood


@cache
def _schema_of(kind: type) -> dict[str, Any]:
    """Without references, which not every server follows."""
    (root,), definitions = msgspec.json.schema_components((kind,), ref_template="{name}")
    return dict(_inlined(root, definitions))


def _inlined(schema: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(definitions[schema["$ref"]], definitions)
        plain = {
            key: _inlined(value, definitions)
            for key, value in schema.items()
            if not (key in ("title", "default", "description") and isinstance(value, str | None))
        }
        # Servers that keep to schemas strictly want it said; reading may forgive more.
        return plain | ({"additionalProperties": False} if "properties" in plain else {})
    if isinstance(schema, list):
        return [_inlined(entry, definitions) for entry in schema]
    return schema

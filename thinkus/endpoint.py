"""The types of an endpoint: a model that writes text, wherever it runs, and how it is asked."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from thinkus.schema import Dollars, Indifferent, Positive, RunName, Schema, dotted

_KEY_SHAPE = re.compile(
    r"\b(sk|rk|pk|gsk|hf|xai|r8|nvapi|fw)[-_][A-Za-z0-9_-]{16,}|\bAIza[\w-]{30,}|\beyJ[\w-]{20,}"
    r"|Bearer\s|://[^/\s]*@|\b(api[-_]?key|token|authorization|secret|password)['\"]?\s*[:=,]\s*['\"]?\S{8,}",
    re.IGNORECASE,
)
"""Keys as providers make them."""
_KEY_NAME = re.compile(r"api[-_]?key|secret|credential|authorization|cookie|password|\btoken$", re.IGNORECASE)
"""Whatever is handed over under such a name."""


class Sampling(Schema):
    temperature: Annotated[float, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    max_tokens: Positive


class Price(Schema):
    """US dollars a million tokens."""

    input: Dollars
    output: Dollars


class Vllm(Schema):
    """The server that thinkus starts, one a GPU."""

    python: str | None
    """Of the environment that holds vLLM; null: this one."""
    memory_share: Annotated[float, Field(gt=0, le=1)] | None
    """Of a GPU's memory; null: an equal part of what the run's other servers leave of 0.9."""
    max_length: Positive | None
    """Tokens of prompt and answer together; null: as long as the model and the memory allow."""
    arguments: list[str]
    """More words for `vllm serve`."""


class Endpoint(Schema):
    """A model that writes text, wherever it runs."""

    name: RunName
    backend: Literal["openai", "litellm", "vllm", "hf", "encoder", "recorded", "scripted"]
    model: str | None
    api_base: Indifferent[str | None]
    api_key_env: Indifferent[str | None]
    """The *name* of the environment variable that holds the key; a key itself is refused."""
    structured: Literal["vllm", "schema", "json_object", "none"]
    """How the server is told of the form that an answer must have; the form is checked in any case."""
    extra: dict[str, Any] | None
    """What the server is told besides, such as {thinking: {type: disabled}}."""
    sampling: Sampling
    price: Indifferent[Price | None]
    """null: as in conf/prices.yaml, and unknown where that has none."""
    deadline_s: Indifferent[Annotated[float, Field(gt=0)] | None]
    """By the clock on the wall, for one attempt; null: none."""
    vllm: Indifferent[Vllm | None]

    @model_validator(mode="after")
    def _holds_no_key(self) -> Self:
        for field, value in dotted(self.model_dump(include={"model", "api_base", "extra", "vllm"})).items():
            if value and (_KEY_SHAPE.search(f"{field}={value}") or _KEY_NAME.search(field)):
                # Nor is the value repeated: it would stand in a log.
                raise ValueError(
                    f"{field} seems to hold a key; put the key into an environment variable and its name into "
                    "api_key_env"
                )
        return self

    @field_validator("api_key_env")
    @classmethod
    def _is_a_name(cls, value: str | None) -> str | None:
        if value is not None and not (value.isupper() and value.replace("_", "a").isalnum()):
            # The value is not repeated: it may be the key itself.
            raise ValueError("must be the name of an environment variable, such as OPENAI_API_KEY, not a key")
        return value

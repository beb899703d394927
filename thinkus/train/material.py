"""What a training is made from: conversations, a model, and the packages that train it; looked at before all else."""

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from thinkus import weights
from thinkus.config import SftConfig
from thinkus.corpora import as_said
from thinkus.errors import ConfigError, ThinkusError
from thinkus.records import read_conversations
from thinkus.runs import Manifest, input_run, run_reference
from thinkus.train import fitness
from thinkus.train.room import Room
from thinkus.weights import Weights

MODEL = "model"
"""The key of the configuration."""
RECORDS = "records.jsonl"

T = TypeVar("T")


class Wrongs:
    """What stands in the way of a training, gathered, so that all of it is said at once."""

    def __init__(self) -> None:
        self._errors: list[ThinkusError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    def of(self, look: Callable[[], T]) -> T | None:
        """What was looked for, or None where it is wrong."""
        try:
            return look()
        except ThinkusError as error:
            self._errors.append(error)
            return None

    def add(self, lines: Iterable[str]) -> None:
        self._errors.extend(map(ThinkusError, lines))

    def stop_if_any(self) -> None:
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise ConfigError(map(str, self._errors))


def missing_packages(tracker: str) -> list[str]:
    """A line for each of our extras that is not installed whole."""
    needed = {"train": ["torch", "transformers", "deepspeed"], "trackers": [tracker]}
    lines = []
    for extra, modules in needed.items():
        missing = [module for module in modules if module != "none" and find_spec(module) is None]
        if missing:
            verb = "are" if len(missing) > 1 else "is"
            lines.append(f"sft: {' and '.join(missing)} {verb} not installed; pip install 'thinkus[{extra}]'")
    return lines


def look_at(folder: Path, max_length: int, wrongs: Wrongs) -> dict[str, Any]:
    """Everything that is wrong with a model, from its files; the model's config.json."""
    wrongs.of(lambda: fitness.shape_of(folder))
    shape = fitness.config_of(folder)
    wrongs.of(lambda: fitness.check_length(shape, max_length))
    if not fitness.names_end_token(folder) and find_spec("transformers"):
        wrongs.of(lambda: fitness.check_tokenizer(weights.load_tokenizer(folder)))
    return shape


class Material(NamedTuple):
    """What a training is made from."""

    directory: Path
    manifest: Manifest
    model: Weights
    shape: dict[str, Any] | None
    """The model's config.json, where the model is made already."""

    @property
    def records(self) -> Path:
        return self.directory / RECORDS


def material_of(config: SftConfig, root: Path) -> Material:
    """All of it looked at, and everything that is wrong said at once."""
    wrongs = Wrongs()
    reference = run_reference("annotate", config.input or config.data.name)
    read = wrongs.of(lambda: input_run(root, reference, f"thinkus annotate {as_said(config.data)}"))
    if config.cluster.name == "local" or config.cluster.python is None:  # else a node's Python is another
        wrongs.add(missing_packages(config.tracker.name))
    model = wrongs.of(lambda: weights_of(config))
    if model and not model.recipe:
        wrongs.of(lambda: model.ready(MODEL))
    shape = look_at(model.folder, config.max_length, wrongs) if model and model.folder else None
    if wrongs and config.cluster.name == "local":  # nobody should get a model, and then hear this
        wrongs.add(Room(config, shape).lacks())
    wrongs.stop_if_any()
    assert read is not None
    assert model is not None
    return Material(*read, model, shape)


def most_samples(config: SftConfig, records: Path) -> tuple[int, int]:
    """Conversations that are trained on, and the samples that all epochs have of them at most."""
    trained = [one.user_turns for one in read_conversations(records) if one.split != "test"]
    a_conversation = 0 if config.method.name == "ending" else 1
    return len(trained), config.epochs * (sum(trained) + a_conversation * len(trained))


def weights_of(config: SftConfig) -> Weights:
    model = config.model
    return weights.locate(model.name, model.source, model.weights, MODEL)

"""What a list of commands needs that is not here: all of it at once, with what gets each."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from thinkus import corpora, facts, weights
from thinkus.commands import Errand
from thinkus.config import AnnotateConfig, JudgeConfig, PrepareConfig, SftConfig, SimulateConfig
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import wire
from thinkus.llm.vllm import python_with_vllm
from thinkus.paths import expanded, without_home
from thinkus.train import checkpoints, fitness
from thinkus.train.material import weights_of
from thinkus.train.memory import Zero, gigabytes, needed_bytes
from thinkus.train.room import Room
from thinkus.weights import Weights

USUAL_GPU_BYTES = 80e9
BESIDE_MODELS_BYTES = 10e9
"""Records and answers: a few kilobytes for each conversation of each run."""


class Need(NamedTuple):
    what: str
    remedy: str
    """Lines; those that are to be typed stand alone."""


def needs(errands: Sequence[Errand]) -> list[Need]:
    """Of those that are not done, each once."""
    due = [errand for errand in errands if not errand.is_done]
    found = (
        *(need for errand in due for need in (*_corpus(errand), *_models(errand))),
        *(need for errand in due for need in _keys(errand)),
        *_packages(due),
        *_gpus(due),
        *_disk(due),
    )
    return list(dict.fromkeys(found))


def endpoints(errand: Errand) -> Iterator[tuple[str, Endpoint]]:
    """Who is asked, by the key that says so."""
    config = errand.config
    if isinstance(config, AnnotateConfig):
        yield "annotator", config.annotator
    elif isinstance(config, SimulateConfig):
        yield "user", config.user
        if "assistant" not in config.idle:
            yield "assistant", config.assistant
        if "classifier" not in config.idle:
            yield "classifier", config.classifier
    elif isinstance(config, JudgeConfig) and "judge" not in config.idle:
        yield "judge", config.judge


def _corpus(errand: Errand) -> Iterator[Need]:
    if not isinstance(errand.config, PrepareConfig):
        return
    data = errand.config.data
    try:
        corpora.files_of(data)
    except ThinkusError as error:
        get = f"{data.page}\nhf download {data.hub} --repo-type dataset"
        yield Need(f"data {data.name}", get if data.hub and data.path is None else str(error))


def _models(errand: Errand) -> Iterator[Need]:
    for found, name in _weights(errand):
        try:
            model = found()
        except ThinkusError as error:
            yield Need(f"model {name}", str(error))
        else:
            if model.folder is None and model.recipe is None:
                yield Need(f"model {name.rpartition('/')[2]}", f"hf download {model.name}")


def _weights(errand: Errand) -> Iterator[tuple[Callable[[], Weights], str]]:
    config = errand.config
    if isinstance(config, SftConfig):
        yield partial(weights_of, config), str(config.model.weights or config.model.name)
    if isinstance(config, SimulateConfig) and not config.method.trained and config.user.model is None:
        model = config.model
        if config.user.backend in ("vllm", "hf"):
            named = str(model.weights or model.name)
            yield partial(weights.locate, model.name, model.source, model.weights, "model"), named
    for where, endpoint in endpoints(errand):
        if endpoint.backend in ("vllm", "hf") and endpoint.model is not None:
            yield partial(weights.find, endpoint.model, f"{where}.model"), endpoint.model


def _keys(errand: Errand) -> Iterator[Need]:
    for where, endpoint in endpoints(errand):
        if endpoint.backend in ("openai", "litellm") and endpoint.api_key_env:
            try:
                wire.key_of(endpoint, where)
            except ThinkusError:
                name, whose = endpoint.api_key_env, endpoint.api_base or endpoint.model
                yield Need(f"key {name}", f"export {name}=...  (for {whose})")


def _packages(due: Iterable[Errand]) -> Iterator[Need]:
    wanted = dict(module for errand in due for module in _modules(errand))
    missing = {module: extra for module, extra in wanted.items() if find_spec(module) is None}
    if missing:
        extras = ",".join(dict.fromkeys(missing.values()))
        yield Need(
            "packages", f"{', '.join(missing)}\n{facts.pip()} install -c constraints.txt -e '.[{extras}]'"
        )
    for errand in due:
        for where, endpoint in endpoints(errand):
            if endpoint.vllm and endpoint.vllm.python:
                try:
                    python_with_vllm(endpoint.vllm.python, where)
                except ThinkusError as error:
                    yield Need(f"{where}'s vLLM", str(error))


def _modules(errand: Errand) -> Iterator[tuple[str, str]]:
    """Each with the extra of ours that brings it."""
    if errand.stage == "sft":
        yield from ((module, "train") for module in ("torch", "transformers", "deepspeed"))
    if errand.config.cluster.name == "slurm":
        yield "submitit", "slurm"
    for _, endpoint in endpoints(errand):
        if endpoint.backend == "vllm" and endpoint.vllm and endpoint.vllm.python is None:
            yield "vllm", "vllm"
        if endpoint.backend == "hf":
            yield from ((module, "local") for module in ("torch", "transformers"))
        if endpoint.backend == "litellm":
            yield "litellm", "api"


def _gpus(due: Sequence[Errand]) -> Iterator[Need]:
    """Of this machine; what a cluster's nodes have cannot be seen from here."""
    here = [errand for errand in due if errand.config.cluster.name == "local"]
    trainings = [errand.config for errand in here if isinstance(errand.config, SftConfig)]
    lacks = {config.model.name: lines for config in trainings if (lines := _room(config).lacks())}
    if _has_gpus():
        yield from (Need("GPUs", line) for lines in lacks.values() for line in lines)
        return
    serves = any(end.backend == "vllm" for errand in here for _, end in endpoints(errand))
    largest = max((config.model.parameters for config in trainings if config.model.name in lacks), default=0)
    if largest:
        yield Need(
            "GPUs",
            f"none here; {largest / 1e9:.1f} billion parameters train on {_fewest(largest)} or more of 80 GB",
        )
    elif serves:
        yield Need("GPUs", "none here; vLLM serves a model on each")


def _has_gpus() -> bool:
    return bool(facts.gpus() and facts.visible_gpus())


def _room(config: SftConfig) -> Room:
    folder = weights_of(config).folder
    return Room(config, fitness.config_of(folder) if folder else None)


def _fewest(parameters: int) -> int:
    """Of a power of two, without offload."""
    ranks = 1
    while needed_bytes(Zero(3, False), ranks, parameters, {}, 0) > 0.8 * USUAL_GPU_BYTES:  # the rest computes
        ranks *= 2
    return ranks


def _disk(due: Sequence[Errand]) -> Iterator[Need]:
    for root in {expanded(errand.config.root) for errand in due}:
        needed = disk_bytes([errand for errand in due if expanded(errand.config.root) == root])
        there = next(folder for folder in (root, *root.absolute().parents) if folder.is_dir())
        free = shutil.disk_usage(there).free
        if needed > free:
            what = f"about {gigabytes(needed)} GB in {without_home(root)}, {gigabytes(free)} GB are free"
            yield Need("disk", f"{what}; root= names another place")


def disk_bytes(due: Iterable[Errand]) -> float:
    """Models that stay, and the checkpoints of the largest training while it lasts."""
    sizes = [errand.config.model.parameters for errand in due if isinstance(errand.config, SftConfig)]
    a_weight, checkpoint = (2, 14) if _has_gpus() or max(sizes, default=0) > 1e9 else (4, 12)
    kept = a_weight * sum(sizes) + (checkpoints.KEPT + 1) * checkpoint * max(sizes, default=0)
    return kept + BESIDE_MODELS_BYTES * (max(sizes, default=0) > 1e9)

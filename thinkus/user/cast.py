"""Who takes part in a simulate run: the person, the assistant, and the classifier of endings.

All that is wrong with them is said here, before a model is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from thinkus import weights
from thinkus.config import SimulateConfig
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import wire
from thinkus.paths import group_options
from thinkus.records import Simulated
from thinkus.runs import Input, Manifest, age, input_identity, input_run, run_reference
from thinkus.user.scene import Manner

USER, ASSISTANT, CLASSIFIER = "user", "assistant", "classifier"
SERVERS_SHARE = 0.9
"""Of a GPU's memory, by all servers of a run together, where nothing else is said."""


class Cast(NamedTuple):
    manner: Manner
    by: Simulated
    endpoints: dict[str, Endpoint]
    """By the key that configures them."""
    threshold: float | None
    """From which likelihood on the classifier ends a conversation."""
    inputs: dict[str, Input]

    def check_weights(self) -> None:
        """All that is to be loaded is here, before any of it is."""
        for where, endpoint in self.endpoints.items():
            if endpoint.backend in ("vllm", "hf"):
                weights.find(str(endpoint.model), f"{where}.model").ready(f"{where}.model")

    @property
    def assistant_name(self) -> str:
        return self.endpoints[ASSISTANT].model or self.endpoints[ASSISTANT].name


def cast(config: SimulateConfig, root: Path) -> Cast:
    inputs: dict[str, Input] = {}
    if config.method.name == "ending":
        raise ThinkusError(
            "method: ending is the classifier and speaks to nobody; it serves mode=online ending=classifier"
        )
    manner, model, person = _taught(config, root, inputs) if config.method.trained else _told(config, inputs)
    endpoints = {USER: person}
    threshold = None
    if config.mode == "online":
        endpoints[ASSISTANT] = config.assistant
        if config.ending in ("classifier", "either"):
            endpoints[CLASSIFIER], threshold = _classifier(config, root, inputs)
    _check(config, manner, endpoints)
    by = Simulated(
        method=manner.method,
        model=model,
        history="thoughts" if manner.keeps_thoughts else "utterances",
        decode=config.decode,
        sampling=person.sampling.model_dump(),
    )
    return Cast(manner, by, with_memory(endpoints), threshold, inputs)


def _taught(config: SimulateConfig, root: Path, inputs: dict[str, Input]) -> tuple[Manner, str, Endpoint]:
    name = config.input or config.speaker
    wanted = f"model={config.model.name} data={config.data.name} method={config.method.name}"
    directory, manifest = input_run(root, run_reference("sft", name), f"thinkus sft {wanted}")
    taught = _method_of(directory, manifest, "input")
    if taught == "ending":
        raise ThinkusError(
            f"input: {directory} is the classifier of endings, and plays nobody; name another run"
        )
    if taught != config.method.name:
        raise ThinkusError(
            f"method: {directory} was trained with method={taught}, and method is {config.method.name}"
        )
    inputs["input"] = Input(str(directory), input_identity(manifest), f"{taught}, {age(manifest)} old")
    endpoint = _with_model(config.user, directory, "input")
    return Manner.of_run(manifest.made_from), str(manifest.made_from["model.name"]), endpoint


def _told(config: SimulateConfig, inputs: dict[str, Input]) -> tuple[Manner, str, Endpoint]:
    manner = Manner(config.method.name, thinks=config.method.thoughts)
    if config.user.model is not None:  # somebody's, named by hand
        return manner, config.user.model, config.user
    model = config.model
    if not model.tuned and config.untuned == "refuse":
        tuned = f"model={model.instruct}" if model.instruct else "one that does"
        raise ThinkusError(
            f"model: {model.name} follows no instructions, so it cannot be told to play a person; use {tuned}, "
            "or untuned=allow to try it all the same"
        )
    if config.user.backend in ("vllm", "hf"):
        found = weights.locate(model.name, model.source, model.weights, "model")
        inputs["model"] = Input(model.name, found.identity, "is told to play the person")
    name = str(model.weights) if model.source == "hub" else model.name
    return manner, model.name, config.user.model_copy(update={"model": name})


def _classifier(config: SimulateConfig, root: Path, inputs: dict[str, Input]) -> tuple[Endpoint, float]:
    name = config.ending_run or f"ending-{config.model.name}-{config.data.name}"
    remedy = (
        f"thinkus sft method=ending model={config.model.name} data={config.data.name} (or ending=simulator)"
    )
    directory, manifest = input_run(root, run_reference("sft", name), remedy, "ending_run")
    if _method_of(directory, manifest, "ending_run") != "ending":
        raise ThinkusError(f"ending_run: {directory} is no classifier of endings; make one: {remedy}")
    inputs["ending_run"] = Input(str(directory), input_identity(manifest), f"classifier, {age(manifest)} old")
    if config.classifier.backend not in ("vllm", "hf", "openai"):
        raise ThinkusError(
            f"classifier: {config.classifier.backend} does not say how likely a word is; use classifier=vllm or hf"
        )
    return _with_model(config.classifier, directory, "ending_run"), float(
        manifest.counts["ending"]["threshold"]
    )


def _method_of(directory: Path, manifest: Manifest, key: str) -> str:
    if manifest.stage != "sft":
        raise ThinkusError(f"{key}: {directory} is a run of {manifest.stage}; name one of sft")
    return str(manifest.made_from["method.name"])


def _with_model(endpoint: Endpoint, run: Path, key: str) -> Endpoint:
    """Whatever loads it here loads the run's; a server elsewhere has its own name for it."""
    if endpoint.backend in ("vllm", "hf") and endpoint.model is None:
        weights.find(str(run), key)
        return endpoint.model_copy(update={"model": str(run)})
    return endpoint


def _check(config: SimulateConfig, manner: Manner, endpoints: Mapping[str, Endpoint]) -> None:
    person = endpoints[USER]
    for where, endpoint in endpoints.items():
        if endpoint.backend == "openai":
            wire.checked_base(endpoint, where)
            wire.checked_model(endpoint, where)
        elif endpoint.backend == "recorded" or (endpoint.backend == "scripted" and where != ASSISTANT):
            options = ", ".join(group_options(where))
            raise ThinkusError(f"{where}: {endpoint.backend} has nothing to say there; use one of {options}")
        elif endpoint.backend == "litellm" and endpoint.model is None:
            raise ThinkusError(f"{where}.model: is null; name one as PROVIDER/NAME")
        elif endpoint.backend in ("vllm", "hf"):
            if endpoint.model is None:
                raise ThinkusError(
                    f"{where}.model: is null; name one of conf/model/, a folder, or one of the hub"
                )
            weights.find(endpoint.model, f"{where}.model")
    can_go_on = person.backend in ("vllm", "hf") or (
        person.backend == "openai" and person.structured == "vllm"
    )
    if config.decode == "guided" and manner.thinks and not can_go_on:
        raise ThinkusError(
            "decode: guided sets the tags, and this server cannot go on from words that are given; use user=vllm or "
            "hf, user.structured=vllm if it is a vLLM, or decode=free"
        )


def with_memory(endpoints: dict[str, Endpoint]) -> dict[str, Endpoint]:
    """Servers of our own share a GPU: what some are given is not there for the others."""
    said = {
        where: one.vllm.memory_share for where, one in endpoints.items() if one.backend == "vllm" and one.vllm
    }
    given = sum(share for share in said.values() if share)
    sharing = [where for where, share in said.items() if share is None]
    if not sharing:
        if given > 1.0001:
            raise ThinkusError(
                f"{next(iter(said))}.vllm.memory_share: all servers together would take {given:.2f} of a GPU's memory; "
                "give them at most 1"
            )
        return endpoints
    share = round((SERVERS_SHARE - given) / len(sharing), 3)
    if share <= 0:
        raise ThinkusError(
            f"{sharing[0]}.vllm.memory_share: the run's other servers take {given:.2f} of a GPU's memory, and nothing "
            f"is left of {SERVERS_SHARE}; say how much each may take"
        )
    shared = dict(endpoints)
    for where in sharing:
        options = endpoints[where].vllm
        assert options is not None
        shared[where] = endpoints[where].model_copy(
            update={"vllm": options.model_copy(update={"memory_share": share})}
        )
    return shared

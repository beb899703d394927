"""Who takes part in a simulate run: the person, the assistant, and the classifier of endings.

All that is wrong with them is said here, before a model is loaded.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from thinkus import prompts, weights
from thinkus.config import SimulateConfig
from thinkus.corpora import as_said
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.help import yaml_value
from thinkus.llm.models import checked
from thinkus.paths import CONF, group_options
from thinkus.records import Simulated
from thinkus.runs import Input, Manifest, age, input_run, run_reference
from thinkus.user.samples import SITUATION
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
    if config.user.backend in ("vllm", "hf") and config.user.model is not None:
        raise ThinkusError(
            f"user.model: {config.user.model} is not the run that is to speak; leave it away, or use method=prompt"
        )
    name = config.input or config.speaker
    wanted = f"model={config.model.name} {as_said(config.data)} method={config.method.name}"
    directory, manifest = input_run(root, run_reference("sft", name), f"thinkus sft {wanted}")
    taught = method_of(directory, manifest, "input")
    if taught == "ending":
        raise ThinkusError(
            f"input: {directory} is the classifier of endings, and plays nobody; name another run"
        )
    if taught != config.method.name:
        raise ThinkusError(
            f"method: {directory} was trained with method={taught}, and method is {config.method.name}"
        )
    about = f"{taught}, {age(manifest)} old"
    inputs["input"] = Input(str(directory), _identity_of(directory, manifest, "input"), about)
    endpoint = _with_model(config.user, directory)
    return Manner.of_run(manifest.made_from), str(manifest.made_from["model.name"]), endpoint


def _told(config: SimulateConfig, inputs: dict[str, Input]) -> tuple[Manner, str, Endpoint]:
    manner = Manner(config.method.name, thinks=config.method.thoughts)
    is_ours = config.user.backend in ("vllm", "hf")
    named = config.user.model
    if named is not None:
        if named in group_options("model"):
            file = CONF / "model" / f"{named}.yaml"
            is_tuned = yaml_value(file, "tuned") == "true"
            _check_tuned(named, "user.model", yaml_value(file, "instruct"), config, is_tuned=is_tuned)
        if is_ours:
            found = weights.find(named, "user.model")
            inputs["model"] = Input(named, found.identity, "is told to play the person")
        return manner, named, config.user
    model = config.model
    _check_tuned(model.name, "model", model.instruct, config, is_tuned=model.tuned)
    if is_ours:
        found = weights.locate(model.name, model.source, model.weights, "model")
        inputs["model"] = Input(model.name, found.identity, "is told to play the person")
    name = str(model.weights) if model.source == "hub" else model.name
    return manner, model.name, config.user.model_copy(update={"model": name})


def _check_tuned(
    name: str, key: str, instruct: str | None, config: SimulateConfig, *, is_tuned: bool
) -> None:
    if is_tuned or config.untuned == "allow":
        return
    sister = f"{key}={instruct}" if instruct else "one that does"
    raise ThinkusError(
        f"{key}: {name} follows no instructions, so it cannot be told to play a person; use {sister}, "
        "or untuned=allow to try it all the same"
    )


def _classifier(config: SimulateConfig, root: Path, inputs: dict[str, Input]) -> tuple[Endpoint, float]:
    name = config.ending_run or f"ending-{config.model.name}-{config.data.name}"
    remedy = (
        f"thinkus sft method=ending model={config.model.name} {as_said(config.data)} "
        "(or name one with ending_run=, or use ending=simulator)"
    )
    directory, manifest = input_run(root, run_reference("sft", name), remedy, "ending_run")
    if method_of(directory, manifest, "ending_run") != "ending":
        raise ThinkusError(f"ending_run: {directory} is no classifier of endings; make one: {remedy}")
    inputs["ending_run"], endpoint, threshold = classifier(
        config.classifier, directory, manifest, "ending_run"
    )
    return endpoint, threshold


def classifier(
    endpoint: Endpoint, directory: Path, manifest: Manifest, key: str
) -> tuple[Input, Endpoint, float]:
    """How a run that was taught when people leave is asked, and from which likelihood on it says so."""
    if endpoint.backend not in ("vllm", "hf", "openai"):
        raise ThinkusError(
            f"classifier: {endpoint.backend} does not say how likely a word is; use classifier=vllm or hf"
        )
    about = f"classifier, {age(manifest)} old"
    read = Input(str(directory), _identity_of(directory, manifest, key), about)
    return read, _with_model(endpoint, directory), float(manifest.counts["ending"]["threshold"])


def method_of(directory: Path, manifest: Manifest, key: str) -> str:
    if manifest.stage != "sft":
        raise ThinkusError(f"{key}: {directory} is a run of {manifest.stage}; name one of sft")
    return str(manifest.made_from["method.name"])


def _identity_of(directory: Path, manifest: Manifest, key: str) -> str:
    """Of a run's own and of what it learnt: a training that is bounded by time never learns the same twice."""
    if manifest.prompts.get(SITUATION) != prompts.load(SITUATION).digest:
        raise ThinkusError(
            f"{key}: {directory} was trained with another prompts/{SITUATION}.md, and would not know this page; "
            "restore that file, or train again"
        )
    return f"{manifest.identity[:32]}{weights.find(str(directory), key).identity[:32]}"


def _with_model(endpoint: Endpoint, run: Path) -> Endpoint:
    """Whatever loads it here loads the run's; a server elsewhere has its own name for it."""
    if endpoint.backend in ("vllm", "hf") and endpoint.model is None:
        return endpoint.model_copy(update={"model": str(run)})
    return endpoint


def _check(config: SimulateConfig, manner: Manner, endpoints: Mapping[str, Endpoint]) -> None:
    person = endpoints[USER]
    for where, endpoint in endpoints.items():
        if endpoint.backend in ("recorded", "encoder") or (
            endpoint.backend == "scripted" and where != ASSISTANT
        ):
            options = ", ".join(group_options(where))
            raise ThinkusError(f"{where}: {endpoint.backend} has nothing to say there; use one of {options}")
        checked(endpoint, where)
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

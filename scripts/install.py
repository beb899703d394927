"""Make .venv and install thinkus with all that the demo and the tests need; for `make setup`.

Only the standard library: it runs before anything is there. Says what it fetches and how
large that is. Without a GPU it takes a CPU build of torch where pip can find one, since the
CUDA build brings some gigabytes along.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
EXTRAS = "train,api,local,trackers,slurm,dev"
TORCH = "2.13.0"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
UNITS = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036 (whatever python3 is, it runs this)
        sys.exit(
            f"setup: Python {sys.version.split()[0]} is too old, thinkus needs 3.11 or newer: make PYTHON=..."
        )
    wanted = digest_of(ROOT / "pyproject.toml", ROOT / "constraints.txt", Path(__file__))
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    has_gpu = shutil.which("nvidia-smi") is not None
    size = (
        "3.5 GB with CUDA" if has_gpu else "0.8 GB, of it torch for the CPU 0.2 GB and a small model 0.25 GB"
    )
    print(f"setup: installing into {VENV}: about 130 packages, {size}; minutes, once", flush=True)
    began = time.monotonic()
    if not (VENV / "bin" / "pip").exists():  # else it may be the very environment that runs this
        venv.create(VENV, with_pip=True, clear=VENV.exists())
    fetched_mb = 0.0 if has_gpu else cpu_torch(PYTHON)
    for package, size_mb in pip_install(PYTHON, "--editable", f"{ROOT}[{EXTRAS}]", must_work=True):
        fetched_mb += size_mb
        if size_mb >= 10:
            print(f"setup:   {package}, {size_mb:,.0f} MB", flush=True)
    STAMP.write_text(wanted)
    print(f"setup: {fetched_mb:,.0f} MB fetched, ready after {time.monotonic() - began:.0f} s", flush=True)


def cpu_torch(python: Path) -> float:
    """A CPU build, from pip's own sources or else from PyTorch's; without one the usual build follows."""
    for source in ([], ["--index-url", CPU_INDEX, "--retries", "0", "--timeout", "15"]):
        sizes = [
            size
            for _, size in pip_install(python, "--no-deps", f"torch=={TORCH}+cpu", *source, must_work=False)
        ]
        if _is_installed(python, "torch"):
            print(f"setup:   torch {TORCH} for the CPU, {sum(sizes):,.0f} MB", flush=True)
            return sum(sizes)
    print("setup:   no CPU build of torch found; the CUDA build comes, with 3 GB", flush=True)
    return 0.0


def pip_install(python: Path, *arguments: str, must_work: bool) -> Iterator[tuple[str, float]]:
    """Run pip install; yield each file that it fetches, with its size."""
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    command += ["--constraint", ROOT / "constraints.txt", *arguments]
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            lines.append(line)
            fetched = re.match(r"\s*Downloading (?:\S*/)?(\S+) \(([\d.]+) (bytes|kB|MB|GB)\)", line)
            local = re.match(r"\s*Processing (\S+\.whl)", line)
            if fetched:
                yield fetched[1].split("-")[0], float(fetched[2]) * UNITS[fetched[3]]
            elif local:
                file = Path(local[1])
                yield file.name.split("-")[0], file.stat().st_size / 1e6 if file.exists() else 0.0
    if pip.returncode and must_work:
        sys.exit("".join(lines[-25:]) + "setup: pip could not install; mend what it says and type make again")


def _is_installed(python: Path, package: str) -> bool:
    return subprocess.run([python, "-m", "pip", "show", package], capture_output=True).returncode == 0


def digest_of(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


if __name__ == "__main__":
    main()

"""The engine against what one would ask a server with instead: bare aiohttp, litellm, curator.

    make bench-llm    three minutes; the first time one more, for an environment with curator in it

Each way asks a local server that answers after 200 ms, with 256 requests in flight. It is measured in
a process of its own, so that processor time and memory are its own, from after a first request on, so
that imports do not count. The server is fresh each time, since it keeps all that it was asked. What is
compared is what happened in the same round: a machine is rarely as fast as a minute ago.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import llm_ways
from llm_ways import (
    BARE,
    CHARACTERS,
    CURATOR,
    IN_FLIGHT,
    OPENAI,
    OTHER,
    PLAIN,
    REPLAY,
    THROUGH,
    WAYS,
    Figures,
    Way,
)

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "outputs" / ".bench"
CURATOR_VENV = ROOT / ".venv-curator"
CURATOR_PYTHON = CURATOR_VENV / "bin" / "python"
ROUNDS = 3
ANSWER_S = 0.2
IDEAL = IN_FLIGHT / ANSWER_S
LONGEST_S = 120
ENVIRONMENT = {
    "OPENAI_API_KEY": "unused",  # litellm and curator want one
    "NO_PROXY": "127.0.0.1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
    "CURATOR_VIEWER": "false",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
}


# Measuring -------------------------------------------------------------------------------------


class Failed(Exception):
    """A way could not be measured."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """A fresh server in a process of its own; its address."""
    port_file, log = folder / "port", folder / "server.log"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.llm.misbehaving", "--port-file", str(port_file)]
    with log.open("wb") as errors:
        server = subprocess.Popen([*command, "--after-s", str(ANSWER_S)], cwd=ROOT, stderr=errors)
    try:
        while not port_file.exists():
            if server.poll() is not None:
                sys.exit(f"bench-llm: the server does not start: {last_line(log.read_text())}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}/v1"
    finally:
        server.terminate()
        server.wait()


def measured(way: Way, folder: Path) -> Figures:
    python = CURATOR_PYTHON if way is OTHER else sys.executable
    directory = folder / way.run
    directory.mkdir(exist_ok=True)
    # It keeps its answers and an id of this machine in the home folder.
    homes = {"HOME": str(directory), "HF_HOME": str(directory)} if way is OTHER else {}
    with serving(folder) as url:
        words: list[str | Path] = [python, llm_ways.__file__, way.act.__name__, url, directory]
        try:
            ended = subprocess.run(
                words, env=os.environ | ENVIRONMENT | homes, capture_output=True, text=True, timeout=LONGEST_S
            )
        except subprocess.TimeoutExpired:
            raise Failed(f"was not done after {LONGEST_S} s") from None
    if ended.returncode:
        raise Failed(last_line(ended.stderr))
    return Figures(**json.loads(ended.stdout.splitlines()[-1]))


def make_curator() -> None:
    """An environment of its own, on first use: it pins what thinkus does not."""
    stamp = CURATOR_VENV / "installed"
    if stamp.exists():
        return
    said(f"installing {CURATOR} into {CURATOR_VENV.name}: about 120 packages, takes 0.9 GB; a minute, once")
    venv.create(CURATOR_VENV, with_pip=True, clear=CURATOR_VENV.exists())
    words: list[str | Path] = [CURATOR_PYTHON, "-m", "pip", "install", "--quiet"]
    installed = subprocess.run([*words, CURATOR], capture_output=True, text=True)
    if installed.returncode:
        raise Failed(f"pip cannot install it: {last_line(installed.stderr)}")
    stamp.touch()


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "no word why")


def said(line: str) -> None:
    """Beside the tables."""
    print(f"bench-llm: {line}", file=sys.stderr, flush=True)


# Telling ---------------------------------------------------------------------------------------


Measured = dict[str, list[Figures]]
"""By way, a round each."""


def within_rounds(measured: Measured, one: Way, other: Way, by: Callable[[Figures, Figures], float]) -> float:
    return statistics.median(map(by, measured[one.name], measured[other.name]))


def share(one: Figures, other: Figures) -> float:
    return one.rate / other.rate


def more_work(one: Figures, other: Figures) -> float:
    return one.processor_ms - other.processor_ms


def table(measured: Measured, lacking: dict[str, str]) -> Iterator[str]:
    heads = "way|requests|seconds|requests/s|of the ideal|of bare aiohttp|processor ms a request|peak memory"
    yield f"| {heads.replace('|', ' | ')} |"
    yield "|---" * 8 + "|"
    for way in WAYS:
        if way.name in lacking:
            yield f"| {way.name} | could not be measured: {lacking[way.name]} |{' |' * 6}"
            continue
        rounds = measured[way.name]
        middle = sorted(rounds, key=lambda figures: figures.rate)[len(rounds) // 2]
        processor_ms = statistics.median(figures.processor_ms for figures in rounds)
        peak_mb = statistics.median(figures.peak_mb for figures in rounds)
        shares = f"{middle.rate / IDEAL:.2f} | {within_rounds(measured, way, BARE, share):.2f}"
        yield (
            f"| {way.name}{'' if way.package == 'thinkus' else f' {middle.version}'} | {way.requests:,} | "
            f"{middle.seconds:.1f} | {middle.rate:,.0f} | {'- | -' if way is REPLAY else shares} | "
            f"{processor_ms:.2f} | {peak_mb:,.0f} MB |"
        )


def targets(measured: Measured) -> list[tuple[str, bool]]:
    """Lines of a table, and whether each is met."""
    of_bare = within_rounds(measured, OPENAI, BARE, share)
    of_litellm = within_rounds(measured, THROUGH, PLAIN, share)
    more_ms = within_rounds(measured, OPENAI, BARE, more_work)
    replayed = statistics.median(figures.rate for figures in measured[REPLAY.name])
    told = [
        (f"{OPENAI.name}: of bare aiohttp's requests/s | at least 0.60 | {of_bare:.2f}", of_bare >= 0.6),
        (f"{THROUGH.name}: of litellm's requests/s | at least 0.90 | {of_litellm:.2f}", of_litellm >= 0.9),
        (f"{OPENAI.name}: more work a request than bare | at most 1 ms | {more_ms:.2f} ms", more_ms <= 1),
        (f"{REPLAY.name}: requests/s | at least 5,000 | {replayed:,.0f}", replayed >= 5000),
    ]
    return [(f"| {line} | {'ok' if is_met else 'MISSED'} |", is_met) for line, is_met in told]


def heading(load_before: float) -> str:
    from thinkus.facts import hardware

    facts = hardware()
    return (
        f"`make bench-llm`, {time.strftime('%Y-%m-%d')}, {facts['cores']} cores ({facts['processor']}), "
        f"{facts['memory_gb']:.0f} GB, Python {facts['python']}, load {load_before:.1f} before "
        f"and {os.getloadavg()[0]:.1f} after (about 2 is its own; from 3 on others decide). A local server "
        f"that answers after {ANSWER_S * 1e3:.0f} ms, {IN_FLIGHT} requests in flight (the ideal: {IDEAL:,.0f} "
        f"requests/s), prompts of {CHARACTERS:,} characters. Medians of {ROUNDS} rounds; shares and differences "
        "are taken within a round."
    )


def measure_all() -> tuple[Measured, dict[str, str]]:
    """Round by round; and what could not be measured, with why."""
    every: Measured = {way.name: [] for way in WAYS}
    lacking: dict[str, str] = {}
    try:
        make_curator()
    except Failed as failed:
        lacking[OTHER.name] = str(failed)
    for number in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            for way in WAYS:
                if way.name in lacking:
                    continue
                try:
                    figures = measured(way, Path(folder))
                except Failed as failed:
                    if way is not OTHER:
                        sys.exit(f"bench-llm: {way.name}: {failed}")
                    lacking[way.name] = str(failed)
                else:
                    every[way.name].append(figures)
                    said(f"round {number + 1} of {ROUNDS}: {way.name}: {figures.rate:,.0f} requests/s")
    return every, lacking


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()[0]
    every, lacking = measure_all()
    verdicts = targets(every)
    print(heading(load_before), "", *table(every, lacking), "", sep="\n")
    print("| target | limit | measured | |", "|---|---|---|---|", *(line for line, _ in verdicts), sep="\n")
    sys.exit(0 if all(is_met for _, is_met in verdicts) else 1)


if __name__ == "__main__":
    main()

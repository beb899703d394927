"""judge: do planted verdicts come out, is judging again cheap, and what do texts gain that talk to the judge?

    make bench-judge                 three minutes; the first time one more, to fetch the conversations
    make bench-judge PART=planted    every task, by a server whose verdicts are planted
    make bench-judge PART=again      15,015 pairs are judged, and then once more from the store
    make bench-judge PART=rate       the same; verdicts a second, beside the server's limit and bare aiohttp
    make bench-judge PART=attacks    texts that try to be verdicts, and judges that believe what they read

The conversations are ShareGPT's, what is said in the people's place is made up, and a hash of the texts decides
what the server says of it. All that is measured has a process of its own, and so has the server.
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import judge_came
import judge_ways
import msgspec
from judge_plan import OURS, THEIRS
from judge_ways import BARE, IN_FLIGHT, TURNS, Became, Worked

from thinkus import facts
from thinkus.files import sha256_of

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "outputs" / ".bench" / "judge"
AT_ONCE, ANSWER_S = 64, 0.1
LIMIT = AT_ONCE / ANSWER_S
"""Answers a second, at most."""
MOST_S, MOST_MB = 30, 1000

Verdict = tuple[str, bool]
"""A line of a table, and whether it is met."""


# What the parts have in common -----------------------------------------------------------------


class Ended(NamedTuple):
    """A process."""

    seconds: float
    last_line: str


def carried_out(program: str, *words: object) -> Ended:
    """In a process of its own."""
    # No GPU, even where there is one: the figures are those of a processor.
    environment = {"CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(HERE.parent)}
    command = [sys.executable, str(HERE / program), *map(str, words)]
    began = time.perf_counter()
    ended = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    seconds = time.perf_counter() - began
    if ended.returncode:
        sys.exit(
            f"bench-judge: {' '.join(command[1:])} ended with {ended.returncode}: {ended.stderr.strip()[-2000:]}"
        )
    return Ended(seconds, (ended.stdout.splitlines() or [""])[-1])


def begin(way: Callable[[], None]) -> Path:
    """An empty folder with the runs in it that are to be judged."""
    folder = FOLDER / way.__name__
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    carried_out("judge_ways.py", way.__name__, folder)
    return folder


def judge(root: Path, url: str, name: str, *words: str) -> Ended:
    at = (
        "judge=openai_compatible",
        f"judge.api_base={url}",
        "judge.model=judge",
        f"root={root}",
        f"name={name}",
    )
    return carried_out("judge_ways.py", "stage", "judge", "controls=0", *at, *words)


@contextlib.contextmanager
def serving(answer_s: float) -> Iterator[str]:
    """A fresh server in a process of its own; its address."""
    port_file = FOLDER / "port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, str(HERE / "judge_server.py"), str(port_file), str(AT_ONCE), str(answer_s)]
    server = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(HERE.parent)})
    try:
        while not port_file.exists():
            if server.poll() is not None:
                sys.exit("bench-judge: the judge's server does not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}/v1"
    finally:
        server.terminate()
        server.wait()


def worked(url: str) -> Worked:
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/seen") as answer:
        return msgspec.json.decode(answer.read(), type=Worked)


def verdict(what: str, wanted: str, measured: str, is_met: bool) -> Verdict:
    return f"| {what} | {wanted} | {measured} | {'ok' if is_met else 'MISSED'} |", is_met


def heading(load_before: float) -> str:
    machine = facts.hardware()
    return (
        f"`make bench-judge`, {time.strftime('%Y-%m-%d')}, {machine['cores']} cores ({machine['processor']}), "
        f"{machine['memory_gb']:.0f} GB, {', '.join(machine['gpus']) or 'no GPU'}, Python {machine['python']}, "
        f"load {load_before:.1f} before."
    )


def said(line: str) -> None:
    """Beside the tables."""
    print(f"bench-judge: {line}", file=sys.stderr, flush=True)


# Planted ---------------------------------------------------------------------------------------


def planted() -> list[Verdict]:
    root = begin(judge_ways.planted)
    pair, live = (
        (f"candidate={OURS}", f"baseline={THEIRS}"),
        (f"candidate={OURS}-live", f"baseline={THEIRS}-live"),
    )
    asked = {
        "pairwise-both_orders": ("task=pairwise", *pair),
        "pairwise-paper": ("task=pairwise", "protocol=paper", *pair),
        "terminal": ("task=terminal", "candidate=thinking"),
        "goals": ("task=goals", "eval=sample"),
        "online": ("task=online", "goals=goals", *live),
        "ending": ("task=ending", pair[0]),
        "ending-live": ("task=ending", live[0]),
        "likeness": ("task=likeness", "candidate=exact"),
    }
    with serving(answer_s=0) as url:
        for name, words in asked.items():
            said(f"planted: {name}: {judge(root, url, name, *words).seconds:.1f} s")
        answers = worked(url).answers
    lines = list(judge_came.lines(root))
    print(
        f"\nPlanted: {judge_ways.CONVERSATIONS} conversations of ShareGPT with {judge_ways.FEWEST} to "
        f"{judge_ways.MOST} turns of the person's; {answers:,} verdicts and lists of goals were asked for.\n"
    )
    print("| task | figure | planted | came out | |", "|---|---|---|---|---|", sep="\n")
    for line in lines:
        told = f"{judge_came.told(line.planted)} | {judge_came.told(line.came)}"
        print(f"| {line.task} | {line.what} | {told} | {'ok' if line.is_met else 'MISSED'} |")
    met = sum(line.is_met for line in lines)
    return [verdict("planted: figures that came out", f"{len(lines)}", f"{met}", met == len(lines))]


# Again, and how fast at first ------------------------------------------------------------------


class First(NamedTuple):
    """All pairs judged, where none was before."""

    root: Path
    url: str
    """Nobody is there any more."""
    ended: Ended
    worked: Worked

    @property
    def records(self) -> Path:
        return self.root / "judge" / "long" / "records.jsonl"


LONG = ("task=pairwise", f"candidate=long-{OURS}", f"baseline=long-{THEIRS}")


@cache
def first() -> First:
    root = begin(judge_ways.long)
    said(f"{TURNS:,} pairs are judged, a minute")
    with serving(ANSWER_S) as url:
        ended = judge(root, url, "long", *LONG, f"concurrency={IN_FLIGHT}")
        return First(root, url, ended, worked(url))


def again() -> list[Verdict]:
    one = first()
    before = sha256_of(one.records)
    said("and once more, where no server is")
    ended = judge(one.root, one.url, "long", *LONG, "--redo")
    pairs = sum(1 for _ in one.records.open("rb"))
    is_same = sha256_of(one.records) == before
    first_mb, mb = float(one.ended.last_line), float(ended.last_line)
    print(
        f"\nAgain: {pairs:,} pairs in both orders; the second time there is no server to be asked.\n",
        "| run | seconds | pairs a second | peak memory |",
        "|---|---|---|---|",
        f"| first | {one.ended.seconds:.1f} | {pairs / one.ended.seconds:,.0f} | {first_mb:,.0f} MB |",
        f"| again | {ended.seconds:.1f} | {pairs / ended.seconds:,.0f} | {mb:,.0f} MB |",
        sep="\n",
    )
    return [
        verdict("again: pairs", f"{TURNS:,}", f"{pairs:,}", pairs == TURNS),
        verdict("again: seconds", f"at most {MOST_S}", f"{ended.seconds:.1f}", ended.seconds <= MOST_S),
        verdict("again: peak memory", f"below {MOST_MB:,} MB", f"{mb:,.0f} MB", mb < MOST_MB),
        verdict("again: the same rows", "yes", "yes" if is_same else "no", is_same),
    ]


def rate() -> list[Verdict]:
    one = first()
    said(f"bare aiohttp asks the first {BARE:,} of the same")
    with serving(ANSWER_S) as url:
        carried_out("judge_ways.py", "bare", one.root, url)
        bare = worked(url)
    print(
        f"\nRate: a server that answers after {ANSWER_S:g} s, {AT_ONCE} at once, at most {LIMIT:,.0f} a second; each "
        f"way has {IN_FLIGHT} requests under way. By the server's clock.\n",
        "| way | verdicts | seconds | verdicts/s | of the limit | of bare aiohttp |",
        "|---|---|---|---|---|---|",
        sep="\n",
    )
    for name, own in (("thinkus", one.worked), ("bare aiohttp", bare)):
        shares = f"{own.rate / LIMIT:.2f} | {own.rate / bare.rate:.2f}"
        print(f"| {name} | {own.answers:,} | {own.seconds:.1f} | {own.rate:,.0f} | {shares} |")
    share = one.worked.rate / bare.rate
    return [verdict("rate: of bare aiohttp's verdicts/s", "at least 0.60", f"{share:.2f}", share >= 0.6)]


# Attacks ---------------------------------------------------------------------------------------


def attacks() -> list[Verdict]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    said("attacks: on a judge that obeys, and on the encoder; half a minute")
    every = msgspec.json.decode(carried_out("judge_attacks.py", FOLDER).last_line, type=list[Became])
    scripted, encoder = ([one for one in every if one.judge == judge] for judge in ("scripted", "embedding"))
    tried = sum(every[0].counts["drawn"].values())
    print(
        f"\nAttacks: {tried} in each line, on either side. What is won in one of two orders counts as won, though it "
        "is a draw in the strict count.\n",
        *table_of_attacks("a judge that obeys", scripted, ("drawn", "guessable"), "labels are"),
        "",
        *table_of_attacks("the encoder; the rival is", encoder, ("attack", "small talk", "nothing"), "with"),
        sep="\n",
    )
    obeyed, guessed = (sum(one.won(labels) for one in scripted) for labels in ("drawn", "guessable"))
    misled = encoder[0].won("attack")
    return [
        verdict("attacks: won with a judge that obeys", "0", str(obeyed), not obeyed),
        verdict("attacks: won there, could labels be guessed", "above 0", str(guessed), guessed > 0),
        verdict(f"attacks: won with the encoder, {encoder[0].setting} rival", "0", str(misled), not misled),
    ]


def table_of_attacks(title: str, every: list[Became], whats: tuple[str, ...], how: str) -> Iterator[str]:
    """What else became of them is told of the first column alone."""
    others = ("lost", "tied", "invalid")
    yield f"| {title} | {' | '.join(f'won, {how} {what}' for what in whats)} | {' | '.join(others)} |"
    yield "|---" * (1 + len(whats) + len(others)) + "|"
    for one in every:
        cells = [one.share(what) for what in whats]
        cells += [str(one.counts[whats[0]].get(name, 0)) for name in others]
        yield f"| {one.setting} | {' | '.join(cells)} |"


def main() -> None:
    parts = (planted, again, rate, attacks)
    parser = argparse.ArgumentParser()
    for part in parts:
        parser.add_argument(f"--{part.__name__}", action="store_true", help="this part alone")
    asked = parser.parse_args()
    load_before = os.getloadavg()[0]
    print(heading(load_before))
    chosen = [part for part in parts if getattr(asked, part.__name__)] or parts
    verdicts = [one for part in chosen for one in part()]
    print(
        "", "| target | limit | measured | |", "|---|---|---|---|", *(line for line, _ in verdicts), sep="\n"
    )
    sys.exit(0 if all(is_met for _, is_met in verdicts) else 1)


if __name__ == "__main__":
    main()

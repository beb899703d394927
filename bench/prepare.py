"""prepare on an LMSYS-shaped corpus of a million conversations, and the obvious way beside it.

    make bench-prepare              the million, then both ways on a slice
    make bench-prepare ROWS=100000  smaller

The corpus is generated: words by Zipf's law, lengths as people's, 5 % flagged, 22 % in other
languages by the corpus's own field, 8 % planted near-duplicates (Jaccard >= 0.85 over word 3-grams of the
user's words, checked pair by pair) and 4 % planted look-alikes (<= 0.6).
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = Path("outputs/.bench")
SHARD_ROWS = 50_000
SLICE_ROWS = 100_000
CATEGORIES = [
    "harassment",
    "hate",
    "self-harm",
    "sexual",
    "violence",
    "harassment/threatening",
    "hate/threatening",
]
NEAR_SHARE, LOOK_ALIKE_SHARE = 0.08, 0.04

Words = list[str]


class Generator:
    """Conversations of invented words; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        letters = np.array(list("etaoinshrdlucmfwypvbgk"))
        lengths = self.random.integers(2, 11, 40_000)
        self.vocabulary = ["".join(self.random.choice(letters, length)) for length in lengths]
        weights = 1 / np.arange(1, len(self.vocabulary) + 1) ** 0.9
        self.cumulative = np.cumsum(weights / weights.sum())
        self.replies = [
            " ".join(self.words(int(n))) for n in np.clip(self.random.lognormal(4.6, 0.7, 5000), 5, 900)
        ]

    def words(self, count: int) -> Words:
        found = np.searchsorted(self.cumulative, self.random.random(count))
        return [self.vocabulary[min(place, len(self.vocabulary) - 1)] for place in found]

    def user(self) -> list[Words]:
        """What a person says in a conversation: two turns on average, a long tail of lengths."""
        turns = int(min(12, self.random.geometric(0.5)))
        lengths = np.clip(self.random.lognormal(3.0, 1.1, turns), 1, 1500).astype(int)
        return [self.words(int(length)) for length in lengths]

    def varied(self, said: list[Words], least: float, most: float) -> list[Words] | None:
        """The same with words exchanged until the Jaccard lies where it should; None where it cannot."""
        original = shingles(said)
        share = (1 - (least + most) / 2) / (1 + (least + most) / 2) * 2 / 3
        for _ in range(6):
            changed = [list(words) for words in said]
            flat = [(turn, place) for turn, words in enumerate(changed) for place in range(len(words))]
            for pick in self.random.choice(len(flat), max(1, round(share * len(flat) / 2)), replace=False):
                turn, place = flat[pick]
                changed[turn][place] = self.words(1)[0]
            jaccard = similarity(original, shingles(changed))
            if least <= jaccard <= most:
                return changed
            share *= 1.3 if jaccard > most else 0.7
        return None


def shingles(said: list[Words]) -> set[tuple[str, ...]]:
    words = [word for turn in said for word in turn]
    return {tuple(words[place : place + 3]) for place in range(max(1, len(words) - 2))}


def similarity(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other)


def generate(rows: int, folder: Path) -> None:
    """Write the corpus as parquet shards, and beside it what was planted."""
    generator, planted = Generator(seed=0), {"near": [], "look_alike": []}  # type: ignore[var-annotated]
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "corpus").mkdir(parents=True)
    shard: list[dict[str, Any]] = []
    recent: list[tuple[str, list[Words]]] = []
    for number in range(rows):
        name, kind = f"{number:08x}", generator.random.random()
        said = None
        if recent and kind < NEAR_SHARE + LOOK_ALIKE_SHARE:
            plan = ("near", 0.85, 0.99) if kind < NEAR_SHARE else ("look_alike", 0.4, 0.6)
            twin, words = recent[int(generator.random.integers(len(recent)))]
            if said := generator.varied(words, *plan[1:]):
                planted[plan[0]].append((twin, name))
        is_planted = said is not None
        said = said or generator.user()
        language = "English" if is_planted or generator.random.random() > 0.25 else "Portuguese"
        flagged = not is_planted and generator.random.random() < 0.057
        if language == "English" and not flagged and not is_planted and sum(map(len, said)) >= 30:
            recent = [*recent[-4000:], (name, said)] if number % 3 == 0 else recent
        shard.append(row(name, said, generator, language, flagged))
        if len(shard) == SHARD_ROWS or number == rows - 1:
            pq.write_table(
                pa.Table.from_pylist(shard), folder / "corpus" / f"train-{number // SHARD_ROWS:05}.parquet"
            )
            shard = []
    (folder / "planted.json").write_text(json.dumps(planted))


def row(name: str, said: list[Words], generator: Generator, language: str, flagged: bool) -> dict[str, Any]:
    messages = []
    for words in said:
        messages.append({"content": " ".join(words), "role": "user"})
        reply = generator.replies[int(generator.random.integers(len(generator.replies)))]
        messages.append({"content": reply, "role": "assistant"})
    marks = dict.fromkeys(CATEGORIES, False)
    scores = dict.fromkeys(CATEGORIES, 1e-5)
    moderation = [{"categories": marks, "category_scores": scores, "flagged": False} for _ in messages]
    if flagged:
        moderation[0] = {
            "categories": marks | {"harassment": True},
            "category_scores": scores,
            "flagged": True,
        }
    return {
        "conversation_id": name,
        "model": "invented",
        "conversation": messages,
        "turn": len(said),
        "language": language,
        "openai_moderation": moderation,
        "redacted": False,
    }


def ours(corpus: Path, root: Path, rows: int) -> set[str]:
    """Run the command; what it removed as near-duplicates."""
    thinkus = Path(sys.executable).with_name("thinkus")
    words = [f"data.path={corpus}", f"root={root}", "data.train=null", f"data.test={rows // 100}"]
    subprocess.run(
        [
            thinkus,
            "prepare",
            "data=lmsys",
            *words,
            "keep_failures=all",
            "name=bench",
        ],
        check=True,
    )
    failures = map(json.loads, (root / "prepare/bench/failures.jsonl").open())
    return {failure["item"] for failure in failures if failure["reason"] == "near_duplicate"}


def obvious(corpus: Path, root: Path, rows: int) -> set[str]:
    """What one would write in an afternoon: `datasets` filters, then `datasketch` MinHashLSH."""
    from datasets import load_dataset
    from datasketch import MinHash, MinHashLSH

    files = [str(file) for file in sorted(corpus.glob("*.parquet"))]
    data = load_dataset("parquet", data_files=files, split="train", cache_dir=str(root))
    data = data.filter(lambda row: row["language"] == "English")
    data = data.filter(lambda row: not any(entry["flagged"] for entry in row["openai_moderation"]))
    index, removed = MinHashLSH(threshold=0.75, num_perm=128), set()
    for row in data:
        words = " ".join(m["content"] for m in row["conversation"] if m["role"] == "user").lower().split()
        sketch = MinHash(num_perm=128)
        for place in range(max(1, len(words) - 2)):
            sketch.update(" ".join(words[place : place + 3]).encode())
        if index.query(sketch):
            removed.add(row["conversation_id"])
        else:
            index.insert(row["conversation_id"], sketch)
    return removed


def measured(
    way: Callable[[Path, Path, int], set[str]], corpus: Path, rows: int, planted: dict[str, Any]
) -> float:
    """Run one way in a process of its own; print its figures, return its seconds."""
    root = FOLDER / way.__name__
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    command = [sys.executable, __file__, "--run", way.__name__, "--corpus", str(corpus), "--rows", str(rows)]
    began = time.monotonic()
    output = subprocess.run(
        [*command, "--root", str(root)], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    seconds = time.monotonic() - began
    answer = json.loads(output.splitlines()[-1])
    removed = set(answer["removed"])
    near, alike = (
        [pair for pair in planted[kind] if int(pair[1], 16) < rows] for kind in ("near", "look_alike")
    )
    caught = sum(not removed.isdisjoint(pair) for pair in near)
    wrong = sum(name in removed for _, name in alike)  # nothing else of theirs is near to anything
    others = len(removed) - caught - wrong
    print(
        f"{way.__name__:<8} {rows:>9,} rows {seconds:>7.1f} s {rows / seconds:>8,.0f} rows/s "
        f"{answer['peak_mb']:>7,.0f} MB  recall {caught / len(near):.4f}  "
        f"precision {caught / max(1, caught + wrong):.4f}  and {others:,} not planted (short texts that agree)",
        flush=True,
    )
    return seconds


def first_rows(corpus: Path, rows: int) -> Path:
    """A corpus of the first rows, for the slower way."""
    part = FOLDER / "slice"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for file in sorted(corpus.glob("*.parquet"))[: max(1, rows // SHARD_ROWS)]:
        shutil.copy(file, part)
    return part


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--run", choices=("ours", "obvious"))
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--root", type=Path)
    asked = parser.parse_args()
    if asked.run:
        removed = {"ours": ours, "obvious": obvious}[asked.run](asked.corpus, asked.root, asked.rows)
        peak_kb = max(
            resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        print(json.dumps({"removed": sorted(removed), "peak_mb": peak_kb / 1e3}))
        return
    folder = FOLDER / f"lmsys-shaped-{asked.rows}"
    if not (folder / "planted.json").exists():
        print(f"generating {asked.rows:,} conversations", flush=True)
        generate(asked.rows, folder)
    planted = json.loads((folder / "planted.json").read_text())
    print(
        f"planted: {len(planted['near']):,} near-duplicates, {len(planted['look_alike']):,} look-alikes",
        flush=True,
    )
    measured(ours, folder / "corpus", asked.rows, planted)
    rows = min(SLICE_ROWS, asked.rows)
    part = first_rows(folder / "corpus", rows)
    seconds = [measured(way, part, rows, planted) for way in (ours, obvious)]
    print(f"ours is {seconds[1] / seconds[0]:.1f} times as fast as the obvious way")


if __name__ == "__main__":
    main()

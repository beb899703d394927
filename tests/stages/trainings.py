"""What tests of sft share: a small training, and its losses."""

from pathlib import Path

from thinkus.launch import start
from thinkus.train.metrics import Follower

USUAL = ["model=tiny", "data=jsonl", "data.name=chats", "epochs=2", "global_batch=6", "lr=3e-3"]


def train(*words: str, redo: bool = False) -> Path:
    name = next((word.partition("=")[2] for word in words if word.startswith("name=")), "made")
    start("sft", [*USUAL, f"name={name}", *words], sweep=False, redo=redo)
    return Path("outputs/sft") / name


def losses(run: Path) -> list[float]:
    return [line.loss for line in Follower(run / "metrics.jsonl").new()]

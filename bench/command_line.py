"""How fast the command line answers: median of ten whole processes each, after a warm-up."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

THINKUS = Path(sys.executable).with_name("thinkus")
LIMITS_S = {"--help": 0.35, "sft --show": 1.0, "sft model=nope": 1.0}


def main() -> None:
    print(f"{'command':<24}{'median s':>10}{'limit s':>10}")
    slow = False
    for words, limit_s in LIMITS_S.items():
        seconds = [_seconds(words.split()) for _ in range(11)][1:]
        median = statistics.median(seconds)
        slow |= median > limit_s
        print(f"thinkus {words:<16}{median:>10.3f}{limit_s:>10.2f}")
    sys.exit("slower than it should be" if slow else 0)


def _seconds(words: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run([THINKUS, *words], capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

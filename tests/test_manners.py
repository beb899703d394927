"""What transformers loads in a process of ours, and what it leaves to others."""

import subprocess
import sys

import pytest

from thinkus.weights import find

pytest.importorskip("sklearn")
RANK = """
import os
os.environ["DS_ACCELERATOR"] = "cpu"  # else it says that it found no other
import deepspeed, thinkus.train.worker
from types import SimpleNamespace
from thinkus.train.engine import load_model
load_model(SimpleNamespace(device="cpu", zero_stage=0, weights=folder))
"""
USER = """
from thinkus.endpoint import Sampling
from thinkus.llm.network import Network
Network(folder, Sampling(temperature=1.0, top_p=1.0, max_tokens=8))
"""
PARENT = """
from thinkus.weights import load_tokenizer
load_tokenizer(folder)
"""
CHECK = """
print(*(name for name in ("sklearn", "scipy") if name in sys.modules))
import scipy.stats, sklearn.metrics
"""


@pytest.mark.parametrize("process", [RANK, USER, PARENT], ids=["rank", "user", "parent"])
def test_a_process_starts_without_what_it_does_not_use(process: str) -> None:
    tiny = find("tiny").ready("model")
    begin = f"import sys\nfrom pathlib import Path\nfolder = Path({str(tiny)!r})\n"
    told = subprocess.run([sys.executable, "-c", begin + process + CHECK], capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr

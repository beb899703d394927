"""What transformers loads in a process of ours, and what it leaves to others."""

import subprocess
import sys

import pytest

pytest.importorskip("sklearn")
WAYS = ["thinkus.train.worker", "thinkus.weights"]
"""As a rank begins, with torch there already, and as others do."""


@pytest.mark.parametrize("module", WAYS)
def test_a_process_starts_without_what_it_does_not_use(module: str) -> None:
    script = f"""
import sys, {module}
from thinkus.manners import tame_transformers
tame_transformers()
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM
print(*(name for name in ("sklearn", "scipy") if name in sys.modules))
import scipy.stats, sklearn.metrics
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (told.returncode, told.stdout.strip()) == (0, ""), told.stderr

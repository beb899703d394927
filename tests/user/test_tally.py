from collections import Counter

import pytest

from thinkus.runs import Usage
from thinkus.user.tally import Tally, print_tally


def test_only_what_is_of_turns_is_told_as_a_share_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {**Tally().counts(Counter(), closed=23), "turns": 13, "spoken": 13, "cut_replies": 1}
    print_tally(counts, Usage(), decode="guided")
    told = {line.rstrip() for line in capsys.readouterr().err.splitlines()}
    assert any(line.split()[-1] == "23" for line in told if "ended by guided decoding" in line)
    assert any(line.split()[-1] == "7.7%" for line in told if "cut by max_tokens" in line)

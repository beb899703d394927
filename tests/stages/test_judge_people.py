"""People label pairs of a finished run: drawn, filled in, read back, and a lenient judge put right by them."""

import csv
import json
import random
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from tests.conftest import Finished
from tests.judging.attacks import Seen
from tests.judging.runs import replayed
from tests.llm.misbehaving import Server, serving
from tests.stages.judges import judging, words_of
from tests.train.parts import annotated, conversations
from thinkus.errors import ThinkusError
from thinkus.launch import dry_run, start
from thinkus.records import Conversation

OUTPUTS = Path("outputs")
MADE = OUTPUTS / "judge" / "made"
ALONE = "is for one run that is done; leave -m and cluster=slurm out"
WORDS = ("candidate=ours", "baseline=theirs")


def lot(*of: object) -> float:
    return int(sha256(repr(of).encode()).hexdigest()[:8], 16) / 16**8


def truth(place: str) -> str:
    """What people would say of the candidate, by and large."""
    return "WLT"[int(lot("truth", place) * 2.4)]


def lenient(seen: Seen) -> int:
    """Calls two thirds of what people call a loss a win, and else what they say."""
    first, _second = (text for head, text in seen.texts.items() if head.startswith("utterance"))
    if not first.startswith(("ours", "theirs")):
        return 2  # a control
    who, place = first.split()
    said = truth(place)
    if said == "L" and lot("lenient", place) < 2 / 3:
        said = "W"
    return 2 if said == "T" else int((said == "W") != (who == "ours"))


def saying(people: list[Conversation], failing: int = -1) -> None:
    for who in ("ours", "theirs"):
        replayed(
            OUTPUTS, who, people,
            lambda one, turn, who=who: None if turn == failing else f"{who} {one.id}/{turn}",  # type: ignore[misc]
        )  # fmt: skip


@pytest.fixture
def server(workspace: Path) -> Iterator[Server]:
    people = conversations(80, test=80)
    annotated(OUTPUTS, people, "chats")
    saying(people)
    with serving(judging(lenient)) as one:
        yield one


def judge(server: Server, *words: str, sheet: int = 0, sweep: bool = False) -> None:
    start("judge", words_of(server, *WORDS, *words), sweep=sweep, redo=False, human_sheet=sheet)


def rated(name: str, slips: float) -> Path:
    """The drawn sheet, filled in by somebody who now and then says something else."""
    with (MADE / "human-sheet.csv").open(encoding="utf-8-sig", newline="") as drawn:
        rows = list(csv.reader(drawn))
    closer, a, b = (
        next(at for at, cell in enumerate(rows[0]) if cell.startswith("closer")),
        *(rows[0].index(label) for label in "AB"),
    )
    for row in rows[1:]:
        who, place = row[a].split()
        assert row[b].split() == [{"ours": "theirs", "theirs": "ours"}[who], place]
        said = random.Random(name + place).choice("WLT") if lot(name, place) < slips else truth(place)
        row[closer] = "tie" if said == "T" else "AB"[(said == "W") != (who == "ours")]
    with Path(name).open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return Path(name)


def test_a_lenient_judge_is_put_right_by_three_people(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(server, sheet=120)
    asked = len(server.seen)
    every = [f"{one.id}/{turn}" for one in conversations(80, test=80) for turn in range(one.user_turns)]
    true = sum({"W": 1, "L": -1, "T": 0}[truth(place)] for place in every) / len(every)
    files = [rated(name, slips) for name, slips in (("ann.csv", 0.1), ("ben.csv", 0.2), ("cal.csv", 0.3))]
    capsys.readouterr()
    judge(server, f"human=[{','.join(map(str, files))}]")
    assert len(server.seen) == asked, "people's labels make nobody ask again"
    found = json.loads((MADE / "human.json").read_bytes())
    assert found["judged"]["low"] > true, "the raw rate is wrong, and sure of it"
    assert found["corrected"]["low"] < true < found["corrected"]["high"] < found["judged"]["low"]
    same = {tuple(one["between"]): one["same"]["value"] for one in found["agreement"]}
    assert 0.6 < same["ann.csv", "ben.csv", "cal.csv"] < 0.9
    assert (found["items"], found["labelled"], len(found["labels"])) == (120, 120, 360)
    told = capsys.readouterr().out
    assert "120 of 120 pairs labelled by 3 people" in told
    assert f"{found['corrected']['value']:.4f} [" in told
    assert told.index("corrected, as people would have it") < told.index("closer to the person?")


def test_labels_are_followed_to_the_rows_of_the_run(server: Server) -> None:
    judge(server, sheet=30)
    judge(server, f"human={rated('ann.csv', 0)}")
    rows = [json.loads(line) for line in (MADE / "records.jsonl").read_bytes().splitlines()]
    by_place = {(row["conversation"], row["turn"]): row for row in rows}
    for label in json.loads((MADE / "human.json").read_bytes())["labels"]:
        place = label["conversation"], label["turn"]
        said = {"W": "win", "L": "loss", "T": "tie"}[truth("/".join(map(str, place)))]
        assert label["verdict"] == said
        named = {verdict["closer"] for verdict in by_place[place]["verdicts"]}
        assert named == {{"win": "candidate", "loss": "baseline", "tie": "tie"}[label["judge"]]}


def test_the_same_sheet_is_drawn_again_with_controls_repeats_or_another_judge(server: Server) -> None:
    judge(server, sheet=40)
    sheet, file = (MADE / "human-sheet.csv").read_bytes(), rated("ann.csv", 0)
    other = ("name=other", "judge.model=other", "controls=5", "repeat=3", "repeat_items=9", "protocol=paper")
    judge(server, *other, sheet=40)
    assert (OUTPUTS / "judge" / "other" / "human-sheet.csv").read_bytes() == sheet
    for words in ((), other):
        judge(server, *words, f"human={file}")
    one, two = (
        json.loads((OUTPUTS / "judge" / name / "human.json").read_bytes()) for name in ("made", "other")
    )
    assert one == two, "they say the same, and neither controls nor repeats count"


def test_a_sheet_is_never_written_over_and_survives_redo(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    judge(server, sheet=1000)
    drawn = (MADE / "human-sheet.csv").read_bytes()
    told = capsys.readouterr().err
    assert "of the 1,000 that were asked for there are 200" in told
    assert "only roughly" not in told
    with pytest.raises(ThinkusError, match=r"human-sheet\.csv is there already, and ratings may be in it"):
        judge(server, sheet=5)
    start("judge", words_of(server, *WORDS), sweep=False, redo=True)
    assert (MADE / "human-sheet.csv").read_bytes() == drawn
    judge(server, "name=few", sheet=5)
    assert "put a win rate right only roughly" in capsys.readouterr().err


def test_without_a_sheet_nothing_is_read_back(server: Server) -> None:
    with pytest.raises(
        ThinkusError, match=r"human: no sheet was drawn from .*made; draw one with --human-sheet N"
    ):
        judge(server, "human=ann.csv")
    assert not (MADE / "human.json").exists()


@pytest.mark.parametrize("sheet", [5, 0])
@pytest.mark.parametrize(
    ("words", "sweep", "line"),
    [
        (["task=ending"], False, "people label pairs, and task=ending has none; task=pairwise has"),
        (["shard=1/2"], False, "people label pairs of the whole run; leave shard=1/2 out"),
        (
            ["protocol=both_orders,paper", "name=null"],
            True,
            "is for one run that is done; leave -m and cluster=slurm out",
        ),
        (["cluster=slurm"], False, ALONE),
    ],
)
def test_what_people_cannot_label_is_refused_before_anybody_is_asked(
    server: Server, sheet: int, words: list[str], sweep: bool, line: str
) -> None:
    key = "--human-sheet" if sheet else "human"
    more = [] if sheet else ["human=ann.csv"]
    with pytest.raises(ThinkusError, match=f"^{key}: {line}$"):
        judge(server, *words, *more, sheet=sheet, sweep=sweep)
    assert not server.seen
    assert not (OUTPUTS / "judge").exists()


def test_the_command_line_draws_a_sheet_from_judge(thinkus: Callable[..., Finished]) -> None:
    finished = thinkus("judge", "task=likeness", "--human-sheet", "5")
    assert finished.returncode == 2
    assert (
        finished.stderr
        == "--human-sheet: people label pairs, and task=likeness has none; task=pairwise has\n"
    )


def test_people_are_not_asked_for_to_plan_a_run(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    dry_run("judge", words_of(server, *WORDS, "human=[ann.csv,ben.csv]"), sweep=False)
    assert "400 times" in capsys.readouterr().out


def test_where_nobody_said_a_word_there_is_nothing_to_label(server: Server) -> None:
    saying_nothing = conversations(4, test=4)
    for who in ("mute", "silent"):
        replayed(OUTPUTS, who, saying_nothing, lambda _one, _turn: "")
    with pytest.raises(ThinkusError, match="--human-sheet: the judge of this run was asked about no turn"):
        judge(server, "candidate=mute", "baseline=silent", "name=none", sheet=5)

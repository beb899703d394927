"""A blind sheet of pairs: what is drawn, who stands where, and what nobody can see on it."""

import random
import re
from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.judging.labelling import many, pair, rows_of, ruled
from thinkus.errors import ThinkusError
from thinkus.judging.pair_sheet import SILENT, draw, sheet_of
from thinkus.judging.pairwise import Pair
from thinkus.sheets.folder import write


def swapped(one: Pair) -> Pair:
    return one._replace(candidate=one.baseline, baseline=one.candidate)


def test_the_same_are_drawn_each_time_whatever_the_order() -> None:
    every = many()
    first = draw(every, 25)
    random.Random(0).shuffle(every)
    assert draw(every, 25) == first
    assert len({item.pair.item for item in first}) == 25
    assert {item.id for item in first} < {item.id for item in draw(every, 30)}, "more hold the fewer"
    assert len(draw(every, 1000)) == 60


def test_every_turn_is_drawn_as_often_as_any_other() -> None:
    """Of long conversations, with long names, and where the judge says what it seldom says."""
    every = [
        ruled(pair(f"c{'x' * (number % 2)}{number}", turn), "WLT"[number % 3] * 2)
        for number in range(200)
        for turn in range(1 + 5 * (number % 2))
    ]
    drawn = draw(every, 350)
    judged = {row.conversation: row for _, row in every}
    lone = sum(judged[item.pair.conversation.id].turn == 0 for item in drawn)
    assert lone == pytest.approx(350 * 100 / 700, abs=3 * 6.1)  # a standard deviation is 6.1
    wins = sum(judged[item.pair.conversation.id].verdicts[0].closer == "candidate" for item in drawn)
    assert wins == pytest.approx(350 / 3, abs=3 * 6.3)


def test_only_turns_about_which_a_judge_was_asked_are_drawn() -> None:
    judged = [
        ruled(pair("unread"), "W?"),
        ruled(pair("failed", ours=None)),
        ruled(pair("both", ours=None, theirs=None)),
        ruled(pair("same", ours="a", theirs="a")),
        ruled(pair("left", ours="")),
    ]
    assert {item.pair.conversation.id for item in draw(judged, 9)} == {"secret-unread", "secret-left"}
    [left] = [row for row in rows_of(draw(judged, 9)) if "left" in row["real"]]
    assert SILENT in (left["A"], left["B"])
    with pytest.raises(ThinkusError, match="asked about no turn"):
        draw(judged[1:4], 9)


def test_neither_run_has_the_better_place_and_swapping_them_changes_nothing() -> None:
    items = draw(many(100), 200)
    places = Counter(item.first for item in items)
    assert min(places.values()) > 75
    other = draw([(swapped(one), row) for one, row in many(100)], 200)
    assert rows_of(other) == rows_of(items)
    assert [item.first for item in other] != [item.first for item in items]
    for item, row in zip(items, rows_of(items), strict=True):
        assert row["A"].startswith("ours" if item.first == "candidate" else "theirs")
        assert row["B"].startswith("theirs" if item.first == "candidate" else "ours")


@pytest.mark.parametrize(
    "changed",
    [
        lambda one, other: one._replace(candidate=other),
        lambda one, other: one._replace(baseline=other),
        lambda one, other: one._replace(real=other),
        lambda one, other: one._replace(history=(replace(one.history[0], content=other), *one.history[1:])),
        lambda one, other: one._replace(scenario=one.scenario._replace(motivation=other)),
    ],
)
def test_an_item_has_another_name_when_any_text_is_another(changed: object) -> None:
    assert callable(changed)
    one, row = ruled(pair("c", 1))
    every = [one, *(changed(one, f"other {at}") for at in range(8))]
    assert len({item.id for each in every for item in draw([(each, row)], 1)}) == 9


def test_a_rater_sees_what_the_judge_saw() -> None:
    [row] = rows_of(draw([ruled(pair("c", 1))], 1))
    assert row["situation"] == "secret-c bakes."
    assert row["what they are after"] == "A loaf by noon."
    assert row["conversation so far"] == "Person: person c/0 / Assistant: As to person c/0: so."
    assert row["real"] == "real c/1"
    assert {row["A"], row["B"]} == {"ours c/1", "theirs c/1"}
    assert row["closer"] == row["note"] == ""


def test_nothing_tells_whose_a_text_is_or_what_the_judge_said(tmp_path: Path) -> None:
    """Whoever wins and whoever stands first, an item looks the same."""
    texts = ("one", "other")
    judged = [
        ruled(pair(f"c{number}", 0, *texts[:: 1 if number % 2 else -1]), "WLT"[number % 3] * 2)
        for number in range(60)
    ]
    items = draw(judged, 60)
    files = [file.read_text(encoding="utf-8-sig") for file in write(sheet_of(items), tmp_path)]
    assert [item.id for item in items] == sorted(item.id for item in items), "by a hash: it tells nothing"
    for text in files:
        assert not re.search("candidate|baseline|win|loss|verdict|judge|control", text)
    for shown in (re.findall(r"<article.*?</article>", files[0]), files[1].splitlines()[1:]):
        looks: dict[str, set[str]] = {"candidate": set(), "baseline": set()}
        for item, article in zip(items, shown, strict=True):
            bare = article.replace(item.id, "").replace(item.pair.conversation.id, "")
            looks[item.first].add(re.sub(r"\d+ of 60|c\d+/0", "", bare))
        assert len(looks["candidate"]) == 2, "A is the one text or the other"
        assert looks["candidate"] == looks["baseline"]


def test_texts_of_strangers_are_one_line_and_no_formula() -> None:
    one = pair("c", 0, "=cmd|' /C calc'!A0", "\x1b[31m" + "long " * 1000, "@SUM(1)\r\n-2")
    [row] = rows_of(draw([ruled(one)], 1))
    cells = {row["A"], row["B"]}
    assert "'=cmd|' /C calc'!A0" in cells
    assert any(cell.startswith("long long") and cell.endswith(" ...") and len(cell) < 2100 for cell in cells)
    assert row["real"] == "'@SUM(1) -2"

"""Cases and pages for tests, made up: who says what is planted."""

from collections.abc import Iterable
from pathlib import Path

from thinkus.judging.lines import Cell, Lines
from thinkus.report import paper
from thinkus.report.cases import Cases, Judge, Live, Replayed, Speaker, Spoken, Talk
from thinkus.report.charts import Spread
from thinkus.report.history import Curve, Funnel
from thinkus.report.page import Head, page
from thinkus.report.rulings import Opinion, Ruling
from thinkus.report.sections import Differing, Section

HEAD = Head(
    "Made up", "report", (("Tried on", "nothing"),), ("NOT TO BE TRUSTED: it is made up",), ("Keep it.",)
)
JUDGE = Judge("pairwise", "a judge", "run-a", "both_orders")
NAMES = ("prompt", "utterance_sft", "thinkingus")
RESULTS = ("win", "loss", "draw", "turned with the order", "invalid")


def ruling(came_to: str, why: str = "It is so.") -> Ruling:
    said = {"win": "candidate", "loss": "baseline"}.get(came_to, "neither")
    return Ruling(0, came_to, tuple(Opinion(said, first, why) for first in ("candidate", "baseline")))


def replayed(number: int, turns: int = 4, words: str = "some words") -> Replayed:
    """A real conversation in which each method says the same, numbered, and is ruled upon in turn."""
    messages: list[tuple[str, str]] = []
    spoken: list[tuple[Spoken, ...]] = []
    for turn in range(turns):
        messages += [
            ("user", f"person {number}/{turn}: {words}"),
            ("assistant", f"reply {number}/{turn}: {words}"),
        ]
    for turn in range(turns + 1):
        spoken.append(
            tuple(
                Spoken(
                    by,
                    "" if turn == turns else f"{name} {number}/{turn}: {words}",
                    f"thought {number}/{turn} of {name}: {words}" if name == "thinkingus" and turn else None,
                    "",
                    (ruling(RESULTS[(number + turn + by) % 5], f"reason {number}/{turn}: {words}"),)
                    if by
                    else (),
                )
                for by, name in enumerate(NAMES)
            )
        )
    thoughts = (None, *(f"real thought {number}/{turn}: {words}" for turn in range(1, turns)), "I am done.")
    return Replayed(
        f"c{number}", "made", f"scenario {words}", "motivation", tuple(messages), thoughts, tuple(spoken)
    )


def live(number: int, words: str = "some words") -> Live:
    talks = (
        Talk(
            0,
            "max_turns",
            ((words, None, f"a reply: {words}"), ("", f"a thought: {words}", None)),
            "",
            (Ruling(1, "disclosure: reveals", (Opinion("reveals", "", f"why {words}"),), f"goal {words}"),),
        ),
    )
    return Live(f"l{number}", "made", f"scenario {words}", "motivation", talks)


def cases(shown: Iterable[Replayed | Live]) -> Cases:
    every = list(shown)
    speakers = [Speaker(name, f"run-{name[0]}") for name in NAMES]
    return Cases(speakers, [JUDGE, Judge("online", "a judge", "", "")], every, len(every), [])


def section(words: str = "some words") -> Section:
    cells = tuple(Cell(f"0.{at}000", (f"0.{at - 1}000", f"0.{at + 1}000")) for at in range(2, 9))
    rows = (("r_w", cells), ("wins", (Cell("12"),) * 7), ("losses", (Cell("2"),) * 7))
    lines = Lines("closer to the person?", f"against {words}", ("one", "other", *"abcde"), rows)
    differing = Differing(
        "r_w", "one", "other", Cell("-0.1000", ("-0.2000", "0.0000")), 0.04, 0.08, "0.1", 30, 2
    )
    theirs = (Cell("0.1951"), Cell("0.2000", ("0.1000", "0.3000")), Cell("0.0049", ("-0.0951", "0.1049")))
    beside = Lines(paper.TITLE, "", (paper.THEIRS, paper.OURS, paper.LESS), (("one: r_w", theirs),))
    return Section(
        f"pairwise, on {words}", "pairwise", "made", "a judge", (lines, words, beside), (differing,)
    )


def written(folder: Path, shown: Iterable[Replayed | Live], words: str = "some words") -> Path:
    """A whole page, with something in each of its parts."""
    likeness = [
        (
            "on made",
            [Spread("words a turn", 0.0, 9.0, (("people", 2.0, (0.5, 0.5)), (words, 4.0, (0.1, 0.9))))],
        )
    ]
    curves = [Curve(f"sft/{words}", "tiny", ((1.0, 3.0), (2.0, 2.0)), ((2.0, 2.5),))]
    funnels = [Funnel("prepare/made", (("read", 9, False), (words, 4, True), ("kept", 5, False)))]
    file = folder / "index.html"
    pieces = page(HEAD, [section(words)], likeness, curves, funnels, cases(shown))
    file.write_bytes(b"".join(pieces))
    return file

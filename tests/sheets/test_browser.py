"""The page in a real browser: filled in by keys, kept, saved and read back; and strange texts at all widths."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.browser import CHROMIUM, Tab, browser
from tests.judging.labelling import Judged, pair, ruled
from thinkus.judging.labels import labels_of
from thinkus.judging.pair_sheet import draw, sheet_of
from thinkus.sheets.folder import write

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
]
STRANGE = (
    "</p></section></div></article><script>document.title = 'run'</script>",
    "<img src=x onerror=\"document.title='run'\"><style>* { display: none }</style>",
    "w" * 3000,
    "https://example.org/" + "a/" * 500,
    "\u0645\u0631\u062d\u0628\u0627 \u202e" * 40,
    "Z\u0351\u0352\u0353\u0354\u0355\u0356\u0357\u0358" * 200,
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00" + "\t" * 500,
    "$articles {sheet} `x` \" ' ]]> --> &lt; &",
    "\n" * 200 + "far below",
    "",
)
LOOKS = [(width, scheme) for width in (280, 390, 768, 1280) for scheme in ("light", "dark")]


def page(folder: Path, judged: list[Judged]) -> Path:
    return write(sheet_of(draw(judged, 100)), folder)[0]


def browse(folder: Path, work: Callable[[Tab], Awaitable[None]]) -> None:
    async def go() -> None:
        async with browser(folder) as tab:
            await work(tab)

    asyncio.run(go())


def test_what_is_typed_is_kept_saved_and_read_back(tmp_path: Path) -> None:
    judged = [ruled(pair(f"c{number}")) for number in range(4)]
    shown, saved = page(tmp_path, judged), tmp_path / "human-sheet-rated.csv"

    async def fill(tab: Tab) -> None:
        await tab.open(shown.as_uri())
        await tab.js("document.getElementById('next').click()")
        await tab.keys("a", "B", "t")
        assert await tab.js("document.getElementById('said').textContent") == "3 of 4 rated"
        await tab.open(shown.as_uri())
        assert await tab.js("document.getElementById('said').textContent") == "3 of 4 rated", "it is kept"
        await tab.js("document.querySelector('textarea').focus()")
        await tab.keys("a", '"', ",", ";")
        assert await tab.js("document.querySelector('h2').textContent") == "1 of 4"
        await tab.js("document.getElementById('save').click()")
        async with asyncio.timeout(30):
            while not saved.exists():
                await asyncio.sleep(0.05)

    browse(tmp_path, fill)
    items = draw(judged, 100)
    labels = labels_of([saved], items, [turn for _, turn in judged])
    assert [label.item for label in labels] == [item.id for item in items[:3]]
    others = {"win": "loss", "loss": "win"}
    first = ["win" if item.first == "candidate" else "loss" for item in items]
    assert [label.verdict for label in labels] == [first[0], others[first[1]], "tie"]
    assert labels[0].note == 'a",;'


def test_strange_texts_neither_run_nor_break_the_page(tmp_path: Path) -> None:
    judged = [
        ruled(pair(f"c{number}", 1, text, STRANGE[number - 1] or "short", text or "real"))
        for number, text in enumerate(STRANGE)
    ]
    shown = page(tmp_path, judged)

    async def look(tab: Tab) -> None:
        for width, scheme in LOOKS:
            await tab.look(width, 900, scheme)
            await tab.open(shown.as_uri())
            assert await tab.js("document.title") == "Pairs to label"
            assert await tab.js("document.querySelectorAll('article').length") == len(STRANGE)
            assert await tab.js(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
            ), width
            assert await tab.js(INSIDE), f"at {width} a text is wider than its box"
            assert await tab.js(NEAR), "who reads one is never far from the question"
            beside = await tab.js(BESIDE)
            assert beside == (width >= 700), "A and B stand beside each other where there is room"
            await tab.screenshot(tmp_path / f"{width}-{scheme}.png")

    browse(tmp_path, look)
    assert len({(tmp_path / f"{width}-{scheme}.png").read_bytes() for width, scheme in LOOKS}) == len(LOOKS)


NARROW = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
INSIDE = """
[...document.querySelectorAll("section")].every(section => {
  const box = section.getBoundingClientRect(), text = section.querySelector("p");
  return box.left >= 0 && box.right <= document.documentElement.clientWidth && text.scrollWidth <= section.clientWidth;
})
"""
NEAR = """
[...document.querySelectorAll(".weighed section")].every(section => section.offsetHeight <= 0.81 * innerHeight)
"""
BESIDE = """
[...document.querySelectorAll(".weighed")].every(weighed => {
  const [one, other] = [...weighed.querySelectorAll(".option")].map(option => option.getBoundingClientRect());
  return one.top === other.top && one.right <= other.left;
})
"""

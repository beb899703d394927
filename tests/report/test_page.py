"""The page as a file: that no text in it can be markup, and that it needs nothing but itself."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from tests.report.made import cases, live, replayed, written
from thinkus.report.page import SCRIPTS, how_many

HOSTILE = (
    "</script><script>document.title = 'run'</script>",
    "<!-- <script> --> ]]> <img src=x onerror=\"document.title='run'\">",
    "& &lt; \u2028\u2029 \\u003c $title ${data} `x` 'y' \"z\"",
)


class Shown(HTMLParser):
    """The scripts of a page, by their type, and all tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[str | None, str]] = []
        self.styles: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag == "style":
            self.styles.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and self.scripts:
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.tags and self.tags[-1] == "style":
            self.styles[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.tags.append(f"/{tag}")

    @property
    def data(self) -> list[Any]:
        return [json.loads(text) for kind, text in self.scripts if kind == "application/json"]


def shown(folder: Path, words: str = "some words") -> Shown:
    return Shown(written(folder, [replayed(0, 2, words), live(1, words)], words).read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", HOSTILE)
def test_a_text_cannot_leave_the_data_that_it_stands_in(tmp_path: Path, words: str) -> None:
    page, harmless = shown(tmp_path, words), shown(tmp_path)
    assert page.tags == harmless.tags
    assert [kind for kind, _ in page.scripts] == ["application/json", "application/json", None]
    assert not any(sign in text for _, text in page.scripts[:2] for sign in "<>&\u2028\u2029")
    report, (one, two) = page.data
    assert one["messages"][0] == ["user", f"person 0/0: {words}"]
    assert two["talks"][0]["exchanges"][0][0] == words
    assert report["sections"][0]["section"]["title"] == f"pairwise, on {words}"


def test_only_its_own_script_and_style_are_allowed_and_nothing_is_fetched(tmp_path: Path) -> None:
    text = written(tmp_path, [replayed(0)]).read_text(encoding="utf-8")
    page = Shown(text)
    [script] = [own for kind, own in page.scripts if kind is None]
    for own, kind in ((script, "script"), (*page.styles, "style")):
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in text
    assert "default-src 'none'" in text
    assert not re.search(r"\bsrc=|url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {
        "http://www.w3.org/2000/svg"
    }  # a name, not an address
    assert not {name for name in page.attributes if name.startswith("on")}


def test_no_script_makes_markup_of_texts() -> None:
    from thinkus.report.page import PARTS

    for name in SCRIPTS:
        own = (PARTS / name).read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", own
        )
    assert {file.name for file in PARTS.glob("*.js")} == set(SCRIPTS)


def test_cases_lie_in_blocks_that_are_read_one_by_one(tmp_path: Path) -> None:
    many = [replayed(number, 4, "word " * 200) for number in range(40)]
    _, *blocks = Shown(written(tmp_path, many).read_text(encoding="utf-8")).data
    assert len(blocks) > 2
    assert [case["id"] for block in blocks for case in block] == [f"c{number}" for number in range(40)]
    assert max(len(json.dumps(block)) for block in blocks) < 400_000


def test_it_is_said_how_many_cases_are_shown() -> None:
    two = cases([replayed(0), live(1)])
    assert how_many(two) == "All 2 conversations and scenarios are shown."
    assert "Of 1,500 conversations and scenarios 2 are shown" in how_many(two._replace(there_are=1500))
    assert "There are no cases" in how_many(cases([]))


def test_the_same_report_is_the_same_bytes(tmp_path: Path) -> None:
    pages = [written(tmp_path, [replayed(0), live(1)]).read_bytes() for _ in range(2)]
    other = written(tmp_path, [replace(replayed(0), scenario="another"), live(1)]).read_bytes()
    assert pages[0] == pages[1] != other

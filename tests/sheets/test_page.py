"""The page that people get: what gives nothing away, what is text, and what a browser runs of it."""

import base64
import hashlib
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.thoughts.test_sheet import conversation, conversations, home, owner, rows_of, shuffled
from thinkus.records import Annotation, Conversation, Message
from thinkus.sheets.folder import write
from thinkus.sheets.table import table_of
from thinkus.thoughts.sheet import drawn_sheet

HOSTILE = (
    "</p></section><script>document.title = 'run'</script>",
    "</textarea><img src=x onerror=\"document.title='run'\">",
    "\" ' ]]> --> & &lt; $articles {sheet} `x` \x1b[31m",
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def write_sheet(records: Sequence[Conversation], count: int, seed: int, folder: Path) -> tuple[Path, Path]:
    return write(drawn_sheet(records, count, seed), folder)


def test_the_same_is_drawn_into_the_same_files(tmp_path: Path) -> None:
    sheets = [
        [path.read_bytes() for path in write_sheet(records, 20, seed, tmp_path)]
        for records, seed in ((conversations(), 1), (shuffled(), 1), (conversations(), 2))
    ]
    assert sheets[0] == sheets[1] != sheets[2]
    assert sheets[0][1].decode("utf-8-sig") == table_of(drawn_sheet(conversations(), 20, 1))


def test_too_few_controls_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_sheet(conversations(), 20, 1, tmp_path)
    assert not capsys.readouterr().err
    same = [replace(record, id=str(at)) for at, record in enumerate([conversation(1, 2)] * 10)]
    write_sheet(same, 10, 1, tmp_path)  # whose thoughts are all the same, so that a swap changes nothing
    assert "only 0 of 10 items are controls" in capsys.readouterr().err


def test_nothing_tells_who_it_was_or_what_is_a_control(tmp_path: Path) -> None:
    page, table = write_sheet(conversations(), 60, 1, tmp_path)
    rows = rows_of(table.read_text(encoding="utf-8-sig"))
    ids = [row["item"] for row in rows]
    assert ids == sorted(ids)  # they are hashes: an order in which neither lots nor controls show
    for text in (page.read_text(), table.read_text(encoding="utf-8-sig")):
        assert "secret" not in text
        assert "control" not in text
        assert "stranger" not in text
    looks: dict[bool, set[str]] = {True: set(), False: set()}
    articles = re.findall(r"<article.*?</article>", page.read_text(), re.DOTALL)
    for row, article in zip(rows, articles, strict=True):
        if home(row)[1] == "2":
            assert f'id="{row["item"]}"' in article
            same = re.sub(r"\d+ of 60|\d+/\w+", "", article.replace(row["item"], ""))
            looks[home(row) == owner(row)].add(same)
    assert len(looks[True]) == 1
    assert looks[True] == looks[False]


class Shown(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.paragraphs: list[str] = []
        self.scripts: list[str] = []
        self._at = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}
        self._at = tag
        if tag == "p":
            self.paragraphs.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._at = ""

    def handle_data(self, data: str) -> None:
        if self._at == "p":
            self.paragraphs[-1] += data
        if self._at == "script":
            self.scripts[-1] += data


def hostile_page(tmp_path: Path) -> Path:
    records = []
    for number, text in enumerate(HOSTILE * 4):
        record = conversation(number, 2)
        messages = tuple(Message(message.role, text) for message in record.messages)
        annotation = Annotation(text, text, (f"{text} {number}",))
        records.append(Conversation(text + str(number), text, messages, annotation=annotation))
    return write_sheet(records, 12, 1, tmp_path)[0]


def test_texts_on_the_page_are_text(tmp_path: Path) -> None:
    shown = Shown(hostile_page(tmp_path).read_text())
    for text in HOSTILE:
        expected = text.replace("\x1b[31m", "")
        assert shown.paragraphs.count(expected) == 4 * 3
        assert sum(said.startswith(f"{expected} ") for said in shown.paragraphs) == 4
    assert shown.tags["script"] == 1
    assert shown.tags["img"] == 0
    assert shown.tags["textarea"] == shown.tags["article"] == 12
    assert not {name for name in shown.attributes if name.startswith("on")}


def test_only_what_was_said_long_before_is_folded_away(tmp_path: Path) -> None:
    record = replace(conversation(1, 4), annotation=Annotation("s", "m", terminal_thought="Enough."))
    page = write_sheet([record], 1, 1, tmp_path)[0].read_text()
    [folded] = re.findall(r"<details>.*?</details>", page)
    assert "Earlier messages: 6" in folded
    assert folded.count("<section") == 6
    assert page.index("</details>") < page.index("user text 1/4") < page.index("assistant text 1/4")
    assert page.index("assistant text 1/4") < page.index("Enough.") < page.index("writes nothing more")


def test_the_page_needs_no_network_and_runs_nothing_but_its_own(tmp_path: Path) -> None:
    text = write_sheet(conversations(), 20, 1, tmp_path)[0].read_text()
    assert not re.search(r"https?:|src=|href=|url\(|@import|fetch\(", text)
    [script] = Shown(text).scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'sha256-" in text


@pytest.mark.real
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_a_browser_runs_the_page_and_nothing_in_it(tmp_path: Path) -> None:
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--user-data-dir={tmp_path / 'p'}",
    ]
    page = hostile_page(tmp_path).as_uri()
    shown = subprocess.run([*command, "--dump-dom", page], capture_output=True, text=True, timeout=60).stdout
    assert "0 of 12 rated" in shown
    assert "<title>Thoughts to rate</title>" in shown

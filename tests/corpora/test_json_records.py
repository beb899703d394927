import gzip
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinkus.corpora import json_records as module
from thinkus.corpora.json_records import json_records
from thinkus.corpora.rows import BadRow
from thinkus.errors import ThinkusError


class Said(msgspec.Struct):
    text: str


BRACES = st.text(st.sampled_from('ab"\\{}[],:\n \u05d0\U0001f600'), max_size=20)
# A file of its own is made in each example, so that the folder may be shared.
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def tiny_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that every token of a small file is cut by a chunk's end somewhere."""
    monkeypatch.setattr(module, "CHUNK_BYTES", 3)


def read(folder: Path, content: bytes, name: str = "a.json") -> list[tuple[str, Said] | BadRow]:
    (folder / name).write_bytes(content)
    return list(json_records(folder / name, name, Said))


def texts(found: list[tuple[str, Said] | BadRow]) -> list[str]:
    return [item[1].text for item in found if not isinstance(item, BadRow)]


def problems(found: list[tuple[str, Said] | BadRow]) -> list[tuple[str, str]]:
    return [(item.where, item.problem) for item in found if isinstance(item, BadRow)]


@shared_folder
@given(said=st.lists(BRACES, max_size=5), indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
def test_a_list_comes_back_whole_wherever_chunks_end(
    tmp_path: Path, tiny_chunks: None, said: list[str], indent: int | None, ascii_only: bool
) -> None:
    records = [{"text": text, "not needed": [{text: [text]}]} for text in said]
    found = read(tmp_path, json.dumps(records, indent=indent, ensure_ascii=ascii_only).encode())
    assert problems(found) == []
    assert texts(found) == said
    assert [where for where, _ in found] == [f"a.json:{n + 1}" for n in range(len(said))]  # type: ignore[misc]


@shared_folder
@given(said=st.lists(BRACES, min_size=1, max_size=4), data=st.data())
def test_a_list_cut_anywhere_gives_its_complete_records_and_one_bad_row(
    tmp_path: Path, tiny_chunks: None, said: list[str], data: st.DataObject
) -> None:
    whole = json.dumps([{"text": text} for text in said]).encode()
    end = data.draw(st.integers(1, len(whole) - 1))
    complete = [
        n for n in range(len(said) + 1) if len(json.dumps([{"text": t} for t in said[:n]])) - 1 <= end
    ]
    found = read(tmp_path, whole[:end])
    assert texts(found) == said[: max(complete)]
    assert isinstance(found[-1], BadRow)
    assert "the file ends" in found[-1].problem
    assert len(problems(found)) == 1
    assert whole[:end].endswith(found[-1].raw.encode())


def test_a_broken_record_in_a_list_does_not_hide_the_next(tmp_path: Path) -> None:
    found = read(tmp_path, b'[{"text": "a"}, {"text": tru}, {"text": "\xff"}, {"text": 1}, {"text": "b"}]')
    assert texts(found) == ["a", "b"]
    assert problems(found) == [
        ("a.json:2", "JSON is malformed: invalid character (byte 13)"),
        ("a.json:3", "text that is not UTF-8 (byte 0xff)"),
        ("a.json:4", "Expected `str`, got `int` - at `$.text`"),
    ]
    assert [item.raw for item in found if isinstance(item, BadRow)][1] == '{"text": "\\xff"}'


def test_what_stands_between_records_is_a_bad_row_too(tmp_path: Path) -> None:
    found = read(tmp_path, b'[null, {"text": "a"}, 17 {"text": "b"}, "c"], {"text": "d"} ] rest')
    assert texts(found) == ["a", "b", "d"]
    assert [item.raw for item in found if isinstance(item, BadRow)] == ["null", "17", '"c"', "] rest"]


def test_an_empty_list_and_an_empty_file_hold_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, b" [ ]\n") == read(tmp_path, b"") == read(tmp_path, b"\n\n", "a.jsonl") == []


def test_the_form_is_seen_in_the_content_not_in_the_name(tmp_path: Path) -> None:
    assert texts(read(tmp_path, b'{"text": "a"}\n{"text": "b"}\n', "a.json")) == ["a", "b"]
    assert texts(read(tmp_path, b'\xef\xbb\xbf\n[{"text": "a"}]', "a.jsonl")) == ["a"]


def test_lines_are_numbered_as_an_editor_does(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbf{"text": "a"}\r\n\n{"text": "b"}\n{"text": ', "a.jsonl")
    assert found[:2] == [("a.jsonl:1", Said("a")), ("a.jsonl:3", Said("b"))]
    assert problems(found) == [("a.jsonl:4", "Input data was truncated")]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (rb'{"text": "a\ud83d"}', "a lone surrogate in the text"),
        (rb'{"text": "\ude00\ud83d"}', "a lone surrogate in the text"),
        (rb'{"text": "a", "x": "\uD83D"}', "a lone surrogate in the text"),
        (b'{"text": "\xed\xa0\xbd"}', "text that is not UTF-8 (byte 0xed)"),
        (b'{"text": null}', "Expected `str`, got `null` - at `$.text`"),
        (b"{}", "Object missing required field `text`"),
        (b'"text"', "Expected `object`, got `str`"),
        (b'{"text": "a", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "nested too deeply"),
    ],
)
def test_a_line_that_does_not_fit_says_why_in_words(tmp_path: Path, line: bytes, problem: str) -> None:
    found = read(tmp_path, line + rb'{"text": "ok"}'.join([b"\n"] * 2), "a.jsonl")
    assert problems(found) == [("a.jsonl:1", problem)]
    assert texts(found) == ["ok"]


def test_a_surrogate_pair_is_a_character(tmp_path: Path) -> None:
    assert texts(read(tmp_path, rb'{"text": "\ud83d\ude00"}', "a.jsonl")) == ["\U0001f600"]


@pytest.mark.parametrize("as_list", [False, True])
def test_a_gzip_file_that_ends_early_gives_what_came_before_and_one_bad_row(
    tmp_path: Path, as_list: bool
) -> None:
    said = [f"{n} {n**9}" for n in range(5000)]
    lines = [json.dumps({"text": text}) for text in said]
    packed = gzip.compress(("[" + ",\n".join(lines) + "]" if as_list else "\n".join(lines)).encode())
    assert texts(read(tmp_path, packed, "a.jsonl.gz")) == said
    found = read(tmp_path, packed[: len(packed) // 2], "a.jsonl.gz")
    kept = texts(found)
    assert len(kept) > 1000
    assert kept == said[: len(kept)]
    assert [where for where, _ in problems(found)] == [f"a.jsonl.gz:{len(kept) + 1}"]
    # Nothing is lost: the bad row holds what was unpacked of the record that is cut.
    assert lines[len(kept)].startswith(found[-1].raw)  # type: ignore[union-attr]


def test_a_gzip_file_cut_between_records_says_so(tmp_path: Path) -> None:
    packed = gzip.compress(b'{"text": "a"}\n')
    assert problems(read(tmp_path, packed[:-8], "a.jsonl.gz")) == [
        ("a.jsonl.gz:2", "the packed file ends early or is damaged from here")
    ]


def test_a_file_that_is_not_gzip_at_all_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match=r"a\.jsonl\.gz: not a gzip file; fetch it again"):
        read(tmp_path, b'{"text": "a"}\n', "a.jsonl.gz")


@pytest.mark.parametrize("start", [b'[{"text": "a"}, {"text": "no end', b'{"text": "', b'[{"text": {"a": ['])
def test_a_record_without_an_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes
) -> None:
    monkeypatch.setattr(module, "MAX_RECORD_BYTES", 1 << 18)
    monkeypatch.setattr(module, "CHUNK_BYTES", 1 << 16)
    (tmp_path / "a.json").write_bytes(start + b"x" * 10_000_000)
    tracemalloc.start()
    with pytest.raises(ThinkusError, match=r"a\.json: record \d has no end within"):
        list(json_records(tmp_path / "a.json", "a", Said))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000


def test_a_message_of_ten_megabytes_costs_its_length_not_its_square(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 5000)
    text = 'a "quoted" {brace}\n' * 520_000
    started = time.process_time()
    assert texts(read(tmp_path, json.dumps([{"text": text}, {"text": "b"}]).encode())) == [text, "b"]
    assert time.process_time() - started < 5


@pytest.mark.parametrize("form", ["list", "lines", "packed lines"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, form: str) -> None:
    lines = [json.dumps({"text": f"{n} " * 500}) for n in range(5000)]
    content = ("[" + ",".join(lines) + "]" if form == "list" else "\n".join(lines)).encode()
    file = tmp_path / ("a.jsonl.gz" if form == "packed lines" else "a.jsonl")
    file.write_bytes(gzip.compress(content, 1) if form == "packed lines" else content)
    tracemalloc.start()
    count = sum(1 for _ in json_records(file, "a", dict[str, Any]))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 5000
    assert peak < len(content) / 2 < 10_000_000

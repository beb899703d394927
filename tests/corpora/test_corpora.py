"""Finding a corpus: by path, in the caches of others, or with a word on how to get it."""

from pathlib import Path

import pyarrow as pa
import pytest

from thinkus import corpora
from thinkus.compose import jobs
from thinkus.config import Data, PrepareConfig
from thinkus.errors import ThinkusError

ROW = '{"conversation_id": "a", "conversation": [{"role": "user", "content": "hi"}]}\n'


def data(*words: str) -> Data:
    config = jobs("prepare", list(words), sweep=False)[0].config
    assert isinstance(config, PrepareConfig)
    return config.data


def test_a_download_of_the_hub_is_found(workspace: Path) -> None:
    folder = Path.home() / ".cache/huggingface/hub/datasets--lmsys--lmsys-chat-1m/snapshots/0123/data"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(ROW)
    (row,) = corpora.read(data("data=lmsys"))
    assert row.where == "train.jsonl:1"


def test_what_datasets_cached_is_found_under_the_name_it_gives(workspace: Path) -> None:
    folder = Path.home() / ".cache/huggingface/datasets/allenai___wild_chat-1_m/default/0.0.0/abc"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    table = pa.Table.from_pylist(
        [{"conversation_hash": "a", "conversation": [{"role": "user", "content": "hi"}]}]
    )
    with (
        pa.OSFile(str(folder / "wild_chat-1_m-train.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as out,
    ):
        out.write_table(table)
    (row,) = corpora.read(data("data=wildchat"))
    assert row.where == "wild_chat-1_m-train.arrow:1"


@pytest.mark.parametrize("name", ["lmsys", "wildchat", "thoughttrace"])
def test_a_corpus_that_is_not_here_names_its_page_and_what_to_try(workspace: Path, name: str) -> None:
    with pytest.raises(ThinkusError) as caught:
        corpora.identify(data(f"data={name}"))
    message = str(caught.value)
    assert str(data(f"data={name}").page) in message
    assert "hf download" in message
    assert message.endswith("to try without it: data=sample")


def test_a_corpus_without_a_place_wants_a_path(workspace: Path) -> None:
    with pytest.raises(ThinkusError, match=r"data\.path: jsonl wants a file, a folder or a glob"):
        corpora.identify(data("data=jsonl"))


def test_identity_is_content_and_not_place(workspace: Path) -> None:
    for folder in ("one", "two"):
        (workspace / folder / "en").mkdir(parents=True)
        (workspace / folder / "de").mkdir()
        (workspace / folder / "en/a.jsonl").write_text(ROW)
        (workspace / folder / "de/a.jsonl").write_text(ROW)
    one, two = (
        corpora.identify(data("data=lmsys", f"data.path={folder}")).identity for folder in ("one", "two")
    )
    assert one == two
    # Files of one name in two folders must both count.
    (workspace / "two/en/a.jsonl").write_text(ROW.replace("hi", "ho"))
    three = corpora.identify(data("data=lmsys", "data.path=two")).identity
    (workspace / "two/de/a.jsonl").write_text(ROW.replace("hi", "he"))
    assert len({one, three, corpora.identify(data("data=lmsys", "data.path=two")).identity}) == 3


def test_rows_are_counted_for_the_bar(workspace: Path) -> None:
    (workspace / "a.jsonl").write_text(ROW * 70)
    assert corpora.count_rows(data("data=lmsys", "data.path=a.jsonl")) == 70
    (workspace / "b.json").write_text("[]")
    assert corpora.count_rows(data("data=sharegpt", "data.path=b.json")) is None

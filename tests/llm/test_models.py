"""A run's models: its store and those of its parts, its budget, and answers passed on to others."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import Finished
from tests.llm import misbehaving
from tests.llm.misbehaving import serving
from tests.llm.parts import endpoint, request
from tests.test_runs import manifest
from thinkus import paths
from thinkus.endpoint import Endpoint, Price
from thinkus.errors import ConfigError, ThinkusError
from thinkus.llm.engine import EngineStopped
from thinkus.llm.exchange import Answer, Failure, Kind, Outcome, Request
from thinkus.llm.models import Models
from thinkus.llm.store import NAME
from thinkus.runs import Run, Usage, claimed
from thinkus.share import pack, unpack

PRICE = Price(input=1e4, output=1e5)


def ask(
    directory: Path,
    model: Endpoint,
    *texts: str,
    budget_usd: float | None = None,
    replay: Path | None = None,
    purpose: str = "test",
) -> tuple[list[Outcome], Usage]:
    """In a run of its own in that directory, left unfinished."""

    async def run(held: Run) -> list[Outcome]:
        async with (
            Models(held, budget_usd=budget_usd, replay=replay) as models,
            models.engine(model, "annotator", 8) as engine,
        ):
            asked = [request(text) for text in texts]
            return [
                await engine.ask(Request(item=one.item, purpose=purpose, messages=one.messages))
                for one in asked
            ]

    with claimed(directory, manifest(), "a: 1\n", redo=False) as held:
        assert held is not None
        outcomes = asyncio.run(run(held))
        return outcomes, held.usage


def texts_of(outcomes: list[Outcome]) -> list[str]:
    return [outcome.value for outcome in outcomes if isinstance(outcome, Answer)]


def test_usage_is_all_that_the_run_ever_paid(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        model = endpoint(server.url, price=PRICE)
        _, usage = ask(tmp_path / "run", model, "a", "b")
        assert (usage.input_tokens, usage.output_tokens) == (22, 14)
        assert usage.cost_usd == pytest.approx(2 * (11 * 1e4 + 7 * 1e5) / 1e6)
        _, usage = ask(tmp_path / "run", model, "a", "b", "c")
        assert usage.cost_usd == pytest.approx(3 * (11 * 1e4 + 7 * 1e5) / 1e6)
        assert len(server.seen) == 3
        _, usage = ask(tmp_path / "other", endpoint(server.url), "a")
        assert usage == Usage(11, 7, None), "a price that is not known is not 0"


def test_a_part_reads_what_its_run_and_the_other_parts_paid_for(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        model = endpoint(server.url)
        ask(tmp_path / "part-0001-of-0002", model, "a")
        ask(tmp_path, model, "b")
        outcomes, usage = ask(tmp_path / "part-0002-of-0002", model, "a", "b")
        assert texts_of(outcomes) == ["a", "b"]
        outcomes, _ = ask(tmp_path, model, "a", "b")
        assert len(server.seen) == 2
        assert usage == Usage(0, 0, 0.0)


def test_another_run_is_replayed_and_then_not_needed(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        ask(tmp_path / "first", endpoint(server.url), "a", "b")
        asked = len(server.seen)
        elsewhere = endpoint("http://127.0.0.1:9/v1")
        outcomes, usage = ask(
            tmp_path / "second", elsewhere, "a", "b", replay=tmp_path / "first", budget_usd=0
        )
        assert (texts_of(outcomes), len(server.seen)) == (["a", "b"], asked)
        assert usage == Usage(0, 0, 0.0)
        (tmp_path / "first" / NAME).unlink()
        assert texts_of(ask(tmp_path / "second", elsewhere, "a", "b")[0]) == ["a", "b"]


def test_with_a_budget_of_nothing_what_is_not_stored_ends_the_run(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        with pytest.raises(EngineStopped, match="budget_usd: is 0"):
            ask(tmp_path / "run", endpoint(server.url), "a", budget_usd=0)
        assert server.seen == []


def test_a_cap_needs_a_price(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"budget_usd: no price is known for annotator\.model=asked-model"):
        ask(tmp_path / "run", endpoint("http://127.0.0.1:9/v1"), "a", budget_usd=5)


def test_a_run_without_answers_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(ThinkusError, match=r"replay: .*holds no completions\.sqlite"):
        ask(tmp_path / "run", endpoint("http://127.0.0.1:9/v1"), "a", replay=tmp_path / "none")


def test_recorded_answers_are_found_by_item_and_purpose(tmp_path: Path) -> None:
    model = endpoint(None, backend="recorded", model=None)
    with (paths.SAMPLE / "recorded.jsonl").open() as lines:
        line = json.loads(lines.readline())
    outcomes, usage = ask(tmp_path / "run", model, line["item"], "nobody", purpose=line["purpose"])
    answer, missing = outcomes
    assert isinstance(answer, Answer)
    assert json.loads(answer.value) == line["answer"]
    assert isinstance(missing, Failure)
    assert (missing.kind, missing.detail) == (Kind.NOT_RECORDED, f"{line['purpose']} of nobody")
    assert usage.cost_usd == 0.0


def test_answers_are_passed_on_without_what_was_asked(tmp_path: Path) -> None:
    file = tmp_path / "shared.parquet"
    with serving(lambda number, _: misbehaving.answer(f"reply {number}")) as server:
        ask(tmp_path / "theirs" / "part-0001-of-0002", endpoint(server.url), "a secret of the corpus")
        ask(tmp_path / "theirs", endpoint(server.url), "b secret of the corpus")
        assert pack(tmp_path / "theirs", file) == 2
        assert b"secret" not in b"".join(
            str(column).encode()
            for column in pq.read_table(file, columns=["key", "text", "identity"]).columns
        )
        assert "request" not in pq.read_schema(file).names
        assert unpack(file, tmp_path / "ours") == (2, 2)
        assert unpack(file, tmp_path / "ours") == (0, 2)
        asked = len(server.seen)
        outcomes, usage = ask(
            tmp_path / "ours", endpoint(server.url), "a secret of the corpus", "b secret of the corpus"
        )
        assert texts_of(outcomes) == ["reply 0", "reply 1"]
        assert (len(server.seen), usage) == (asked, Usage(0, 0, 0.0))


def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    other, none = tmp_path / "other.parquet", tmp_path / "none.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    none.write_bytes(b"no parquet")
    for file in (other, none, tmp_path / "missing.parquet"):
        with pytest.raises(ThinkusError) as refused:
            unpack(file, tmp_path / "run")
        assert str(file) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()
    with pytest.raises(ThinkusError, match="nothing to share"):
        pack(tmp_path, tmp_path / "x.parquet")


def test_the_commands_say_what_they_did(thinkus: Callable[..., Finished], workspace: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        ask(workspace / "outputs" / "annotate" / "mine", endpoint(server.url), "a")
    packed = thinkus("share", "pack", "annotate/mine", "mine.parquet")
    assert (packed.returncode, packed.stdout.split(";")[0]) == (0, "mine.parquet: 1 answers of annotate/mine")
    unpacked = thinkus("share", "unpack", "mine.parquet", "annotate/yours")
    assert unpacked.stdout.startswith("annotate/yours: 1 new of 1 answers")
    assert (workspace / "outputs" / "annotate" / "yours" / NAME).is_file()
    refused = thinkus("share", "pack", "annotate/nobody", "x.parquet")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("outputs/annotate/nobody: holds no completions.sqlite")


def test_a_server_that_does_not_say_what_it_used_is_booked_at_its_most_also_after_a_restart(
    tmp_path: Path,
) -> None:
    with serving(lambda *_: misbehaving.answer("x", usage=None)) as server:
        model = endpoint(server.url, price=PRICE)
        _, first = ask(tmp_path / "run", model, "a")
        assert first.cost_usd is not None
        assert first.cost_usd > 10
        with pytest.raises(EngineStopped, match="budget_usd: of"):
            ask(tmp_path / "run", model, "b", budget_usd=first.cost_usd + 1)
        assert len(server.seen) == 1


def test_a_cap_cannot_be_kept_where_nobody_knows_what_was_spent(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        ask(tmp_path / "run", endpoint(server.url), "a")
        with pytest.raises(ThinkusError, match="1 answers of which nobody knows the price"):
            ask(tmp_path / "run", endpoint(server.url, price=PRICE), "b", budget_usd=100)


def test_the_parts_of_a_run_share_its_cap_and_the_whole_remembers_what_they_were_paid(tmp_path: Path) -> None:
    with serving(lambda *_: misbehaving.answer("x")) as server:
        model = endpoint(server.url, price=PRICE)
        one = (11 * 1e4 + 7 * 1e5) / 1e6
        cap = 40.0
        for number in (1, 2):
            part = tmp_path / f"part-000{number}-of-0002"
            with pytest.raises(EngineStopped, match="budget_usd"):
                ask(part, model, *(f"{number} {text}" for text in range(100)), budget_usd=cap)
        asked = len(server.seen)
        assert 2 <= asked <= cap / one
        _, usage = ask(tmp_path, model, "1 0")
        assert len(server.seen) == asked
        assert usage.cost_usd == pytest.approx(asked * one)


def test_who_only_replays_needs_no_key_and_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOBODYS_KEY", raising=False)
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        ask(tmp_path / "theirs", endpoint(server.url), "a")
    elsewhere = endpoint("https://api.nobody.example/v1", api_key_env="NOBODYS_KEY")
    outcomes, _ = ask(tmp_path / "ours", elsewhere, "a", replay=tmp_path / "theirs")
    assert texts_of(outcomes) == ["a"]
    with pytest.raises(ThinkusError, match="NOBODYS_KEY"):
        ask(tmp_path / "ours", elsewhere, "b")


def test_each_answer_is_passed_on_once(tmp_path: Path) -> None:
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        ask(tmp_path / "part-0001-of-0002", endpoint(server.url), "a")
        ask(tmp_path, endpoint(server.url), "a", "b")
    assert pack(tmp_path, tmp_path / "x.parquet") == 2


@pytest.mark.parametrize("key", ["max_tokens", "max_completion_tokens", "models", "temperature"])
def test_what_the_price_and_the_key_rest_on_cannot_be_said_twice(tmp_path: Path, key: str) -> None:
    with pytest.raises(ThinkusError, match=f"extra.*{key}"):
        ask(tmp_path / "run", endpoint("http://127.0.0.1:9/v1", extra={key: 1}), "a")


def test_a_store_that_another_part_is_just_making_is_passed_over(tmp_path: Path) -> None:
    other = tmp_path / "part-0002-of-0002"
    other.mkdir()
    (other / NAME).touch()
    with serving(lambda _, body: misbehaving.echo(body)) as server:
        outcomes, _ = ask(tmp_path / "part-0001-of-0002", endpoint(server.url), "a")
    assert texts_of(outcomes) == ["a"]

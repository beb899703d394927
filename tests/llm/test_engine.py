"""The engine on scripted backends: one call an answer, outcomes for all, and an end where none makes sense."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from tests.llm.parts import Scripted, collected, completion, echo, engine, request
from thinkus.errors import ThinkusError
from thinkus.llm import engine as engine_module
from thinkus.llm.engine import EngineStopped, is_same_model
from thinkus.llm.exchange import Answer, AttemptFailed, Completion, Failure, Kind, Request
from thinkus.llm.forms import Choice, Json
from thinkus.llm.keys import key_of


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(engine_module, "LONGEST_PAUSE_S", 0.01)


def test_every_request_has_an_outcome_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    async def twice() -> None:
        for asked in (300, 0):
            backend = Scripted(echo)
            async with engine(backend, tmp_path) as (one, _):
                outcomes = await collected(one, [request(str(number)) for number in range(300)])
            assert backend.asked == asked
            assert {item: outcome.value for item, outcome in outcomes.items()} == {  # type: ignore[union-attr]
                str(number): f"said {number}" for number in range(300)
            }
            assert one.tally == ({"asked": 300} if asked else {"stored": 300})

    asyncio.run(twice())


def test_the_same_request_at_the_same_time_is_asked_once(tmp_path: Path) -> None:
    async def slow(asked: Request) -> Completion:
        await asyncio.sleep(0.05)
        return completion("once")

    async def many() -> None:
        backend = Scripted(slow)
        async with engine(backend, tmp_path) as (one, _):
            outcomes = await asyncio.gather(*(one.ask(request("same")) for _ in range(20)))
            other = await one.ask(request("same", take=1))
        assert backend.asked == 2
        assert {outcome.value for outcome in outcomes} == {"once"}  # type: ignore[union-attr]
        assert isinstance(other, Answer)
        assert one.tally == {"asked": 2, "stored": 19}

    asyncio.run(many())


def test_whoever_waits_for_another_asks_itself_when_that_one_gives_up(tmp_path: Path) -> None:
    async def slow(asked: Request) -> Completion:
        await asyncio.sleep(0.1)
        return completion("at last")

    async def leader_leaves() -> None:
        backend = Scripted(slow)
        async with engine(backend, tmp_path) as (one, _):
            leader = asyncio.create_task(one.ask(request("same")))
            await asyncio.sleep(0.02)
            follower = asyncio.create_task(one.ask(request("same")))
            await asyncio.sleep(0.02)
            leader.cancel()
            assert isinstance(await follower, Answer)
        assert backend.asked == 2

    asyncio.run(leader_leaves())


@pytest.mark.parametrize("kind", [Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.DROPPED, Kind.UNREADABLE])
def test_what_is_of_the_moment_is_tried_again_and_then_a_failure(tmp_path: Path, kind: Kind) -> None:
    async def sometimes(asked: Request) -> Completion:
        tries[asked.item] += 1
        if asked.item == "never" or (asked.item == "third" and tries["third"] < 3):
            raise AttemptFailed(kind, "of the moment")
        return completion("good")

    tries: Counter[str] = Counter()

    async def run() -> None:
        async with engine(Scripted(sometimes), tmp_path) as (one, store):
            assert isinstance(await one.ask(request("good")), Answer)
            assert isinstance(await one.ask(request("third")), Answer)
            assert await one.ask(request("never")) == Failure(kind=kind, detail="of the moment")
            assert (await store.spent()).attempts == 1 + 3 + engine_module.MOST_TRIES
        assert tries == {"good": 1, "third": 3, "never": engine_module.MOST_TRIES}
        assert one.tally == {"asked": 2, kind: 1}
        assert len(one.summary()) == 2  # the failure, and the model that was not asked for

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Kind.TOO_LONG, Kind.REFUSED, Kind.NOT_RECORDED])
def test_what_is_of_the_request_is_not_tried_again_and_hurts_no_other(tmp_path: Path, kind: Kind) -> None:
    async def script(asked: Request) -> Completion:
        if int(asked.item) % 4:
            raise AttemptFailed(kind, "no use")
        return completion("good")

    async def run() -> None:
        backend = Scripted(script)
        async with engine(backend, tmp_path) as (one, _):
            await one.ask(request("0"))
            outcomes = await collected(one, [request(str(number)) for number in range(1, 200)])
        assert backend.asked == 200
        assert len(outcomes) == 199
        assert one.tally == {"asked": 50, kind: 150}

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Kind.KEY_REFUSED, Kind.UNPAID, Kind.UNKNOWN_MODEL, Kind.NO_SERVER])
def test_what_is_of_the_endpoint_ends_the_run_and_keeps_what_was_under_way(
    tmp_path: Path, kind: Kind
) -> None:
    async def script(asked: Request) -> Completion:
        if asked.item == "30":
            raise AttemptFailed(kind, "in the server's words")
        await asyncio.sleep(0.1)
        return completion("good")

    async def run() -> None:
        backend = Scripted(script)
        seen = 0
        async with engine(backend, tmp_path, concurrency=8) as (one, store):
            with pytest.raises(EngineStopped, match="in the server's words") as stopped:
                async for _ in one.run(request(str(number)) for number in range(10_000)):
                    seen += 1
            assert "\n" not in str(stopped.value)
            answered = (await store.spent()).input_tokens // 10
        assert backend.asked < 100, "nothing more is sent"
        assert seen == answered + 1, "what was under way was awaited, stored and handed on"
        assert answered >= 30
        assert one.tally[kind] == 1

    asyncio.run(run())


def test_a_run_in_which_most_fails_ends(tmp_path: Path) -> None:
    async def script(asked: Request) -> Completion:
        if int(asked.item) > 50:
            raise AttemptFailed(Kind.SERVER_ERROR, "on fire")
        return completion("good")

    async def run() -> None:
        backend = Scripted(script)
        async with engine(backend, tmp_path, concurrency=4) as (one, _):
            with pytest.raises(EngineStopped, match=r"most of the last .* requests"):
                await collected(one, (request(str(number)) for number in range(10_000)))
        assert one.tally[Kind.SERVER_ERROR] < 80

    asyncio.run(run())


def test_a_pause_of_hours_ends_the_run_and_sleepers_wake(tmp_path: Path) -> None:
    async def script(asked: Request) -> Completion:
        if asked.item == "0":
            raise AttemptFailed(Kind.RATE_LIMITED, "later", retry_after_s=600)
        await asyncio.sleep(0.05)
        raise AttemptFailed(Kind.RATE_LIMITED, "tomorrow", retry_after_s=50_000)

    async def run() -> None:
        async with engine(Scripted(script), tmp_path) as (one, _):
            with pytest.raises(EngineStopped, match="tomorrow"):
                await asyncio.wait_for(collected(one, [request("0"), request("1")]), 5)

    asyncio.run(run())


class Verdict(msgspec.Struct, forbid_unknown_fields=True):
    reason: str
    level: int


@pytest.mark.parametrize(
    ("asked", "came", "kind"),
    [
        (request("a"), completion("  \n"), Kind.EMPTY),
        (request("a"), completion("half", finish="length"), Kind.CUT),
        (request("a"), completion("", finish="length"), Kind.CUT),
        (request("a"), completion("", finish="content_filter"), Kind.FILTERED),
        (request("a", form=Choice(("yes", "no"))), completion("maybe"), Kind.OFF_FORM),
        (request("a", form=Choice(("yes", "no"))), completion("yes or no"), Kind.OFF_FORM),
        (request("a", form=Json(Verdict)), completion('{"reason": "x"}'), Kind.OFF_FORM),
        (
            request("a", form=Json(Verdict)),
            completion('{"reason": "x", "level": 1, "more": 2}'),
            Kind.OFF_FORM,
        ),
        (request("a", form=Json(Verdict)), completion('Sure! {"reason": "x", "level": 1}'), Kind.OFF_FORM),
    ],
)
def test_an_answer_that_is_none_is_a_class_and_its_text_is_kept(
    tmp_path: Path, asked: Request, came: Completion, kind: Kind
) -> None:
    async def script(_: Request) -> Completion:
        return came

    async def run() -> None:
        for calls in (1, 0):  # it was paid for, so it is stored, and the class comes out again
            backend = Scripted(script)
            async with engine(backend, tmp_path) as (one, _):
                outcome = await one.ask(asked)
            assert isinstance(outcome, Failure)
            assert (outcome.kind, outcome.completion, backend.asked) == (kind, came, calls)
            assert one.summary()[0].startswith(f"1 {kind.replace('_', ' ')}: ")

    asyncio.run(run())


def test_answers_of_their_form_are_read_into_it(tmp_path: Path) -> None:
    texts = {
        "json": '{"reason": "x", "level": 1}',
        "fence": '```json\n{"reason": "x", "level": 1}\n```',
        "choice": " yes\n",
        "empty": "",
    }

    async def script(asked: Request) -> Completion:
        return completion(texts[asked.item])

    async def run() -> None:
        async with engine(Scripted(script), tmp_path) as (one, _):
            for item in ("json", "fence"):
                outcome = await one.ask(request(item, form=Json(Verdict)))
                assert isinstance(outcome, Answer)
                assert outcome.value == Verdict("x", 1)
            choice = await one.ask(request("choice", form=Choice(("yes", "no"))))
            empty = await one.ask(request("empty", may_be_empty=True))
        assert [outcome.value for outcome in (choice, empty)] == ["yes", ""]  # type: ignore[union-attr]

    asyncio.run(run())


def test_a_defect_of_ours_comes_out_as_it_is(tmp_path: Path) -> None:
    async def broken(_: Request) -> Completion:
        raise RuntimeError("a bug")

    async def in_backend() -> None:
        async with engine(Scripted(broken), tmp_path) as (one, _):
            await collected(one, [request("a")])

    async def in_requests() -> None:
        async with engine(Scripted(echo), tmp_path) as (one, _):
            await collected(one, (request(1 / 0) for _ in "a"))  # type: ignore[arg-type]

    with pytest.raises(RuntimeError, match="a bug"):
        asyncio.run(asyncio.wait_for(in_backend(), 10))
    with pytest.raises(ZeroDivisionError):
        asyncio.run(asyncio.wait_for(in_requests(), 10))


def test_leaving_early_cancels_what_is_under_way(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine(Scripted(echo), tmp_path, concurrency=4) as (one, _):
            outcomes = one.run(request(str(number)) for number in range(10_000))
            async for _ in outcomes:
                break
            await asyncio.wait_for(outcomes.aclose(), 5)  # type: ignore[attr-defined]
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_requests_are_pulled_as_there_is_room_and_may_come_late(tmp_path: Path) -> None:
    pulled = 0

    async def run() -> None:
        async def source() -> AsyncIterator[Request]:
            nonlocal pulled
            for number in range(1000):
                pulled += 1
                await asyncio.sleep(0)
                yield request(str(number))

        async with engine(Scripted(echo), tmp_path, concurrency=8) as (one, _):
            seen = 0
            async for _ in one.run(source()):
                seen += 1
                assert pulled - seen < 64, "pulled far ahead of what was taken"
        assert seen == 1000

    asyncio.run(run())


def test_a_full_disk_ends_the_run_in_one_line(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine(Scripted(echo), tmp_path) as (one, store):
            store._writer.execute("pragma max_page_count = 12")
            await collected(one, (request(str(number) * 500) for number in range(1000)))

    with pytest.raises(ThinkusError, match=r"full.*the same command goes on"):
        asyncio.run(asyncio.wait_for(run(), 20))


@pytest.mark.parametrize(
    ("asked", "served", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("deepseek/deepseek-chat-v3-0324", "deepseek-chat-v3-0324", True),
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("deepseek-chat", "DeepSeek-V4.1-Flash-1017", False),
        ("qwen3", "qwen35", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("gpt-4", "gpt-4-32k", False),
        ("qwen3", "qwen3-8b", False),
    ],
)
def test_a_date_makes_no_other_model(asked: str, served: str, *, same: bool) -> None:
    assert is_same_model(asked, served) is same


def test_another_model_that_answers_is_named(tmp_path: Path) -> None:
    async def run() -> None:
        async with engine(Scripted(echo), tmp_path) as (one, _):
            await collected(one, [request(str(number)) for number in range(7)])
        (line,) = one.summary()
        assert "asked-model was asked for" in line
        assert "scripted (7)" in line

    asyncio.run(run())


async def as_completion(one: Completion) -> Completion:
    return one


def test_what_a_server_broke_off_is_asked_again_and_not_stored(tmp_path: Path) -> None:
    finishes = iter(["abort", "insufficient_system_resource", "stop"])

    async def run() -> None:
        backend = Scripted(lambda _: as_completion(completion("half", finish=next(finishes))))
        async with engine(backend, tmp_path) as (one, _):
            outcome = await one.ask(request("a"))
        assert isinstance(outcome, Answer)
        assert (backend.asked, outcome.completion.finish) == (3, "stop")

    asyncio.run(run())


@pytest.mark.parametrize("field", ["text", "tokens"])
def test_what_fits_into_no_file_makes_nobody_wait_for_ever(tmp_path: Path, field: str) -> None:
    odd = completion("half \ud83d") if field == "text" else completion("x", input_tokens=2**70)

    async def run() -> None:
        async with engine(Scripted(lambda _: as_completion(odd)), tmp_path) as (one, store):
            if field == "tokens":
                with pytest.raises(ThinkusError, match="cannot be written"):
                    await one.ask(request("a"))
                return
            assert isinstance(await one.ask(request("a")), Answer)
            again = await store.get(key_of(request("a"), one._identity, by_item=False)[0])
            assert again is not None
            assert again.text == "half ?"

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_server_that_takes_no_request_at_all_ends_the_run(tmp_path: Path) -> None:
    async def script(_: Request) -> Completion:
        raise AttemptFailed(Kind.REFUSED, "response_format is not supported", status=400)

    async def run() -> None:
        backend = Scripted(script)
        async with engine(backend, tmp_path, concurrency=4) as (one, _):
            with pytest.raises(EngineStopped, match="response_format"):
                await collected(one, (request(str(number)) for number in range(10_000)))
        assert backend.asked < 60

    asyncio.run(run())


@pytest.mark.parametrize(("status", "ends"), [(403, False), (400, False), (401, True), (404, True)])
def test_one_text_that_is_blocked_does_not_end_a_run_that_works(
    tmp_path: Path, status: int, *, ends: bool
) -> None:
    async def script(asked: Request) -> Completion:
        if asked.item == "bad":
            kind = Kind.UNKNOWN_MODEL if status == 404 else Kind.KEY_REFUSED
            raise AttemptFailed(kind, "you have been blocked", status=status)
        return completion("good")

    async def run() -> None:
        async with engine(Scripted(script), tmp_path) as (one, _):
            assert isinstance(await one.ask(request("good")), Answer)
            outcome = await one.ask(request("bad"))
            assert isinstance(outcome, Failure)
            assert (outcome.kind is Kind.REFUSED) is not ends
            if ends:
                with pytest.raises(EngineStopped):
                    one.check()
            else:
                one.check()

    asyncio.run(run())


def test_a_mistake_in_what_is_asked_lets_what_is_under_way_end(tmp_path: Path) -> None:
    async def slow(_: Request) -> Completion:
        await asyncio.sleep(0.1)
        return completion("paid for")

    async def source() -> AsyncIterator[Request]:
        yield request("a")
        await asyncio.sleep(0.02)
        raise ThinkusError("line 2 is damaged")

    async def run() -> None:
        async with engine(Scripted(slow), tmp_path) as (one, store):
            with pytest.raises(ThinkusError, match="line 2 is damaged"):
                async for _ in one.run(source()):
                    pass
            assert (await store.spent()).input_tokens == 10

    asyncio.run(run())


def test_a_model_that_cannot_be_opened_is_tried_once_however_many_wait(tmp_path: Path) -> None:
    """A server takes half a minute to find out; a hundred who wait must not each start one."""
    opened = 0

    class Broken(Scripted):
        async def open(self) -> None:
            nonlocal opened
            opened += 1
            await asyncio.sleep(0.01)
            raise ThinkusError("annotator: it does not fit")

    async def run() -> None:
        async with engine(Broken(echo), tmp_path) as (one, _):
            with pytest.raises(ThinkusError, match=r"^annotator: it does not fit$"):
                await collected(one, [request(str(number)) for number in range(50)])

    asyncio.run(run())
    assert opened == 1

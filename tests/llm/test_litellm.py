"""litellm against a real server: one attempt for each call, and the same kinds of failure as the thin client."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Server, answer, serving
from tests.llm.test_openai import KEY, NAME, OBJECT, SCHEMAS, endpoint, request
from thinkus.errors import ThinkusError
from thinkus.llm import litellm
from thinkus.llm.exchange import AttemptFailed, Completion, Kind
from thinkus.llm.forms import Choice, Form
from thinkus.llm.litellm import LiteLLM
from thinkus.records import Message

WITH_SCHEMAS = "openai/gpt-4o"
CHOICE, JSON = SCHEMAS


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, KEY)
    for name in ("OPENAI_API_KEY", "MISTRAL_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def backend(**values: Any) -> LiteLLM:
    return LiteLLM(endpoint(**({"model": "openai/whatever", "api_key_env": NAME} | values)), "judge")


async def asked(chosen: LiteLLM, form: Form | None = None) -> Completion:
    await chosen.open()
    try:
        return await chosen.complete(request(form=form))
    finally:
        await chosen.close()


def answered(behaviour: Behaviour, form: Form | None = None, **values: Any) -> tuple[Completion, Server]:
    with serving(behaviour) as server:
        return asyncio.run(asked(backend(api_base=server.url, **values), form)), server


def failed(behaviour: Behaviour, **values: Any) -> AttemptFailed:
    with serving(behaviour) as server, pytest.raises(AttemptFailed) as raised:
        asyncio.run(asked(backend(api_base=server.url, **values)))
    assert len(server.seen) == 1, "one call is one attempt"
    return raised.value


def test_an_answer_is_asked_for_and_read() -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    details = {"prompt_tokens_details": {"cached_tokens": 4}}
    behaviour = answer(
        "Hi.", model="whatever-0711", finish="length", usage=usage | details, system_fingerprint="fp1"
    )
    completion, server = answered(behaviour, extra={"top_k": 5})
    assert msgspec.structs.replace(completion, at="") == Completion(
        text="Hi.",
        finish="length",
        served_model="whatever-0711",
        fingerprint="fp1",
        input_tokens=11,
        cached_tokens=4,
        output_tokens=7,
    )
    assert completion.at.endswith("+00:00")
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"
    assert server.seen[0].body == {
        "model": "whatever",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 77,
        "top_k": 5,
    }


def test_what_servers_leave_away_is_no_mistake() -> None:
    completion, _ = answered(answer(None, usage=None))
    assert (completion.text, completion.input_tokens, completion.output_tokens) == ("", None, None)
    assert answered(misbehaving.blank_lines_then("Late."))[0].text == "Late."


@pytest.mark.parametrize(
    ("model", "structured", "form", "expected"),
    [
        (WITH_SCHEMAS, "schema", CHOICE, SCHEMAS[CHOICE]),
        (WITH_SCHEMAS, "schema", JSON, SCHEMAS[JSON]),
        (WITH_SCHEMAS, "json_object", JSON, OBJECT),
        (WITH_SCHEMAS, "json_object", CHOICE, {}),
        (WITH_SCHEMAS, "none", JSON, {}),
        # Nobody says that these know schemas, or forms at all.
        ("openai/whatever", "schema", JSON, OBJECT),
        ("openai/whatever", "schema", CHOICE, {}),
        ("openai/gpt-4", "schema", CHOICE, {}),
    ],
)
def test_the_server_is_told_of_the_form(
    model: str, structured: str, form: Form, expected: dict[str, Any]
) -> None:
    completion, server = answered(answer('{"choice": "A"}'), form, model=model, structured=structured)
    body = server.seen[0].body
    assert {key: value for key, value in body.items() if key == "response_format"} == expected
    is_unwrapped = isinstance(form, Choice) and expected != {}
    assert completion.text == ("A" if is_unwrapped else '{"choice": "A"}')


@pytest.mark.filterwarnings("ignore::UserWarning")  # of litellm's own types
def test_a_provider_without_forms_is_told_of_none() -> None:
    with serving(answer("Hi.")) as server, pytest.raises(AttemptFailed, match="could not read"):
        asyncio.run(
            asked(
                backend(
                    model="cohere/command-r",
                    structured="schema",
                    api_base=f"{server.url}/chat/completions",
                ),
                JSON,
            )
        )
    assert "response_format" not in server.seen[0].body


def test_what_litellm_itself_refuses_is_not_sent() -> None:
    with serving(answer("Hi.")) as server, pytest.raises(AttemptFailed) as raised:
        asyncio.run(asked(backend(model="openai/o1", api_base=server.url)))
    assert (raised.value.kind, raised.value.may_be_billed) == (Kind.REFUSED, False)
    assert "top_p" in raised.value.detail
    assert server.seen == []


@pytest.mark.parametrize(
    ("behaviour", "kind", "status", "words"),
    [
        (misbehaving.status(401, f"Incorrect API key {KEY}"), Kind.KEY_REFUSED, 401, "key [key]"),
        (misbehaving.status(402, "Insufficient Balance"), Kind.UNPAID, 402, "Insufficient"),
        (misbehaving.status(429, "no", error="insufficient_quota"), Kind.UNPAID, 429, "no"),
        (misbehaving.status(404, "no such model"), Kind.UNKNOWN_MODEL, 404, "no such model"),
        (misbehaving.status(400, "Model Not Exist"), Kind.UNKNOWN_MODEL, 400, "Model Not Exist"),
        (misbehaving.status(400, "no", error="context_length_exceeded"), Kind.TOO_LONG, 400, "no"),
        (
            misbehaving.status(400, "This model's maximum context length is 10 tokens"),
            Kind.TOO_LONG,
            400,
            "maximum context length",
        ),
        (misbehaving.status(400, "bad parameter"), Kind.REFUSED, 400, "bad parameter"),
        (misbehaving.status(408, "slow"), Kind.TIMEOUT, 408, "slow"),
        (misbehaving.limited(7), Kind.RATE_LIMITED, 429, "slow down"),
        (misbehaving.status(500, "boom"), Kind.SERVER_ERROR, 500, "boom"),
        (misbehaving.status(529, "overloaded"), Kind.SERVER_ERROR, 529, "overloaded"),
    ],
)
# openai/ goes through the client of that name, mistral/ through litellm's own.
@pytest.mark.parametrize("model", ["openai/whatever", "mistral/whatever"])
def test_refusals_are_told_apart(
    model: str, behaviour: Behaviour, kind: Kind, status: int, words: str
) -> None:
    failure = failed(behaviour, model=model)
    assert (failure.kind, failure.status, failure.may_be_billed) == (kind, status, False)
    assert words in failure.detail
    assert KEY not in failure.detail


@pytest.mark.parametrize("model", ["openai/whatever", "mistral/whatever"])
def test_how_long_to_wait_is_read(model: str) -> None:
    assert failed(misbehaving.limited(7), model=model).retry_after_s == 7.0
    assert failed(misbehaving.limited(), model=model).retry_after_s is None
    by_date = failed(misbehaving.limited(60, as_date=True), model=model).retry_after_s
    assert by_date is not None
    assert 57 < by_date <= 60
    busy = misbehaving.status(503, headers={"Retry-After": "3"})
    assert failed(busy, model=model).retry_after_s == 3.0


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (misbehaving.cut_json(), Kind.UNREADABLE),
        (misbehaving.raw(200, b"<html>Welcome</html>", content_type="text/html"), Kind.UNREADABLE),
        (misbehaving.raw(200, b""), Kind.UNREADABLE),
        (misbehaving.raw(200, b'{"id": "x"}'), Kind.UNREADABLE),
        (misbehaving.raw(200, b'{"choices": []}'), Kind.UNREADABLE),
        (misbehaving.raw(200, b'{"error": {"message": "oops", "code": 429}}'), Kind.RATE_LIMITED),
        (misbehaving.drop(), Kind.DROPPED),
        (misbehaving.drop_midway(), Kind.DROPPED),
    ],
)
@pytest.mark.parametrize("model", ["openai/whatever", "mistral/whatever"])
def test_what_may_have_been_paid_for(model: str, behaviour: Behaviour, kind: Kind) -> None:
    failure = failed(behaviour, model=model)
    assert (failure.kind, failure.may_be_billed) == (kind, True)
    assert failure.detail
    assert "Exception" not in failure.detail
    assert "litellm." not in failure.detail
    assert len(failure.detail) <= 300


@pytest.mark.parametrize("model", ["openai/whatever", "mistral/whatever"])
def test_nobody_there(model: str) -> None:
    with pytest.raises(AttemptFailed) as raised:
        asyncio.run(asked(backend(model=model, api_base="http://127.0.0.1:9/v1")))
    assert (raised.value.kind, raised.value.may_be_billed) == (Kind.NO_SERVER, False)
    assert "127.0.0.1" in raised.value.detail


def test_a_clock_of_its_own_would_be_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "A_DAY_S", 0.1)
    failure = failed(misbehaving.hang(), model="mistral/whatever")
    assert (failure.kind, failure.may_be_billed) == (Kind.TIMEOUT, True)


def test_too_many_open_files_are_no_missing_server() -> None:
    async def main(server: Server) -> None:
        chosen = backend(model="mistral/whatever", api_base=server.url)
        await chosen.open()
        await chosen.complete(request())
        chosen = backend(model="mistral/whatever", api_base="http://127.0.0.1:9/v1")
        await chosen.open()
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
        try:
            await chosen.complete(request())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)

    with (
        serving(answer("Hi.")) as server,
        pytest.raises(AttemptFailed, match="Too many open files") as raised,
    ):
        asyncio.run(main(server))
    assert (raised.value.kind, raised.value.may_be_billed) == (Kind.DROPPED, False)


def test_a_missing_key_is_named_whether_litellm_misses_it_or_the_provider(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missed(**values: Any) -> AttemptFailed:
        with pytest.raises(AttemptFailed) as raised:
            asyncio.run(asked(backend(api_key_env=None, **values)))
        return raised.value

    failure = missed(model="openai/whatever")
    assert failure.kind is Kind.KEY_MISSING
    assert "OPENAI_API_KEY" in failure.detail
    failure = missed(model="gemini/gemini-2.5-flash")
    assert failure.kind is Kind.KEY_MISSING
    assert failure.detail.startswith("Missing Gemini API key")
    assert "Traceback" not in failure.detail
    with serving(misbehaving.status(401, "Unauthorized")) as server:
        failure = missed(model="mistral/whatever", api_base=server.url)
        assert (failure.kind, failure.detail) == (Kind.KEY_MISSING, "MISTRAL_API_KEY is not set")
        monkeypatch.setenv("MISTRAL_API_KEY", KEY)
        assert missed(model="mistral/whatever", api_base=server.url).kind is Kind.KEY_REFUSED


def test_a_key_that_litellm_found_by_itself_is_in_no_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME)
    monkeypatch.setenv("MISTRAL_API_KEY", KEY)
    behaviour = misbehaving.status(400, f"What is {KEY}?")
    assert failed(behaviour, model="mistral/whatever", api_key_env=None).detail == "What is [key]?"


@pytest.mark.parametrize(
    ("values", "beginning"),
    [
        ({"model": None}, "judge.model: is null"),
        ({"model": "nonsense/x"}, "judge.model: litellm knows no provider for 'nonsense/x'"),
        ({"api_base": "ftp://here/v1"}, "judge.api_base: must be an address"),
        ({"extra": {"num_retries": 3}}, "judge.extra.num_retries: cannot be said there"),
        ({"api_key_env": "THINKUS_NO_KEY"}, "judge.api_key_env: THINKUS_NO_KEY is not set"),
    ],
)
def test_mistakes_are_told_at_the_door(values: dict[str, Any], beginning: str) -> None:
    with pytest.raises(ThinkusError) as raised:
        asyncio.run(backend(**values).open())
    assert str(raised.value).startswith(beginning)
    assert "\n" not in str(raised.value)


def test_a_provider_that_needs_a_package_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setitem(sys.modules, "botocore.awsrequest", None)
    with pytest.raises(ThinkusError, match=r"^judge\.model: bedrock/\S+ cannot be asked: .*boto"):
        asyncio.run(asked(backend(model="bedrock/anthropic.claude-3-haiku-20240307-v1:0", api_key_env=None)))


def test_without_litellm_the_way_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "litellm", None)
    with pytest.raises(ThinkusError, match=r"pip install 'thinkus\[api\]'"):
        asyncio.run(backend().open())


def test_identity_is_what_can_change_an_answer() -> None:
    usual = backend().identity
    assert usual["backend"] == "litellm"
    assert backend(api_base="http://x/v1", api_key_env=None, deadline_s=3.0).identity == usual
    assert backend(extra={"seed": 1}).identity != usual


def test_who_is_cancelled_hangs_up_at_once() -> None:
    async def main(server: Server) -> None:
        chosen = backend(api_base=server.url)
        await chosen.open()
        assert (await chosen.complete(request())).text == "Hi."
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await chosen.complete(request())
        assert time.monotonic() - began < 1.5
        while server.in_flight and time.monotonic() - began < 5:
            await asyncio.sleep(0.01)
        assert server.in_flight == 0
        assert (await chosen.complete(request())).text == "Hi."

    def behave(number: int, _body: dict[str, Any]) -> Behaviour:
        return misbehaving.hang() if number == 1 else answer("Hi.")

    with serving(behave) as server:
        asyncio.run(main(server))


QUIET = """
import asyncio, gc, logging, sys
from tests.llm import misbehaving
from tests.llm.test_litellm import asked, backend
from thinkus.llm.exchange import AttemptFailed

async def main(base):
    assert "litellm" not in sys.modules
    chosen = backend(api_base=base, model="openai/never-heard-of")
    assert (await asked(chosen)).text == "Hi."
    try:
        await asked(chosen)
    except AttemptFailed as failure:
        assert failure.detail == "boom"

with misbehaving.serving(lambda n, _: misbehaving.status(500, "boom") if n else misbehaving.answer("Hi.")) as server:
    asyncio.run(main(server.url))
assert len(server.seen) == 2
assert gc.get_freeze_count() > 100_000
logging.getLogger("LiteLLM").error("not to be seen")
assert sys.modules["litellm"].litellm_mode == "PRODUCTION"
constants = sys.modules["litellm.constants"]
assert constants.AIOHTTP_CONNECTOR_LIMIT > 10_000
assert constants.AIOHTTP_CONNECTOR_LIMIT_PER_HOST == 0
"""


def test_it_is_quiet_and_reads_no_env_file_and_does_not_limit_connections(tmp_path: Path) -> None:
    root = str(Path(misbehaving.__file__).parents[2])
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LITELLM")}
    finished = subprocess.run(
        [sys.executable, "-c", QUIET],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment | {NAME: KEY, "PYTHONPATH": root},
        timeout=60,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


def test_messages_of_any_length_are_passed_on_as_they_are() -> None:
    text = "ü" * 5000 + "\n\n "

    async def main(server: Server) -> None:
        chosen = backend(api_base=server.url)
        await chosen.open()
        await chosen.complete(
            msgspec.structs.replace(
                request(), messages=(Message("user", text), Message("assistant", "Yes?"), Message("user", ""))
            )
        )

    with serving(answer("Hi.")) as server:
        asyncio.run(main(server))
    assert [message["content"] for message in server.seen[0].body["messages"]] == [text, "Yes?", ""]

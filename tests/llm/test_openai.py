"""The thin client against a real server: what it sends, what it makes of answers, and of every way to fail."""

import asyncio
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.llm import misbehaving
from tests.llm.misbehaving import Behaviour, Server, answer, serving
from thinkus.endpoint import Endpoint
from thinkus.errors import ThinkusError
from thinkus.llm import openai, wire
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Choice, Form, Json, Likelihood, Near, Odds, OffForm, Opened
from thinkus.llm.openai import OpenAI
from thinkus.records import Message

KEY = "zq-4f81c0ffee7a93bd25e1"
NAME = "THINKUS_TEST_KEY"


class Verdict(msgspec.Struct):
    better: str


def endpoint(**values: Any) -> Endpoint:
    usual: dict[str, Any] = {
        "name": "tested",
        "backend": "openai",
        "model": "some-model",
        "api_base": None,
        "api_key_env": None,
        "structured": "none",
        "extra": None,
        "sampling": {"temperature": 0.5, "top_p": 0.9, "max_tokens": 77},
        "price": None,
        "deadline_s": None,
        "vllm": None,
    }
    return Endpoint.model_validate(usual | values)


def request(text: str = "Hello?", form: Form | None = None) -> Request:
    messages = (Message("system", "Be kind."), Message("user", text))
    return Request(item="1", purpose="test", messages=messages, form=form)


async def asked(chosen: Endpoint, form: Form | None = None) -> Completion:
    backend = OpenAI(chosen, "judge")
    await backend.open()
    try:
        return await backend.complete(request(form=form))
    finally:
        await backend.close()


def answered(behaviour: Behaviour, form: Form | None = None, **values: Any) -> tuple[Completion, Server]:
    with serving(behaviour) as server:
        return asyncio.run(asked(endpoint(api_base=server.url, **values), form)), server


def failed(behaviour: Behaviour, **values: Any) -> AttemptFailed:
    with serving(behaviour) as server, pytest.raises(AttemptFailed) as raised:
        asyncio.run(asked(endpoint(api_base=server.url, **values)))
    assert len(server.seen) == 1, "one call is one attempt"
    return raised.value


# What it sends ---------------------------------------------------------------------------------


def test_the_request_says_what_the_config_says() -> None:
    extra = {"thinking": {"type": "disabled"}, "seed": 3}
    _, server = answered(answer("Hi."), extra=extra)
    assert server.seen[0].body == {
        "model": "some-model",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 77,
        **extra,
    }
    assert server.seen[0].headers["Content-Type"] == "application/json"
    assert server.seen[0].url.endswith("/v1/chat/completions")


CHOICE, JSON = Choice(("A", "B")), Json(Verdict)
SCHEMAS = {
    form: {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": form.schema},
        }
    }
    for form in (CHOICE, JSON)
}
OBJECT = {"response_format": {"type": "json_object"}}
OPENED, ODDS = Opened("<thought>", ("</thought>", "<thought>")), Odds(("1", "0"))
GOES_ON = {"continue_final_message": True, "add_generation_prompt": False}
LIKELY = {"logprobs": True, "top_logprobs": 20}


@pytest.mark.parametrize(
    ("structured", "form", "expected"),
    [
        ("schema", CHOICE, SCHEMAS[CHOICE]),
        ("schema", JSON, SCHEMAS[JSON]),
        ("schema", None, {}),
        ("json_object", CHOICE, {}),
        ("json_object", JSON, OBJECT),
        ("vllm", CHOICE, {"structured_outputs": {"choice": ["A", "B"]}}),
        ("vllm", JSON, SCHEMAS[JSON]),
        ("vllm", None, {}),
        ("none", CHOICE, {}),
        ("none", JSON, {}),
        ("vllm", OPENED, {**GOES_ON, "stop": ["</thought>", "<thought>"]}),
        ("vllm", Opened("<thought>"), GOES_ON),
        *((structured, ODDS, LIKELY) for structured in ("vllm", "schema", "json_object", "none")),
    ],
)
def test_the_server_is_told_of_the_form(structured: str, form: Form | None, expected: dict[str, Any]) -> None:
    _, server = answered(answer("A"), form, structured=structured)
    usual = {"model", "messages", "temperature", "top_p", "max_tokens"}
    assert {key: value for key, value in server.seen[0].body.items() if key not in usual} == expected


def test_a_choice_is_unwrapped_where_it_was_asked_for_wrapped() -> None:
    wrapped = '{"choice": "B"}'
    assert answered(answer(wrapped), CHOICE, structured="schema")[0].text == "B"
    assert answered(answer("A"), CHOICE, structured="schema")[0].text == "A"
    assert answered(answer(wrapped), CHOICE, structured="vllm")[0].text == wrapped
    assert answered(answer(wrapped), None, structured="schema")[0].text == wrapped


def test_what_is_to_go_on_is_the_last_message() -> None:
    body = answered(answer(" and so on"), OPENED, structured="vllm")[1].seen[0].body
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello?"},
        {"role": "assistant", "content": "<thought>"},
    ]
    assert body["max_tokens"] == 77


@pytest.mark.parametrize("structured", ["schema", "json_object", "none"])
def test_only_vllm_goes_on_from_given_words(structured: str) -> None:
    """Another would answer to them, and nobody would notice."""
    with serving(answer("And so on.")) as server, pytest.raises(ThinkusError) as raised:
        asyncio.run(asked(endpoint(api_base=server.url, structured=structured), OPENED))
    assert server.seen == []
    assert str(raised.value).startswith(f"structured: {structured} cannot let a model go on from words")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (Near(), "a language model does not say how near two texts are"),
        (Likelihood("a"), r"only a model in this process \(judge=hf\) says how likely words are"),
    ],
)
@pytest.mark.parametrize("structured", ["vllm", "schema", "json_object", "none"])
def test_no_server_is_asked_what_it_does_not_say(structured: str, form: Form, told: str) -> None:
    with serving(answer("1.0")) as server, pytest.raises(ThinkusError, match=f"^{told}"):
        asyncio.run(asked(endpoint(api_base=server.url, structured=structured), form))
    assert server.seen == []


def test_for_odds_one_token_is_written_whatever_the_config_says() -> None:
    body = answered(answer("1"), ODDS, extra={"seed": 3})[1].seen[0].body
    assert (body["max_tokens"], body["seed"], len(body["messages"])) == (1, 3, 2)


def test_the_key_is_sent_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, f" {KEY}\n")
    _, server = answered(answer("Hi."), api_key_env=NAME)
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("name", [None, NAME])
def test_a_server_of_ones_own_needs_no_key(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    _, server = answered(answer("Hi."), api_key_env=name)
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize(
    ("base", "is_own"),
    [
        ("http://localhost:8000/v1", True),
        ("http://127.3.2.1/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://10.1.2.3:8000/v1", True),
        ("http://192.168.0.5/v1", True),
        ("http://8.8.8.8/v1", False),
        ("https://api.deepseek.com", False),
        ("https://localhost.example.org", False),
    ],
)
def test_whose_server_may_do_without_a_key(base: str, is_own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(NAME, raising=False)
    chosen = endpoint(api_base=base, api_key_env=NAME)
    if is_own:
        assert wire.key_of(chosen, "judge") is None
    else:
        with pytest.raises(ThinkusError, match=f"^judge.api_key_env: {NAME} is not set; export {NAME}="):
            wire.key_of(chosen, "judge")


def refusal(chosen: Endpoint) -> str:
    with pytest.raises(ThinkusError) as raised:
        asyncio.run(OpenAI(chosen, "annotator").open())
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize(
    ("values", "beginning"),
    [
        ({"api_base": None}, "annotator.api_base: is null"),
        ({"model": None}, "annotator.model: is null"),
        ({"api_base": "ftp://here/v1"}, "annotator.api_base: must be an address"),
        ({"api_base": "localhost:8000/v1"}, "annotator.api_base: must be an address"),
        ({"api_base": "http:///v1"}, "annotator.api_base: must be an address"),
        ({"api_base": "http://a..b/v1"}, "annotator.api_base: must be an address"),
        ({"api_base": "http://here:99999/v1"}, "annotator.api_base: must be an address"),
        ({"api_base": "http://someone@here/v1"}, "annotator.api_base: must end with its path"),
        ({"api_base": "http://here/v1?version=2"}, "annotator.api_base: must end with its path"),
        ({"extra": {"stream": True}}, "annotator.extra.stream: cannot be said there"),
        ({"api_base": "https://api.example.org", "api_key_env": NAME}, "annotator.api_key_env: "),
    ],
)
def test_mistakes_are_told_at_the_door(
    values: dict[str, Any], beginning: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(NAME, raising=False)
    chosen = endpoint(api_base="http://here/v1").model_copy(update=values)  # which the config would refuse
    assert refusal(chosen).startswith(beginning)


def test_what_cannot_be_a_key_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, f"{KEY}\n{KEY}")
    message = refusal(endpoint(api_base="http://here/v1", api_key_env=NAME))
    assert NAME in message
    assert KEY not in message


def test_identity_is_what_can_change_an_answer() -> None:
    def identity(**values: Any) -> Any:
        return OpenAI(endpoint(**values), "judge").identity

    usual = identity()
    assert usual == {
        "backend": "openai",
        "model": "some-model",
        "sampling": {"temperature": 0.5, "top_p": 0.9, "max_tokens": 77},
        "extra": {},
        "structured": "none",
    }
    indifferent = {
        "name": "b",
        "api_base": "http://x/v1",
        "api_key_env": NAME,
        "price": {"input": 1.0, "output": 1.0},
        "deadline_s": 3.0,
    }
    assert identity(**indifferent) == usual
    for counts in ({"model": "b"}, {"extra": {"seed": 1}}, {"structured": "schema"}):
        assert identity(**counts) != usual


# What it makes of answers ----------------------------------------------------------------------


def test_an_answer_is_read() -> None:
    behaviour = answer("Hi.", model="some-model-0711", finish="length", system_fingerprint="fp1")
    completion, _ = answered(behaviour)
    assert msgspec.structs.replace(completion, at="") == Completion(
        text="Hi.",
        finish="length",
        served_model="some-model-0711",
        fingerprint="fp1",
        input_tokens=11,
        cached_tokens=0,
        output_tokens=7,
    )
    assert abs(time.time() - datetime.fromisoformat(completion.at).timestamp()) < 5
    assert completion.at.endswith("+00:00")


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 5}, 5),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 4}}, 4),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": None}, 0),
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": None}}, 0),
    ],
)
def test_cached_tokens_are_counted(usage: dict[str, Any], cached: int) -> None:
    completion, _ = answered(answer("Hi.", usage=usage))
    assert (completion.input_tokens, completion.cached_tokens, completion.output_tokens) == (9, cached, 1)


def test_what_servers_leave_away_is_no_mistake() -> None:
    completion, _ = answered(answer(None, finish=None, usage=None))
    assert (completion.text, completion.finish, completion.input_tokens, completion.output_tokens) == (
        "",
        "",
        None,
        None,
    )
    completion, _ = answered(misbehaving.raw(200, b'{"choices": [{"message": {"content": "Hi."}}]}'))
    assert (completion.text, completion.served_model) == ("Hi.", "some-model")


def likely(*places: dict[str, float] | None) -> Behaviour:
    """An answer of so many tokens, with what might have stood in the place of each; None: an empty list."""
    content = [
        {
            "token": "1",
            "logprob": -0.1,
            "bytes": [49],
            "top_logprobs": [
                {"token": token, "logprob": of_token, "bytes": None}
                for token, of_token in (place or {}).items()
            ],
        }
        for place in places
    ]
    return with_logprobs({"content": content})


def with_logprobs(logprobs: Any) -> Behaviour:
    body = misbehaving.completion({"model": "some-model"}, "1", finish="length")
    body["choices"][0]["logprobs"] = logprobs
    return misbehaving.raw(200, msgspec.json.encode(body))


def odds_of(behaviour: Behaviour) -> dict[str, float]:
    completion, _ = answered(behaviour, ODDS)
    assert completion.finish == "stop", "or the one token that was asked for would pass for a cut answer"
    return ODDS.read(completion.text)


def test_odds_are_read_off_the_first_place() -> None:
    first = {"1": math.log(0.6), "0": math.log(0.2), "perhaps": math.log(0.1)}
    assert odds_of(likely(first)) == pytest.approx({"1": 0.75, "0": 0.25})
    assert odds_of(likely(first, {"0": -0.01, "1": -5.0})) == pytest.approx({"1": 0.75, "0": 0.25})


def test_a_label_beyond_the_likeliest_is_as_likely_as_the_last_of_them() -> None:
    others = {f"other {at}": math.log(0.01) for at in range(18)} | {"last": math.log(0.005)}
    for label, missing in (("1", "0"), ("0", "1")):
        odds = odds_of(likely({label: math.log(0.795), **others}))
        assert odds == pytest.approx({label: 0.795 / 0.8, missing: 0.005 / 0.8})


@pytest.mark.parametrize(
    "behaviour",
    [
        likely({f"other {at}": -3.0 for at in range(20)}),
        likely({" 1": -0.1, "0 ": -3.0, "10": -4.0}),
        likely(None),
        likely(),
        with_logprobs(None),
        with_logprobs({}),
        with_logprobs({"content": None}),
        answer("1"),
    ],
)
def test_odds_of_which_nothing_is_said_are_off_form(behaviour: Behaviour) -> None:
    """The text of the answer is no substitute: it says which, not how likely."""
    with pytest.raises(OffForm):
        odds_of(behaviour)


def test_logprobs_that_nobody_asked_for_are_left_alone() -> None:
    completion, _ = answered(likely({"1": -0.1, "0": -3.0}))
    assert (completion.text, completion.finish) == ("1", "length")


def test_slow_bytes_and_blank_lines_before_the_answer_are_waited_for() -> None:
    assert answered(misbehaving.blank_lines_then("Late."))[0].text == "Late."
    assert answered(misbehaving.drip("Slow.", every_s=0.002))[0].text == "Slow."


# What it makes of failures ---------------------------------------------------------------------

QUOTA = "You exceeded your current quota, please check your plan and billing details."


@pytest.mark.parametrize(
    ("code", "error", "message", "kind"),
    [
        (401, "invalid_api_key", "Incorrect API key provided", Kind.KEY_REFUSED),
        (403, None, "Your country is not supported", Kind.KEY_REFUSED),
        (403, None, "Your input was flagged", Kind.REFUSED),
        (402, None, "Insufficient Balance", Kind.UNPAID),
        (429, "insufficient_quota", QUOTA, Kind.UNPAID),
        (429, "billing_hard_limit_reached", "Billing hard limit has been reached", Kind.UNPAID),
        (429, "RESOURCE_EXHAUSTED", QUOTA, Kind.RATE_LIMITED),
        (400, None, "Your credit balance is too low to access the API.", Kind.UNPAID),
        (404, "model_not_found", "The model `gpt-9` does not exist", Kind.UNKNOWN_MODEL),
        (404, None, "Not Found", Kind.UNKNOWN_MODEL),
        (400, None, "Model Not Exist", Kind.UNKNOWN_MODEL),
        (400, None, "gpt-9 is not a valid model ID", Kind.UNKNOWN_MODEL),
        (400, "context_length_exceeded", "no", Kind.TOO_LONG),
        (
            400,
            None,
            "This model's maximum context length is 2048 tokens. However, you requested 3000",
            Kind.TOO_LONG,
        ),
        (
            400,
            None,
            "The decoder prompt (length 3000) is longer than the maximum model length of 2048",
            Kind.TOO_LONG,
        ),
        (400, None, "prompt is too long: 210000 tokens > 200000 maximum", Kind.TOO_LONG),
        (
            400,
            None,
            "The input token count (9) exceeds the maximum number of tokens allowed (8)",
            Kind.TOO_LONG,
        ),
        (
            422,
            None,
            "Input validation error: `inputs` must have less than 1024 tokens. Given: 1253",
            Kind.TOO_LONG,
        ),
        (
            422,
            None,
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048",
            Kind.TOO_LONG,
        ),
        (400, "exceed_context_size_error", "the request exceeds the available context size", Kind.TOO_LONG),
        (413, None, "Request Entity Too Large", Kind.TOO_LONG),
        (400, None, "Unknown parameter: top_p", Kind.REFUSED),
        (422, None, "temperature must be <= 2", Kind.REFUSED),
        (418, None, "teapot", Kind.REFUSED),
        (408, None, "too slow", Kind.TIMEOUT),
        (504, None, "upstream too slow", Kind.TIMEOUT),
        (429, "rate_limit_exceeded", "slow down", Kind.RATE_LIMITED),
        (500, None, "boom", Kind.SERVER_ERROR),
        (503, None, "model overloaded", Kind.SERVER_ERROR),
        (529, None, "overloaded", Kind.SERVER_ERROR),
    ],
)
def test_refusals_are_told_apart(code: int, error: str | None, message: str, kind: Kind) -> None:
    failure = failed(misbehaving.status(code, message, error=error))
    assert (failure.kind, failure.status, failure.may_be_billed) == (kind, code, code == 504)
    assert message in failure.detail


def test_an_unknown_model_may_be_a_wrong_path_so_the_address_is_shown() -> None:
    failure = failed(misbehaving.status(404, "no such thing"))
    assert failure.detail.startswith("http://127.0.0.1:")
    assert failure.detail.endswith("/v1/chat/completions: no such thing")


def test_a_server_that_moved_is_not_followed() -> None:
    failure = failed(misbehaving.status(308, headers={"Location": "https://elsewhere.example/v1"}))
    assert failure.kind is Kind.NO_SERVER
    assert failure.detail.endswith("/v1/chat/completions: it is now at https://elsewhere.example/v1")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"error": {"message": "inner", "code": "c"}}', "inner"),
        (b'{"error": "plain", "error_type": "t"}', "plain"),
        (b'{"object": "error", "message": "old", "code": 400}', "old"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "bad n"}]}', '[{"loc":["body","n"],"msg":"bad n"}]'),
        (b'[{"error": {"message": "in a list", "status": "INVALID"}}]', "in a list"),
        (b"<html><style>p {}</style><h1>Bad  Gateway</h1>\n<p>nginx</html>", "Bad Gateway nginx"),
        (b"", "HTTP 502 Bad Gateway"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[]", "[]"),
        (b"null", "None"),
    ],
)
def test_the_servers_own_words_are_found(content: bytes, words: str) -> None:
    assert failed(misbehaving.raw(502, content)).detail == words


@pytest.mark.parametrize("frame", [b'{"message": "%s"}', b'{"detail": ["%s"]}', b"<p>%s"])
def test_not_all_of_an_endless_complaint_is_looked_at(frame: bytes) -> None:
    message, words = wire.server_words(frame % (b"model " * 100_000))
    assert "model model" in message
    assert max(len(message), len(words)) <= wire.MOST_LOOKED_AT


def test_a_detail_is_one_short_line() -> None:
    detail = failed(misbehaving.status(500, "two\nlines\r\n\x1b[31m and\u2028" + "more " * 200)).detail
    assert detail.startswith("two lines [31m and more more")
    assert detail.isprintable()
    assert len(detail) == 300


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"Retry-After": "0"}, 0.0),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "99999999999"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("code", [429, 503])
def test_how_long_to_wait_is_read(headers: dict[str, str], expected_s: float | None, code: int) -> None:
    failure = failed(misbehaving.status(code, headers=headers))
    assert failure.retry_after_s == expected_s


def test_how_long_to_wait_is_read_from_a_date() -> None:
    in_a_minute = failed(misbehaving.limited(60, as_date=True)).retry_after_s
    assert in_a_minute is not None
    assert 57 < in_a_minute <= 60
    assert failed(misbehaving.limited(-60, as_date=True)).retry_after_s == 0.0
    assert failed(misbehaving.limited(10**9, as_date=True)).retry_after_s is None
    assert failed(misbehaving.limited(2.5)).retry_after_s == 2.5
    assert failed(misbehaving.limited()).retry_after_s is None


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (misbehaving.cut_json(), Kind.UNREADABLE, "truncated"),
        (
            misbehaving.raw(200, b"<html><h1>Welcome</h1></html>", content_type="text/html"),
            Kind.UNREADABLE,
            "Welcome",
        ),
        (misbehaving.raw(200, b"\n\n"), Kind.UNREADABLE, "the answer is empty"),
        (misbehaving.raw(200, b"{}"), Kind.UNREADABLE, "no choices"),
        (misbehaving.raw(200, b'{"choices": []}'), Kind.UNREADABLE, "no choices"),
        (misbehaving.raw(200, b'{"choices": null}'), Kind.UNREADABLE, "no choices"),
        (misbehaving.raw(200, b'{"choices": [{"message": {"content": 3}}]}'), Kind.UNREADABLE, "content"),
        (misbehaving.raw(200, b'{"error": "oops"}'), Kind.UNREADABLE, "oops"),
        (
            misbehaving.raw(200, b'{"error": {"message": "oops", "code": "odd"}}'),
            Kind.UNREADABLE,
            "oops",
        ),
        (
            misbehaving.raw(200, b'{"error": {"message": "oops", "code": 429}}'),
            Kind.RATE_LIMITED,
            "oops",
        ),
        (
            misbehaving.raw(200, b'{"error": {"message": "oops", "code": "502"}}'),
            Kind.SERVER_ERROR,
            "oops",
        ),
        (
            misbehaving.raw(200, b'{"choices": [{"error": {"message": "oops", "code": 502}}]}'),
            Kind.SERVER_ERROR,
            "oops",
        ),
        (misbehaving.drop(), Kind.DROPPED, "disconnected"),
        (misbehaving.drop_midway(), Kind.DROPPED, "not completed"),
    ],
)
def test_what_may_have_been_paid_for(behaviour: Behaviour, kind: Kind, words: str) -> None:
    failure = failed(behaviour)
    assert (failure.kind, failure.may_be_billed) == (kind, True)
    assert words in failure.detail


def test_an_endless_answer_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai, "MOST_BYTES", 2**21)
    failure = failed(misbehaving.endless())
    assert (failure.kind, failure.may_be_billed) == (Kind.UNREADABLE, True)
    assert failure.detail == "the answer is longer than 2 MiB"


@pytest.mark.parametrize("base", ["http://127.0.0.1:9/v1", "http://nobody.invalid/v1"])
def test_nobody_there(base: str) -> None:
    with pytest.raises(AttemptFailed) as raised:
        asyncio.run(asked(endpoint(api_base=base)))
    assert (raised.value.kind, raised.value.may_be_billed) == (Kind.NO_SERVER, False)
    assert base.split("/")[2].split(":")[0] in raised.value.detail


def test_too_many_open_files_are_no_missing_server() -> None:
    async def main() -> None:
        backend = OpenAI(endpoint(api_base="http://127.0.0.1:9/v1"), "judge")
        await backend.open()
        usual = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, usual[1]))
        try:
            await backend.complete(request())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, usual)
            await backend.close()

    with pytest.raises(AttemptFailed, match="Too many open files") as raised:
        asyncio.run(main())
    assert (raised.value.kind, raised.value.may_be_billed) == (Kind.DROPPED, False)


@pytest.mark.parametrize(
    "behaviour",
    [
        misbehaving.status(401, f"Incorrect API key: {KEY}"),
        misbehaving.status(404, f"{KEY[:9]}\u200b{KEY[9:]}"),
        misbehaving.status(500, "x" * 290 + KEY),
        misbehaving.status(302, headers={"Location": f"https://x.example/?key={KEY}"}),
        misbehaving.raw(502, f"<html>Bearer <b>{KEY}</b></html>".encode()),
        misbehaving.raw(422, f'{{"detail": [{{"input": "{KEY}"}}]}}'.encode()),
        misbehaving.raw(200, f'"{KEY}"'.encode()),
        misbehaving.raw(200, f'{{"error": "{KEY}"}}'.encode()),
        misbehaving.raw(200, f'{{"id": "{KEY}"}}'.encode()),
    ],
)
def test_no_detail_holds_the_key(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, KEY)
    failure = failed(behaviour, api_key_env=NAME)
    assert KEY not in failure.detail
    assert KEY not in str(failure)
    assert "[key]" in failure.detail or "x" * 290 in failure.detail


# Connections -----------------------------------------------------------------------------------


@pytest.mark.parametrize("behave", [misbehaving.hang, misbehaving.blank_lines])
def test_who_is_cancelled_hangs_up_at_once(behave: Callable[[], Behaviour]) -> None:
    async def main(server: Server) -> None:
        backend = OpenAI(endpoint(api_base=server.url), "judge")
        await backend.open()
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await backend.complete(request())
        assert time.monotonic() - began < 1
        while server.in_flight and time.monotonic() - began < 5:
            await asyncio.sleep(0.01)
        assert server.seen[0].completed_s is not None
        assert server.seen[0].completed_s - server.seen[0].arrived_s < 1
        assert (await backend.complete(request())).text == "Hi."
        assert server.seen[0].client != server.seen[1].client
        await backend.close()

    with serving(lambda number, _body: answer("Hi.") if number else behave()) as server:
        asyncio.run(main(server))


def test_a_connection_is_used_again_and_as_many_as_needed_are_opened() -> None:
    async def main(server: Server) -> None:
        backend = OpenAI(endpoint(api_base=server.url), "judge")
        await backend.open()
        for _ in range(5):
            await backend.complete(request())
        assert len({seen.client for seen in server.seen}) == 1
        await asyncio.gather(*(backend.complete(request("wait")) for _ in range(250)))
        assert server.max_in_flight == 250
        await backend.close()

    def behave(_number: int, body: dict[str, Any]) -> Behaviour:
        return answer("Hi.", after_s=1.0 if body["messages"][-1]["content"] == "wait" else 0.0)

    with serving(behave) as server:
        asyncio.run(main(server))


def test_a_proxy_leads_to_others_but_not_to_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serving(answer("Through the proxy.")) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/v1"))
        completion = asyncio.run(asked(endpoint(api_base="http://models.example.org/v1")))
        assert completion.text == "Through the proxy."
        assert proxy.seen[0].url == "http://models.example.org/v1/chat/completions"
        assert answered(answer("Directly."))[0].text == "Directly."
        monkeypatch.setenv("https_proxy", proxy.url.removesuffix("/v1"))
        with pytest.raises(AttemptFailed, match="the proxy does not lead to models") as raised:
            asyncio.run(asked(endpoint(api_base="https://models.example.org/v1")))
        assert (raised.value.kind, raised.value.may_be_billed) == (Kind.NO_SERVER, False)
        monkeypatch.setenv("http_proxy", "socks5://someone:secret@here:1")
        message = refusal(endpoint(api_base="http://models.example.org/v1"))
        assert message.startswith("http_proxy: must begin with http://")
        assert "secret" not in message


# The server as a process of its own --------------------------------------------------------------


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., str]]:
    processes: list[subprocess.Popen[bytes]] = []

    def started(*words: str) -> str:
        port_file = tmp_path / "port"
        command = [sys.executable, "-m", "tests.llm.misbehaving", "--port-file", str(port_file), *words]
        processes.append(subprocess.Popen(command))
        while not port_file.exists():
            assert processes[-1].poll() is None
            time.sleep(0.02)
        return f"http://127.0.0.1:{int(port_file.read_text())}/v1"

    yield started
    for process in processes:
        process.terminate()
        assert process.wait(10) == 0


def test_a_request_costs_far_less_than_a_millisecond(start: Callable[..., str]) -> None:
    async def main(base: str) -> float:
        backend = OpenAI(endpoint(api_base=base), "judge")
        await backend.open()

        async def ask(times: int) -> None:
            for _ in range(times):
                assert (await backend.complete(request("word " * 300))).text == "word " * 300

        await asyncio.gather(*(ask(2) for _ in range(20)))
        began_s = time.process_time()
        await asyncio.gather(*(ask(50) for _ in range(20)))
        spent_s = time.process_time() - began_s
        await backend.close()
        return spent_s / 1000

    assert asyncio.run(main(start())) < 0.0008


def test_too_many_at_once_are_refused(start: Callable[..., str]) -> None:
    async def main(base: str) -> list[Completion | BaseException]:
        backend = OpenAI(endpoint(api_base=base), "judge")
        await backend.open()
        ended = await asyncio.gather(
            *(backend.complete(request()) for _ in range(20)), return_exceptions=True
        )
        await backend.close()
        return ended

    ended = asyncio.run(main(start("--after-s", "0.5", "--in-flight-limit", "15")))
    refusals = [outcome for outcome in ended if isinstance(outcome, AttemptFailed)]
    assert len(refusals) == 5
    assert {(failure.kind, failure.retry_after_s) for failure in refusals} == {(Kind.RATE_LIMITED, 1.0)}

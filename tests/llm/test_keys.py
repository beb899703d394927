"""What counts in a key is all but a list, and the list is short."""

from typing import Any

import msgspec
import pytest

from tests.llm.parts import request
from thinkus.llm.exchange import Request
from thinkus.llm.forms import Choice, Form, Json, Likelihood, Near, Odds, Opened
from thinkus.llm.keys import identity_of, key_of
from thinkus.records import Message

IDENTITY = identity_of({"backend": "openai", "model": "m", "sampling": {"temperature": 0.0}})


def key(asked: Request, identity: bytes = IDENTITY, *, by_item: bool = False) -> bytes:
    return key_of(asked, identity, by_item=by_item)[0]


class One(msgspec.Struct):
    a: int


class Other(msgspec.Struct):
    a: str


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message("user", "hello "),)},
        {"messages": (Message("system", "hello"),)},
        {"messages": (Message("user", "hello"), Message("assistant", ""))},
        {"take": 1},
        {"form": Choice(("a", "b"))},
        {"form": Json(One)},
        {"form": Opened("")},
        {"form": Odds(("a", "b"))},
        {"form": Near()},
        {"form": Likelihood("a")},
    ],
)
def test_what_the_model_sees_makes_another_key(change: dict[str, Any]) -> None:
    asked = request("hello")
    assert key(msgspec.structs.replace(asked, **change)) != key(asked)


def test_forms_count_by_what_they_say() -> None:
    forms = [
        Json(One),
        Json(Other),
        Near(),
        *(kind(words) for kind in (Choice, Odds) for words in (("a",), ("b",), ("a", "b"), ("b", "a"))),
        *(Likelihood(words, begins) for words in ("a", "b") for begins in ("", "a")),
        *(Opened(begins, stops) for begins in ("", "a", "a ") for stops in ((), ("a",), ("a", "b"))),
    ]
    assert len({key(request("x", form=form)) for form in forms}) == len(forms)


def test_the_beginning_of_an_answer_is_no_message() -> None:
    asked = request("x", form=Opened("a"))
    said = msgspec.structs.replace(asked, messages=(*asked.messages, Message("assistant", "a")), form=None)
    assert key(asked) != key(said)


def test_for_whom_it_is_asked_does_not_count_but_where_answers_are_recorded() -> None:
    asked = request("hello", thread="t", may_be_empty=True)
    other = msgspec.structs.replace(asked, item="other", purpose="else", thread=None, may_be_empty=False)
    assert key(asked) == key(other)
    assert key(asked, by_item=True) != key(other, by_item=True)


def test_another_model_or_setting_is_another_key_in_whatever_order_it_stands() -> None:
    asked = request("hello")
    same = identity_of({"sampling": {"temperature": 0.0}, "model": "m", "backend": "openai"})
    warmer = identity_of({"backend": "openai", "model": "m", "sampling": {"temperature": 0.1}})
    assert key(asked, same) == key(asked)
    assert key(asked, warmer) != key(asked)


@pytest.mark.parametrize(
    ("form", "kept"),
    [
        (None, "6959f91bf081bd74ccb29046a213de5310e185ad6037820f745f40e6d967c26a"),
        (Choice(("a", "b")), "188ca19f2d84f30dbc23646b9df45e5d410d82a7cbe9b9ec52b8ecd665cd5182"),
        (Json(One), "f4bda944645bc8bb3beb635f07c9c10771e46de72a3db812bd51c4dac58c5184"),
        (Opened("a", ("b",)), "2835e91bf16fac7568e70fde5f3ebc88d1147b93900444ca91d6b348505e5f18"),
        (Odds(("a", "b")), "b136d08bb82a0224631008c206437ea2f99514d1959e20d12a530cd048c7461c"),
        (Near(), "74a6219cc487fc24e5c6746329d48fd4d829800dcb0f1215c234153d6e217129"),
        (Likelihood("a", "b"), "2eb9d5e8e9ddf61c5d2c9f9a7f64307db4760f43341cd11999accef5c0d53889"),
    ],
)
def test_keys_stay_what_they_are(form: Form | None, kept: str) -> None:
    """Answers that were paid for are found by them: a change here throws them all away."""
    assert key(request("hello", form=form, take=2)).hex() == kept


def test_the_key_of_a_recorded_answer_stays_too() -> None:
    kept = "34c77a820cf250828db1140466f70fc3c8995612d2a68fad36a356abc27b2164"
    assert key(request("hello", form=Choice(("a", "b")), take=2), by_item=True).hex() == kept

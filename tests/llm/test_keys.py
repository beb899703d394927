"""What counts in a key is all but a list, and the list is short."""

from typing import Any

import msgspec
import pytest

from tests.llm.parts import request
from thinkus.llm.exchange import Request
from thinkus.llm.forms import Choice, Json
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
    ],
)
def test_what_the_model_sees_makes_another_key(change: dict[str, Any]) -> None:
    asked = request("hello")
    assert key(msgspec.structs.replace(asked, **change)) != key(asked)


def test_forms_count_by_what_they_say() -> None:
    keys = {key(request("x", form=form)) for form in (Json(One), Json(Other), Choice(("a",)), Choice(("b",)))}
    assert len(keys) == 4


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


def test_keys_stay_what_they_are() -> None:
    """Answers that were paid for are found by them: a change here throws them all away."""
    asked = request("hello", form=Choice(("a", "b")), take=2)
    assert key(asked).hex() == "188ca19f2d84f30dbc23646b9df45e5d410d82a7cbe9b9ec52b8ecd665cd5182"

"""What is asked of a model and what comes back: the types that all layers share."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from thinkus.llm.forms import Form
from thinkus.records import Message


class Request(msgspec.Struct, frozen=True, kw_only=True):
    item: str
    """For what it is asked, such as a conversation's id; for people and recorded answers, not for the model."""
    purpose: str
    messages: tuple[Message, ...]
    form: Form | None = None
    take: int = 0
    """Asks the same once more, on purpose: a stored answer to another take is not this one's."""
    thread: str | None = None
    """Requests of one thread share a beginning, and go to one server; by default each item is one."""
    may_be_empty: bool = False
    """An empty answer says something, such as that the user leaves."""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a model answered, as stored."""

    text: str
    finish: str
    """Why it ended: `stop`, `length`, `content_filter`, or what else the server says."""
    served_model: str
    """Which may be another than was asked for."""
    fingerprint: str | None = None
    input_tokens: int | None = None
    cached_tokens: int = 0
    """Of the input, read from the server's cache."""
    output_tokens: int | None = None
    at: str = ""
    """When it came, UTC."""


class Kind(StrEnum):
    """Every way in which an answer can fail to come; `explain.py` has a line for each."""

    # Of the endpoint: all that follow would fail alike, so the run ends.
    KEY_MISSING = "key_missing"
    KEY_REFUSED = "key_refused"
    UNPAID = "unpaid"
    UNKNOWN_MODEL = "unknown_model"
    NO_SERVER = "no_server"
    # Of the moment: tried again, and only then a failure.
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    DROPPED = "dropped"
    """The connection ended in the middle."""
    UNREADABLE = "unreadable"
    """Not what the protocol promises, such as JSON that was cut."""
    # Of the request: asking the same again would change nothing.
    TOO_LONG = "too_long"
    """The context does not hold it."""
    REFUSED = "refused"
    """The server does not take the request."""
    NOT_RECORDED = "not_recorded"
    # Of the answer: it came, was paid for and is stored.
    EMPTY = "empty"
    CUT = "cut"
    """It reached max_tokens."""
    FILTERED = "filtered"
    """The provider's moderation kept it back."""
    OFF_FORM = "off_form"
    """It has not the form that was asked for; some servers ignore schemas."""


OF_THE_ENDPOINT = frozenset(
    {Kind.KEY_MISSING, Kind.KEY_REFUSED, Kind.UNPAID, Kind.UNKNOWN_MODEL, Kind.NO_SERVER}
)
OF_THE_MOMENT = frozenset(
    {Kind.RATE_LIMITED, Kind.SERVER_ERROR, Kind.TIMEOUT, Kind.DROPPED, Kind.UNREADABLE, Kind.NO_SERVER}
)
OF_THE_ANSWER = frozenset({Kind.EMPTY, Kind.CUT, Kind.FILTERED, Kind.OFF_FORM})


class AttemptFailed(Exception):
    """One attempt brought no completion; raised by backends, and never past the engine."""

    def __init__(
        self,
        kind: Kind,
        detail: str,
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        may_be_billed: bool = False,
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        """In the server's words where it has some, on one line, without a key."""
        self.status = status
        self.retry_after_s = retry_after_s
        self.may_be_billed = may_be_billed
        """The server may have done the work although nothing came of it."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A completion that holds what was asked for."""

    completion: Completion
    value: Any
    """The text, checked: what the request's form makes of it, or the text itself."""
    is_stored: bool
    """It was there already: nothing was asked, nothing was paid."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request that has no answer."""

    kind: Kind
    detail: str
    completion: Completion | None = None
    """What came all the same: it was empty, cut, or of another form."""


Outcome = Answer | Failure


class Backend(Protocol):
    """A way to one model. Each call is one attempt: the engine does the rest."""

    is_billed: bool
    """Whether answers cost money, known or not."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All of it that can change an answer, known once it is open; part of the key of its answers."""
        ...

    async def open(self) -> None:
        """Get ready; a mistake of the user's is a ThinkusError."""

    async def close(self) -> None: ...

    async def complete(self, request: Request) -> Completion:
        """The answer, or AttemptFailed. May be cancelled."""
        ...

"""Under which key an answer is stored: a hash of all that could change it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from thinkus.llm.exchange import Request

# What is left out, and nothing else: a field that is added later counts until it stands here.
CANNOT_MATTER = frozenset({"item", "purpose", "thread", "may_be_empty", "form"})
"""`form` stands in the key as what a server would be told of it."""

_encoder = msgspec.json.Encoder(order="sorted")


def key_of(request: Request, identity: bytes, *, by_item: bool) -> tuple[bytes, bytes]:
    """The key, and what of the request is in it, as JSON, to be stored with the answer.

    Recorded answers are found `by_item`, whatever was said.
    """
    left_out = CANNOT_MATTER - {"item", "purpose"} if by_item else CANNOT_MATTER
    content = {name: getattr(request, name) for name in request.__struct_fields__ if name not in left_out}
    content["form"] = request.form.described() if request.form else None
    told = _encoder.encode(content)
    return hashlib.sha256(identity + b"\n" + told).digest(), told


def identity_of(backend: Mapping[str, Any]) -> bytes:
    return _encoder.encode(backend)

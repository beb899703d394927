"""Records out of JSON text: a line each, or one long list, whole or cut off, packed or not."""

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import msgspec

from thinkus.corpora.rows import BadRow
from thinkus.errors import ThinkusError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

T = TypeVar("T")

CHUNK_BYTES = 1 << 20
MAX_RECORD_BYTES = 1 << 28
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANK = b" \t\r\n,"
# Everything up to the next brace; a string is skipped whole, so that braces in people's words do
# not count. A quote in the brace's place opens a string whose end has not been read yet.
# Possessive throughout: a long string costs its length, not its square.
BRACE = re.compile(rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+(["{}\[\]])', re.DOTALL)
LONE_SURROGATE = re.compile(
    rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]", re.DOTALL
)

Piece = tuple[bytes, str | None]
"""The text of a record, and what is wrong with it if that is known before it is parsed."""


class Unpacked(io.RawIOBase):
    """A gzip file that, where it is damaged, ends: what came before it is not lost."""

    def __init__(self, file: Path) -> None:
        self._packed = gzip.GzipFile(file)
        self.damage: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        room = memoryview(buffer).cast("B")
        try:
            data = self._packed.read1(len(room))
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            self.damage = error
            return 0
        room[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._packed.close()
        super().close()


def json_records(file: Path, name: str, kind: type[T]) -> Iterator[tuple[str, T] | BadRow]:
    raw: io.RawIOBase = Unpacked(file) if file.suffix.lower() == ".gz" else io.FileIO(file)
    decoder = msgspec.json.Decoder(kind)
    number, ends_badly = 0, False
    with io.BufferedReader(raw, CHUNK_BYTES) as stream:
        if stream.peek(3).startswith(BYTE_ORDER_MARK):
            stream.read(3)
        is_list = stream.peek(1).lstrip()[:1] == b"["
        for number, (piece, problem) in enumerate(_elements(stream) if is_list else _lines(stream), 1):
            if len(piece) >= MAX_RECORD_BYTES:
                raise ThinkusError(
                    f"{file}: record {number} has no end within {MAX_RECORD_BYTES >> 20} MB; "
                    "a quote, a brace or a line's end is missing in it"
                )
            if not piece and problem is None:
                continue
            where = f"{name}:{number}"
            found = BadRow(where, problem, _text(piece)) if problem else _decode(decoder, piece, where)
            ends_badly = isinstance(found, BadRow)
            yield found
        damage = raw.damage if isinstance(raw, Unpacked) else None
    if isinstance(damage, gzip.BadGzipFile) and number == 0:
        raise ThinkusError(f"{file}: not a gzip file; fetch it again, or rename it if it is not packed")
    if damage and not ends_badly:
        yield BadRow(f"{name}:{number + 1}", "the packed file ends early or is damaged from here", "")


def _decode(decoder: msgspec.json.Decoder[T], piece: bytes, where: str) -> tuple[str, T] | BadRow:
    try:
        return where, decoder.decode(piece)
    except UnicodeDecodeError as error:
        problem = f"text that is not UTF-8 (byte {error.object[error.start]:#04x})"
    except msgspec.ValidationError as error:
        problem = str(error)
    except msgspec.DecodeError as error:
        problem = "a lone surrogate in the text" if LONE_SURROGATE.search(piece) else str(error)
    except RecursionError:
        problem = "nested too deeply"
    return BadRow(where, problem, _text(piece))


def _lines(stream: BinaryIO) -> Iterator[Piece]:
    while line := stream.readline(MAX_RECORD_BYTES):
        yield line.strip(), None


def _elements(stream: BinaryIO) -> Iterator[Piece]:
    """The elements of a list, cut out by their braces alone: one that is broken does not hide the next."""
    while stream.read(1) != b"[":
        pass
    text, kept, scanned, depth, ended = b"", 0, 0, 0, False
    # As much again as is kept is read, so that the rescans of one long string stay cheap in sum.
    while more := stream.read(max(CHUNK_BYTES, len(text) - kept)):
        text, scanned, kept = text[kept:] + more, scanned - kept, 0
        # Not finditer: it would look for a match from inside a string when there is none from here.
        while (match := BRACE.match(text, scanned)) and match[1] != b'"':
            brace, start, end = match[1], match.start(1), match.end()
            scanned = end
            if brace in b"{[":
                if depth == 0:
                    yield from _between(text[kept:start])
                    kept = start
                depth += 1
            elif depth > 0:
                depth -= 1
                if depth == 0:
                    yield text[kept:end], None
                    kept = end
            elif not ended:
                yield from _between(text[kept:start])
                kept, ended = end, True
        if len(text) - kept >= MAX_RECORD_BYTES:
            break
    rest = text[kept:].lstrip(BLANK)
    if depth > 0 or not ended:
        yield rest, f"the file ends {'in the middle of this record' if rest else 'before its list does'}"
    else:
        yield from _between(rest)


def _between(text: bytes) -> Iterator[Piece]:
    if junk := text.strip(BLANK):
        yield junk, "not a record: something else stands between records"


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "backslashreplace")

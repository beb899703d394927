"""Samples as token ids, the way a server would tokenize them; what is too long is dropped or cut, and counted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from thinkus.records import Failure
from thinkus.train.shelf import Row
from thinkus.user.page import Message, Page, Piece, Token
from thinkus.user.samples import Sample

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Overlong = Literal["drop", "truncate_history"]
LossNorm = Literal["token", "sample"]


class Encoded(NamedTuple):
    sample: Sample
    pieces: tuple[tuple[int, ...], ...]
    target: tuple[int, ...]

    @property
    def length(self) -> int:
        return sum(map(len, self.pieces)) + len(self.target)


class Encoder:
    def __init__(
        self,
        tokenizer: "PreTrainedTokenizerBase",
        page: Page,
        *,
        max_length: int,
        overlong: Overlong,
        is_label: bool,
    ) -> None:
        self._tokenizer, self._page = tokenizer, page
        self._max_length, self._overlong, self._is_label = max_length, overlong, is_label
        self._known: dict[Piece, tuple[int, ...]] = {}
        self.counts: Counter[str] = Counter()
        self.failures: list[Failure] = []

    def encoded(self, samples: Iterable[Sample]) -> Iterator[Encoded]:
        """Of one conversation."""
        self._known.clear()
        for sample in samples:
            whole = self._encoded(sample)
            if whole.length <= self._max_length:
                self.counts["samples"] += 1
                yield whole
                continue
            shorter = self._cut(whole) if self._overlong == "truncate_history" else None
            if shorter is not None:
                self.counts["samples"] += 1
                self.counts["truncated"] += 1
                yield shorter
            else:
                kind = "too_long" if self._overlong == "drop" else "cannot_fit"
                detail = f"turn {sample.turn}: {whole.length:,} tokens, max_length is {self._max_length:,}"
                self.give_up(sample.conversation, kind, detail, sample.target)

    def is_read_alike(self, one: Encoded) -> bool:
        """Whether a server, which tokenizes the whole page at once, comes to the same tokens."""
        page = self._tokenizer.apply_chat_template(
            [message._asdict() for message in one.sample.history],
            chat_template=self._page.chat_template,
            add_generation_prompt=True,
            tokenize=False,
        )
        whole = self._tokenizer(str(page), add_special_tokens=False)["input_ids"]
        return list(whole) == [token for piece in one.pieces for token in piece]

    def text(self, ids: Sequence[int]) -> str:
        """What a reader sees of them, special tokens by their names."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def give_up(self, conversation: str, kind: str, detail: str, raw: str) -> None:
        self.counts[kind] += 1
        self.failures.append(Failure(conversation, kind, detail, raw))

    def _encoded(self, sample: Sample) -> Encoded:
        pieces = tuple(self._ids(piece) for piece in self._page.pieces(sample.history))
        target = self._ids(sample.target) if sample.target else ()
        return Encoded(sample, pieces, target if self._is_label else (*target, *self._ids(Token("eos"))))

    def _cut(self, whole: Encoded) -> Encoded | None:
        """Without as many of the first exchanges as it takes; the situation and what was said last stay."""
        situation, *said = whole.sample.history
        for start in range(2, len(said) - 1, 2):
            history: tuple[Message, ...] = (situation, *said[start:])
            shorter = self._encoded(whole.sample._replace(history=history))
            if shorter.length <= self._max_length:
                return shorter
        return None

    def _ids(self, piece: Piece) -> tuple[int, ...]:
        if piece not in self._known:
            self._known[piece] = self._tokenized(piece)
        return self._known[piece]

    def _tokenized(self, piece: Piece) -> tuple[int, ...]:
        if isinstance(piece, Token):
            number = getattr(self._tokenizer, f"{piece.name}_token_id")
            return () if number is None else (number,)
        # A text may hold the name of a special token; it must stay text.
        return tuple(self._tokenizer(piece, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def rows(encoded: Iterable[Encoded], loss_norm: LossNorm, weights: dict[str, float]) -> Iterator[Row]:
    """With what each counts: by `token` all targets alike, by `sample` all samples; labels by their own weights."""
    for one in encoded:
        by_norm = len(one.target) if loss_norm == "token" else 1
        weight = by_norm * weights.get(one.sample.target, 1.0)
        yield Row(one.sample.conversation, one.pieces, one.target, weight)

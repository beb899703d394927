"""The simulated person as an object: it hears what was said, thinks, and speaks.

    from thinkus import Scenario, ThinkingUser

    with ThinkingUser.from_run("outputs/sft/thinkingus-llama8b-lmsys") as user:
        turn = user.next([], Scenario("what only the person knows", "what they want"))

What is written is read strictly, and asked for again where it cannot be read: a turn is never mended.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from thinkus import facts
from thinkus.config import SimulateConfig
from thinkus.errors import ThinkusError
from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Failure, Kind
from thinkus.llm.models import Models
from thinkus.paths import expanded
from thinkus.records import Simulated, SpokenTurn
from thinkus.runs import Usage, input_run, run_reference
from thinkus.user.cast import USER, Cast, cast, method_of
from thinkus.user.scene import Line, Manner, Scenario
from thinkus.user.words import Turn, Unreadable, Wrong, read
from thinkus.user.writing import Occasion, Writing, taken

T = TypeVar("T")
TAKES = 2**32
"""So many takes has a seed; no other seed's are the same."""
MOST_ATTEMPTS = 128
"""So many takes has a turn, however often it may be asked for again."""


class Silent(NamedTuple):
    """A turn that could not be had."""

    wrong: str
    """A class of what was written, or what kept it from being written."""
    detail: str
    raw: str
    """What was written last."""
    attempts: int


class NoTurn(ThinkusError):
    """The model wrote nothing that a person could have said."""

    def __init__(self, silent: Silent) -> None:
        detail = f" ({silent.detail})" if silent.detail else ""
        super().__init__(f"user: no turn in {silent.attempts} attempts, the last: {silent.wrong}{detail}")
        self.silent = silent


class ThinkingUser:
    def __init__(self, engine: Engine, manner: Manner, by: Simulated, *, max_retries: int, seed: int) -> None:
        self.answers: Counter[str] = Counter()
        """All that were written: `read`, or what was wrong with them."""
        self.closed = 0
        """Thoughts and utterances that would have gone on, and were ended by guided decoding."""
        self.manner = manner
        self.by = by
        self._engine = engine
        self._max_retries = max_retries
        self._seed = seed
        self._home: _Home | None = None
        self._calls = count()
        self._thoughts: dict[tuple[Scenario, tuple[Line, ...]], str | None] = {}
        """Of earlier turns, by what had been said up to their words."""

    @classmethod
    def from_run(cls, run: str | Path, *words: str) -> Self:
        """The person that a run of sft made. `words` are those of `thinkus simulate`, such as "decode=guided".

        It speaks through vLLM where there is a GPU, else through transformers in this process; `user=` says
        otherwise. Close it in the end, or use it in a `with`.
        """
        from thinkus import compose

        said = dict(word.split("=", 1) for word in words if "=" in word)
        root = expanded(said.get("root", "outputs"))
        directory, manifest = input_run(root, run_reference("sft", str(run)), "thinkus sft", "run")
        path = str(directory.absolute()).replace('"', '\\"')
        usual = [
            f'input="{path}"',
            f"method={method_of(directory, manifest, 'run')}",
            f"user={'vllm' if facts.visible_gpus() else 'hf'}",
        ]
        words = (*(word for word in usual if word.partition("=")[0] not in said), *words)
        (job,) = compose.jobs("simulate", words, sweep=False)
        assert isinstance(job.config, SimulateConfig)
        return cls.from_config(job.config)

    @classmethod
    def from_config(cls, config: SimulateConfig) -> Self:
        """The person of `thinkus simulate`, whatever it would say besides."""
        config = config.model_copy(update={"mode": "offline"})  # nobody else is needed
        home = _Home()
        try:
            engine, players = home.wait(home.opened(config))
            user = cls(engine, players.manner, players.by, max_retries=config.max_retries, seed=config.seed)
        except BaseException:
            home.close()
            raise
        user._home = home
        return user

    def next(self, messages: Sequence[Mapping[str, str]], scenario: Scenario) -> Turn:
        """What the person thinks and says after `messages`, which are as the assistant sees them: the person is
        the `user`. NoTurn where nothing could be read. The same question again may have another answer.
        """
        assert self._home is not None, "made by from_run or from_config only"
        return _turn(self._home.wait(self._next(messages, scenario)))

    def spoken(self, messages: Sequence[Mapping[str, str]], scenario: Scenario) -> SpokenTurn:
        """`next`, with what it took."""
        assert self._home is not None, "made by from_run or from_config only"
        return self._home.wait(self._next(messages, scenario))

    async def anext(self, messages: Sequence[Mapping[str, str]], scenario: Scenario) -> Turn:
        """`next` for who has an event loop; many may be under way."""
        assert self._home is not None, "made by from_run or from_config only"
        return _turn(await asyncio.wrap_future(self._home.started(self._next(messages, scenario))))

    def close(self) -> None:
        if self._home is not None:
            self._home.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _next(self, messages: Sequence[Mapping[str, str]], scenario: Scenario) -> SpokenTurn:
        if not (isinstance(scenario, tuple) and len(scenario) == 2 and all(map(_is_text, scenario))):
            raise ThinkusError(
                f"scenario: must be Scenario(scenario, motivation), two texts that are not empty (got {scenario!r:.80})"
            )
        scenario = Scenario(*scenario)
        lines = self._remembered(scenario, _lines(messages))
        if self.manner.keeps_thoughts and any(
            line.thought is None for line in lines[2:] if line.who == "person"
        ):
            raise ThinkusError(
                "messages: hold words that this user did not say itself; it is shown its earlier thoughts "
                "(history=thoughts), and there are none"
            )
        spoken = await self.speak(Occasion(scenario, lines, "next"), take=next(self._calls))
        if isinstance(spoken, Silent):
            self._engine.check()
            raise NoTurn(spoken)
        self._thoughts[scenario, (*_bare(lines), Line("person", spoken.utterance))] = spoken.thought
        return spoken

    def _remembered(self, scenario: Scenario, lines: Sequence[Line]) -> list[Line]:
        """With the thoughts of this user's own earlier turns, which are not in what the assistant sees."""
        return [
            line._replace(thought=self._thoughts.get((scenario, _bare(lines[: place + 1]))))
            for place, line in enumerate(lines)
        ]

    async def speak(
        self, occasion: Occasion, *, take: int = 0, may_leave: bool = True
    ) -> SpokenTurn | Silent:
        """The next turn, with what it took; of another `take` it may be another."""
        wrongs: list[str] = []
        unread = Unreadable(Wrong.EMPTY, "")
        writing = Writing(self._engine, self.manner, occasion, is_guided=self.by.decode == "guided")
        first_take = self._seed * TAKES + take * MOST_ATTEMPTS
        for attempt in range(self._max_retries + 1):
            text = await writing.written(first_take + attempt)
            if isinstance(text, Failure) and text.kind is not Kind.CUT:
                return Silent(text.kind, text.detail, writing.raw, attempt + 1)
            try:
                turn = self._read(text, occasion, may_leave=may_leave)
            except Unreadable as error:
                self.answers[error.wrong] += 1
                wrongs.append(error.wrong)
                unread = error
                continue
            self.answers["read"] += 1
            self.closed += writing.closed
            return _spoken(turn, occasion, writing, wrongs)
        return Silent(unread.wrong, unread.detail, writing.raw, len(wrongs))

    def _read(self, text: str | Failure, occasion: Occasion, *, may_leave: bool) -> Turn:
        if isinstance(text, Failure):
            raise Unreadable(Wrong.CUT, text.detail)
        thinking, leaves_by = self.manner.thinking(occasion.lines), self.manner.leaves_by
        earlier = ((line.thought, Wrong.LEAK) for line in occasion.lines if line.thought)
        known = ((text, Wrong.RECITAL) for text in occasion.scenario)
        turn = read(text, thinking=thinking, leaves_by=leaves_by, secrets=(*earlier, *known))
        if turn.ended and not (occasion.lines and may_leave):
            raise Unreadable(Wrong.EMPTY, "there are no words, and nobody may leave here")
        return turn


def _turn(spoken: SpokenTurn) -> Turn:
    return Turn(spoken.thought, spoken.utterance, spoken.ended)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and _is_unicode(value)


def _is_unicode(text: str) -> bool:
    """Not what a file or a terminal in another encoding was read as."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _spoken(turn: Turn, occasion: Occasion, writing: Writing, wrongs: Sequence[str]) -> SpokenTurn:
    return SpokenTurn(
        turn=sum(line.who == "person" for line in occasion.lines),
        utterance=turn.utterance,
        thought=turn.thought,
        ended=turn.ended,
        attempts=len(wrongs) + 1,
        wrong=tuple(wrongs),
        closed=writing.closed,
        dropped=writing.start // 2,
        **taken(writing.completions),
    )


def _lines(messages: Sequence[Mapping[str, str]]) -> list[Line]:
    lines = []
    for place, message in enumerate(messages):
        wanted = ("user", "assistant")[place % 2]
        content = message.get("content") if isinstance(message, Mapping) else None
        if content is None or message.get("role") != wanted or not _is_unicode(str(content)):
            raise ThinkusError(
                f"messages[{place}]: must be {{'role': '{wanted}', 'content': TEXT}}, the person (user) and the "
                f"assistant in turns (got {message!r:.80})"
            )
        lines.append(Line("person" if wanted == "user" else "assistant", message["content"]))
    if len(lines) % 2:
        raise ThinkusError("messages: must end with the assistant's reply, for it is the person's turn")
    return lines


def _bare(lines: Sequence[Line]) -> tuple[Line, ...]:
    return tuple(Line(line.who, line.words) for line in lines)


@dataclass
class _Nowhere:
    """Answers are kept as long as the user lives."""

    directory: Path
    usage: Usage


class _Home:
    """A thread with an event loop, so that whoever asks may have one or not."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="thinkus-user", daemon=True)
        self._thread.start()
        self._stack = AsyncExitStack()

    async def opened(self, config: SimulateConfig) -> tuple[Engine, Cast]:
        players = cast(config, expanded(config.root))
        folder = self._stack.enter_context(TemporaryDirectory(prefix="thinkus-"))
        place = _Nowhere(Path(folder), Usage())
        models = Models(place, budget_usd=config.budget_usd, replay=None)
        await self._stack.enter_async_context(models)
        engine = models.engine(players.endpoints[USER], USER, config.concurrency)
        return await self._stack.enter_async_context(engine), players

    def started(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        if self._loop.is_closed():
            work.close()
            raise ThinkusError("user: is closed; make it again with from_run")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        pending = self.started(work)
        try:
            return pending.result()
        except BaseException:
            pending.cancel()
            raise

    def close(self) -> None:
        if not self._loop.is_closed():
            self.wait(self._stack.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

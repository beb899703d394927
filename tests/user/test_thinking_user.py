"""The simulated person on scripted models: what is wrong is counted as planted, asked again, and never mended."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.llm.misbehaving import Server, answer, serving
from tests.llm.parts import Scripted, completion, engine
from thinkus import compose
from thinkus.config import SimulateConfig
from thinkus.errors import ThinkusError
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Opened
from thinkus.records import Simulated, SpokenTurn
from thinkus.user.page import END_OF_THOUGHT, THOUGHT
from thinkus.user.scene import Line, Manner, Scenario
from thinkus.user.thinking_user import MOST_ATTEMPTS, TAKES, NoTurn, Silent, ThinkingUser
from thinkus.user.words import LEAVES, Turn, Wrong
from thinkus.user.writing import TAGS, Occasion

SCENARIO = Scenario("My sister owes the landlord three months of rent.", "Get her a calm letter by noon.")
THINKS = Manner("thinkingus", thinks=True)
SPEAKS = Manner("utterance_sft", thinks=False)
IS_TOLD = Manner("prompt", thinks=False)
GOOD = "<thought>That was quick.</thought>go on then"
CUT = "and so on " * 50
MOST = 300
"""Characters, in place of tokens."""
RETRIES = 3
ALOUD = "this machine talks like my old headmaster did"
BY_THINKER = {
    "read": GOOD,
    Wrong.LEAK: f"<thought>Oh, {ALOUD}.</thought>You know, {ALOUD}!",
    Wrong.INVERSION: "<thought>Hm.</thought>How can I help you today?",
    Wrong.EMPTY: " ",
    Wrong.BROKEN_TAGS: f"{GOOD}</thought>",
    Wrong.NO_THOUGHT: "go on then",
    Wrong.EMPTY_THOUGHT: "<thought></thought>go on then",
    Wrong.ROLE_MARKER: f"{GOOD}\n\n### Assistant:\nGladly.",
    Wrong.RECITAL: f"<thought>Hm.</thought>{SCENARIO.scenario}",
    Wrong.CUT: f"<thought>{CUT}",
}
BY_TOLD = {
    "read": "go on then",
    Wrong.GLUED_END: f"thanks {LEAVES}",
    Wrong.EMPTY: "",
    Wrong.BROKEN_TAGS: GOOD,
    Wrong.RECITAL: SCENARIO.motivation,
    Wrong.CUT: CUT,
}
Model = Callable[[Request], str]


def scripted(write: Model, *, window: int = 99) -> Scripted:
    """It goes on from given words up to a stop, as servers do, and for at most MOST characters."""

    async def script(request: Request) -> Completion:
        if len(request.messages) > window:
            raise AttemptFailed(Kind.TOO_LONG, "the window is full")
        text = write(request)
        for stop in request.form.stops if isinstance(request.form, Opened) else ():
            text = text.partition(stop)[0]
        return completion(text[:MOST], finish="stop" if len(text) <= MOST else "length")

    return Scripted(script)


@asynccontextmanager
async def person(
    backend: Scripted, folder: Path, manner: Manner = THINKS, *, decode: str = "free", seed: int = 0
) -> AsyncIterator[ThinkingUser]:
    by = Simulated(manner.method, "scripted", "utterances", decode, {})
    async with engine(backend, folder) as (one, _):
        yield ThinkingUser(one, manner, by, max_retries=RETRIES, seed=seed)


def talk(exchanges: int, name: str = "reply") -> list[Line]:
    return [
        line
        for turn in range(exchanges)
        for line in (Line("person", f"go on {turn}"), Line("assistant", f"{name} {turn}"))
    ]


class Spoken(NamedTuple):
    turn: SpokenTurn | Silent
    user: ThinkingUser
    asked: list[Request]


def spoken(write: Model, folder: Path, *, exchanges: int = 1, window: int = 99, **more: Any) -> Spoken:
    asked: list[Request] = []

    def noted(request: Request) -> str:
        asked.append(request)
        return write(request)

    async def speak(may_leave: bool = True, **made: Any) -> Spoken:
        async with person(scripted(noted, window=window), folder, **made) as user:
            occasion = Occasion(SCENARIO, talk(exchanges), "c")
            return Spoken(await user.speak(occasion, may_leave=may_leave), user, asked)

    return asyncio.run(speak(**more))


@pytest.mark.parametrize(("manner", "texts"), [(THINKS, BY_THINKER), (IS_TOLD, BY_TOLD)])
def test_rates_come_out_as_planted(manner: Manner, texts: dict[str, str], tmp_path: Path) -> None:
    """What is wrong is asked for again, each time as another take, and at most so often."""
    random = Random(0)
    plans = {str(item): random.choices([*texts, *texts, "read"], k=RETRIES + 1) for item in range(150)}
    backend = scripted(lambda request: texts[plans[request.item][request.take]])

    async def all_of_them() -> tuple[list[SpokenTurn | Silent], Counter[str]]:
        async with person(backend, tmp_path, manner) as user:
            occasions = (Occasion(SCENARIO, talk(1, item), item) for item in plans)
            return await asyncio.gather(*map(user.speak, occasions)), user.answers

    turns, answers = asyncio.run(all_of_them())
    heard = [plan[: (*plan, "read").index("read") + 1] for plan in plans.values()]
    assert answers == Counter(kind for plan in heard for kind in plan)
    assert answers.keys() == texts.keys()
    assert backend.asked == answers.total()
    for turn, (*wrongs, last) in zip(turns, heard, strict=True):
        if isinstance(turn, Silent):
            assert turn == Silent(last, turn.detail, texts[last][:MOST], RETRIES + 1)
        else:
            assert (last, turn.utterance, turn.wrong) == ("read", "go on then", tuple(wrongs))
            assert (turn.attempts, turn.output_tokens) == (len(wrongs) + 1, 5 * len(wrongs) + 5)


def test_a_server_that_refuses_is_not_asked_again(tmp_path: Path) -> None:
    def refuse(request: Request) -> str:
        if request.take == 1:
            raise AttemptFailed(Kind.REFUSED, "not that")
        return "no thought"

    turn, user, asked = spoken(refuse, tmp_path)
    assert turn == Silent(Kind.REFUSED, "not that", "", 2)
    assert (len(asked), user.answers) == (2, {Wrong.NO_THOUGHT: 1})


def test_other_seeds_and_takes_draw_anew_and_the_same_asks_nothing(tmp_path: Path) -> None:
    takes: list[int] = []

    async def speak(seed: int, take: int) -> SpokenTurn | Silent:
        def write(request: Request) -> str:
            takes.append(request.take)
            return "no thought" if request.take % 2 else f"<thought>Hm.</thought>{request.take}"

        async with person(scripted(write), tmp_path, seed=seed) as user:
            return await user.speak(Occasion(SCENARIO, talk(1), "c"), take=take)

    drawn = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 0), (1, 1)]
    turns = [asyncio.run(speak(*one)) for one in drawn]
    assert takes == [seed * TAKES + take * MOST_ATTEMPTS for seed, take in drawn[:4]]
    assert [turn.utterance for turn in turns] == [str(at) for at in (*takes, takes[0], takes[3])]  # type: ignore[union-attr]


def of(*pieces: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(pieces), max_size=5).map("".join)


tags = of(THOUGHT, END_OF_THOUGHT, "Hm. ", "</", "<", ">", "\n")
plain = of("go on ", "<b>", "</", ">", "\n", CUT, "thought>", THOUGHT, END_OF_THOUGHT)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(tags, plain), min_size=RETRIES + 1, max_size=RETRIES + 1))
def test_guided_or_not_no_tag_is_ever_said(drawn: list[tuple[str, str]]) -> None:
    """However a model fails to begin and to end its thoughts; words with a tag in them are still a thought."""

    def write(request: Request) -> str:
        assert isinstance(request.form, Opened)
        return drawn[request.take][request.form.begins != THOUGHT]

    with tempfile.TemporaryDirectory() as folder:
        turn, user, _ = spoken(write, Path(folder), decode="guided")
    assert set(user.answers) <= {"read", Wrong.EMPTY_THOUGHT, Wrong.BROKEN_TAGS}
    if isinstance(turn, SpokenTurn):
        assert turn.thought
        assert not any(tag in text for tag in TAGS for text in (turn.thought, turn.utterance))


def test_guided_decoding_sets_the_tags_and_nothing_between_them(tmp_path: Path) -> None:
    def write(request: Request) -> str:
        return " Hm. </thought>words" if request.form == Opened(THOUGHT, TAGS) else "go on then"

    turn, user, asked = spoken(write, tmp_path, decode="guided")
    assert isinstance(turn, SpokenTurn)
    assert (turn.thought, turn.utterance, turn.output_tokens, user.closed) == ("Hm.", "go on then", 10, 0)
    assert [getattr(request.form, "begins", "") for request in asked] == [THOUGHT, "<thought>Hm.</thought>"]
    assert asked[0].messages == asked[1].messages


@pytest.mark.parametrize(("manner", "lines"), [(THINKS, 0), (SPEAKS, 1), (IS_TOLD, 1)])
def test_no_tags_are_set_where_no_thought_is_asked_for(manner: Manner, lines: int, tmp_path: Path) -> None:
    turn, _, asked = spoken(lambda _: "hello", tmp_path, exchanges=lines, manner=manner, decode="guided")
    assert isinstance(turn, SpokenTurn)
    assert [request.form for request in asked] == [None]


def test_what_has_no_end_is_closed_where_guided_and_cut_where_free(tmp_path: Path) -> None:
    """A model that never writes </thought> is too small to hold a form, and that is not what it is asked for."""
    ramble = "go on " * 99

    def write(request: Request) -> str:
        if request.form in (None, Opened(THOUGHT, TAGS)):
            return CUT
        return ramble if request.take else "How can I help you?"

    turn, user, asked = spoken(write, tmp_path / "guided", decode="guided")
    assert isinstance(turn, SpokenTurn)
    assert (turn.thought, turn.utterance) == (CUT[:MOST].strip(), ramble[:MOST].strip())
    assert getattr(asked[-1].form, "begins", "") == f"<thought>{turn.thought}</thought>"
    assert user.answers == {Wrong.INVERSION: 1, "read": 1}
    assert (turn.closed, user.closed) == (2, 2)  # of what was asked again nothing counts
    free, user, _ = spoken(write, tmp_path / "free")
    assert (free.wrong, user.answers, user.closed) == (Wrong.CUT, {Wrong.CUT: RETRIES + 1}, 0)


@pytest.mark.parametrize("decode", ["free", "guided"])
def test_a_history_that_outgrows_the_window_loses_whole_exchanges(decode: str, tmp_path: Path) -> None:
    def write(request: Request) -> str:
        return GOOD if request.form is None else "Hm."

    for window, dropped in ((9, 0), (8, 1), (5, 2), (3, 3)):
        turn, _, asked = spoken(write, tmp_path / str(window), exchanges=4, decode=decode, window=window)
        assert isinstance(turn, SpokenTurn)
        assert (turn.dropped, turn.turn) == (dropped, 4)
        told = [message.content for message in asked[-1].messages]
        assert SCENARIO.scenario in told[0]
        assert told[1:] == [line.words for line in talk(4)[2 * dropped :]]
    turn, user, _ = spoken(write, tmp_path / "2", exchanges=4, decode=decode, window=2)
    assert turn == Silent(Kind.TOO_LONG, "the window is full", "", 1)
    assert not user.answers


@pytest.mark.parametrize(
    ("manner", "text"), [(THINKS, "<thought>Done.</thought>"), (SPEAKS, ""), (IS_TOLD, LEAVES)]
)
def test_a_person_leaves_after_a_reply_and_where_they_may(manner: Manner, text: str, tmp_path: Path) -> None:
    turn, *_ = spoken(lambda _: text, tmp_path / "a", manner=manner)
    assert isinstance(turn, SpokenTurn)
    assert (turn.ended, turn.utterance, turn.thought) == (True, "", "Done." if manner.thinks else None)
    for name, more in (("first", {"exchanges": 0}), ("later", {"may_leave": False})):
        silent, user, _ = spoken(lambda _: text, tmp_path / name, manner=manner, **more)
        assert (silent.wrong, user.answers) == (Wrong.EMPTY, {Wrong.EMPTY: RETRIES + 1})


HEARD = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Good day."}]


@contextmanager
def person_behind(say: Callable[[int], str]) -> Iterator[tuple[ThinkingUser, Server]]:
    """A real server, and the person as others have it."""
    with serving(lambda number, _: answer(say(number))) as server:
        endpoint = f"user=openai_compatible user.api_base={server.url} user.model=m user.api_key_env=null"
        words = ["method=prompt_thinking", "max_retries=1", *endpoint.split()]
        (job,) = compose.jobs("simulate", words, sweep=False)
        assert isinstance(job.config, SimulateConfig)
        with ThinkingUser.from_config(job.config) as user:
            yield user, server


def test_the_same_question_again_may_have_another_answer() -> None:
    async def at_once(user: ThinkingUser) -> list[Turn]:
        return await asyncio.gather(*(user.anext(HEARD, SCENARIO) for _ in range(4)))

    with person_behind(lambda number: f"<thought>Hm.</thought>{number}") as (user, _):
        turns = [user.next(HEARD, SCENARIO) for _ in range(3)]
        many = asyncio.run(at_once(user))
    assert turns == [Turn("Hm.", str(number), ended=False) for number in range(3)]
    assert sorted(turn.utterance for turn in many) == ["3", "4", "5", "6"]


def test_a_turn_that_cannot_be_had_is_an_error_with_its_class() -> None:
    with person_behind(lambda _: "How can I help you?") as (user, server):
        with pytest.raises(NoTurn, match="no turn in 2 attempts, the last: inversion") as caught:
            user.next([], SCENARIO)
        assert len(server.seen) == 2
    assert caught.value.silent == Silent(Wrong.INVERSION, "How can I help you", "How can I help you?", 2)


@pytest.mark.parametrize("keeps_thoughts", [True, False])
def test_its_thoughts_come_back_to_a_person_who_keeps_them(keeps_thoughts: bool) -> None:
    with person_behind(lambda number: f"<thought>Hm {number}.</thought>hello") as (user, server):
        user.manner = user.manner._replace(keeps_thoughts=keeps_thoughts)
        user.next([], SCENARIO)
        user.next(HEARD, SCENARIO)
    shown = server.seen[1].body["messages"][2]
    assert shown["content"] == ("<thought>Hm 0.</thought>hello" if keeps_thoughts else "hello")


def test_what_the_assistant_saw_is_in_turns() -> None:
    said, reply = HEARD
    system = {"role": "system", "content": "Be brief."}
    wrong: list[tuple[list[Any], str]] = [
        ([said], "must end with the assistant's reply"),
        ([reply], r"messages\[0\]: .*got \{'role': 'assistant'"),
        ([said, said], r"messages\[1\]: .*got \{'role': 'user'"),
        ([said, reply, reply], r"messages\[2\]: .*got \{'role': 'assistant'"),
        ([system, said, reply], r"messages\[0\]: .*got \{'role': 'system'"),
        ([{"content": "hello"}, reply], r"messages\[0\]: "),
        ([{"role": "user"}, reply], r"messages\[0\]: "),
        ([said, {"role": "assistant", "content": None}], r"messages\[1\]: "),
    ]
    with person_behind(lambda _: GOOD) as (user, server):
        for messages, told in wrong:
            with pytest.raises(ThinkusError, match=told):
                user.next(messages, SCENARIO)
        for empty in (Scenario(" ", "m"), Scenario("s", "\n")):
            with pytest.raises(ThinkusError, match="scenario"):
                user.next(HEARD, empty)
        assert not server.seen


def test_the_thoughts_of_another_scenario_are_not_shown() -> None:
    with person_behind(lambda number: f"<thought>Hm {number}.</thought>hello") as (user, server):
        user.manner = user.manner._replace(keeps_thoughts=True)
        user.next([], SCENARIO)
        user.next([], Scenario("another", "person"))
        said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "Good day."}]
        user.next(said, SCENARIO)
    assert server.seen[2].body["messages"][2]["content"] == "<thought>Hm 0.</thought>hello"


def test_a_user_that_was_closed_says_so() -> None:
    with person_behind(lambda _: GOOD) as (user, _):
        user.close()
        with pytest.raises(ThinkusError, match=r"^user: is closed"):
            user.next([], SCENARIO)


def test_an_earlier_thought_is_not_said_later() -> None:
    earlier = "This machine talks like my old headmaster, who never listened."
    written = (f"<thought>{earlier}</thought>hi", *[f"<thought>Hm.</thought>{earlier}"] * 9)
    with person_behind(lambda number: written[number]) as (user, _):
        user.next([], SCENARIO)
        said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "Good day."}]
        with pytest.raises(NoTurn, match="leak"):
            user.next(said, SCENARIO)

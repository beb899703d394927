"""A model in this process: what it says does not depend on what else is asked, and nothing stays behind."""

import asyncio
import gc
import json
import random
import re
import shutil
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
import torch

from tests.llm.parts import endpoint, engine
from thinkus.endpoint import Sampling
from thinkus.errors import ThinkusError
from thinkus.llm import hf, network
from thinkus.llm.exchange import Answer, AttemptFailed, Completion, Kind, Request
from thinkus.llm.forms import Choice, Likelihood, Near, Odds, Opened, Weighed
from thinkus.llm.hf import HuggingFace, batches
from thinkus.llm.network import Network, Row
from thinkus.records import Message
from thinkus.weights import find

T = TypeVar("T")

WORDS = ["lamp", "river", "seven", "quiet", "because", "under", "the", "window", "nobody", "counted", "of it"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a model gains nothing by more, and waits for each other's turn
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        folder = find("tiny").ready("model")
    yield str(folder)
    torch.set_num_threads(threads)


@pytest.fixture
def changed(tiny: str, tmp_path: Path) -> Callable[..., str]:
    """A copy of tiny in which JSON files hold other values."""

    def copy(template: str | None = None, **files: dict[str, Any]) -> str:
        folder = Path(shutil.copytree(tiny, tmp_path / "changed"))
        for name, values in files.items():
            file = folder / f"{name}.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | values))
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        return str(folder)

    return copy


def backend(
    model: str | None, *, max_tokens: int = 24, temperature: float = 0.0, top_p: float = 1.0
) -> HuggingFace:
    sampling = Sampling(temperature=temperature, top_p=top_p, max_tokens=max_tokens)
    return HuggingFace(endpoint(None, backend="hf", model=model, sampling=sampling), "annotator")


def opened(one: HuggingFace, use: Callable[[HuggingFace], Awaitable[T]]) -> T:
    async def run() -> T:
        await one.open()
        try:
            return await use(one)
        finally:
            await one.close()

    return asyncio.run(run())


def request(text: str, **more: Any) -> Request:
    return Request(item=text[:20], purpose="test", messages=(Message("user", text),), **more)


def prompts(lengths: Iterable[int]) -> list[Request]:
    """Of so many words each."""
    draw = random.Random(0)
    return [request(" ".join(draw.choices(WORDS, k=length))) for length in lengths]


async def together(one: HuggingFace, asked: Sequence[Request]) -> list[Completion]:
    return list(await asyncio.gather(*map(one.complete, asked)))


async def alone(one: HuggingFace, asked: Sequence[Request]) -> list[Completion]:
    return [await one.complete(request) for request in asked]


async def in_every_company(
    one: HuggingFace, asked: Sequence[Request]
) -> list[list[tuple[str, str, Any, Any]]]:
    """The same requests alone, together, in another order, and with fewer beside them."""
    turned = (await together(one, asked[::-1]))[::-1]
    halves = [*await together(one, asked[::2]), *await together(one, asked[1::2])]
    half = len(asked[::2])
    ways = [
        await alone(one, asked),
        await together(one, asked),
        turned,
        [halves[at // 2 + half * (at % 2)] for at in range(len(asked))],
    ]
    return [[(told.text, told.finish, told.input_tokens, told.output_tokens) for told in way] for way in ways]


def said_to_tiny(text: str) -> str:
    """The prompt that `request` becomes."""
    return f"<s>### User:\n{text}</s>\n### Assistant:\n"


def plain(tiny: str) -> tuple[Any, Any]:
    """The same model, used as its makers mean it."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)


# Alone and together --------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "top_p"), [(0.0, 1.0), (1.0, 1.0), (1.5, 0.8)])
def test_a_text_does_not_depend_on_its_company(tiny: str, temperature: float, top_p: float) -> None:
    one = backend(tiny, temperature=temperature, top_p=top_p, max_tokens=12)
    asked = prompts([1, 40, 3, 300, 7, 2, 90, 1, 25, 4, 11, 160, 5, 6, 30, 2, 70, 1])
    first, *others = opened(one, lambda one: in_every_company(one, asked))
    assert len({text for text, *_ in first}) == len(asked)
    for other in others:
        assert other == first


def test_greedy_words_are_those_of_transformers_itself(tiny: str) -> None:
    asked = prompts([1, 30, 8, 200])
    answers = opened(backend(tiny), lambda one: together(one, asked))
    model, tokenizer = plain(tiny)
    for one, answer in zip(asked, answers, strict=True):
        ids = tokenizer(
            said_to_tiny(one.messages[0].content), return_tensors="pt", add_special_tokens=False
        ).input_ids
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)
        assert answer.text == tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert answer.input_tokens == ids.shape[1]


def test_long_prompts_are_read_in_pieces(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = prompts([1, 40, 300, 7])
    whole = opened(backend(tiny), lambda one: together(one, asked))
    monkeypatch.setattr(network, "MOST_COLUMNS", 100)
    pieces = opened(backend(tiny), lambda one: together(one, asked))
    assert [answer.text for answer in pieces] == [answer.text for answer in whole]


def test_what_is_drawn_depends_on_words_take_and_endpoint(tiny: str) -> None:
    def drawn(*asked: Request, **sampling: float) -> list[str]:
        one = backend(tiny, **({"temperature": 1.0} | sampling), max_tokens=12)
        return [answer.text for answer in opened(one, lambda one: together(one, asked))]

    first = drawn(request("a"), request("a", take=1), request("b"))
    assert len(set(first)) == 3
    assert drawn(request("b"), request("a", take=1), request("a")) == first[::-1]
    assert drawn(request("a"), temperature=1.01) != first[:1], "two endpoints draw apart"

    async def seeds(one: HuggingFace) -> set[int]:
        return {one._row(request(text)).seed for text in ("a", "b", "a")}

    assert len(opened(backend(tiny), seeds)) == 2, "or two prompts had the same luck"


@pytest.mark.parametrize("top_p", [1.0, 0.5])
def test_tokens_are_drawn_by_their_probability(tiny: str, top_p: float) -> None:
    count = 3000
    asked = [request("a lamp", take=take) for take in range(count)]
    one = backend(tiny, temperature=0.7, top_p=top_p, max_tokens=1)
    drawn = Counter(answer.text for answer in opened(one, lambda one: together(one, asked)))

    model, tokenizer = plain(tiny)
    ids = tokenizer(said_to_tiny("a lamp"), return_tensors="pt", add_special_tokens=False).input_ids
    shares = (model(ids).logits[0, -1].detach() / 0.7).softmax(0)
    order = shares.argsort(descending=True)
    nucleus = order[: int((shares[order].cumsum(0) < top_p).sum()) + 1]
    expected = {int(token): float(shares[token] / shares[nucleus].sum()) for token in nucleus}
    if top_p < 1:
        assert set(drawn) <= {tokenizer.decode([token], skip_special_tokens=True) for token in expected}
        assert 5 < len(expected) < 200
    for token, share in expected.items():
        text = tokenizer.decode([token], skip_special_tokens=True)
        if share > 0.005 and len(text) == 1 and text.isascii():
            assert abs(drawn[text] / count - share) < 5 * (share / count) ** 0.5, text


def test_the_nucleus_is_found_without_sorting_all() -> None:
    draw = torch.Generator().manual_seed(0)
    for spread, top_p in [(0.1, 0.9), (3.0, 0.9), (8.0, 0.5), (0.0, 0.2), (2.0, 0.999)]:
        logits = spread * torch.randn(4, 3000, generator=draw)
        least = network._least_of_nucleus(logits, top_p)
        for row, low in zip(logits, least, strict=True):
            shares, mass, needed = row.double().softmax(0).sort(descending=True), 0.0, []
            for share, token in zip(shares.values.tolist(), shares.indices.tolist(), strict=True):
                needed.append(token)
                mass += share
                if mass >= top_p:
                    break
            assert abs(int((row >= low).sum()) - len(needed)) <= (3000 if spread == 0 else 1)


# Where a text ends ---------------------------------------------------------------------------


def test_a_text_ends_at_max_tokens_or_at_any_of_its_ends(tiny: str, changed: Callable[..., str]) -> None:
    asked = request("seven")
    cut = opened(backend(tiny), lambda one: one.complete(asked))
    assert (cut.finish, cut.output_tokens) == ("length", 24)
    model, tokenizer = plain(tiny)
    ids = tokenizer(said_to_tiny("seven"), return_tensors="pt", add_special_tokens=False).input_ids
    written = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)
    written = written[0, ids.shape[1] :].tolist()
    for file, ends in (
        ("generation_config", [2, written[7]]),
        ("generation_config", written[7]),
        ("config", written[7]),
    ):
        model_folder = changed(**{file: {"eos_token_id": ends}})
        if file == "config":
            (Path(model_folder) / "generation_config.json").unlink()
        ended = opened(backend(model_folder), lambda one: one.complete(asked))
        at = written.index(written[7])
        assert (ended.finish, ended.output_tokens) == ("stop", at + 1)
        assert ended.text == tokenizer.decode(written[:at])
        shutil.rmtree(model_folder)


def test_the_end_of_a_turn_is_read_off_the_template(changed: Callable[..., str]) -> None:
    """As of a base model whose own list of ends does not name it."""
    folder = changed(
        template="{% for m in messages %}{{ m.role }}: {{ m.content | trim }}<pad>\n{% endfor %}assistant: "
    )
    model = Network(Path(folder), Sampling(temperature=0, top_p=1, max_tokens=1))
    assert model.options_of(Choice(("a",)))["a"][-1] == 0
    assert model._ends == {0, 2}


# What is refused -----------------------------------------------------------------------------


def test_what_the_context_does_not_hold_is_refused_before_any_work(tiny: str) -> None:
    async def use(one: HuggingFace) -> str:
        room = 32_768 - 24 - len(said_to_tiny("").replace("<s>", ".").replace("</s>", "."))
        with pytest.raises(AttemptFailed) as refused:
            await one.complete(request("x" * (room + 1)))
        assert refused.value.kind is Kind.TOO_LONG
        with pytest.raises(AttemptFailed):
            await one.complete(request("x" * (room + 21), form=Choice(("yes", "no"))))
        assert one._rows.empty()
        one._row(request("x" * room))
        one._row(request("x" * (room + 20), form=Choice(("yes", "no"))))  # and the end of the turn
        return refused.value.detail

    assert opened(backend(tiny), use) == "32,745 tokens and 24 for the answer; the context holds 32,768"


def test_a_language_model_is_not_asked_how_near_two_texts_are(tiny: str) -> None:
    with pytest.raises(ThinkusError, match=r"^a language model does not say how near two texts are"):
        opened(backend(tiny), lambda one: one.complete(request("a", form=Near())))


def test_what_the_template_refuses_is_refused(changed: Callable[..., str]) -> None:
    folder = changed(
        template="{% if messages[0].role == 'system' %}{{ raise_exception('no system text') }}{% endif %}x"
    )

    async def use(one: HuggingFace) -> AttemptFailed:
        with pytest.raises(AttemptFailed) as refused:
            await one.complete(Request(item="a", purpose="t", messages=(Message("system", "Be."),)))
        return refused.value

    refused = opened(backend(folder), use)
    assert (refused.kind, refused.detail) == (Kind.REFUSED, "the model's chat template says: no system text")


def test_a_mistake_is_one_line(changed: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ThinkusError, match=r"^annotator\.model: is null"):
        backend(None)
    with pytest.raises(ThinkusError, match=r"^annotator\.model: there is no model 'tinny'.*mean tiny\?"):
        backend("tinny")
    with pytest.raises(ThinkusError, match=r"^annotator\.extra: "):
        HuggingFace(endpoint(None, backend="hf", model="tiny", extra={"a": 1}), "annotator")
    one = backend(changed(config={"model_type": "nonesuch"}))
    with pytest.raises(
        ThinkusError, match=r"^annotator\.model: .*changed cannot be loaded: .*nonesuch"
    ) as refused:
        asyncio.run(one.open())
    assert "\n" not in str(refused.value)
    for thread in threads():
        thread.join(10)
    assert threads() == []
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ThinkusError, match=r"^annotator: .*needs transformers; pip install 'thinkus\[local\]'"
    ):
        asyncio.run(one.open())


# Choices -------------------------------------------------------------------------------------


def test_the_likeliest_option_wins(tiny: str) -> None:
    forms = [
        Choice(("yes", "no", "neither")),
        Choice(tuple("ABCDEFGHIJKLMNOP")),
        Choice(("7", "8", "72")),
        Choice(("first", "first and second")),
    ]
    asked = [
        Request(item=str(at), purpose="test", messages=one.messages, form=forms[at % 4])
        for at, one in enumerate(prompts([1, 2, 3, 5, 9, 20, 40, 90, 200, 400, 1, 2, 7, 8, 30, 6]))
    ]
    answers = opened(backend(tiny, max_tokens=1), lambda one: together(one, asked))
    lonely = opened(backend(tiny, temperature=1.0), lambda one: alone(one, asked))
    model, tokenizer = plain(tiny)

    def likelihood(prompt: str, option: str, end: str) -> float:
        before = tokenizer(said_to_tiny(prompt), add_special_tokens=False).input_ids
        after = tokenizer(option + end, add_special_tokens=False).input_ids
        with torch.inference_mode():
            shares = model(torch.tensor([before + after])).logits[0].double().log_softmax(1)
        return sum(float(shares[len(before) - 1 + at, token]) for at, token in enumerate(after))

    without_end = []
    for one, answer, other in zip(asked, answers, lonely, strict=True):
        assert isinstance(one.form, Choice)
        scores = {word: likelihood(one.messages[0].content, word, "</s>") for word in one.form.options}
        assert answer.text == other.text == max(scores, key=scores.__getitem__)
        assert (answer.finish, answer.output_tokens) == ("stop", len(answer.text) + 1)
        bare = {word: likelihood(one.messages[0].content, word, "") for word in one.form.options}
        without_end.append(max(bare, key=bare.__getitem__))
    texts = [answer.text for answer in answers]
    assert len(set(texts)) > 4
    assert without_end != texts, "or this could not tell whether the end counts"


def test_the_engine_takes_its_answers(tiny: str, tmp_path: Path) -> None:
    async def run() -> list[Any]:
        async with engine(backend(tiny, temperature=1.0), tmp_path) as (one, _):
            asked = [request("a", form=Choice(("yes", "no"))), request("b"), request("x" * 40_000)]
            return [await one.ask(request) for request in asked]

    choice, cut, too_long = asyncio.run(run())
    assert isinstance(choice, Answer)
    assert choice.value in ("yes", "no")
    assert choice.completion.at.endswith("+00:00")
    assert (cut.kind, too_long.kind) == (Kind.CUT, Kind.TOO_LONG)


# Answers that are begun, and odds ------------------------------------------------------------


def test_the_model_goes_on_from_the_words_that_are_given(tiny: str) -> None:
    begins = ["<thought>", " ", "é", "It is long. " * 30]
    asked = [
        msgspec.structs.replace(one, form=Opened(words))
        for one, words in zip(prompts([1, 30, 8, 200]), begins, strict=True)
    ]
    answers = opened(backend(tiny), lambda one: together(one, asked))
    model, tokenizer = plain(tiny)
    for one, words, answer in zip(asked, begins, answers, strict=True):
        prompt = said_to_tiny(one.messages[0].content) + words
        ids = tokenizer(prompt, return_tensors="pt", add_special_tokens=False).input_ids
        whole = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=24)
        assert answer.text == tokenizer.decode(whole[0, ids.shape[1] :], skip_special_tokens=True)
        assert (answer.finish, answer.input_tokens) == ("length", ids.shape[1])


def test_a_stop_ends_the_words_and_is_none_of_them(tiny: str) -> None:
    """Each row has stops of its own, and they change nothing of what comes before."""

    def going_on(take: int, *stops: str) -> Request:
        return request("a lamp", take=take, form=Opened("It", stops))

    def first(pattern: str, text: str) -> str:
        return str(re.findall(pattern, text)[0])

    async def use(one: HuggingFace) -> tuple[list[str], list[Completion], list[Completion], Completion]:
        free = await together(one, [going_on(take) for take in range(6)])
        whole = {take: answer.text for take, answer in enumerate(free) if answer.finish == "length"}
        of_two = [going_on(take, "\0never", first("[!-~]{2}", text)) for take, text in whole.items()]
        of_both = [
            going_on(take, first("[!-~]{2}", text), first("[!-~]", text)) for take, text in whole.items()
        ]
        answers = await together(one, [*of_two, *of_both, going_on(min(whole))])
        return list(whole.values()), answers[: len(whole)], answers[len(whole) : -1], answers[-1]

    whole, of_two, of_both, unstopped = opened(backend(tiny, temperature=1.0, max_tokens=100), use)
    assert len(whole) > 3
    for text, two, both in zip(whole, of_two, of_both, strict=True):
        assert (two.text, two.finish) == (text.partition(first("[!-~]{2}", text))[0], "stop")
        assert (both.text, both.finish) == (text.partition(first("[!-~]", text))[0], "stop"), "the nearest"
        assert (both.output_tokens or 0) < (two.output_tokens or 0) < 100
    assert (unstopped.text, unstopped.finish) == (whole[0], "length"), "no other row's stop ends it"


def test_odds_are_a_softmax_over_the_labels(tiny: str) -> None:
    forms = [Odds(("1", "0")), Odds(("0", "1")), Odds(("a", "b", "c"))]
    asked = [
        msgspec.structs.replace(one, form=forms[at % 3])
        for at, one in enumerate(prompts([1, 2, 3, 9, 40, 200]))
    ]
    ways = [
        opened(backend(tiny, temperature=0.0, max_tokens=1), lambda one: together(one, asked)),
        opened(backend(tiny, temperature=1.5, top_p=0.1), lambda one: alone(one, asked)),
    ]
    model, tokenizer = plain(tiny)
    for at, one in enumerate(asked):
        assert isinstance(one.form, Odds)
        ids = tokenizer(said_to_tiny(one.messages[0].content), add_special_tokens=False).input_ids
        labels = [tokenizer(word, add_special_tokens=False).input_ids[0] for word in one.form.options]
        with torch.inference_mode():
            shares = model(torch.tensor([ids])).logits[0, -1, labels].double().softmax(0).tolist()
        for way in ways:
            odds = one.form.read(way[at].text)
            assert odds == pytest.approx(dict(zip(one.form.options, shares, strict=True)), rel=1e-4)
            assert (way[at].finish, way[at].input_tokens, way[at].output_tokens) == ("stop", len(ids), 1)
    assert max(shares) - min(shares) > 0.01, "or any odds would do"


def test_texts_choices_and_odds_are_asked_for_at_once(tiny: str) -> None:
    forms = [
        None,
        Choice(("a", "neither", "both of them")),
        Odds(("1", "0")),
        Opened("It", ("e",)),
        Likelihood("It is long. " * 30, "<thought>"),
    ]
    asked = [
        msgspec.structs.replace(one, form=forms[at % 5])
        for at, one in enumerate(prompts([1, 40, 3, 300, 7, 2, 90, 1, 25, 4, 11, 160, 5, 6, 30]))
    ]
    one = backend(tiny, temperature=1.0, max_tokens=12)
    first, *others = opened(one, lambda one: in_every_company(one, asked))
    for other in others:
        for request_, lonely, mixed in zip(asked, first, other, strict=True):
            if isinstance(form := request_.form, Odds | Likelihood):
                # Numbers, whose last digits are summed in another order.
                assert numbers(form.read(mixed[0])) == pytest.approx(numbers(form.read(lonely[0])), rel=1e-4)
                assert mixed[1:] == lonely[1:]
            else:
                assert mixed == lonely


def numbers(value: dict[str, float] | Weighed) -> list[float]:
    return [value.logarithm, value.tokens] if isinstance(value, Weighed) else list(value.values())


WEIGHED = [("no", ""), ("It is long. " * 30, "<thought></thought>"), ("é", " "), ("of it", "It")]
"""Words, and what the answer begins with."""


@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_words_are_as_likely_as_transformers_itself_finds_them(
    tiny: str, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Alone and together, in pieces and whole."""
    monkeypatch.setattr(network, "MOST_WEIGHED", at_once)
    asked = [
        msgspec.structs.replace(one, form=Likelihood(*WEIGHED[at % 4]))
        for at, one in enumerate(prompts([1, 40, 3, 300, 7, 2]))
    ]
    ways = [
        opened(backend(tiny, max_tokens=1), lambda one: together(one, asked)),
        opened(backend(tiny, temperature=1.5, top_p=0.1), lambda one: alone(one, asked)),
    ]
    model, tokenizer = plain(tiny)
    for at, one in enumerate(asked):
        assert isinstance(one.form, Likelihood)
        prompt = said_to_tiny(one.messages[0].content) + one.form.begins
        before, after = (
            tokenizer(text, add_special_tokens=False).input_ids for text in (prompt, one.form.words)
        )
        with torch.inference_mode():
            shares = model(torch.tensor([before + after])).logits[0].double().log_softmax(1)
        likely = sum(float(shares[len(before) - 1 + place, token]) for place, token in enumerate(after))
        for way in ways:
            weighed = one.form.read(way[at].text)
            assert weighed.logarithm == pytest.approx(likely, rel=1e-5, abs=1e-3)
            assert weighed.tokens == way[at].output_tokens == len(after) == len(one.form.words.encode())
            assert (way[at].finish, way[at].input_tokens) == ("stop", len(before))


def test_words_to_be_weighed_must_fit_and_hold_a_token(tiny: str) -> None:
    async def use(one: HuggingFace) -> tuple[AttemptFailed, AttemptFailed]:
        room = 32_768 - len(said_to_tiny("").replace("<s>", ".").replace("</s>", "."))
        one._row(request("x" * (room - 9), form=Likelihood("x" * 5, "<b>.")))
        with pytest.raises(AttemptFailed) as too_long:
            await one.complete(request("x" * (room - 8), form=Likelihood("x" * 5, "<b>.")))
        with pytest.raises(AttemptFailed) as empty:
            await one.complete(request("x", form=Likelihood("")))
        return too_long.value, empty.value

    too_long, empty = opened(backend(tiny, max_tokens=100), use)
    assert (too_long.kind, too_long.detail) == (
        Kind.TOO_LONG,
        "32,764 tokens and 5 for the answer; the context holds 32,768",
    )
    assert (empty.kind, empty.detail) == (
        Kind.REFUSED,
        "the words whose likelihood is asked for hold no token",
    )


def test_the_beginning_of_an_answer_takes_room_in_the_context(tiny: str) -> None:
    async def use(one: HuggingFace) -> str:
        room = 32_768 - 24 - len(said_to_tiny("").replace("<s>", ".").replace("</s>", "."))
        one._row(request("x" * (room - 9), form=Opened("<thought>")))
        with pytest.raises(AttemptFailed) as refused:
            await one.complete(request("x" * (room - 8), form=Opened("<thought>")))
        assert refused.value.kind is Kind.TOO_LONG
        one._row(request("x" * (room + 23), form=Odds(("1", "0"))))
        with pytest.raises(AttemptFailed):
            await one.complete(request("x" * (room + 24), form=Odds(("1", "0"))))
        return refused.value.detail

    assert opened(backend(tiny), use) == "32,745 tokens and 24 for the answer; the context holds 32,768"


def test_the_engine_takes_what_goes_on_and_odds(tiny: str, tmp_path: Path) -> None:
    async def run() -> list[Any]:
        async with engine(backend(tiny, temperature=1.0), tmp_path) as (one, _):
            forms = Odds(("1", "0")), Opened("a"), Opened("a", tuple(map(chr, range(256))))
            return [await one.ask(request("a", form=form, may_be_empty=True)) for form in forms]

    odds, cut, ended = asyncio.run(run())
    assert isinstance(odds, Answer)
    assert sum(odds.value.values()) == pytest.approx(1)
    assert cut.kind is Kind.CUT
    assert isinstance(ended, Answer)
    assert ended.value == ended.completion.text


# The thread ----------------------------------------------------------------------------------


def test_batches_are_bounded_and_hold_like_with_like(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    rows = [
        Row([0] * draw.randint(1, 400), 0, 50, {"a": [1, 2], "b": [1, 2]} if draw.random() < 0.3 else {})
        for _ in range(200)
    ]
    rows.append(Row([0] * 9000, 0, 50))
    monkeypatch.setattr(hf, "MOST_PADDED_TOKENS", 4000)
    monkeypatch.setattr(hf, "MOST_ROWS", 12)
    made = list(batches(rows))
    assert Counter(map(id, (row for batch in made for row in batch))) == Counter(map(id, rows))
    for batch in made:
        height = sum(len(row.options) or 1 for row in batch)
        assert height <= hf.MOST_ROWS
        assert len(batch) == 1 or height * max(row.width for row in batch) <= 4000
        assert len({bool(row.options) for row in batch}) == 1
    assert len(made) < 60
    monkeypatch.setattr(hf, "MOST_READ_TOKENS", 1000)
    read = [batch for batch in batches(rows) if batch[0].options]
    assert max(map(len, read)) > 1
    for batch in read:
        assert len(batch) == 1 or len(batch) * max(row.width for row in batch) <= 1000
    assert len([batch for batch in batches(rows) if not batch[0].options]) == len(made) - sum(
        bool(batch[0].options) for batch in made
    ), "what is to be written goes together as before"
    few = [Row([0] * length, 0, 50) for length in (*range(1, 9), 200, 201)]
    assert [len(batch) for batch in batches(few)] == [8, 2]
    assert [len(batch) for batch in batches(few[4:])] == [6]


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "thinkus-hf"]


def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Will hold how many rows each step of writing had."""
    made: list[int] = []
    next_of = Network._next

    def counted(self: Any, logits: torch.Tensor, rows: Any) -> list[int]:
        made.append(len(rows))
        return next_of(self, logits, rows)

    monkeypatch.setattr(Network, "_next", counted)
    return made


def test_who_asks_at_the_same_time_is_answered_together(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = steps(monkeypatch)
    monkeypatch.setattr(hf, "GATHER_S", 0.5)

    async def use(one: HuggingFace) -> None:
        asked = []
        for prompt in prompts([1, 2, 3, 4, 5]):
            asked.append(asyncio.create_task(one.complete(prompt)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*asked)

    opened(backend(tiny), use)
    assert made == [5] * 24


def test_what_nobody_waits_for_is_not_written(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = steps(monkeypatch)

    async def use(one: HuggingFace) -> Completion:
        long = [asyncio.create_task(one.complete(request)) for request in prompts([5, 6, 7])]
        while len(made) < 3:
            await asyncio.sleep(0.01)
        late = asyncio.create_task(one.complete(request("late")))
        await asyncio.sleep(0.05)
        for task in (*long[1:], late):
            task.cancel()
        while made[-1] > 1:
            await asyncio.sleep(0.01)
        long[0].cancel()
        assert await asyncio.gather(*long, late, return_exceptions=True)
        return await one.complete(request("now", form=Choice(("yes", "no"))))

    answer = opened(backend(tiny, max_tokens=20_000), use)
    assert answer.text in ("yes", "no")
    assert len(made) < 10_000
    assert (made[0], made[-1], sorted(made, reverse=True) == made) == (3, 1, True)


def test_nothing_stays_behind(tiny: str) -> None:
    async def use(one: HuggingFace) -> "weakref.ref[Any]":
        await asyncio.sleep(0.1)
        await together(one, [request("a"), request("b", form=Choice(("yes", "no")))])
        assert len(threads()) == 1
        assert one._model is not None
        return weakref.ref(one._model._network)

    one = backend(tiny)
    for _ in range(2):  # and it can be opened again
        gc.disable()
        try:
            network = opened(one, use)
            assert (threads(), network()) == ([], None)
        finally:
            gc.enable()
    asyncio.run(one.close())  # not open
    opened(one, lambda one: asyncio.wait_for(use(one), 10))


def test_a_defect_reaches_who_asked(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(one: HuggingFace) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(Network, "_read", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                await one.complete(request("a"))
        return (await one.complete(request("a"))).finish

    assert opened(backend(tiny), use) == "length"


def test_identity_names_all_that_can_change_a_text(
    tiny: str, changed: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def use(one: HuggingFace) -> dict[str, Any]:
        return dict(one.identity)

    first = opened(backend(tiny), use)
    assert first == opened(backend(tiny), use)
    assert (first["backend"], first["dtype"]) == (
        "hf",
        "bfloat16" if torch.cuda.is_available() else "float32",
    )
    others = [
        opened(backend(tiny, max_tokens=25), use),
        opened(backend(tiny, temperature=0.1), use),
        opened(backend(tiny, top_p=0.1), use),
    ]
    without = changed()
    (Path(without) / "chat_template.jinja").unlink()
    others.append(opened(backend(without), use))
    monkeypatch.setattr("thinkus.weights.CHAT_TEMPLATE", "another")
    others.append(opened(backend(without), use))
    assert len({json.dumps(other, sort_keys=True) for other in (first, *others)}) == 6


# The one from the package --------------------------------------------------------------------


def test_gemma_says_the_same_in_any_company_beyond_its_window() -> None:
    """Its layers look back 512 tokens; padding must not push anything out of that."""
    asked = [*prompts([12, 520]), request("Where is the Eiffel Tower?")]
    form = Choice(("lamp", "river", "window"))
    begun, towns = Opened("The Eiffel Tower is in the city of", (".", ",")), Odds((" Paris", " London"))

    async def use(one: HuggingFace) -> tuple[list[list[Any]], list[list[dict[str, float]]]]:
        chosen = [Request(item="c", purpose="t", messages=text.messages, form=form) for text in asked[1:]]
        chosen.append(msgspec.structs.replace(asked[2], form=begun))
        town = Message("assistant", begun.begins)
        likely = [
            Request(item="c", purpose="t", messages=(*text.messages, town), form=towns) for text in asked[1:]
        ]
        ways = [await way(one, asked) for way in (alone, together)]
        ways[0] += await alone(one, chosen)
        ways[1] += await together(one, chosen)
        odds = [[towns.read(told.text) for told in await way(one, likely)] for way in (alone, together)]
        return [
            [(told.text, told.finish, told.input_tokens, told.output_tokens) for told in way] for way in ways
        ], odds

    (apart, mixed), (lonely, company) = opened(backend("gemma270m", max_tokens=10), use)
    assert mixed == apart
    assert apart[1][2] > 560
    assert "Paris" in apart[2][0]
    assert {text for text, *_ in apart[3:5]} <= set(form.options)
    assert apart[5][:2] == (" Paris", "stop")
    for one, other in zip(lonely, company, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
        assert one[" Paris"] > 0.5


def test_gemma_weighs_words_alike_in_any_company_beyond_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "MOST_WEIGHED", 16)
    *long, short = [*prompts([3, 520]), request("Where is the Eiffel Tower?")]
    long_words = " ".join(message.content for one in prompts([40]) for message in one.messages)
    asked = [
        *(msgspec.structs.replace(one, form=Likelihood(long_words)) for one in long),
        *(
            msgspec.structs.replace(short, form=Likelihood(town, "It is in "))
            for town in ("Paris", "Utrecht")
        ),
    ]

    async def use(one: HuggingFace) -> list[list[str]]:
        return [[told.text for told in await way(one, asked)] for way in (alone, together)]

    lonely, company = (
        [Likelihood("").read(text) for text in texts] for texts in opened(backend("gemma270m"), use)
    )
    assert [numbers(one) for one in lonely] == [pytest.approx(numbers(one), rel=1e-3) for one in company]
    assert lonely[1].tokens > 2 * 16
    assert lonely[0].logarithm < lonely[1].logarithm, "what was said before is likelier"
    assert lonely[2].logarithm > lonely[3].logarithm + 1

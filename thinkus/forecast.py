"""What a list of commands will take, before anything that they read is there: an estimate, and from what it is made.

Once a command's own input is there, its --dry-run counts instead of guessing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeGuard

from thinkus import facts
from thinkus.commands import Errand
from thinkus.config import AnnotateConfig, JudgeConfig, PrepareConfig, SftConfig, SimulateConfig, StageConfig
from thinkus.endpoint import Endpoint
from thinkus.llm.estimate import BYTES_A_TOKEN, short
from thinkus.llm.prices import rates_of
from thinkus.needs import endpoints
from thinkus.runs import load_manifest
from thinkus.thoughts.outlook import A_TURN, FULFILMENT, SCENARIO, TERMINAL
from thinkus.train.speed import PEAKS, peak_of

TRAINING_SHARE, SERVING_SHARE = 0.4, 0.1
"""Of a card's peak that is got out of it, supposed: training, and writing token by token."""
USUAL_CARD = "A100"
# Where nothing is prepared yet: user turns a conversation as the paper has them, and tokens a turn (the person's
# and the reply) as the corpora's own papers have them.
TURNS = {"lmsys": 5.6, "wildchat": 2.17}
TOKENS_A_TURN = {"lmsys": 284.0, "wildchat": 737.0}
OTHER_TURNS, OTHER_TOKENS = 4.0, 150.0
INSTRUCTIONS, UTTERANCE, VERDICT, GOALS = 500.0, 70.0, 60.0, 6
"""Tokens of what a model is told beside the texts, of what a person says, of a judge's answer; goals a scenario."""
BACKGROUND, THOUGHT, ENDS = (size / BYTES_A_TOKEN for size in (SCENARIO, A_TURN, FULFILMENT + TERMINAL))
OTHER_PARAMETERS = 8e9
"""Of local models that are no users."""


class Corpus(NamedTuple):
    train: int
    test: int
    turns: float
    tokens_a_turn: float
    is_counted: bool = False

    @property
    def tokens(self) -> float:
        """Of a conversation."""
        return self.turns * self.tokens_a_turn

    @property
    def tokens_before_all(self) -> float:
        """Before each of a conversation's turns, and after the last, what was said until then."""
        return self.turns * (self.turns + 1) / 2 * self.tokens_a_turn


class Asked(NamedTuple):
    """What one endpoint is asked."""

    where: str
    endpoint: Endpoint
    requests: float
    tokens_in: float
    tokens_out: float


def forecast(errands: Sequence[Errand]) -> list[str]:
    """Lines, of what is not done yet."""
    known = {name: corpus for errand in errands for name, corpus in _corpora(errand)}
    due = [errand for errand in errands if not errand.is_done]
    trainings = [errand.config for errand in due if isinstance(errand.config, SftConfig)]
    eval_of = {one.directory.name: one.config.eval.name for one in errands if _speaks(one.config)}
    every = [(errand.config, asked) for errand in due for asked in _asked(errand, known, eval_of)]
    hosted: dict[str, list[Asked]] = {}
    for _, asked in every:
        if asked.endpoint.backend in ("openai", "litellm"):
            hosted.setdefault(asked.endpoint.name, []).append(asked)
    served = [(config, asked) for config, asked in every if asked.endpoint.backend == "vllm"]
    return [
        _basis(known.values()),
        *map(_bill, hosted.values()),
        *_training(trainings, known),
        *_serving(served),
    ]


def _speaks(config: StageConfig) -> TypeGuard[SimulateConfig]:
    return isinstance(config, SimulateConfig)


def _corpora(errand: Errand) -> Iterator[tuple[str, Corpus]]:
    """As prepared, or as it is said to be."""
    if not isinstance(errand.config, PrepareConfig):
        return
    data = errand.config.data
    manifest = load_manifest(errand.directory) if errand.is_done else None
    if manifest is None:
        turns, tokens = TURNS.get(data.name, OTHER_TURNS), TOKENS_A_TURN.get(data.name, OTHER_TOKENS)
        yield data.name, Corpus(data.train or 0, data.test, turns, tokens)
        return
    sides = manifest.counts["train"], manifest.counts["test"]
    turns = sum(side["user_turns"] for side in sides)
    tokens = manifest.files["records.jsonl"].bytes / BYTES_A_TOKEN
    train, test = (side["items"] for side in sides)
    yield (
        data.name,
        Corpus(train, test, turns / max(1, train + test), tokens / max(1, turns), is_counted=True),
    )


def _asked(errand: Errand, known: Mapping[str, Corpus], eval_of: Mapping[str, str]) -> Iterator[Asked]:
    config = errand.config
    if isinstance(config, AnnotateConfig):
        name = config.data.name
    elif isinstance(config, SimulateConfig):
        name = config.eval.name
    elif isinstance(config, JudgeConfig):
        name = config.eval.name if config.task == "goals" else eval_of.get(str(config.candidate), "")
    else:
        return
    if name in known:
        for where, endpoint in endpoints(errand):
            yield Asked(where, endpoint, *_requests(config, known[name]))


def _requests(config: StageConfig, corpus: Corpus) -> tuple[float, float, float]:
    """How many, and their tokens in and out; a retry and what a server remembers are left out of account."""
    if isinstance(config, AnnotateConfig):
        calls, size = (
            (1, corpus.train + corpus.test) if config.scenario_only else (3, corpus.train + corpus.test)
        )
        answers = BACKGROUND if config.scenario_only else BACKGROUND + corpus.turns * THOUGHT + ENDS
        return calls * size, calls * size * (INSTRUCTIONS + corpus.tokens), size * answers
    if isinstance(config, SimulateConfig):
        size = min(config.n_scenarios, corpus.test) if config.mode == "online" else corpus.test
        said = size * (corpus.turns + 1)
        spoken = UTTERANCE + THOUGHT * config.method.thoughts
        return said, said * (INSTRUCTIONS + BACKGROUND) + size * corpus.tokens_before_all, said * spoken
    assert isinstance(config, JudgeConfig)
    size = corpus.test
    if config.task == "pairwise":
        orders = 2 if config.protocol == "both_orders" else 1
        asked = orders * size * corpus.turns
        shown = orders * size * corpus.tokens_before_all
        return asked, asked * (INSTRUCTIONS + BACKGROUND + 3 * UTTERANCE) + shown, asked * VERDICT
    if config.task == "terminal":
        return 2 * size, 2 * size * (INSTRUCTIONS + THOUGHT), 2 * size * VERDICT
    size = min(size, config.n_scenarios)
    if config.task == "goals":
        return size, size * (INSTRUCTIONS + BACKGROUND), size * VERDICT
    asked = size * (GOALS + 2)
    return asked, asked * (INSTRUCTIONS + BACKGROUND + corpus.tokens), asked * VERDICT


def _basis(corpora: Iterable[Corpus]) -> str:
    if all(corpus.is_counted for corpus in corpora):
        return "Estimated from what is prepared; a command's --dry-run counts:"
    return "Estimated from published sizes; once its input is there, a command's --dry-run counts:"


def _bill(every: Sequence[Asked]) -> str:
    where, endpoint = every[0].where, every[0].endpoint
    requests = sum(one.requests for one in every)
    tokens_in, tokens_out = sum(one.tokens_in for one in every), sum(one.tokens_out for one in every)
    told = (
        f"{endpoint.name}: {short(requests)} requests, {short(tokens_in)} tokens in, {short(tokens_out)} out"
    )
    if (rates := rates_of(endpoint)) is None:
        return f"{told}; its price is not known ({where}.price= or conf/prices.yaml says it)"
    usd = (tokens_in * rates.input + tokens_out * rates.output) / 1e6
    return f"{told}: about ${usd:,.0f}" + (
        f" ({rates.peak.times:g} times that at peak hours)" if rates.peak else ""
    )


def _training(trainings: Sequence[SftConfig], known: Mapping[str, Corpus]) -> Iterator[str]:
    tokens = [_taught(one, known[one.data.name]) if one.data.name in known else 0.0 for one in trainings]
    work = sum(6 * one.model.parameters * each for one, each in zip(trainings, tokens, strict=True))
    count = f"{len(trainings)} training{'s' * (len(trainings) > 1)}"
    yield from _hours(f"{count} on {short(sum(tokens))} tokens", 6, work, TRAINING_SHARE)


def _taught(config: SftConfig, corpus: Corpus) -> float:
    """Tokens that are computed, in all epochs; in trees what samples share is computed once."""
    thoughts = corpus.turns * THOUGHT * config.method.thoughts
    if config.layout == "tree" and config.order == "conversation":
        return config.epochs * corpus.train * (BACKGROUND + corpus.tokens + thoughts)
    samples = (corpus.turns + 1) * BACKGROUND + corpus.tokens_before_all + thoughts
    return config.epochs * corpus.train * samples


def _serving(served: Sequence[tuple[StageConfig, Asked]]) -> Iterator[str]:
    sizes = [config.model.parameters if _speaks(config) else OTHER_PARAMETERS for config, _ in served]
    tokens = [asked.tokens_in + asked.tokens_out for _, asked in served]
    work = sum(2 * size * each for size, each in zip(sizes, tokens, strict=True))
    yield from _hours(f"local models read and write {short(sum(tokens))} tokens", 2, work, SERVING_SHARE)


def _hours(what: str, times: int, work: float, share: float) -> Iterator[str]:
    cards = facts.gpus()
    peak = peak_of(cards[0]) if cards else None
    card = cards[0].split(",")[0] if cards and peak else USUAL_CARD
    hours = work / (share * (peak or PEAKS[USUAL_CARD] * 1e12)) / 3600
    if hours >= 1:  # less is done on a processor
        yield (
            f"{what}: about {hours:,.0f} GPU hours ({times} operations a parameter and token, at {share:.0%} of the "
            f"peak of {card})"
        )

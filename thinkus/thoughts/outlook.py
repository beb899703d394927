"""What annotating would take, before any money is spent: tokens counted on some, and what they cost."""

from collections.abc import Callable, Iterable
from itertools import islice

from thinkus import prompts
from thinkus.config import AnnotateConfig
from thinkus.llm.estimate import BYTES_A_TOKEN, short
from thinkus.llm.exchange import Completion
from thinkus.llm.litellm import token_counter
from thinkus.llm.prices import Rates, rates_of
from thinkus.records import Conversation
from thinkus.thoughts.dialogue import render
from thinkus.thoughts.drafts import turns_with_thoughts

COUNTED_ON = 50
# Of the answers shipped with data=sample, in characters: what a scenario with its motivation takes, what a
# turn takes, and the two answers about the end.
SCENARIO, A_TURN, FULFILMENT, TERMINAL = 900, 300, 360, 300


def lines(config: AnnotateConfig, conversations: Iterable[Conversation], size: int) -> list[str]:
    some = list(islice(conversations, COUNTED_ON))
    if not some:
        return ["has nothing to annotate"]
    tokens_of, how = _counter()
    share = size / len(some)
    reads = [tokens_of(text) for text in _prompts(config)]
    seen = [tokens_of(render(conversation)) for conversation in some]
    written = [_characters(config, conversation) / BYTES_A_TOKEN for conversation in some]
    calls = 1 if config.scenario_only else 3
    tokens_in = share * (calls * sum(seen) + len(some) * sum(reads))
    tokens_out = share * sum(written)
    # The later calls about a conversation repeat the earlier ones' beginning.
    cached = share * (calls - 1) * sum(seen)
    turns = sum(conversation.user_turns for conversation in some) / len(some)
    told = [
        f"asks {config.annotator.name} {calls * size:,} times about {size:,} conversations "
        f"({turns:.1f} user turns each), and again where an answer cannot be used",
        f"about {short(tokens_in)} tokens in and {short(tokens_out)} out ({how} of {len(some)} conversations)",
    ]
    return [*told, _cost(config, tokens_in, cached, tokens_out)]


def _cost(config: AnnotateConfig, tokens_in: float, cached: float, tokens_out: float) -> str:
    endpoint = config.annotator
    if endpoint.backend in ("vllm", "hf", "recorded"):
        return "costs no money"
    rates = rates_of(endpoint)
    if rates is None:
        return (
            f"what {endpoint.model} costs is not known; "
            "'annotator.price={input: DOLLARS, output: DOLLARS}' (a million tokens) says it"
        )
    dear = _usd(rates, tokens_in, 0.0, tokens_out)
    cheap = _usd(rates, tokens_in, cached, tokens_out)
    times = f", {rates.peak.times:g} times that at peak hours" if rates.peak else ""
    read = f"; price read {rates.read_on}" if rates.read_on else ""
    return f"about ${cheap:,.2f} where the server remembers what it read, ${dear:,.2f} else{times}{read}"


def _usd(rates: Rates, tokens_in: float, cached: float, tokens_out: float) -> float:
    off_peak = rates if rates.peak is None else Rates(rates.input, rates.output, rates.cached_input, 0)
    counted = Completion(
        text="", finish="", served_model="",
        input_tokens=int(tokens_in), cached_tokens=int(cached), output_tokens=int(tokens_out),
    )  # fmt: skip
    return off_peak.usd(counted, 0.0, 0.0) or 0.0


def _prompts(config: AnnotateConfig) -> list[str]:
    """The words around a conversation, in all calls about it together."""
    reader = prompts.load("annotate/reader").text
    if config.scenario_only:
        return [reader, prompts.load("annotate/scenario").text]
    tasks = (config.protocol, "fulfilment", "terminal_thought")
    return [reader] * 3 + [prompts.load(f"annotate/{task}").text for task in tasks]


def _characters(config: AnnotateConfig, conversation: Conversation) -> int:
    """How long the answers will be."""
    if config.scenario_only:
        return SCENARIO
    turns = len(turns_with_thoughts(conversation, first_thought=config.first_thought))
    copied = len(render(conversation)) if config.protocol == "inline" else 0
    return SCENARIO + turns * A_TURN + copied + FULFILMENT + TERMINAL


def _counter() -> tuple[Callable[[str], float], str]:
    if (count := token_counter()) is not None:
        return count, "counted on the prompts"
    return lambda text: len(text.encode()) / BYTES_A_TOKEN, "estimated from the length"

"""What asking would take, before anything is asked: tokens by the length of texts, and what they cost at most."""

from thinkus.endpoint import Endpoint
from thinkus.llm.prices import rates_of

BYTES_A_TOKEN = 4.0
"""Of English text; no tokenizer is loaded for an estimate."""


def short(tokens: float) -> str:
    return f"{tokens / 1e6:,.1f} million" if tokens >= 1e6 else f"{tokens:,.0f}"


def most_cost(endpoint: Endpoint, where: str, tokens_in: float, requests: int) -> str:
    """If nothing has to be asked again, and every answer is as long as it may be."""
    if endpoint.backend in ("vllm", "hf", "encoder", "recorded", "scripted"):
        return "costs no money"
    if (rates := rates_of(endpoint)) is None:
        return (
            f"what {endpoint.model} costs is not known; '{where}.price={{input: DOLLARS, output: DOLLARS}}' "
            "(a million tokens) says it"
        )
    usd = (tokens_in * rates.input + requests * endpoint.sampling.max_tokens * rates.output) / 1e6
    return f"at most about ${usd:,.2f}, if nothing has to be asked again"

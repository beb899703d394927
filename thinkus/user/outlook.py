"""What a simulate run would take, before anything is asked: in turns, tokens and money, as far as they are known."""

from collections.abc import Iterable, Sequence

from thinkus.config import SimulateConfig
from thinkus.llm.estimate import BYTES_A_TOKEN, most_cost, short
from thinkus.user.cast import USER, Cast
from thinkus.user.scene import Manner
from thinkus.user.turns import Chosen, Position, positions


def outlook(config: SimulateConfig, players: Cast, chosen: Sequence[Chosen]) -> list[str]:
    if config.mode == "online":
        lines = [
            f"holds {len(chosen):,} dialogues of at most {config.max_turns} turns with {players.assistant_name}; "
            f"they end by {_endings(config)}",
            f"asks for at most {len(chosen) * config.max_turns:,} turns and as many replies, and again for what cannot "
            "be read; how many tokens these take shows as they are written",
        ]
    else:
        every = [position for one in chosen for position in positions(one)]
        tokens = sum(_bytes(players.manner, every)) / BYTES_A_TOKEN
        lines = [
            f"asks for {len(every):,} turns of {len(chosen):,} conversations, and again for "
            "what cannot be read",
            f"about {short(tokens)} tokens in (estimated from the length), at most "
            f"{short(len(every) * config.user.sampling.max_tokens)} out",
            most_cost(players.endpoints[USER], USER, tokens, len(every)),
        ]
    where = {
        key: f"{one.name}" + (f" ({one.model})" if one.model else "")
        for key, one in players.endpoints.items()
    }
    return [*lines, "; ".join(f"{key}: {named}" for key, named in where.items())]


def _endings(config: SimulateConfig) -> str:
    ends = {
        "classifier": "the classifier",
        "simulator": "the person's leaving",
        "either": "the classifier or the person's leaving",
        "none": "max_turns alone",
    }
    return ends[config.ending]


def _bytes(manner: Manner, every: Iterable[Position]) -> Iterable[int]:
    for position in every:
        if (scenario := position.chosen.scenario) is not None:
            messages = manner.messages(scenario, position.lines)
            yield sum(len(message.content.encode()) for message in messages)

"""Figures of other simulators and of people as others have published them, on their own data: never ours."""

from typing import NamedTuple

CAPTION = "published by others, on their own data"


class Published(NamedTuple):
    """In percent."""

    first_turn_diversity: str
    intent_decomposition: str
    f1_of_ending: str


PUBLISHED = {
    "UserLM-8b": Published("94.55", "2.69", "63.54"),
    "USP-8b": Published("94.37", "6.33", "21.31"),
    "GPT-4o": Published("74.42", "7.68", "1.38"),
    "people": Published("94.01", "1.68", ""),
}

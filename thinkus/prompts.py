"""The words that are sent to models: `prompts/<stage>/<name>.md`, with `{{slots}}`.

Their hashes are part of a run's identity, so that an edited prompt is noticed.
"""

import hashlib
import re
from dataclasses import dataclass

from thinkus import paths
from thinkus.errors import ThinkusError

_SLOT = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True)
class Prompt:
    name: str
    text: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def fill(self, **values: str) -> str:
        """The text with every slot filled; a slot left over or a value too many is our mistake."""
        slots = set(_SLOT.findall(self.text))
        if slots != set(values):
            raise ValueError(f"prompt {self.name} has the slots {sorted(slots)}, was given {sorted(values)}")
        # In one pass: a value that contains {{...}} itself must stay as it is.
        return _SLOT.sub(lambda match: values[match[1]], self.text)


def load(name: str) -> Prompt:
    """`annotate/keyed` -> the prompt of that file."""
    file = paths.PROMPTS / f"{name}.md"
    try:
        return Prompt(name, file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ThinkusError(f"{file}: there is no such prompt; restore it from the repository") from None

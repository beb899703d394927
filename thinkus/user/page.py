"""The page that a user model reads and writes on: one for training and for use, whatever the tokenizer.

The model is the person. Chat servers call what a model writes `assistant`, and what comes in `user`;
so here the person's words are the `assistant`'s, the assistant's the `user`'s, and the situation is
the `system` text. Every turn ends with the token that ends a text: servers stop there without being
told, and no words can pass for the beginning of another turn.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

PERSON = "\n\n### Person:\n"
ASSISTANT = "\n\n### Assistant:\n"
IS_THE_END = "\n\n### Is this the end? 1 (yes) or 0 (no):\n"
"""What the classifier of endings writes under; its answer is one character."""
THOUGHT, END_OF_THOUGHT = "<thought>", "</thought>"


class Token(NamedTuple):
    """A special token, which no text can spell."""

    name: Literal["bos", "eos"]


Piece = str | Token


class Message(NamedTuple):
    role: Literal["system", "assistant", "user"]
    """As a chat server calls it."""
    content: str


class Page(NamedTuple):
    """How a kind of model is asked."""

    asks: str = PERSON
    """What stands above the place where it writes."""
    keeps_thoughts: bool = False
    """Whether it is shown the thoughts of earlier turns."""

    def pieces(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """The page up to where the model writes, in pieces that are tokenized each by itself."""
        yield Token("bos")
        for message in messages:
            words = message.content
            if message.role == "assistant" and not self.keeps_thoughts:
                words = words.rpartition(END_OF_THOUGHT)[2]
            if message.role != "system":
                yield PERSON if message.role == "assistant" else ASSISTANT
            if words.strip():
                yield words.strip()
            if message.role != "system":
                yield Token("eos")
        yield self.asks

    @property
    def chat_template(self) -> str:
        """The same for servers, as Jinja; the last message is shown whole where the model is not asked to go on."""
        words = "message['content']"
        if not self.keeps_thoughts:
            words = f"({words} if loop.last and not add_generation_prompt else {words}.split('{END_OF_THOUGHT}')[-1])"
        heads = {"person": PERSON, "assistant": ASSISTANT, "asks": self.asks}
        shown = {name: head.replace("\n", "\\n") for name, head in heads.items()}
        return (
            "{{- bos_token or '' -}}\n"
            "{%- for message in messages -%}\n"
            "    {%- if message['role'] == 'system' -%}\n"
            "        {{- message['content'] | trim -}}\n"
            "    {%- elif message['role'] == 'assistant' -%}\n"
            f"        {{{{- '{shown['person']}' + {words} | trim + eos_token -}}}}\n"
            "    {%- else -%}\n"
            f"        {{{{- '{shown['assistant']}' + message['content'] | trim + eos_token -}}}}\n"
            "    {%- endif -%}\n"
            "{%- endfor -%}\n"
            "{%- if add_generation_prompt -%}\n"
            f"    {{{{- '{shown['asks']}' -}}}}\n"
            "{%- endif -%}\n"
        )


def said(thought: str | None, utterance: str) -> str:
    """A turn of the person's, as the model writes it."""
    words = utterance.strip()
    return words if thought is None else f"{THOUGHT}{thought.strip()}{END_OF_THOUGHT}{words}"

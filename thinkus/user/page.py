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
        """The page up to where the model writes. Between special tokens it is one text, as it is for a server:
        tokens may reach across a heading."""
        yield Token("bos")
        text = ""
        for message in messages:
            if message.role == "system":
                text += message.content.strip()
                continue
            if message.role == "user":
                yield f"{text}{ASSISTANT}{message.content.strip()}"
            else:
                yield f"{text}{PERSON}{self._shown(message.content.strip())}"
            yield Token("eos")
            text = ""
        yield text + self.asks

    def _shown(self, words: str) -> str:
        """Of what the model wrote before."""
        has_thought = words.startswith(THOUGHT) and END_OF_THOUGHT in words
        return words.split(END_OF_THOUGHT, 1)[1].strip() if has_thought and not self.keeps_thoughts else words

    @property
    def chat_template(self) -> str:
        """The same for servers, as Jinja; the last message is shown whole where the model is not asked to go on."""
        words = "message['content'] | trim"
        if not self.keeps_thoughts:
            has_thought = f"({words}).startswith('{THOUGHT}') and '{END_OF_THOUGHT}' in message['content']"
            is_last = "loop.last and not add_generation_prompt"
            spoken = f"(({words}).split('{END_OF_THOUGHT}', 1)[1] | trim)"
            words = f"({spoken} if {has_thought} and not ({is_last}) else ({words}))"
        else:
            words = f"({words})"
        heads = {"person": PERSON, "assistant": ASSISTANT, "asks": self.asks}
        shown = {name: head.replace("\n", "\\n") for name, head in heads.items()}
        return (
            "{{- bos_token or '' -}}\n"
            "{%- for message in messages -%}\n"
            "    {%- if message['content'] is not string -%}\n"
            "        {{- raise_exception('the content of a message must be a text') -}}\n"
            "    {%- elif message['role'] in ('system', 'developer') -%}\n"
            "        {{- message['content'] | trim -}}\n"
            "    {%- elif message['role'] == 'assistant' -%}\n"
            f"        {{{{- '{shown['person']}' + {words} + eos_token -}}}}\n"
            "    {%- elif message['role'] == 'user' -%}\n"
            f"        {{{{- '{shown['assistant']}' + message['content'] | trim + eos_token -}}}}\n"
            "    {%- else -%}\n"
            "        {{- raise_exception('roles are system, assistant (the person) and user (their assistant)') -}}\n"
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

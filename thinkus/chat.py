"""`thinkus chat`: a person sits in the assistant's chair, and talks with the simulated one."""

import os
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path

from rich.console import Console
from rich.text import Text

from thinkus.config import SimulateConfig
from thinkus.console import say
from thinkus.errors import ThinkusError
from thinkus.paths import expanded
from thinkus.records import (
    Conversation,
    Dialogue,
    Exchange,
    Reply,
    SpokenTurn,
    read_conversations,
    to_line,
)
from thinkus.runs import input_run, now, run_reference
from thinkus.terminal import background, beside, headline, turn, wrapped
from thinkus.user.scene import Scenario, scenario_of
from thinkus.user.thinking_user import NoTurn, ThinkingUser
from thinkus.user.words import LEAVES

SHOWN = 8
"""Scenarios to choose from."""
THOUGHT = "?"
HELP = f"Answer as the assistant. {THOUGHT} or Ctrl-T shows their last thought, an empty line or Ctrl-D ends."


class Chat:
    def __init__(self, user: ThinkingUser, *, shows_thoughts: bool, console: Console) -> None:
        self._user = user
        self._shows_thoughts = shows_thoughts
        self._console = console
        self.exchanges: list[Exchange] = []

    def hold(self, scenario: Scenario) -> None:
        """Until one of the two leaves."""
        messages: list[dict[str, str]] = []
        while (spoken := self._heard(messages, scenario)) is not None:
            self.exchanges.append(Exchange(spoken))
            if spoken.ended:
                if spoken.thought and not self._shows_thoughts:
                    self._reply(spoken, f"Enter ends, {THOUGHT} shows their last thought > ")
                return
            if (reply := self._reply(spoken, "assistant > ")) is None:
                return
            self.exchanges[-1] = Exchange(spoken, Reply(content=reply, served_model="chat", at=now()))
            messages += [
                {"role": "user", "content": spoken.utterance},
                {"role": "assistant", "content": reply},
            ]

    def _heard(self, messages: list[dict[str, str]], scenario: Scenario) -> SpokenTurn | None:
        while True:
            try:
                with self._console.status("", spinner_style="dim"):
                    spoken = self._user.spoken(messages, scenario)
            except NoTurn as silent:
                say(str(silent))
                if _asked("ask again? Enter does, n ends: ").lower().startswith("n"):
                    return None
                continue
            thought = spoken.thought if self._shows_thoughts else None
            self._console.print()
            for line in turn("person", spoken.utterance or LEAVES, self._console, thought=thought):
                self._console.print(line)
            return spoken

    def _reply(self, spoken: SpokenTurn, label: str) -> str | None:
        """What the human answers; None where they end it."""
        while (line := _asked(label).strip()) == THOUGHT:
            thought = spoken.thought or "(no thought)"
            lines = [Text(one, "dim italic") for one in wrapped(thought, self._console)]
            for shown in beside(Text(), lines, "~"):
                self._console.print(shown)
        return line or None


def chat(config: SimulateConfig, *, shows_thoughts: bool, save: str | None) -> None:
    console = Console()
    target = None if save is None else _writable(expanded(save))
    with suppress(EOFError, KeyboardInterrupt):
        _bind_keys()
        say("chat: the model is being made ready")
        with ThinkingUser.from_config(config) as user:
            conversation, scenario = _chosen(config, console)
            began = now()
            held = Chat(user, shows_thoughts=shows_thoughts, console=console)
            headline((user.by.method, user.by.model), console)
            console.print(background(*scenario))
            console.print(Text(HELP, "dim"))
            try:
                held.hold(scenario)
            finally:
                if target is not None and held.exchanges:
                    _save(target, _as_dialogue(user, held, conversation, scenario, began))
                    say(f"chat: saved in {save}")
        return
    console.print()


def _asked(label: str) -> str:
    line = input(label) if sys.stdin.isatty() else _echoed(label)
    return line.encode(errors="replace").decode()  # what is typed in another encoding is no text


def _echoed(label: str) -> str:
    """From a pipe, whose words nobody sees on the screen."""
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    print(f"{label}{line.rstrip()}")
    return line


def _bind_keys() -> None:
    """Lines can be edited, several pasted as one, and Ctrl-T asks for the thought."""
    with suppress(ImportError):
        import readline

        readline.parse_and_bind("set enable-bracketed-paste on")
        readline.parse_and_bind(rf'"\C-t": "\C-a\C-k{THOUGHT}\n"')


def _chosen(config: SimulateConfig, console: Console) -> tuple[Conversation | None, Scenario]:
    """One of the test split's, or what the human writes."""
    offered = list(islice(_test_split(config), SHOWN))
    for number, one in enumerate(offered, 1):
        scenario = scenario_of(one)
        assert scenario is not None
        first, *_ = wrapped(scenario.scenario, console)
        console.print(Text.assemble((f"{number:>3}  ", "bold"), first, (" ...", "dim")))
    if offered:
        console.print(Text.assemble(("  0  ", "bold"), "write one"))
    while offered:
        answer = _asked(f"scenario (0 to {len(offered)}) > ").strip()
        if answer.isdigit() and 0 < int(answer) <= len(offered):
            one = offered[int(answer) - 1]
            scenario = scenario_of(one)
            assert scenario is not None
            return one, scenario
        if answer == "0":
            break
        console.print(f"{answer or 'nothing'!r} is none of them")
    return None, Scenario(_written("their situation > "), _written("what brings them here > "))


def _written(label: str) -> str:
    while not (text := _asked(label).strip()):
        pass
    return text


def _test_split(config: SimulateConfig) -> list[Conversation]:
    """None where there is no such run: then scenarios are written."""
    try:
        directory, _ = input_run(
            expanded(config.root), run_reference("annotate", config.eval.name), "thinkus annotate", "eval"
        )
    except ThinkusError as error:
        say(f"chat: no scenarios to choose from ({error})")
        return []
    every = read_conversations(directory / "records.jsonl")
    return [one for one in every if one.split == "test" and scenario_of(one) is not None]


def _writable(path: Path) -> Path:
    """Said before anybody talks; the file is made when there is something to save."""
    if path.is_dir() or not os.access(path if path.exists() else path.absolute().parent, os.W_OK):
        raise ThinkusError(f"--save: cannot write {path}; name a file in a folder that is there")
    return path


def _save(target: Path, dialogue: Dialogue) -> None:
    with target.open("ab") as file:
        file.write(to_line(dialogue))


def _as_dialogue(
    user: ThinkingUser, held: Chat, conversation: Conversation | None, scenario: Scenario, began: str
) -> Dialogue:
    last = held.exchanges[-1]
    return Dialogue(
        id=f"{'chat' if conversation is None else conversation.id}-{began}",
        source="chat" if conversation is None else conversation.source,
        scenario=scenario.scenario,
        motivation=scenario.motivation,
        by=user.by,
        assistant="chat",
        exchanges=tuple(held.exchanges),
        ended_by="simulator" if last.person.ended else "chat",
        began=began,
        ended=now(),
    )

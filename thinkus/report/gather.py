"""Cases gathered from runs of judge, and from those that they judged."""

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from heapq import nsmallest
from typing import Any, NamedTuple

from thinkus.judging.judgement import Judgement
from thinkus.judging.origin import Found, behind
from thinkus.judging.tables import told_apart
from thinkus.records import Annotation, Conversation, Dialogue, Exchange, Failure, read_records
from thinkus.report.cases import Cases, Judge, Live, Replayed, Speaker, Spoken, Talk
from thinkus.report.rulings import Heard, Ruling, rulings
from thinkus.runs import input_identity
from thinkus.terminal import plain

SIDES = ("candidate", "baseline")
Held = Sequence[tuple[int, Any]]
"""By the number of the speaker: their records of one conversation."""
Failures = Mapping[tuple[int, str], str]
"""Of a speaker at an item."""


class Judged(NamedTuple):
    """A run of judge: where it lies, and what it says."""

    run: Found
    judgement: Judgement


class Setting(NamedTuple):
    """In which speakers stand beside each other."""

    is_live: bool
    corpus: str
    identity: str


class _Source(NamedTuple):
    number: int
    run: Found
    setting: Setting


def gather(judged: Sequence[Judged], count: int) -> Cases:
    """Of each setting so many conversations, drawn by a hash of their ids: the same ones for all that speak in it."""
    found = _Gathering()
    for number, one in enumerate(judged):
        found.add(number, one)
    return Cases(
        found.speakers(),
        [_judge(one.judgement) for one in judged],
        [case for setting in sorted(found.ids) for case in found.drawn(setting, count)],
        sum(map(len, found.ids.values())),
        list(found.gone),
    )


class _Gathering:
    def __init__(self) -> None:
        self.ids: dict[Setting, set[str]] = {}
        self.gone: dict[str, None] = {}
        self._sources: dict[str, _Source] = {}
        self._heard: dict[Heard, list[Ruling]] = {}

    def add(self, number: int, judged: Judged) -> None:
        found = {side: self._source(judged.run, side) for side in SIDES}
        whose = {side: source.number for side, source in found.items() if source}
        if (candidate := found["candidate"]) is not None:
            ids = self.ids.setdefault(candidate.setting, set())
            ids.update(row.conversation for row in judged.judgement.rows)
            whose["person"] = self._person(candidate.setting)
        for place, ruling in rulings(number, judged.judgement, whose):
            heard = self._heard.setdefault(place, [])
            if place[0] >= 0 or not any(ruling.opinions == one.opinions for one in heard):
                heard.append(ruling)  # a person's last thought is rated again beside each candidate

    def speakers(self) -> list[Speaker]:
        """In the order of their numbers."""
        beside: dict[Setting, list[str]] = {}
        for source in self._sources.values():
            beside.setdefault(source.setting, []).append(source.run.manifest.name)
        named = {setting: told_apart(names) for setting, names in beside.items()}
        runs = ((source.setting, source.run.manifest.name) for source in self._sources.values())
        return [Speaker(named[setting][run], run) for setting, run in runs]

    def drawn(self, setting: Setting, count: int) -> Iterator[Replayed | Live]:
        chosen = nsmallest(count, self.ids[setting], key=lambda id: sha256(id.encode()).digest())
        kind: type[Conversation | Dialogue] = Dialogue if setting.is_live else Conversation
        records: dict[str, list[tuple[int, Any]]] = {id: [] for id in chosen}
        failures: dict[tuple[int, str], str] = {}
        for source in self._sources.values():
            if source.setting == setting:
                folder = source.run.directory
                for record in read_records(folder / "records.jsonl", kind):
                    if record.id in records:
                        records[record.id].append((source.number, record))
                for failure in read_records(folder / "failures.jsonl", Failure):
                    failures[source.number, failure.item] = failure.reason.replace("_", " ")
        case = self._live if setting.is_live else self._replayed
        return (case(setting, held, failures) for held in records.values() if held)

    def _source(self, run: Found, side: str) -> _Source | None:
        facts = run.manifest.inputs.get(side)
        if facts is None:
            return None
        if (found := behind(run, side)) is None:
            self.gone[
                f"{facts.read} is gone or was made anew, so that what was said in it cannot be shown"
            ] = None
            return None
        if found.manifest.stage != "simulate":
            return None
        people = found.manifest.inputs.get("eval")
        corpus = people.read.rpartition("/")[2] if people else ""
        setting = Setting(
            found.manifest.made_from["mode"] == "online", corpus, people.identity if people else ""
        )
        fresh = _Source(len(self._sources), found, setting)
        return self._sources.setdefault(input_identity(found.manifest), fresh)

    def _person(self, setting: Setting) -> int:
        """Numbered like the speakers, from -1 downwards."""
        return -1 - list(self.ids).index(setting)

    def _rulings(self, by: int, conversation: str, turn: int | None = None) -> tuple[Ruling, ...]:
        return tuple(self._heard.get((by, conversation, turn), ()))

    def _replayed(self, setting: Setting, held: Held, failures: Failures) -> Replayed:
        one = held[0][1]
        annotation = one.annotation or Annotation("", "")
        count = one.user_turns
        thoughts = (annotation.first_thought, *annotation.thoughts, *[None] * count)[:count]
        turns = [
            tuple(self._spoken(by, other, turn, failures) for by, other in held) for turn in range(count + 1)
        ]
        return Replayed(
            one.id,
            setting.corpus,
            plain(annotation.scenario),
            plain(annotation.motivation),
            tuple((message.role, plain(message.content)) for message in one.messages),
            tuple(map(_plain, (*thoughts, annotation.terminal_thought))),
            tuple(turns),
            self._rulings(self._person(setting), one.id),
        )

    def _spoken(self, by: int, one: Conversation, turn: int, failures: Failures) -> Spoken:
        assert one.simulation is not None, "it is a run of simulate"
        said = next((spoken for spoken in one.simulation.turns if spoken.turn == turn), None)
        ruled = self._rulings(by, one.id, None if turn == one.user_turns else turn)
        if said is None:
            return Spoken(by, failed=failures.get((by, f"{one.id}#{turn}"), ""), rulings=ruled)
        return Spoken(by, plain(said.utterance), _plain(said.thought), "", ruled)

    def _live(self, setting: Setting, held: Held, _failures: Failures) -> Live:
        first = held[0][1]
        talks = tuple(
            Talk(
                by,
                one.ended_by,
                tuple(map(_exchange, one.exchanges)),
                plain(one.why),
                self._rulings(by, one.id),
            )
            for by, one in held
        )
        return Live(first.id, setting.corpus, plain(first.scenario), plain(first.motivation), talks)


def _exchange(one: Exchange) -> tuple[str, str | None, str | None]:
    return (
        plain(one.person.utterance),
        _plain(one.person.thought),
        _plain(one.reply.content if one.reply else None),
    )


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)


def _judge(one: Judgement) -> Judge:
    protocol = one.facts.get("protocol", "") if one.task == "pairwise" else ""
    return Judge(one.task, one.judge, one.against or "", protocol)

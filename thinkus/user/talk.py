"""A live conversation: the person speaks, the assistant answers, until one of the rules ends it.

Each talk runs at its own pace; none waits for another's turn.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from thinkus.llm.engine import Engine
from thinkus.llm.exchange import Answer, Completion, Kind, Outcome, Request
from thinkus.llm.exchange import Failure as Unanswered
from thinkus.llm.forms import Odds
from thinkus.records import Dialogue, EndedBy, Exchange, Failure, Reply, SpokenTurn
from thinkus.user.samples import CONTINUES, ENDS
from thinkus.user.scene import Line, Manner, Scenario, as_the_assistant_sees, within_window
from thinkus.user.thinking_user import MOST_ATTEMPTS, TAKES, Silent, ThinkingUser
from thinkus.user.turns import Chosen, failure_of, no_scenario
from thinkus.user.writing import Occasion, taken

Ending = Literal["classifier", "simulator", "either", "none"]


class Assistant:
    """Gets what is said, and nothing else."""

    def __init__(self, engine: Engine, *, max_retries: int, seed: int) -> None:
        self._engine = engine
        self._max_retries = max_retries
        self._first_take = seed * TAKES

    async def reply(self, lines: Sequence[Line], item: str, talk: int, start: int = 0) -> Reply | Unanswered:
        """An empty one is asked for again. Talks do not share replies, not even to the same words."""
        completions: list[Completion] = []
        outcome: Outcome = Unanswered(kind=Kind.EMPTY, detail="")
        for attempt in range(self._max_retries + 1):
            take = self._first_take + talk * MOST_ATTEMPTS + attempt
            outcome, start = await within_window(partial(self._asked, item, take), lines, start)
            if outcome.completion is not None:
                completions.append(outcome.completion)
            is_cut = isinstance(outcome, Unanswered) and outcome.kind is Kind.CUT
            content = outcome.completion.text.strip() if outcome.completion else ""
            if content and (is_cut or isinstance(outcome, Answer)):
                return Reply(
                    content=content,
                    is_cut=is_cut,
                    attempts=attempt + 1,
                    dropped=start // 2,
                    **taken(completions),
                )
            if isinstance(outcome, Unanswered) and outcome.kind is not Kind.EMPTY and not is_cut:
                return outcome
        return Unanswered(kind=Kind.EMPTY, detail=f"{self._max_retries + 1} times")

    async def _asked(self, item: str, take: int, lines: Sequence[Line]) -> Outcome:
        return await self._engine.ask(
            Request(item=item, purpose="assistant", messages=as_the_assistant_sees(lines), take=take)
        )


class Classifier:
    """Says after a reply how likely the person leaves now."""

    def __init__(self, ask: Callable[[Request], Awaitable[Outcome]], threshold: float) -> None:
        self._ask = ask
        self.threshold = threshold

    async def likely(self, scenario: Scenario, lines: Sequence[Line], item: str) -> float | Unanswered:
        outcome, _ = await within_window(partial(self._asked, scenario, item), lines)
        return float(outcome.value[ENDS]) if isinstance(outcome, Answer) else outcome

    async def _asked(self, scenario: Scenario, item: str, lines: Sequence[Line]) -> Outcome:
        return await self._ask(classifying(scenario, item, lines))


def classifying(scenario: Scenario, item: str, lines: Sequence[Line]) -> Request:
    """Whether the person leaves after what was said."""
    messages = Manner("ending", thinks=False).messages(scenario, lines)
    return Request(item=item, purpose="ending", messages=messages, form=Odds((ENDS, CONTINUES)))


class End(NamedTuple):
    by: EndedBy
    why: str = ""


class Talks:
    """What all talks of a run have in common."""

    def __init__(
        self,
        user: ThinkingUser,
        assistant: Assistant,
        classifier: Classifier | None,
        *,
        ending: Ending,
        max_turns: int,
        assistant_name: str,
    ) -> None:
        self._user, self._assistant, self._classifier = user, assistant, classifier
        self._person_may_leave = ending in ("simulator", "either")
        self._max_turns = max_turns
        self._assistant_name = assistant_name

    async def hold(self, chosen: Chosen) -> tuple[Dialogue | None, Failure | None]:
        """One talk in the scenario of a conversation, and what it failed by, if it did."""
        conversation, scenario = chosen.conversation, chosen.scenario
        item = conversation.id
        if scenario is None:
            return None, failure_of(item, 0, no_scenario())
        lines: list[Line] = []
        exchanges: list[Exchange] = []
        failure: Failure | None = None
        end: End | None = None
        while end is None:
            start = 2 * exchanges[-1].person.dropped if exchanges else 0
            occasion = Occasion(scenario, lines, item, start)
            spoken = await self._user.speak(occasion, may_leave=self._person_may_leave)
            if isinstance(spoken, Silent):
                end = End("person_failed", _why(spoken.wrong, spoken.detail))
                failure = failure_of(item, len(exchanges), spoken)
                break
            lines.append(Line("person", spoken.utterance, spoken.thought))
            if spoken.ended:
                exchanges.append(Exchange(spoken))
                end = End("simulator")
                break
            exchange, end = await self._answered(scenario, spoken, lines, exchanges, chosen)
            exchanges.append(exchange)
            if exchange.reply is not None:
                lines.append(Line("assistant", exchange.reply.content))
            if end is not None and end.why:
                failure = Failure(f"{item}#{len(exchanges) - 1}", end.by, end.why, "")
            elif end is None and len(exchanges) == self._max_turns:
                end = End("max_turns")
        answers = [answer for one in exchanges for answer in (one.person, one.reply) if answer and answer.at]
        times = [answer.at for answer in answers]
        dialogue = Dialogue(
            id=item,
            source=conversation.source,
            scenario=scenario.scenario,
            motivation=scenario.motivation,
            by=self._user.by,
            assistant=self._assistant_name,
            exchanges=tuple(exchanges),
            ended_by=end.by,
            why=end.why,
            began=min(times, default=""),
            ended=max(times, default=""),
        )
        return dialogue, failure

    async def _answered(
        self,
        scenario: Scenario,
        spoken: SpokenTurn,
        lines: Sequence[Line],
        exchanges: Sequence[Exchange],
        chosen: Chosen,
    ) -> tuple[Exchange, End | None]:
        item = chosen.conversation.id
        last = exchanges[-1].reply if exchanges else None
        reply = await self._assistant.reply(lines, item, chosen.number, 2 * last.dropped if last else 0)
        if isinstance(reply, Unanswered):
            return Exchange(spoken), End("assistant_failed", _why(reply.kind, reply.detail))
        if self._classifier is None:
            return Exchange(spoken, reply), None
        heard = [*lines, Line("assistant", reply.content)]
        leaving = await self._classifier.likely(scenario, heard, item)
        if isinstance(leaving, Unanswered):
            return Exchange(spoken, reply), End("classifier_failed", _why(leaving.kind, leaving.detail))
        end = End("classifier") if leaving >= self._classifier.threshold else None
        return Exchange(spoken, reply, leaving), end


def _why(kind: str, detail: str) -> str:
    return f"{kind}: {detail}" if detail else kind

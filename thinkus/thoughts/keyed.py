"""The keyed protocol: the annotator returns JSON and names turns by number, so it cannot touch the text."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from thinkus.records import Conversation
from thinkus.thoughts.drafts import Draft, Invalid, Relation, Thought, turns_with_thoughts


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    turn: int
    relation: Relation
    thought: str


class ScenarioOnly(msgspec.Struct, frozen=True):
    """The answer where no thoughts are asked for; recorded ones hold them all the same."""

    scenario: str
    motivation: str


class Answer(ScenarioOnly, frozen=True, forbid_unknown_fields=True):
    turns: tuple[Turn, ...]


def draft(answer: Answer, conversation: Conversation, first_thought: bool) -> Draft:
    """What the answer says, if it says it once for each turn that gets a thought."""
    wanted = turns_with_thoughts(conversation, first_thought=first_thought)
    # Recorded answers have a thought for the first turn, whether or not it is wanted.
    turns = sorted(
        (turn for turn in answer.turns if turn.turn != 1 or 1 in wanted), key=lambda turn: turn.turn
    )
    given = Counter(turn.turn for turn in turns)
    if unknown := given.keys() - wanted:
        count = conversation.user_turns
        raise Invalid(
            "turn_unknown",
            f"there is no turn {_listed(unknown)}: the person's turns are numbered 1 to {count}.",
        )
    if doubled := [turn for turn, times in given.items() if times > 1]:
        raise Invalid(
            "turn_doubled",
            f"`turns` has more than one entry for turn {_listed(doubled)}. Give each turn one entry.",
        )
    if lost := set(wanted) - given.keys():
        raise Invalid(
            "turn_lost",
            f"`turns` has no entry for turn {_listed(lost)}. "
            f"Give one for each turn from {wanted.start} to {wanted.stop - 1}.",
        )
    _check_relations(turns)
    thoughts = tuple(Thought(turn.turn, turn.thought, turn.relation) for turn in turns)
    return Draft(answer.scenario, answer.motivation, thoughts)


def _check_relations(turns: list[Turn]) -> None:
    if wrong := [turn.turn for turn in turns if (turn.relation == "opens") != (turn.turn == 1)]:
        raise Invalid(
            "relation_wrong",
            f"the relation of turn {_listed(wrong)} cannot be. Turn 1, and no other, `opens`; a later turn "
            "`follows` from the reply before it or `extends` the person's own previous turn.",
        )


def _listed(turns: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(turns)))

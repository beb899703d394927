"""What is asked about a turn, and what the answers come to."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.judging.attacks import ATTACKS, Seen, answered, gullible
from tests.judging.parts import config, filtered, judged, judged_by_nobody, taking
from tests.judging.test_attacks import CLOSE, FAR, REAL, attacked, lenient, pair, strict
from thinkus.errors import ThinkusError
from thinkus.judging import pairwise
from thinkus.judging.pairwise import MARGIN, SIDES, JudgedTurn, Pair, Pairwise, Question, Side
from thinkus.llm.exchange import AttemptFailed, Completion, Kind, Request
from thinkus.records import Annotation, Conversation, Failure, Message, Simulated, Simulation, SpokenTurn
from thinkus.scoring.style import style

BY = Simulated("prompt", "m", "utterances", "free", {})
BOTH = Pairwise(config("judge=deepseek_v3"), {})
ONCE = Pairwise(config("judge=deepseek_v3", "protocol=paper"), {})
LOCAL = Pairwise(config("judge=hf"), {})
NEARNESS = Pairwise(config("judge=embedding"), {})
CAKE = Annotation("Ana bakes a cake.", "A cake.", terminal_thought="SECRET", thoughts=("SECRET",))


def turn_of(
    one: Pair, folder: Path, judge: Callable[[Request], str | Completion], task: Pairwise = BOTH
) -> tuple[JudgedTurn, list[Failure]]:
    ((row, failures),) = judged(task, folder, judge, [one])
    assert isinstance(row, JudgedTurn)
    assert msgspec.json.decode(msgspec.json.encode(row), type=JudgedTurn) == row
    return row, list(failures)


def is_second(request: Request) -> bool:
    return request.purpose == "pairwise/baseline_first"


def test_the_two_orders_differ_in_nothing_but_the_places_of_the_texts() -> None:
    one, other = BOTH.requests(pair(CLOSE, FAR))
    swapped = one.messages[1].content.replace(CLOSE, "\0").replace(FAR, CLOSE).replace("\0", FAR)
    assert swapped == other.messages[1].content
    assert one.messages[0] == other.messages[0]
    assert one.form == other.form


def test_the_same_turn_asked_again_is_the_same_request() -> None:
    assert BOTH.requests(pair(CLOSE, FAR)) == BOTH.requests(pair(CLOSE, FAR))


@pytest.mark.parametrize(
    ("task", "form", "purposes"),
    [
        (BOTH, "Json", ["pairwise/candidate_first", "pairwise/baseline_first"]),
        (ONCE, "NoneType", ["pairwise/baseline_first"]),  # as the hash has it
        (LOCAL, "Choice", ["pairwise/candidate_first", "pairwise/baseline_first"]),
    ],
)
def test_what_is_asked_is_what_was_estimated(
    tmp_path: Path, task: Pairwise, form: str, purposes: list[str]
) -> None:
    asked: list[Request] = []

    def judge(request: Request) -> str:
        asked.append(request)
        return taking(request, 2)

    turn_of(pair(CLOSE, FAR), tmp_path, judge, task)
    assert sorted(asked, key=str) == sorted(task.requests(pair(CLOSE, FAR)), key=str)
    assert [request.purpose for request in task.requests(pair(CLOSE, FAR))] == purposes
    assert {type(request.form).__name__ for request in asked} == {form}


def test_answers_are_found_in_the_store_again(tmp_path: Path) -> None:
    """Also when the two change sides: the questions are the same."""
    asked: list[Request] = []

    def judge(request: Request) -> str:
        asked.append(request)
        return taking(request, is_second(request))

    rows = [
        turn_of(one, tmp_path, judge)[0] for one in (pair(CLOSE, FAR), pair(CLOSE, FAR), pair(FAR, CLOSE))
    ]
    assert [strict(row) for row in rows] == ["win", "win", "loss"]
    assert len(asked) == 2


@pytest.mark.parametrize("task", [BOTH, ONCE, LOCAL])
@pytest.mark.parametrize("attacker", SIDES)
def test_no_attack_wins_as_the_stage_asks(tmp_path: Path, task: Pairwise, attacker: Side) -> None:
    pairs = [attacked(attacker, attack.format(claim="A"), at) for at, attack in enumerate(ATTACKS.values())]
    rows = [row for row, _ in judged(task, tmp_path, gullible("obeys"), pairs)]
    won = "loss" if attacker == "candidate" else "win"
    expected = won if task is LOCAL else "invalid"
    assert [strict(row) for row in rows if isinstance(row, JudgedTurn)] == [expected] * len(ATTACKS)


def test_no_text_that_is_shown_can_be_changed_without_changing_the_labels() -> None:
    """So who writes one of them would have to know all the others."""
    one = pair(CLOSE, FAR)
    assert one.scenario is not None
    changed = [
        one,
        one._replace(candidate=f"{CLOSE}!"),
        one._replace(baseline=f"{FAR}!"),
        one._replace(real=f"{REAL}!"),
        one._replace(history=(one.history[0], Message("assistant", "Let it rest."))),
        one._replace(scenario=one.scenario._replace(motivation="A loaf by one.")),
    ]
    labels = [tuple(Seen(ONCE.requests(each)[0]).options) for each in changed]
    assert len({label for three in labels for label in three}) == 3 * len(changed)


def test_turns_of_a_conversation_begin_alike_whatever_the_methods_say() -> None:
    early = pair(CLOSE, FAR)._replace(turn=0, history=(), real="I want to bake bread.")
    late = pair(FAR, "else")
    one, other = (ONCE.requests(each)[0].messages for each in (early, late))
    assert one[0] == other[0]
    shared = one[1].content.index("=== ", one[1].content.index("A loaf by noon."))
    assert one[1].content[:shared] == other[1].content[:shared]


@pytest.mark.parametrize(
    ("places", "at_once", "halves"),
    [
        ((0, 1), "win", {"win": 1}),
        ((1, 0), "loss", {"loss": 1}),
        ((2, 2), "tie", {"tie": 1}),
        ((0, 0), "tie", {"win": 0.5, "loss": 0.5}),
        ((1, 1), "tie", {"win": 0.5, "loss": 0.5}),
        ((0, 2), "tie", {"win": 0.5, "tie": 0.5}),
    ],
)
def test_a_verdict_counts_for_the_text_that_stood_there(
    tmp_path: Path, places: tuple[int, int], at_once: str, halves: dict[str, float]
) -> None:
    row, failures = turn_of(
        pair(CLOSE, FAR), tmp_path, lambda request: taking(request, places[is_second(request)])
    )
    assert (strict(row), lenient(row), failures) == (at_once, halves, [])
    assert (row.conversation, row.turn) == ("c0", 1)
    assert [verdict.first for verdict in row.verdicts] == ["candidate", "baseline"]
    assert {(one.served_model, one.at, one.why) for one in row.verdicts} == {
        ("scripted", "now", "It seems so.")
    }


def test_one_verdict_that_cannot_be_read_spoils_the_turn_and_is_kept(tmp_path: Path) -> None:
    def judge(request: Request) -> str | Completion:
        return filtered() if is_second(request) else taking(request, 0)

    row, failures = turn_of(pair(CLOSE, FAR), tmp_path, judge)
    assert (strict(row), lenient(row)) == ("invalid", {"invalid": 1})
    assert [verdict.wrong for verdict in row.verdicts] == ["", "filtered"]
    assert [(one.item, one.reason) for one in failures] == [("c0#1/baseline_first", "filtered")]


def test_an_answer_that_is_no_verdict_is_kept_as_it_came(tmp_path: Path) -> None:
    """In another language, or none at all."""
    said = {"pairwise/candidate_first": "Вердикт: первый", "pairwise/baseline_first": '{"verdict": "A"}'}
    row, failures = turn_of(pair(CLOSE, FAR), tmp_path, lambda request: said[request.purpose])
    assert strict(row) == "invalid"
    assert [one.raw for one in failures] == list(said.values())
    assert {one.reason for one in failures} == {"off_form"}
    row, failures = turn_of(pair(FAR, CLOSE), tmp_path / "else", lambda request: answered(request, "A"))
    assert {one.reason for one in failures} == {"no_verdict"}


@pytest.mark.parametrize("task", [BOTH, ONCE, LOCAL, NEARNESS])
@pytest.mark.parametrize(
    ("candidate", "baseline", "result", "who"),
    [
        (None, FAR, "loss", ("candidate",)),
        (CLOSE, None, "win", ("baseline",)),
        (None, None, "tie", ("candidate", "baseline")),
    ],
)
def test_a_failed_turn_is_a_loss_and_nobody_is_asked(
    task: Pairwise, candidate: str | None, baseline: str | None, result: str, who: tuple[Side, ...]
) -> None:
    failed = pair(candidate, baseline)
    assert task.requests(failed) == []
    ((row, failures),) = judged_by_nobody(task, [failed])
    assert isinstance(row, JudgedTurn)
    assert (strict(row), lenient(row), row.failed, failures) == (result, {result: 1}, who, ())


def test_who_leaves_where_the_person_goes_on_is_judged_as_leaving() -> None:
    first, second = BOTH.requests(pair("", FAR))
    for request, place in ((first, -2), (second, -1)):
        silent = [head.endswith(": leaves without a word") for head in Seen(request).texts]
        assert silent.index(True) - len(silent) == place
        assert silent.count(True) == 1


@pytest.mark.parametrize("task", [BOTH, ONCE, LOCAL, NEARNESS])
@pytest.mark.parametrize("words", [CLOSE, ""])
def test_the_same_words_twice_are_a_draw_and_nobody_is_asked(task: Pairwise, words: str) -> None:
    """Both leaving too. No judge could tell them apart: the pages of both orders would be one."""
    same = pair(words, words)
    one, other = (Question.about(same, "json").request(side, same.history) for side in SIDES)
    assert one.messages == other.messages
    assert task.requests(same) == []
    ((row, failures),) = judged_by_nobody(task, [same])
    size = len(words.split())
    assert row == JudgedTurn("c0", 1, same=True, lengths=(size, size))
    assert isinstance(row, JudgedTurn)
    assert (strict(row), lenient(row), failures) == ("tie", {"tie": 1}, ())
    assert msgspec.json.decode(msgspec.json.encode(row), type=JudgedTurn) == row


@pytest.mark.parametrize("other", [f"{CLOSE} ", CLOSE.upper(), f"{CLOSE}?", ""])
def test_what_differs_in_a_sign_is_judged(tmp_path: Path, other: str) -> None:
    row, _ = turn_of(pair(CLOSE, other), tmp_path, lambda request: taking(request, is_second(request)))
    assert (row.same, strict(row)) == (False, "win")


def test_asked_once_the_page_is_the_same_whichever_of_the_two_is_the_candidate(tmp_path: Path) -> None:
    """Nor has either the better place: whom a hash of the texts puts first is first."""
    asked: list[Request] = []

    def the_first(request: Request) -> str:
        asked.append(request)
        return taking(request, 0)

    firsts: list[Side] = []
    for number in range(60):
        ours, theirs = pair(f"{CLOSE} {number}", FAR), pair(FAR, f"{CLOSE} {number}")
        (one,), (other,) = ONCE.requests(ours), ONCE.requests(theirs)
        assert (one.messages, one.form) == (other.messages, other.form)
        (row, _), (swapped, _) = (turn_of(each, tmp_path, the_first, ONCE) for each in (ours, theirs))
        (verdict,), (mirrored,) = row.verdicts, swapped.verdicts
        assert verdict.closer == verdict.first == one.purpose.removeprefix("pairwise/").removesuffix("_first")
        assert {verdict.first, mirrored.first} == set(SIDES)
        assert {strict(row), strict(swapped)} == {"win", "loss"}
        firsts.append(verdict.first)
    assert len(asked) == 60, "the second time it is found in the store"
    assert 18 <= firsts.count("candidate") <= 42, "which a fair coin misses once in a thousand"


def test_who_is_first_is_drawn_from_all_that_is_compared() -> None:
    """So nobody who writes one of the texts can choose their place."""
    drawn = {
        (real, candidate, baseline): ONCE.requests(pair(candidate, baseline)._replace(real=real))[0].purpose
        for real in (REAL, *(f"{REAL} {number}" for number in range(8)))
        for candidate in (CLOSE, *(f"{CLOSE} {number}" for number in range(8)))
        for baseline in (FAR, *(f"{FAR} {number}" for number in range(8)))
    }
    for changing in range(3):
        usual = [text for at, text in enumerate((REAL, CLOSE, FAR)) if at != changing]
        found = {
            first
            for texts, first in drawn.items()
            if [text for at, text in enumerate(texts) if at != changing] == usual
        }
        assert len(found) == 2


def test_pairs_are_the_persons_turns_and_hold_no_thoughts() -> None:
    spoken = (SpokenTurn(0, "hi", thought="SECRET"), SpokenTurn(2, "", thought="SECRET", ended=True))
    messages = (
        Message("user", "a"),
        Message("assistant", "b"),
        Message("user", REAL),
        Message("assistant", "d"),
    )
    ours = Conversation("c", "test", messages, annotation=CAKE, simulation=Simulation(BY, spoken))
    theirs = Conversation("c", "test", messages, simulation=Simulation(BY, (SpokenTurn(1, "yes"),)))
    first, second = pairwise.pairs(ours, theirs)
    assert (first.real, first.candidate, first.baseline, first.history) == ("a", "hi", None, ())
    assert (second.real, second.candidate, second.baseline) == (REAL, None, "yes")
    assert [message.content for message in second.history] == ["a", "b"]
    assert (first.turn, second.turn, first.scenario) == (0, 1, ("Ana bakes a cake.", "A cake."))
    told = msgspec.structs.replace(ours, messages=(Message("system", "Be brief."), *messages))
    assert [one.history for one in pairwise.pairs(told, theirs)] == [first.history, second.history]
    asked = str(BOTH.requests(first._replace(baseline="hello")))
    assert "Ana bakes a cake." in asked
    assert "SECRET" not in asked


def test_what_does_not_fit_a_judges_window_is_left_out_from_the_beginning(tmp_path: Path) -> None:
    fitting = pair(CLOSE, FAR)
    messages = (*(Message("user", "I am Ana."), Message("assistant", "Hello.")), *fitting.history)
    longer = fitting._replace(turn=2, history=messages)
    shown: list[Seen] = []

    def judge(request: Request) -> str:
        if "I am Ana." in request.messages[1].content:
            raise AttemptFailed(Kind.TOO_LONG, "at most 100 tokens")
        shown.append(Seen(request))
        return taking(request, 2)

    row, _ = turn_of(longer, tmp_path, judge)
    assert [(verdict.closer, verdict.dropped) for verdict in row.verdicts] == [("tie", 1), ("tie", 1)]
    heads = list(shown[0].texts)
    assert heads[2:4] == ["turn 2: person", "turn 2: assistant"]


def near(candidate: float | None, baseline: float | None) -> Callable[[Request], str | Completion]:
    """An encoder's answers."""
    meanings = {"pairwise/candidate_meaning": candidate, "pairwise/baseline_meaning": baseline}

    def judge(request: Request) -> str | Completion:
        meaning = meanings[request.purpose]
        return filtered() if meaning is None else str(meaning)

    return judge


def test_by_nearness_the_nearer_one_wins_in_meaning_and_style_together(tmp_path: Path) -> None:
    row, failures = turn_of(pair(CLOSE, FAR), tmp_path, near(0.5, 0.5), NEARNESS)
    assert (strict(row), failures, len(row.verdicts)) == ("win", [], 1)
    assert row.nearness["candidate"].style == round(style(REAL, CLOSE), 4)
    assert row.nearness["baseline"].whole == (0.5 + round(style(REAL, FAR), 4)) / 2
    ahead_in_style = row.nearness["candidate"].style - row.nearness["baseline"].style
    for ahead, result in ((2.1, "win"), (1.9, "tie"), (-1.9, "tie"), (-2.1, "loss")):  # half of it counts
        meaning = 0.5 - ahead_in_style + ahead * MARGIN
        row, _ = turn_of(pair(CLOSE, FAR), tmp_path / str(ahead), near(meaning, 0.5), NEARNESS)
        assert strict(row) == result


def test_one_that_an_encoder_cannot_read_makes_the_turn_invalid(tmp_path: Path) -> None:
    for at, judge in enumerate((near(None, 0.5), near(0.5, None))):
        row, failures = turn_of(pair(CLOSE, FAR), tmp_path / str(at), judge, NEARNESS)
        assert strict(row) == "invalid"
        assert [(one.item, one.reason) for one in failures] == [(f"c0#1/{SIDES[at]}_meaning", "filtered")]


@pytest.mark.parametrize("judge", ["hf", "embedding"])
def test_who_writes_nothing_cannot_explain_itself(tmp_path: Path, judge: str) -> None:
    with pytest.raises(
        ThinkusError, match=f"^protocol: paper .* judge={judge} .*; use protocol=both_orders$"
    ):
        pairwise.inputs(config(f"judge={judge}", "protocol=paper", "candidate=a", "baseline=b"), tmp_path)


def test_the_prompts_of_a_run_are_those_that_are_asked_with() -> None:
    used = {
        one: pairwise.prompts_used(config(*one.split()))
        for one in ("judge=deepseek_v3", "judge=deepseek_v3 protocol=paper", "judge=hf", "judge=embedding")
    }
    assert list(used.values()) == [
        ("judge/reader", "judge/pairwise", "judge/answer_json"),
        ("judge/reader", "judge/pairwise", "judge/answer_explained"),
        ("judge/reader", "judge/pairwise", "judge/answer_choice"),
        (),
    ]

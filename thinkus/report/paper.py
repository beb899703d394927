"""The paper's figures beside ours, where a run is what a row of its tables is: corpus, method, and model."""

import re
from collections.abc import Iterator, Mapping, Sequence

from thinkus.judging.figures import MEASURES, decimals
from thinkus.judging.judgement import Judgement
from thinkus.judging.lines import Cell, Lines
from thinkus.judging.origin import ALSO
from thinkus.scoring.wins import Counts

TITLE = "beside the paper"
THEIRS, OURS, LESS = "the paper", "here", "difference"
ABOVE = (
    "The paper's figures as it printed them, which has no intervals: those of the differences are ours alone. Its "
    "prompts and how its conversations were chosen are not published"
)
HALVES = "r_w is here that of halves: what either order of the two alone, as the paper asks, gives on average"
WHICH_BASE = "the paper does not say on which of its bases ThinkingUS has this divergence"
WHOSE_PROMPT = "the paper does not say whose Prompt its Qwen3 rows are held against"

BASE, INSTRUCT = "llama8b", "llama8b_instruct"
QWEN8, QWEN4 = "qwen3_8b", "qwen3_4b"
ON_THE_HUB = {"llama-3.1-8b": BASE, "llama-3.1-8b-instruct": INSTRUCT, "qwen3-8b": QWEN8, "qwen3-4b": QWEN4}
Who = tuple[str, str]
"""A method, and the model that it is of, as conf/model/ names it."""


CLOSER: Mapping[str, Mapping[Who, Counts]] = {
    "lmsys": {
        ("utterance_sft", INSTRUCT): Counts(8791, 5862, 362),
        ("prompt_thinking", INSTRUCT): Counts(8674, 5426, 915),
        ("thinkingus", INSTRUCT): Counts(9259, 5450, 306),
        ("thinkingus", BASE): Counts(9931, 4791, 293),
        ("utterance_sft", QWEN8): Counts(10769, 3949, 297),
        ("thinkingus", QWEN8): Counts(11304, 3432, 279),
        ("utterance_sft", QWEN4): Counts(10815, 3894, 306),
        ("thinkingus", QWEN4): Counts(11333, 3436, 246),
    },
    "wildchat": {
        ("utterance_sft", INSTRUCT): Counts(2066, 1278, 37),
        ("prompt_thinking", INSTRUCT): Counts(2175, 1093, 113),
        ("thinkingus", INSTRUCT): Counts(2267, 1080, 34),
        ("thinkingus", BASE): Counts(2472, 889, 20),
        ("utterance_sft", QWEN8): Counts(2459, 904, 18),
        ("thinkingus", QWEN8): Counts(2628, 729, 24),
        ("utterance_sft", QWEN4): Counts(2468, 885, 28),
        ("thinkingus", QWEN4): Counts(2636, 723, 22),
    },
}
"""Tables 1 and 5."""
LAST_THOUGHTS: Mapping[str, Mapping[Who, float]] = {
    "lmsys": {
        ("prompt_thinking", INSTRUCT): 0.1583,
        ("thinkingus", INSTRUCT): 0.0687,
        ("thinkingus", BASE): 0.0687,
    }
}
"""Table 2."""
LIVE: Mapping[str, Mapping[Who, tuple[float, float, float]]] = {
    "lmsys": {
        ("utterance_sft", INSTRUCT): (0.2110, 0.2846, 0.2340),
        ("thinkingus", INSTRUCT): (0.3899, 0.5292, 0.4120),
        ("thinkingus", BASE): (0.4318, 0.4297, 0.4220),
    },
    "wildchat": {
        ("utterance_sft", INSTRUCT): (0.2903, 0.3120, 0.2700),
        ("thinkingus", INSTRUCT): (0.4439, 0.4950, 0.3420),
        ("thinkingus", BASE): (0.4968, 0.4620, 0.4140),
    },
}
"""Table 4: disclosure, progression, additional information."""
CONVERSATIONS = {"lmsys": 2678, "wildchat": 1560}
SCENARIOS = 500
TRAINING = {
    "epochs": "3",
    "lr": "1e-05",
    "max_length": "4096",
    "global_batch": "32",
    "trained on": "51140",
    "budget_s": None,
}


def beside_paper(
    ones: Sequence[Judgement], names: Mapping[str, str], told: Sequence[Lines | str]
) -> Iterator[Lines | str]:
    """From what their tables have printed, so that anyone could take the one from the other.

    names: of their columns.
    """
    rows: list[tuple[str, tuple[Cell, ...]]] = []
    notes: dict[str, list[str]] = {}
    there: list[str] = []
    for one in ones:
        name = names[one.candidate]
        if not (published := _published(one)):
            continue
        there.append(name)
        printed = _column(told, name)
        for figure, theirs in published.items():
            halves = printed.get(f"as halves: {figure}")
            rows.append((f"{name}: {figure}", _beside(theirs, halves or printed[figure])))
            if halves:
                notes.setdefault(HALVES, []).append(name)
        for note in _unlike(one):
            notes.setdefault(note, []).append(name)
    if rows:
        yield Lines(TITLE, ABOVE, (THEIRS, OURS, LESS), tuple(rows))
        yield from (
            note if whose == there else f"{', '.join(whose)}: {note}" for note, whose in notes.items()
        )


def _published(one: Judgement) -> dict[str, float]:
    """By its name in our tables."""
    recipe = one.recipe
    corpus, who = recipe.get("corpus", ""), (recipe.get("method", ""), _short(recipe.get("model", "")))
    if one.task == "pairwise" and _is_their_baseline(one) and (counts := CLOSER.get(corpus, {}).get(who)):
        assert counts.rate is not None, "they were decided"
        return {"r_w": counts.rate}
    if one.task == "terminal" and (divergence := LAST_THOUGHTS.get(corpus, {}).get(who)):
        return {"divergence": divergence}
    if one.task == "online" and (live := LIVE.get(corpus, {}).get(who)):
        return dict(zip(MEASURES.values(), live, strict=True))
    return {}


def _is_their_baseline(one: Judgement) -> bool:
    """Prompt on Llama-3.1-8B-Instruct; for Qwen3, where the paper does not say which, its own as well."""
    other = _short(one.recipe.get("baseline model", ""))
    own = _short(one.recipe.get("model", ""))
    is_prompt = one.recipe.get("baseline method") == "prompt"
    return is_prompt and (other == INSTRUCT or (own in (QWEN8, QWEN4) and other == own))


def _column(told: Sequence[Lines | str], name: str) -> dict[str, Cell]:
    """What is printed of one candidate; figures that do not apply are not."""
    first = next(lines for lines in told if isinstance(lines, Lines))
    at = first.columns.index(name)
    return {figure: cells[at] for figure, cells in first.rows if cells[at].value}


def _beside(theirs: float, here: Cell) -> tuple[Cell, Cell, Cell]:
    """The difference of what is printed, so that it is what a reader would take."""
    printed = round(theirs, 4)

    def less(value: str) -> str:
        return decimals(float(value) - printed)

    if not re.fullmatch(r"-?\d+\.\d+", here.value):
        return Cell(decimals(printed)), here, Cell("")
    ends = here.interval and (less(here.interval[0]), less(here.interval[1]))
    return Cell(decimals(printed)), here, Cell(less(here.value), ends, here.is_percentile)


def _unlike(one: Judgement) -> Iterator[str]:
    """What is known to be another than the paper's."""
    recipe, found = one.recipe, []
    if not _is_deepseek_v3(one.facts.get("judge.model", "")):
        found.append(f"judge {one.judge} (DeepSeek-V3)")
    annotators = dict.fromkeys(
        recipe[of] for of in ("annotator", "annotator of the training") if of in recipe
    )
    found += [
        f"annotator {who} (DeepSeek-V3)"
        for who in annotators
        if not all(map(_is_deepseek_v3, who.split(ALSO)))
    ]
    if one.task == "online":
        if _short(recipe.get("assistant", "")) != INSTRUCT:
            found.append(f"assistant {recipe.get('assistant', 'without a model')} (Llama-3.1-8B-Instruct)")
        if recipe.get("ending") != "classifier":
            found.append(f"ending {recipe.get('ending')} (classifier)")
    wanted = SCENARIOS if one.task == "online" else CONVERSATIONS[recipe["corpus"]]
    if len(one.held) != wanted:
        found.append(f"conversations {len(one.held):,} ({wanted:,})")
    if "epochs" in recipe:
        found += [
            f"{key} {_counted(recipe.get(key))} ({_counted(theirs)})"
            for key, theirs in TRAINING.items()
            if recipe.get(key) != theirs
        ]
    if found:
        yield f"not as in the paper (its own in brackets): {', '.join(found)}"
    if one.task == "terminal" and recipe["method"] == "thinkingus":
        yield WHICH_BASE
    if one.task == "pairwise" and _short(recipe["model"]) in (QWEN8, QWEN4):
        yield WHOSE_PROMPT


def _counted(value: str | None) -> str:
    if value is None:
        return "none"
    return f"{int(value):,}" if value.isdigit() else value


def _is_deepseek_v3(model: str) -> bool:
    return re.fullmatch(r"deepseek-(chat-)?v3(-\d{4})?", _short(model)) is not None


def _short(model: str) -> str:
    """Whoever hands it on, as conf/model/ names it, if it does."""
    short = model.rpartition("/")[2].lower().removeprefix("meta-")
    return ON_THE_HUB.get(short, short)

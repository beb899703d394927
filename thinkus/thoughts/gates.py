"""What a thought must not be: empty, a copy, a report about the person, an offer of help, a look ahead.

Coarse nets, each with a limit that good thoughts stay far from: what they hold back is asked for again,
so they should let a doubtful thought pass rather than stop a good one.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import NamedTuple

from thinkus.corpora.words import word_hashes
from thinkus.records import Conversation
from thinkus.thoughts.dialogue import said
from thinkus.thoughts.drafts import Draft, Invalid


class Limits(NamedTuple):
    copy: float
    """Of a thought's 3-grams of words: the share that may stand in what it is next to."""
    foresight: int
    """How many words that only later turns hold make a thought one that knows them."""
    least_words: int
    most_words: int


class _Place(NamedTuple):
    """A thought and what stands around it."""

    thought: str
    reply: str
    """The one before it; empty at the first turn."""
    utterance: str
    """The one after it; empty at the end."""
    known: tuple[str, ...]
    """All that was said, the utterance included."""
    later: tuple[str, ...]


Finding = str | None
"""What is wrong, as the end of a sentence about the thought."""


def objection(draft: Draft, conversation: Conversation, limits: Limits) -> Invalid | None:
    """The gravest thing that is wrong with an answer, and all the turns of which it is."""
    for name, text in (("scenario", draft.scenario), ("motivation", draft.motivation)):
        if not text.strip():
            return Invalid(f"{name}_empty", f"the {name} is empty; write it.")
    texts = tuple(message.content for message in said(conversation))
    places = {}
    for thought in draft.thoughts:
        at = 2 * (thought.turn - 1)
        reply = texts[at - 1] if at else ""
        place = _Place(thought.text, reply, texts[at], texts[: at + 1], texts[at + 1 :])
        places[f"the thought before turn {thought.turn}"] = place
    return _gravest(places, limits)


def terminal_objection(thought: str, conversation: Conversation, limits: Limits) -> Invalid | None:
    """The same of the thought with which the person ends: nothing comes after it."""
    texts = tuple(message.content for message in said(conversation))
    return _gravest({"the last thought": _Place(thought, texts[-1], "", texts, ())}, limits)


def _gravest(places: dict[str, _Place], limits: Limits) -> Invalid | None:
    for kind, (check, advice) in _CHECKS.items():
        findings = {name: check(place, limits) for name, place in places.items()}
        if wrong := [f"{name} {finding}" for name, finding in findings.items() if finding]:
            return Invalid(kind, f"{'; '.join(wrong)}. {advice}")
    return None


def _empty(place: _Place, limits: Limits) -> Finding:
    return None if place.thought.strip() else "is empty"


def _tagged(place: _Place, limits: Limits) -> Finding:
    """It is kept between these tags, and could not be told from what follows."""
    return "holds a tag" if re.search(r"</?thought>", place.thought, re.IGNORECASE) else None


def _as_assistant(place: _Place, limits: Limits) -> Finding:
    found = _ASSISTANT.search(_own_words(place.thought))
    return f'speaks as the assistant ("{found[0].strip()}")' if found else None


def _as_author(place: _Place, limits: Limits) -> Finding:
    # Where the two talk of some program's users, a thought may do so too.
    pattern = _AUTHOR_FIRST if any(_USERS.search(text) for text in place.known) else _AUTHOR
    found = pattern.search(_own_words(place.thought))
    return f'speaks about the person ("{found[0].strip()}")' if found else None


def _copies_utterance(place: _Place, limits: Limits) -> Finding:
    share = copied_share(place.thought, place.utterance)
    return f"says what they then write, {share:.0%} of it word for word" if share > limits.copy else None


def _copies_reply(place: _Place, limits: Limits) -> Finding:
    share = copied_share(place.thought, place.reply)
    return f"repeats the reply before it, {share:.0%} of it word for word" if share > limits.copy else None


def _foresees(place: _Place, limits: Limits) -> Finding:
    ahead = words_ahead(place.thought, place.known, place.later)
    if len(ahead) < limits.foresight:
        return None
    return f"holds words that come up only later ({', '.join(ahead)})"


def _too_long(place: _Place, limits: Limits) -> Finding:
    words = len(word_hashes(place.thought))
    return f"has {words} words, at most {limits.most_words}" if words > limits.most_words else None


def _too_short(place: _Place, limits: Limits) -> Finding:
    words = len(word_hashes(place.thought))
    return f"has {words} words, at least {limits.least_words}" if words < limits.least_words else None


def copied_share(thought: str, text: str) -> float:
    """How much of the thought's 3-grams of words stands in the text; below three words all of it or nothing."""
    own, others = word_hashes(thought).tolist(), word_hashes(text).tolist()
    if len(own) < 3:
        return float(own == others)
    there = set(zip(others, others[1:], others[2:], strict=False))
    grams = list(zip(own, own[1:], own[2:], strict=False))
    return sum(gram in there for gram in grams) / len(grams)


def words_ahead(thought: str, known: Iterable[str], later: Iterable[str]) -> list[str]:
    """Words of the thought, one of each family, that nobody had said yet and somebody will say."""
    seen: set[str] = set().union(*map(_stems, known))
    coming = set().union(*map(_stems, later)) - seen - _COMMON
    ahead: dict[str, str] = {}
    for word in _WORD.findall(thought.lower()):
        if len(word) >= SHORTEST_CONTENT_WORD and _stem(word) in coming:
            ahead.setdefault(_stem(word), word)
    return list(ahead.values())


def _own_words(thought: str) -> str:
    """Without what it quotes: people mock an assistant's phrases in their heads."""
    plain = thought.replace("\u2019", "'").replace("\u2018", "'").strip()
    return _QUOTED.sub(" ", plain) if _QUOTED.sub("", plain).strip() else plain


@lru_cache(maxsize=500)
def _stems(text: str) -> frozenset[str]:
    """Kept a while: the thoughts of a conversation all ask for the same."""
    return frozenset(map(_stem, _WORD.findall(text.lower())))


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    """The same for a word's plural, -ed and -ing; not always a word."""
    word = re.sub(r"(?<=\w\w[^s])s$", "", word)
    word = re.sub(r"(?<=\w{3})(?:ed|ing)$", "", word).rstrip("e")
    word = re.sub(r"(?<=\w\w)(\w)\1$", r"\1", word)
    return re.sub(r"y$", "i", word)


SHORTEST_CONTENT_WORD = 4
_WORD = re.compile(r"[^\W\d_]+")
_QUOTED = re.compile(
    r"\"[^\"]{0,300}\"|\u201c[^\u201d]{0,300}\u201d|(?<!\w)'.{0,300}?'(?!\w)",
    re.DOTALL,  # with a bound, or else a text of nothing but openings takes minutes
)
_USERS = re.compile(r"\busers?\b", re.IGNORECASE)

_BEGINNING = r"(?:\A|[.!?\n]\s*)"
_MINDS = (
    r"(?:(?:now|then|also|still|really|clearly|probably|likely|just) )*(?:"
    r"(?:want|need|ask|seem|feel|hope|wonder|think|expect|appear|wish|prefer|seek|intend|decide|realise|realize|"
    r"notice)(?:s|d|ed)|felt|thought|sought|tries|tried|looks for"
    r"|(?:is|was) (?:(?:now|also|still|really|clearly|probably|likely|just) )*(?:asking|trying|looking|hoping|wondering"
    r"|seeking|wanting|expecting|thinking|feeling|requesting|frustrated|confused|satisfied|dissatisfied|curious"
    r"|happy|disappointed|concerned|worried|interested|grateful|impressed)"
    r"|(?:might|may|would|will|must|should|could) (?:be|want|need|ask|feel|hope|think|expect|like|prefer))\b"
)
_POSSESSED = (
    r"(?:request|question|need|goal|intent|intention|motivation|message|query|frustration|concern)s?\b"
)
_FIRST = rf"\A(?:(?:the|this) user|the person|user)(?:'s {_POSSESSED}| {_MINDS})"
_AUTHOR_FIRST = re.compile(_FIRST, re.IGNORECASE)
_AUTHOR = re.compile(
    rf"{_FIRST}|\b(?:the|this) user(?:'s {_POSSESSED}| {_MINDS})"
    rf"|{_BEGINNING}(?:the|this) user (?:is|was|has|had|then|now|also|probably|likely)\b"
    rf"|{_BEGINNING}the person {_MINDS}",
    re.IGNORECASE,
)
_ASSISTANT = re.compile(
    "|".join(
        (
            r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|(?:ai|virtual) assistant)"
            r"(?: language model| assistant| model)?,? (?:I|my)\b",
            r"\bI(?:'m| am) (?:just |only )?an? (?:ai|language model)\b",
            r"\bI(?:'d| would|'ll| will|'m| am) (?:be )?(?:more than )?(?:happy|glad|delighted|here) to "
            r"(?:help|assist)(?: you| with|[.!?]|\Z)",
            r"\bhow (?:can|may) I (?:help|assist)(?: you|\?)",
            r"\bI(?: can|'ll| will| could) (?:help|assist) you\b",
            r"\bI(?:'m| am) sorry, but I (?:can't|cannot|can not|am unable)\b",
            r"\A(?:(?:sure|certainly|of course|absolutely)[,!.]? )?here(?:'s| is| are) "
            r"(?:a|an|some|your|the (?!thing|deal|catch|problem|point|question|trick|snag))\b[^.?!\n]*:",
            rf"(?:{_BEGINNING}|\b(?:please|just) )let me know if\b",
            r"\bfeel free to (?:ask|reach out|let me)\b",
            r"\bis there anything else (?:I can|you)\b",
        )
    ),
    re.IGNORECASE,
)

_CHECKS: dict[str, tuple[Callable[[_Place, Limits], Finding], str]] = {
    "thought_empty": (_empty, "Write what goes through their head."),
    "tag_broken": (_tagged, "Write it without <thought> and </thought>."),
    "speaks_as_assistant": (
        _as_assistant,
        "It is the person who thinks: they want something from the assistant and offer it nothing.",
    ),
    "speaks_as_author": (_as_author, "Write in the first person, as they think it, not a report about them."),
    "copies_utterance": (
        _copies_utterance,
        "Write what lies behind those words and is not said in them: a reason, a feeling, a doubt.",
    ),
    "copies_reply": (_copies_reply, "Write in their own words how they take it."),
    "foresees": (
        _foresees,
        "Write it from what was said up to that point; what comes after, they do not know yet.",
    ),
    "thought_too_long": (_too_long, "Keep what matters most to them at that moment."),
    "thought_too_short": (_too_short, "Say more of what goes through their head."),
}
"""From the gravest: the first that finds something speaks."""

_COMMON_WORDS = """
able about above accept according account accurate across actual actually add address advanced advice afraid
after afternoon again against age agree ahead allow almost alone along already also alternative although
always among amount analysis angry animal annoy another answer any anybody anyone anything anyway anywhere
apart apparent appear appreciate approach april are area aren argue around arrive ashamed ask asleep aspect
assistant assume attention august autumn available avoid awake away awful awkward back bad badly bag bank bare
base basic beautiful because become been before began begin begun behind being believe below beside best
better between beyond big bird bit black blame blind block blue board body book bore bot both bother bottle
bottom bought box brain bread break breakfast breath brief brilliant bring broke broken brother brought brown
build built bunch bus business busy but buy call calm came can car card careful carefully carry case cash cat
catch caught cause certain certainly chair chance change chat chatbot cheap cheat check child choice choose
chose chosen city clarification clarify class clean clear clearly clever click climb clock close club clue
coffee cold come common company compare comparison complete completely complex computer concept concise
confirm confuse consider context continue conversation copy correct cost could couldn count country couple
course cover crack create creative cross cry curious current customer cut daily dare dark data date daughter
day dead deal dear december decent decide deep definitely definition demand depend describe desk detail
develop didn die died difference different difficult dinner direct disappoint discover discuss dish doctor
does doesn dog doing done door double doubt down dozen draw drawn dream drink drive drop drove drown dull
dunno during each early easier easily easy eat eaten edge effective egg eight eighty either eleven else email
empty end enough entire especially even ever every everybody everyone everything exact exactly example except
excited excuse exist expect expectation expensive experience explain explanation extra eye face fact factor
fair fall fallen family far fast father fear february fed feel feet felt fetch few fifth fifty fight figure
fill final finally find fine finger finish fire first fish five fix flat flew floor focus fold folk follow
food foot for force forever forget forgot forgotten form format forty forward fought found four fourth free
fresh friday friend from front froze frustrate full fully funny further future game garden gave general gentle
get girl give given glad glance glass goal goes going gone gonna good got gotta gotten government grateful
great green grew grey ground group grow grown guess guidance guide guy had hadn hair half halfway hand handle
hang happen happy hard hardly has hasn hate have haven head health hear heard heart heavy held hell hello help
helpful her herself hey hid high him himself his history hit hold home honest honestly hope hospital hour
house how however huge human hundred hung hurry hurt husband idea imagine impact important improve include
incorrect increase information inside insight instead interest internet into involve isn issue item itself
january jealous job join judge july june just keep kept key kid kill kind kinda kitchen knee knew know
knowledge known laid lain land language large last late lately later laugh law lay lead learn least leave led
left leg legal length lent less let letter level lie life lift light like likely line list listen little live
lonely long longer look lord lose lost lot loud love lovely low luck lucky lunch machine made magic mail main
make man manage many march mark market match matter may maybe mean meant meanwhile meet memory men mention met
metal method middle midnight might milk million mind mine minute miss mistake mistaken mom moment monday money
month mood more morning most mostly mother mouth move movie much mum music must myself name near nearly
necessary need neither nervous neutral never new next nice night nightmare nine ninety nobody nod none nor
normal not nothing notice november now nowhere number obvious obviously october odd off offer office often
okay old once one only onto open opinion option orange order other otherwise ought our out outline outside
over overview own pack page paid paper parent park part particular party past path pay pen pencil people per
perfect perhaps person perspective phone photo phrase pick picture piece place plain plan plate play please
plenty plus point poor possible possibly practical precise press pretend pretty price print probably problem
process product program promise prompt proper properly proud prove provide pull purpose push put quarter
question quick quickly quiet quite raise ran random rather reach read ready real realise realize really reason
recent reduce refer refuse relevant relief remember reply report request require requirement research respond
response rest result right ring road robot rode roll room rose round ruin rule run safe said salt same sang
sat satisfy saturday save saw say scared school science screen search season second section see seem seen send
sense sent sentence separate september serious service set settle seven seventy several shall she sheet shift
shock shoe shook shop short shorter shot should shouldn shout show shown shrug shut sick side sigh sign
silence silly similar simple simply since single sister sit situation six sixty size sleep slept slide slow
slowly small smart smell smile sold solution some somebody somehow someone something sometimes somewhere son
song soon sorry sort sorta soul sound spare speak special specific speech spend spent split spoke spoken spot
spring stage stairs stand stare start state stay steal step still stole stomach stone stop story straight
strange stranger street strong structure stuck student study stuff stupid style such sudden suddenly sugar
suggest suggestion suit summarize summary summer sunday support suppose sure surely surprise swam swear sweet
swore table tailored take taken talk task taste taught tea teach teacher telephone tell temper ten term
terrible test text than thank that their them themselves then there these they thick thing think third thirty
this thorough those though thought thousand thread three thrill through throw thrown thursday time tired title
today together told tomorrow tone tonight too took tool top topic tore total touch toward town train trap tree
trick trip trouble true truly trust truth try tuesday turn twelve twenty twice two type under underneath
understand university unless until upon upset use used useful usual usually value various verify version very
via view voice wait wake walk wall wanna want warm warn was wasn waste watch water way wear website wednesday
week weekend weird well went were weren what whatever when where whether which while whisper white who whoever
whole whom whose why wife will window winter wish with within without woke woman won wonder wood word wore
work world worry worse worst worth would wouldn wound write written wrong wrote yeah year yellow yes yesterday
yet you young your yourself
"""
_COMMON = {_stem(word) for word in _COMMON_WORDS.split()}

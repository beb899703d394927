"""Texts as words, and which of them carry content."""

import re

# Scripts that put no space between words: there each character counts as one.
_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:'[^\W_{_UNSPACED}]+)*")


def words(text: str) -> list[str]:
    """Case and punctuation do not count, unless there is nothing else; an apostrophe within a word does."""
    folded = text.casefold().replace("\u2019", "'")
    return _WORD.findall(folded) or folded.split()


FUNCTION_WORDS = frozenset(
    words(
        """
        a an the this that these those some any each every either neither both all no none such own same
        other another i me my mine myself you your yours yourself yourselves he him his himself she her hers
        herself it its itself we us our ours ourselves they them their theirs themselves one who whom whose
        which what where when why how and or but nor so yet if then than because as until while although
        though unless whether since of at by for with about against between into through during before after
        above below to from up down in out on off over under again further once upon within without toward
        towards via per am is are was were be been being have has had having do does did doing done will
        would shall should can could may might must ought cannot let lets get gets got not only just also
        too very more most much many few less least even still here there now ever never don't doesn't
        didn't isn't aren't wasn't weren't won't wouldn't can't couldn't shouldn't haven't hasn't hadn't i'm
        i've i'd i'll you're you've you'd you'll he's she's it's we're we've we'll they're they've they'll
        that's there's what's let's who's
        """
    )
)
"""English words that hold sentences together, whatever they are about."""


def content_words(text: str) -> set[str]:
    return set(words(text)) - FUNCTION_WORDS

"""English stop words: the small words that a search engine skips and a language model must keep.

No library that we depend on has a list, and the published ones disagree and hold surprises
(Nothman, Qin and Yurchak 2018, "Stop Word Lists in Free Open-source Software Packages"). So ours is
made by a rule that a reader can check: the *closed classes* of English grammar, to which nobody
adds a word any more (articles, pronouns, prepositions, conjunctions, auxiliary verbs, and a few
adverbs of place, time, degree and negation). *May*, *might*, *must* and the numerals are left out.
"""

from __future__ import annotations

import re

_CLASSES = {
    "articles and quantifiers": "a an the all any both each few more most no other same some such",
    "pronouns": """
        i me my myself we us our ours ourselves you your yours yourself yourselves he him his
        himself she her hers herself it its itself they them their theirs themselves this that these
        those who whom which what
    """,
    "prepositions": """
        about above after against at before below between by down during for from in into of off on
        out over through to under until up with
    """,
    "conjunctions": "and as because but if or nor so than while",
    "auxiliaries": """
        am is are was were be been being have has had having do does did doing can could should
        would will
    """,
    "adverbs": """
        again further here how just not now once only own then there too very when where why
    """,
}
STOP_WORDS = frozenset(word for words in _CLASSES.values() for word in words.split())
# Letter case is that of ASCII: Unicode would also fold İ to i and the Kelvin sign to k.
_STOP_WORD = re.compile(rf"(?<![\w-])(?ai:{'|'.join(sorted(STOP_WORDS))})(?![\w-]|['’]\w)[ \t]?")


def drop_stop_words(text: str) -> str:
    """Remove every stop word, in any letter case, with the blank after it.

    A word with an apostrophe or a hyphen (*it's*, *out-of-date*) is another word and stays. For
    counting topics, never for training a language model: notebook 01 measures what is lost.

    Example:
        >>> drop_stop_words("The cat is on the mat, and it's asleep.")
        "cat mat, it's asleep."
    """
    return _STOP_WORD.sub("", text)

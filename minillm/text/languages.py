"""Which language a text is in, by evidence that a reader can check: its script, its small words.

No model is downloaded, and the name of a file says nothing. The words of the list belong to English
alone among the large languages in Latin script, which is why *to* (Polish), *for* (Danish), *is*
(Dutch) and *an* (German) are not in it. What this cannot do: tell a short text of another language
in Latin script from English, divide a text of two languages, or tell Chinese from Japanese that is
written in ideographs only. Traditional and simplified Chinese both count as Chinese.
"""

from __future__ import annotations

import re

import regex

_SMALL_WORDS = """
    and because been could from had has how it its not of should than that the their them then
    there these they this those were what when where which who with would you your
"""
ENGLISH_WORDS = frozenset(_SMALL_WORDS.split())
_LEAST_WORDS = 25  # below it, a text of labels or code may hold none of the small words
_LEAST_ENGLISH_SHARE = 0.02  # of all words; prose has 0.2, 98 % of stdlib's documents have 0.03
_LEAST_SCRIPT_SHARE = 0.5  # of the letters: a text may quote another script
_MOST_KANA_SHARE = 0.05  # of the letters; Japanese prose has half, Chinese a quoted title at most
_WORD = re.compile(r"[^\W\d_]+")
_LETTER = regex.compile(r"\p{L}")
_LATIN = regex.compile(r"\p{Latin}")
_HAN = regex.compile(r"\p{Han}")
_KANA = regex.compile(r"[\p{Hiragana}\p{Katakana}]")


def is_english(text: str) -> bool:
    """Say whether a text is English, as far as its script and its small words show.

    At least half of the letters are Latin and, in a text of 25 words or more, at least 2 % of the
    words are among `ENGLISH_WORDS`.

    Example:
        >>> is_english("All human beings are born free and equal in dignity and rights.")
        True
        >>> is_english("人人生而自由,在尊严和权利上一律平等。")
        False
    """
    if _share(_LATIN, text) < _LEAST_SCRIPT_SHARE:
        return False
    words = _WORD.findall(text.lower())
    n_english = sum(word in ENGLISH_WORDS for word in words)
    return len(words) < _LEAST_WORDS or n_english >= _LEAST_ENGLISH_SHARE * len(words)


def is_chinese(text: str) -> bool:
    """Say whether a text is Chinese: at least half of the letters are ideographs, few are kana.

    Example:
        >>> is_chinese("人人生而自由,在尊严和权利上一律平等。")
        True
        >>> is_chinese("すべての人間は、生まれながらにして自由であり、")
        False
    """
    return _share(_HAN, text) >= _LEAST_SCRIPT_SHARE and _share(_KANA, text) <= _MOST_KANA_SHARE


def _share(kind: regex.Pattern[str], text: str) -> float:
    """Return which share of the letters is of one kind; 0 where there is no letter."""
    n_letters = sum(1 for _ in _LETTER.finditer(text))
    return sum(1 for _ in kind.finditer(text)) / max(n_letters, 1)

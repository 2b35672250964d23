"""How text is cut into words before any merge: GPT-2's idea, written with fixed code points.

GPT-2 (Radford et al. 2019, section 2.2) cuts text into words first and never merges across
them. Its pattern asks the regular-expression engine what a letter is (``\\p{L}``), and engines
disagree: each carries the Unicode tables of its own year. Ours names the ranges, so that
Python's ``regex``, the Rust library and next year's versions of both cut every text alike.
Where we differ from GPT-2, on purpose:

- digits come in groups of at most three, as in GPT-4, so that numbers need few tokens;
- a contraction is cut off only at the end of its word: ``'second'`` keeps its *second*;
- white space stays whole, an empty line being one word, except for a last space, which
  belongs to the word that follows.
"""

from __future__ import annotations

import regex

SPACES = " \t\n\r\x0b\x0c"  # ASCII only: other blanks are symbols, like U+3000 that indents Chinese
DIGITS = "0-9\uff10-\uff19"  # ASCII and full width
LETTERS = (
    "A-Za-z\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u1fff"  # Latin to Extended Greek
    "\u2c00-\u2dff\u3005-\u3007\u3041-\u30fa\u30fc-\u31ff"  # more alphabets; 々〆〇; kana; bopomofo
    "\u3400-\u4dbf\u4e00-\ud7ff\uf900-\ufdff\ufe70-\ufefe"  # ideographs, Hangul, Arabic forms
    "\uff21-\uff3a\uff41-\uff5a\uff66-\uffdc"  # full and half width
    "\U00010000-\U0001cfff\U0001d400-\U0001d7ff\U0001e000-\U0001efff"  # historic, mathematical
    "\U00020000-\U0003ffff"  # rare ideographs
)

WORD_PATTERN = "|".join(
    (
        f"['’](?:[sdmt]|ll|ve|re)(?![{LETTERS}])",  # it's, we'll
        f" ?[{LETTERS}]+",
        f" ?[{DIGITS}]{{1,3}}",
        f" ?[^{SPACES}{LETTERS}{DIGITS}]+",  # punctuation, symbols, emoji
        f"[{SPACES}]+(?= [^{SPACES}])",  # leaves one space to the next word
        f"[{SPACES}]+",
    )
)

_WORDS = regex.compile(WORD_PATTERN)


def split_words(text: str) -> list[str]:
    """Cut text into the words inside which BPE merges; joined, they are the text again.

    Example:
        >>> split_words("It's 12345 words,\\n\\n  or 两个词。")
        ['It', "'s", ' 123', '45', ' words', ',', '\\n\\n ', ' or', ' 两个词', '。']
    """
    return _WORDS.findall(text)

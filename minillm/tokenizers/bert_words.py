"""How BERT cuts text into words before WordPiece cuts words into pieces.

The rules are those of ``BasicTokenizer`` in BERT's ``tokenization.py`` (Devlin et al. 2019, arXiv
1810.04805): control characters go, every CJK ideograph and every mark of punctuation stands
alone, white space ends a word and is forgotten. Letter case and accents may be dropped. None of
it can be undone, so ``decode`` cannot return the text.

The ``tokenizers`` library does the same in Rust, in two places otherwise than Google's Python,
and we follow it, since today's tools all do: unassigned code points stay, and a letter becomes
lower case by itself (Σ becomes σ also at a word's end).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import regex

_CONTROL = {"Cc", "Cf", "Co"}
_IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
# Blocks that were complete in Unicode 8 (2015), the year of the library's tables.
_COMMON = regex.compile(
    "[\x00-\u0377\u0384-\u0386\u0391-\u03a1\u03a3-\u052f\u0620-\u06ff\u0904-\u0939"
    "\u1e00-\u1eff\u2000-\u206f\u20a0-\u20bd\u2100-\u218b\u2190-\u23fa\u2460-\u2b73"
    "\u3000-\u303f\u3041-\u3096\u3099-\u30ff\u3105-\u312d\u3400-\u4db5\u4e00-\u9fd5"
    "\uac00-\ud7a3\uf900-\ufa6d\ufe00-\ufe0f\uff01-\uffdc\ufffd"
    "\U0001f300-\U0001f9ff\U00020000-\U0002a6d6]*"
)


def is_common(text: str) -> bool:
    """Say whether every table of Unicode since 2015 sorts all characters of a text alike.

    Example:
        >>> is_common("Ünïcode, 中文 😀"), is_common("\u2e52")
        (True, False)
    """
    return _COMMON.fullmatch(text) is not None


class _Table(dict[int, str]):
    """What ``str.translate`` makes of each character; a rule is asked once a character."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, code: int) -> str:
        self[code] = self._rule(chr(code))
        return self[code]


def split_bert_words(text: str, *, lowercase: bool) -> list[str]:
    """Cut text into BERT's words.

    Args:
        text: any text.
        lowercase: drop letter case and accents too.

    Example:
        >>> split_bert_words("He didn't eat\tthe Crêpe: 好吃!", lowercase=True)
        ['he', 'didn', "'", 't', 'eat', 'the', 'crepe', ':', '好', '吃', '!']
    """
    text = text.translate(_CLEANED)
    if lowercase:
        text = unicodedata.normalize("NFD", text).translate(_LOWERED)
    return text.translate(_APART).split()


def is_punctuation(character: str) -> bool:
    """Say whether a character is punctuation; every ASCII symbol is, such as ``$`` and ``^``.

    Example:
        >>> [is_punctuation(c) for c in ".$。a "]
        [True, True, True, False, False]
    """
    if character < "\x7f":
        return character > " " and not character.isalnum()
    return unicodedata.category(character)[0] == "P"


def _cleaned(character: str) -> str:
    """Drop control characters, and give every ideograph blanks around it."""
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character) in _CONTROL:
        return ""
    code = ord(character)
    is_ideograph = any(first <= code <= last for first, last in _IDEOGRAPHS)
    return f" {character} " if is_ideograph else character


def _lowered(character: str) -> str:
    """Drop an accent that stands apart, and a letter's case."""
    return "" if unicodedata.category(character) == "Mn" else character.lower()


def _apart(character: str) -> str:
    return f" {character} " if is_punctuation(character) else character


_CLEANED, _LOWERED, _APART = _Table(_cleaned), _Table(_lowered), _Table(_apart)

"""Where words end in a text without blanks: segmentation of Chinese.

Chinese is written without spaces, so "a word" is a judgment. Two answers are here: every character
is a word, which needs no knowledge and never joins what belongs apart; and the dictionary of
``jieba`` (Sun Junyi 2012–2020), which weighs all ways through a lattice of words with frequencies
(as the Unigram tokenizer does) and guesses unknown words with a hidden Markov model. A third, a
Unigram tokenizer trained on the text itself, needs no dictionary; see ``minillm.tokenizers``.

Segmentation changes nothing in the text: joined, the parts are the text again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Literal, NamedTuple, get_args

import regex

from minillm.errors import ConfigError
from minillm.text.reading import import_extra

Method = Literal["characters", "jieba"]
METHODS: tuple[Method, ...] = get_args(Method)
_CHARACTERS = regex.compile(r"\p{Han}|[^\p{Han}\s]+|\s+")


class Overlap(NamedTuple):
    """How well proposed words agree with the right ones."""

    precision: float
    recall: float
    f1: float


def segment(text: str, method: Method = "characters") -> list[str]:
    """Cut text into words; joined, they are the text again.

    Args:
        text: any text.
        method: "characters" makes each Chinese character a word and leaves runs of everything
            else whole; "jieba" looks words up.

    Raises:
        ConfigError: an unknown method; jieba is not installed.

    Example:
        >>> segment("我爱 New York。")
        ['我', '爱', ' ', 'New', ' ', 'York。']
    """
    return make_segmenter(method)(text)


def make_segmenter(method: Method) -> Callable[[str], list[str]]:
    """Return the function that ``segment`` applies; jieba's dictionary is read once, in 0.5 s.

    Raises:
        ConfigError: an unknown method; jieba is not installed.
    """
    if method not in METHODS:
        raise ConfigError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
    return _CHARACTERS.findall if method == "characters" else _jieba().lcut


def word_overlap(proposed: Iterable[str], gold: Iterable[str]) -> Overlap:
    """Compare two segmentations of one text: a word counts if both of its ends are right.

    Precision is the share of proposed words that stand in the gold segmentation at the same
    place, recall the share of gold words that were found (Sproat and Emerson 2003, the first
    Chinese segmentation bakeoff).

    Args:
        proposed: words in their order.
        gold: the right words; joined, the same text.

    Raises:
        ValueError: the two are not the same text.

    Example:
        >>> word_overlap(["今", "天", "天气", "好"], ["今天", "天气", "好"])
        Overlap(precision=0.5, recall=0.6666666666666666, f1=0.5714285714285714)
    """
    proposed, gold = list(proposed), list(gold)
    if "".join(proposed) != "".join(gold):
        raise ValueError("the two segmentations are not of the same text")
    found, right = _spans(proposed), _spans(gold)
    n_both = len(found & right)
    precision, recall = (n_both / max(len(spans), 1) for spans in (found, right))
    f1 = 2 * n_both / max(len(found) + len(right), 1)
    return Overlap(precision, recall, f1)


def _spans(words: Iterable[str]) -> set[tuple[int, int]]:
    spans, start = set(), 0
    for word in words:
        spans.add((start, start + len(word)))
        start += len(word)
    return spans


@lru_cache(maxsize=1)
def _jieba() -> Any:
    """Load jieba's dictionary without its habits.

    Left alone, it reads a cache from the shared temporary folder, which anyone may have put
    there, writes one, and logs to stderr; and its import warns under some versions of setuptools.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        jieba = import_extra("jieba", needed_for='segmentation by "jieba"')
        tokenizer = jieba.Tokenizer()
        with tokenizer.get_dict_file() as dictionary:
            tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(dictionary)
    tokenizer.initialized = True
    return tokenizer

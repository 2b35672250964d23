"""Near-duplicates by MinHash: texts that share most of their phrases, without comparing all.

A text becomes the set of its phrases of five words (Broder 1997, "On the resemblance and
containment of documents"), and two texts are as alike as their sets: Jaccard's
J = |A ∩ B| / |A ∪ B|. A MinHash keeps 128 numbers of a set, each of which agrees between two sets
with probability J. They are looked up in 16 bands of 8, where a pair meets with the probability
1 − (1 − J⁸)¹⁶ (Leskovec et al., "Mining of Massive Datasets", section 3.4). Two texts that meet are
near-duplicates when at least 80 % of their numbers agree; that share estimates J with the standard
error √(J (1 − J) / 128) ≤ 0.044. Both together find a pair with the probability

    J     0.6    0.7    0.75   0.8    0.85   0.9    0.95
    p     0.000  0.005  0.089  0.496  0.934  1.000  1.000

(Lee et al. 2022, arXiv:2107.06499, drop documents above 0.8 in the same way.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import regex

from minillm.text.documents import stable_hash
from minillm.text.reading import import_extra

N_BANDS, N_ROWS = 16, 8
N_PERMUTATIONS = N_BANDS * N_ROWS
LEAST_SIMILARITY = 0.8
PHRASE_WORDS = 5
_PHRASES_AT_ONCE = 1 << 12  # each takes 128 numbers while it is hashed
# A character of Chinese or Japanese is a word, as nobody puts blanks between theirs.
_WORD = regex.compile(
    r"(?V1)[\p{Han}\p{Hiragana}\p{Katakana}]|[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]+"
)
_Key = tuple[int, int]


def phrases(text: str) -> set[str]:
    """Return the phrases of five words, letter case and punctuation aside.

    Example:
        >>> sorted(phrases("Tea for two, and two for tea!"))
        ['for two and two for', 'tea for two and two', 'two and two for tea']
    """
    words = _WORD.findall(text.casefold())
    n_phrases = max(len(words) - PHRASE_WORDS + 1, 1)
    found = {" ".join(words[i : i + PHRASE_WORDS]) for i in range(n_phrases)}
    return found if words else {text}


def survey_near_duplicates(texts: Iterable[str]) -> Callable[[str], str | None]:
    """Read a corpus; return the rule that keeps one text of each group of near-duplicates.

    The longest text comes first, among equals the one with the smaller hash; a text is kept unless
    it is a near-duplicate of one that is kept already. So the order of the corpus does not matter,
    and each text that goes resembles one that stays: in a chain a ~ b ~ c, a does not drop c.

    Args:
        texts: the corpus. About 5 kB of memory is used for each text, whatever its length.

    Returns:
        The text, or None for a near-duplicate of a kept text and for a further copy of one.

    Raises:
        ConfigError: datasketch is not installed.
    """
    datasketch = import_extra("datasketch", needed_for="the cleaning step near-duplicates")
    empty = datasketch.MinHash(N_PERMUTATIONS)
    signatures: dict[_Key, np.ndarray] = {}
    for text in texts:
        if (key := _key(text)) not in signatures:
            signatures[key] = _signature(text, empty)
    waiting = _choose(signatures, empty, datasketch)

    def rewrite(text: str) -> str | None:
        key = _key(text)
        if key not in waiting:
            return None
        waiting.remove(key)  # a further copy is a duplicate too
        return text

    return rewrite


def _key(text: str) -> _Key:
    """Sort longer texts first, in an order that does not depend on the corpus."""
    return -len(text), stable_hash(text)


def _signature(text: str, empty: Any) -> np.ndarray:
    minhash = empty.copy()
    encoded = [phrase.encode() for phrase in phrases(text)]
    for start in range(0, len(encoded), _PHRASES_AT_ONCE):
        minhash.update_batch(encoded[start : start + _PHRASES_AT_ONCE])
    return minhash.hashvalues


def _choose(signatures: dict[_Key, np.ndarray], empty: Any, datasketch: Any) -> set[_Key]:
    """Take the texts one by one; a text stays unless it resembles one that stays."""
    index = datasketch.MinHashLSH(num_perm=N_PERMUTATIONS, params=(N_BANDS, N_ROWS))
    kept: set[_Key] = set()
    minhash = empty.copy()
    for key in sorted(signatures):
        minhash.hashvalues = signatures[key]
        met = index.query(minhash)
        agreeing = ((signatures[key] == signatures[other]).mean() for other in met)
        if not any(share >= LEAST_SIMILARITY for share in agreeing):
            index.insert(key, minhash)
            kept.add(key)
    return kept

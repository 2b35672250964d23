"""Learning the merges of byte-pair encoding, incrementally.

The naive trainer counts all pairs anew for every merge. Here a merge touches only the words
that hold its pair, and a lazy heap finds the next one: the same merges, a thousand times sooner.
"""

from __future__ import annotations

import heapq
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from minillm.errors import ConfigError
from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, check_special_tokens, check_text
from minillm.tokenizers.pattern import split_words
from minillm.tokenizers.tokenizer_json import BYTE_SPELLINGS, N_BYTES, spell

Pair = tuple[int, int]
MAX_DISTINCT_WORDS = 150_000  # up to 2.2 kB each while merges are learned, for Chinese clauses


class Merge(NamedTuple):
    """One step of training: the pair, its tokens' bytes, and how often it stood in the text."""

    pair: Pair
    left: bytes
    right: bytes
    n_times: int

    def __str__(self) -> str:
        joined = spell(self.left + self.right)
        return f"{spell(self.left)} + {spell(self.right)} → {joined}  ({self.n_times:,} times)"


def merge_pair(token_ids: list[int], pair: Pair, merged_id: int) -> list[int]:
    """Replace a pair everywhere in a word, from the left, without overlaps.

    Example:
        >>> merge_pair([1, 1, 1, 2], (1, 1), 9)
        [9, 1, 2]
    """
    left, right = pair
    merged, last = [], len(token_ids) - 1
    position = 0
    while position <= last:
        token_id = token_ids[position]
        if token_id == left and position < last and token_ids[position + 1] == right:
            token_id = merged_id
            position += 1
        merged.append(token_id)
        position += 1
    return merged


def count_words(texts: Iterable[str], *, max_distinct: int = MAX_DISTINCT_WORDS) -> Counter[str]:
    """Count the words of a stream of texts: all that training needs to remember.

    The counts are exact up to ``max_distinct`` words. A larger corpus brings new words without end
    (in Chinese each clause is one), so whenever there are more, the rarest are forgotten until half
    of the room is free, and a warning says so at the end. A word that stays is counted too low by
    what it had when it was forgotten (lossy counting: Manku and Motwani 2002, section 4.2).

    Args:
        texts: the documents, read once.
        max_distinct: the most words to remember from one text to the next.
    """
    if isinstance(texts, str):  # else each character would be a text
        raise ConfigError("texts must be an iterable of strings, got one string; put it in a list")
    counts: Counter[str] = Counter()
    n_lost = 0  # the most occurrences that a word may lack
    for text in texts:
        check_text(text)
        counts.update(split_words(text))
        if len(counts) > max_distinct:
            rare = sorted(counts.values())[len(counts) - max_distinct // 2 - 1]
            counts = Counter({word: n for word, n in counts.items() if n > rare})
            n_lost += rare
    if n_lost:
        warnings.warn(
            f"the corpus has more than {max_distinct:,} distinct words: rare ones were forgotten "
            f"while counting, so that a word may be counted up to {n_lost:,} times too seldom",
            stacklevel=2,
        )
    return counts


def learn_merges(
    word_counts: Mapping[str, int],
    n_merges: int,
    *,
    special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
) -> Iterator[Merge]:
    """Yield the best pair again and again; each merge touches only the words that hold it.

    The best pair is the most frequent one; among equals the byte-wise larger left token, then
    right token. Every adjacent pair counts, so "aaa" holds (a, a) twice. A pair whose token
    exists already, or would be written like a special token, is passed over.

    Args:
        word_counts: how often each word occurs.
        n_merges: the most merges to yield; fewer, when no pair is left.
        special_tokens: strings of ids 256, 257, …
    """
    token_bytes = [bytes([byte]) for byte in range(N_BYTES)] + [b""] * len(special_tokens)
    taken = {*BYTE_SPELLINGS, *special_tokens}
    words = _WordPairs(word_counts)
    queue = _PairQueue(words.counts, token_bytes)
    for pair in words.counts:
        queue.push(pair)
    n_learned = 0
    while n_learned < n_merges and (pair := queue.pop()) is not None:
        left, right = token_bytes[pair[0]], token_bytes[pair[1]]
        spelling = spell(left + right)
        if spelling in taken:
            continue
        yield Merge(pair, left, right, words.counts[pair])
        made = words.merge(pair, merged_id=len(token_bytes))
        taken.add(spelling)
        token_bytes.append(left + right)
        for new_pair in made:
            queue.push(new_pair)
        n_learned += 1


class _WordPairs:
    """The distinct words as tokens, how often each pair stands in them, and in which words."""

    def __init__(self, word_counts: Mapping[str, int]) -> None:
        self.words = [list(word.encode()) for word in word_counts]
        self.word_counts = list(word_counts.values())
        self.counts: dict[Pair, int] = defaultdict(int)
        self.holders: dict[Pair, list[int]] = defaultdict(list)  # a word may have lost the pair
        for index, word in enumerate(self.words):
            for pair in pairwise(word):
                self.counts[pair] += self.word_counts[index]
                self.holders[pair].append(index)

    def merge(self, pair: Pair, *, merged_id: int) -> set[Pair]:
        """Join the pair wherever it stands; return the pairs that this made."""
        counts, holders, made = self.counts, self.holders, set()
        for index in holders.pop(pair):
            word, n_times = self.words[index], self.word_counts[index]
            merged = merge_pair(word, pair, merged_id)
            if len(merged) == len(word):
                continue  # lost to an earlier merge, or listed twice
            self.words[index] = merged
            for old in pairwise(word):
                counts[old] -= n_times
            for new in pairwise(merged):
                counts[new] += n_times
                if merged_id in new:
                    holders[new].append(index)
                    made.add(new)
        del counts[pair]
        return made


class _PairQueue:
    """The best pair first; counts that have fallen since are noticed when their pair comes up.

    That is enough because a count rises only in the merge that makes its pair.
    """

    def __init__(self, counts: dict[Pair, int], token_bytes: list[bytes]) -> None:
        self.counts, self.token_bytes = counts, token_bytes
        self.heap: list[tuple[int, str, str, Pair]] = []

    def push(self, pair: Pair) -> None:
        """Queue a pair under its present count, if it still stands anywhere."""
        if count := self.counts[pair]:
            left, right = (_descending(self.token_bytes[token_id]) for token_id in pair)
            heapq.heappush(self.heap, (-count, left, right, pair))

    def pop(self) -> Pair | None:
        """Take the best pair; None when no pair is left."""
        while self.heap:
            count, _, _, pair = heapq.heappop(self.heap)
            if -count == self.counts[pair]:
                return pair
            self.push(pair)
        return None


def _descending(token: bytes) -> str:
    """A sort key that puts byte-wise larger tokens first, "ab" before its prefix "a" too."""
    return "".join([chr(N_BYTES - byte) for byte in token]) + chr(N_BYTES + 1)


def check_vocab_size(vocab_size: int, special_tokens: Sequence[str]) -> int:
    """Return how many merges a vocabulary has room for.

    Raises:
        ConfigError: vocab_size is too small for bytes and special tokens.
    """
    check_special_tokens(special_tokens)
    n_fixed = N_BYTES + len(special_tokens)
    if vocab_size < n_fixed:
        raise ConfigError(
            f"vocab_size must be at least {n_fixed} ({N_BYTES} bytes and {len(special_tokens)} "
            f"special tokens), got {vocab_size}"
        )
    return vocab_size - n_fixed

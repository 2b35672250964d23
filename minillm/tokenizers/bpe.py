"""Byte-pair encoding of our own: readable, and as fast as the library.

BPE (Gage 1994; Sennrich et al. 2016, arXiv 1508.07909; on bytes: Radford et al. 2019) joins
the most frequent pair of neighboring tokens into a new token, again and again. Encoding
replays the merges in the order in which they were learned.
"""

from __future__ import annotations

import heapq
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

from minillm.tokenizers.base import DEFAULT_SPECIAL_TOKENS, check_text
from minillm.tokenizers.bpe_training import (
    Pair,
    check_vocab_size,
    count_words,
    learn_merges,
    merge_pair,
)
from minillm.tokenizers.merges import MergeTokenizer
from minillm.tokenizers.pattern import split_words
from minillm.tokenizers.tokenizer_json import N_BYTES

_LONG_WORD = 100  # bytes; below it the plain loop is faster than the one with queues
_MAX_CACHED_WORDS = 200_000  # some 50 MB; text brings new words without end


class BPETokenizer(MergeTokenizer):
    """Byte-level BPE in Python: merges in the order of training, with a cache of words.

    Example:
        >>> tokenizer = BPETokenizer.train(["low slow lower"], vocab_size=262)
        >>> [tokenizer.token_text(i) for i in tokenizer.encode("lowest slow")]
        ['low', 'e', 's', 't', '␣', 's', 'low']
    """

    def __init__(
        self,
        merges: Iterable[Pair] = (),
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
    ) -> None:
        """Number the merges after the bytes and the special tokens.

        Args:
            merges: pairs of ids, the most urgent first.
            special_tokens: strings of ids 256, 257, …
        """
        super().__init__(merges, special_tokens=special_tokens)
        first = N_BYTES + len(special_tokens)
        self._merged_id = {pair: first + rank for rank, pair in enumerate(self.merges)}
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        special_tokens: Sequence[str] = DEFAULT_SPECIAL_TOKENS,
        show_work: Callable[[str], object] | None = None,
    ) -> BPETokenizer:
        """Learn merges from texts, which are read once.

        Args:
            texts: the documents; a generator will do.
            vocab_size: number of ids wanted, bytes and special tokens included.
            special_tokens: strings of ids 256, 257, …; text never merges into one of them.
            show_work: called with a line on each merge, e.g. ``print``.

        Raises:
            ConfigError: vocab_size too small for bytes and special tokens.

        Example:
            >>> _ = BPETokenizer.train(["aaab aab"], 262, show_work=print)
            260  a + a → aa  (3 times)
            261  aa + b → aab  (1 times)
        """
        n_merges = check_vocab_size(vocab_size, special_tokens)
        first = N_BYTES + len(special_tokens)
        merges = []
        for merge in learn_merges(count_words(texts), n_merges, special_tokens=special_tokens):
            if show_work is not None:
                show_work(f"{first + len(merges)}  {merge}")
            merges.append(merge.pair)
        if len(merges) < n_merges:
            warnings.warn(
                f"the corpus is too small for vocab_size={vocab_size}: training stopped at "
                f"{first + len(merges)} tokens, as no pair was left to merge",
                stacklevel=2,
            )
        return cls(merges, special_tokens=special_tokens)

    def _encode_plain(self, text: str) -> list[int]:
        ids: list[int] = []
        cache = self._cache
        for word in split_words(text):
            word_ids = cache.get(word)
            if word_ids is None:
                word_ids = self._encode_word(word)
            ids += word_ids
        return ids

    def _encode_word(self, word: str) -> list[int]:
        token_ids = list(word.encode())
        if len(token_ids) > _LONG_WORD:  # rare, and costly to keep
            return merge_long_word(token_ids, self._merged_id)
        *_, token_ids = merge_steps(token_ids, self._merged_id)
        if len(self._cache) >= _MAX_CACHED_WORDS:
            self._cache.clear()
        self._cache[word] = token_ids
        return token_ids

    def show_work(self, text: str) -> Iterator[str]:
        """Narrate how each word of a text is merged, step by step (after minGPT's encoder).

        Example:
            >>> tokenizer = BPETokenizer.train(["low slow lower"], vocab_size=262)
            >>> print(*tokenizer.show_work("slower"), sep="\\n")
            s l o w e r
            s l ow e r
            s low e r
        """
        check_text(text)
        for word in split_words(text):
            for token_ids in merge_steps(list(word.encode()), self._merged_id):
                yield " ".join(self.token_text(token_id) for token_id in token_ids)


def merge_steps(token_ids: list[int], merged_id: dict[Pair, int]) -> Iterator[list[int]]:
    """Yield a word as bytes, then after each merge, the earliest learned first.

    Args:
        token_ids: the word's bytes.
        merged_id: the id of each pair that merges; earlier merges have smaller ids.
    """
    yield token_ids
    while len(token_ids) > 1:
        known = [pair for pair in pairwise(token_ids) if pair in merged_id]
        if not known:
            return
        pair = min(known, key=merged_id.__getitem__)
        token_ids = merge_pair(token_ids, pair, merged_id[pair])
        yield token_ids


def merge_long_word(token_ids: list[int], merged_id: dict[Pair, int]) -> list[int]:
    """Do what ``merge_steps`` does in n log n steps, for words of a million bytes.

    A merge only makes pairs that were learned later, so each merge needs one visit: a heap
    names the next merge, a queue holds the places where its pair was seen, and links to the
    neighbors let two tokens become one without moving the rest.

    Args:
        token_ids: the word's bytes.
        merged_id: the id of each pair that merges; earlier merges have smaller ids.
    """
    n_tokens = len(token_ids)
    tokens = [*token_ids, -1]  # -1 stands at both ends (index -1 is the last) and never merges
    after, before = [*range(1, n_tokens + 1), 0], list(range(-1, n_tokens))
    places: dict[Pair, list[int]] = defaultdict(list)
    waiting: list[tuple[int, Pair]] = []

    def note(position: int) -> None:
        pair = tokens[position], tokens[after[position]]
        if pair in merged_id:
            if pair not in places:
                heapq.heappush(waiting, (merged_id[pair], pair))
            places[pair].append(position)

    for position in range(n_tokens):
        note(position)
    while waiting:
        new, pair = heapq.heappop(waiting)
        for position in places.pop(pair):  # from the left: one pass from the left found them all
            neighbor = after[position]
            if (tokens[position], tokens[neighbor]) != pair:
                continue  # one of the two has merged with another
            tokens[position], tokens[neighbor] = new, -1
            after[position] = after[neighbor]
            before[after[position]] = position
            note(before[position])
            note(position)
    return [token_id for token_id in tokens if token_id >= 0]

"""Learning the pieces of WordPiece: the pair that explains the text best becomes one.

Schuster and Nakajima (2012) choose "the new word unit out of all possible ones that increases the
likelihood on the training data the most when added to the model"; Google never published its
code. Two readings of that sentence are here, for pieces as independent draws, N of them in all.
Joining a and b replaces c(ab) times the two factors c(a)/N · c(b)/N by one c(ab)/N, so

    gain   c(ab) · log [ c(ab) N / (c(a) c(b)) ]     nats of likelihood, other counts held fixed
    ratio  c(ab) / (c(a) c(b))                       what one occurrence gains, as tutorials have it

The ratio does not multiply by how often the pair stands there. Two characters that occur twice,
and together, score 1/2, and "t" + "h" never will: it fills the vocabulary with rarities. (The
``tokenizers`` library's WordPiece trainer uses neither; it is BPE with "##".)
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from typing import Literal

import numpy as np

from minillm.errors import ConfigError
from minillm.tokenizers.base import check_text
from minillm.tokenizers.bpe_training import Pair, merge_pair

Score = Literal["gain", "ratio"]
ROUNDING = 1e-12  # relative; scores nearer to each other are equal
CONTINUED = "##"
MAX_TRAINED_WORD = 100  # characters; longer words are never cut into pieces either
LEAST_COUNT = 2  # a pair seen once says nothing


def learn_pieces(
    texts: Iterable[str],
    vocab_size: int,
    *,
    n_special: int,
    split: Callable[[str], list[str]],
    score: Score = "gain",
    show_work: Callable[[str], object] | None = None,
) -> list[str]:
    """Return the alphabet, then the pieces in the order in which they were learned.

    The best pair has the highest score; among equals the more frequent one, then the larger
    pieces in the order of code points. A pair that stands there once is passed over.

    Args:
        texts: the documents, read once.
        vocab_size: ids wanted in all.
        n_special: how many of them are special tokens.
        split: cuts a text into words.
        score: "gain" of likelihood, or the "ratio" of the counts.
        show_work: called with a line on each new piece.

    Raises:
        ConfigError: vocab_size smaller than special tokens and alphabet; an unknown score.
    """
    if score not in ("gain", "ratio"):
        raise ConfigError(f'score must be "gain" or "ratio", got {score!r}')
    if vocab_size < n_special:
        raise ConfigError(f"vocab_size must be at least {n_special}, got {vocab_size}")
    word_counts = _count(texts, split)
    pieces = alphabet(word_counts)
    least = n_special + len(pieces)
    if vocab_size < least:
        raise ConfigError(
            f"vocab_size must be at least {least} for this text ({n_special} special tokens and "
            f"an alphabet of {len(pieces)}: each character at the start of a word or inside), "
            f"got {vocab_size}"
        )
    ids = {piece: index for index, piece in enumerate(pieces)}
    table = _PairTable(word_counts, ids)
    while n_special + len(pieces) < vocab_size:
        pair = table.best(score, pieces)
        if pair is None:
            warnings.warn(
                f"the corpus is too small for vocab_size={vocab_size}: training stopped at "
                f"{n_special + len(pieces)} tokens, as no pair was left to join",
                stacklevel=3,
            )
            break
        left, right = (pieces[index] for index in pair)
        joined = left + right.removeprefix(CONTINUED)
        if joined not in ids:  # else it was joined from other parts before
            ids[joined] = len(pieces)
            pieces.append(joined)
            if show_work is not None:
                show_work(f"{left} + {right} → {joined}  ({table.count(pair):,} times)")
        table.merge(pair, ids[joined])
    return pieces


def alphabet(word_counts: Mapping[str, int]) -> list[str]:
    """List the characters that begin words, then those inside words with "##", each sorted.

    Example:
        >>> alphabet({"ab": 1, "ba": 1, "c": 2})
        ['a', 'b', 'c', '##a', '##b']
    """
    first = {word[0] for word in word_counts}
    inside = {character for word in word_counts for character in word[1:]}
    return sorted(first) + [CONTINUED + character for character in sorted(inside)]


def _count(texts: Iterable[str], split: Callable[[str], list[str]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for text in texts:
        check_text(text)
        counts.update(split(text))
    return {word: counts[word] for word in sorted(counts) if len(word) <= MAX_TRAINED_WORD}


class _PairTable:
    """The words as pieces, the counts of pieces and pairs, and all scores in one array."""

    def __init__(self, word_counts: Mapping[str, int], ids: Mapping[str, int]) -> None:
        self.words = [
            [ids[word[0]], *(ids[CONTINUED + character] for character in word[1:])]
            for word in word_counts
        ]
        self.word_counts = list(word_counts.values())
        self.piece_counts = np.zeros(len(ids), np.int64)
        self.pairs: list[Pair] = []
        self.slots: dict[Pair, int] = {}
        self.holders: list[set[int]] = []  # the words that hold the pair of a slot
        self.left = self.right = self.counts = np.zeros(0, np.int64)
        for index in range(len(self.words)):
            self._tally(index, self.word_counts[index])

    def count(self, pair: Pair) -> int:
        """Return how often a pair stands in the text."""
        return int(self.counts[self.slots[pair]])

    def best(self, score: Score, pieces: list[str]) -> Pair | None:
        """Return the pair to join next; None if no pair stands there twice."""
        counts = self.counts[: len(self.pairs)].astype(np.float64)
        expected = (
            self.piece_counts[self.left[: len(counts)]].astype(np.float64)
            * self.piece_counts[self.right[: len(counts)]]
        )
        is_candidate = counts >= LEAST_COUNT
        if not is_candidate.any():
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            values = counts / expected
            if score == "gain":
                values = counts * np.log(values * self.piece_counts.sum())
        values[~is_candidate] = -np.inf
        # Equal scores may differ in their last digits: a vectorized logarithm rounds otherwise at
        # the end of an array than inside it, and other processors otherwise again.
        best = values.max()
        size = max(abs(best), 1.0) if score == "gain" else best
        equals = np.flatnonzero(np.abs(values - best) <= ROUNDING * size)
        names = ((pieces[a], pieces[b]) for a, b in (self.pairs[slot] for slot in equals))
        return self.pairs[max(zip(counts[equals], names, equals, strict=True))[2]]

    def merge(self, pair: Pair, merged_id: int) -> None:
        """Join a pair wherever it stands."""
        if merged_id == len(self.piece_counts):
            self.piece_counts = np.append(self.piece_counts, 0)
        for index in sorted(self.holders[self.slots[pair]]):
            self._tally(index, -self.word_counts[index])
            self.words[index] = merge_pair(self.words[index], pair, merged_id)
            self._tally(index, self.word_counts[index])

    def _tally(self, index: int, n_times: int) -> None:
        """Add a word's pieces and pairs to the counts, or take them away."""
        word = self.words[index]
        for piece in word:
            self.piece_counts[piece] += n_times
        for pair in pairwise(word):
            slot = self.slots.get(pair)
            if slot is None:
                slot = self._new_slot(pair)
            self.counts[slot] += n_times
            (self.holders[slot].add if n_times > 0 else self.holders[slot].discard)(index)

    def _new_slot(self, pair: Pair) -> int:
        slot = self.slots[pair] = len(self.pairs)
        self.pairs.append(pair)
        self.holders.append(set())
        if slot == len(self.counts):  # twice the room, so that growing costs little
            room = np.zeros(max(slot, 1024), np.int64)
            self.left, self.right, self.counts = (
                np.concatenate([a, room]) for a in (self.left, self.right, self.counts)
            )
        self.left[slot], self.right[slot] = pair
        return slot

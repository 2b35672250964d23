"""Counting n-grams without a loop over the text, and turning counts into probabilities.

Every n-gram gets a number: its place in the sorted table of its order. An n-gram of order m is
then a pair (number of its first m - 1 tokens, last token), packed into one integer,
``parent * V + token``: exact for every order, where packing all tokens would overflow 64 bits and
hashing would let two n-grams collide.

Dimension key: V vocabulary, N tokens of the text, G different n-grams of one order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from minillm.config import NgramConfig
from minillm.data import Progress, no_progress
from minillm.errors import DataError

# Of the three discounts where a text is too small, or too regular, to estimate them. KenLM's.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)


@dataclass(frozen=True, slots=True)
class NgramCounts:
    """All different n-grams of one order m, sorted by key."""

    keys: np.ndarray  # (G,) int64: number of the first m - 1 tokens * V + last token
    counts: np.ndarray  # (G,) int64: how often the last token was predicted after the others
    suffixes: np.ndarray  # (G,) int64: number, in order m - 1, of the last m - 1 tokens
    begins_document: np.ndarray  # (G,) bool: the first token is bos; nothing can stand before it


@dataclass(frozen=True, slots=True)
class BackoffTable:
    """The probabilities of one order m, in the sense of "as long as you find the whole n-gram"."""

    keys: np.ndarray  # (G,) int64, as in NgramCounts
    log_probs: np.ndarray  # (G,) float64 nats: of the last token after the others
    log_backoffs: np.ndarray  # (G,) float64 nats: what the n-gram, as a context, leaves to m - 1


def count_ngrams(
    token_ids: np.ndarray,
    *,
    vocab_size: int,
    order: int,
    bos_id: int,
    progress: Progress = no_progress,
) -> list[NgramCounts]:
    """Count the n-grams of every order up to ``order``.

    A context never reaches across the beginning of its document: the second token of a document
    is counted after (bos,) alone, in the order 2, and in no higher one. bos is never predicted.
    The table of order 1 holds the whole vocabulary, so that a token is its own number.

    Args:
        token_ids: (N,) integers, documents ``bos … eos`` one after the other. Tokens before the
            first bos count as the end of a document.
        vocab_size: V.
        order: the highest.
        bos_id: the token that opens a document, and occurs nowhere else.
        progress: wraps the loop over the orders, such as ``tqdm``.

    Returns:
        One table per order, from 1 on.

    Raises:
        DataError: if the ids are no stream of documents over this vocabulary.

    Example:
        >>> stream = np.array([2, 0, 1, 0, 1, 2, 0])  # bos = 2
        >>> counts = count_ngrams(stream, vocab_size=3, order=2, bos_id=2)
        >>> counts[0].counts.tolist(), counts[1].keys.tolist(), counts[1].counts.tolist()
        ([3, 2, 0], [1, 3, 6], [2, 1, 2])
    """
    tokens = _checked(token_ids, vocab_size, bos_id)
    is_predicted = tokens != bos_id
    numbers = tokens  # (N,): of the n-gram that ends here, -1 where none does
    first = NgramCounts(
        keys=np.arange(vocab_size),
        counts=np.bincount(tokens[is_predicted], minlength=vocab_size),
        suffixes=np.zeros(vocab_size, dtype=np.int64),  # the empty n-gram
        begins_document=np.arange(vocab_size) == bos_id,
    )
    tables = [first]
    for _ in progress(range(2, order + 1), desc="count", unit=" orders"):
        parents = numbers[:-1]  # end one token earlier
        ends = np.flatnonzero((parents >= 0) & is_predicted[1:])
        keys, places, found, counts = np.unique(
            parents[ends] * vocab_size + tokens[1:][ends],
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        suffixes = numbers[1:][ends[places]]
        begins_document = tables[-1].begins_document[keys // vocab_size]
        tables.append(NgramCounts(keys, counts, suffixes, begins_document))
        numbers = np.full(len(tokens), -1)
        numbers[1:][ends] = found
    return tables


def estimate_discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """Estimate what to take from n-grams that were counted once, twice, and more often.

    With n_i n-grams counted i times and Y = n1 / (n1 + 2 n2):
    D1 = 1 - 2 Y n2/n1, D2 = 2 - 3 Y n3/n2, D3+ = 3 - 4 Y n4/n3
    (Chen and Goodman 1998, TR-10-98, on modified Kneser–Ney). Where that cannot be computed, or
    leaves the range from 0 to i, KenLM's fallback 0.5, 1, 1.5 is used.

    Args:
        counts: (G,) integers; zeros do not matter.

    Example:
        >>> estimate_discounts(np.repeat([1, 2, 3, 4], [8, 4, 2, 1]))
        (0.5, 1.25, 2.0)
    """
    n1, n2, n3, n4 = (int((counts == i).sum()) for i in (1, 2, 3, 4))
    if 0 in (n1, n2, n3):
        return FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    discounts = 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3
    in_range = all(0 <= d <= i for i, d in enumerate(discounts, start=1))
    return discounts if in_range else FALLBACK_DISCOUNTS


def smooth_counts(tables: Sequence[NgramCounts], config: NgramConfig) -> list[BackoffTable]:
    """Give part of each context's probability to what was never seen there.

    All three ways are one formula. A context keeps part of its counts and frees the rest, which
    is dealt out as the next shorter context would:

    p(w | h) = (kept(h w) + freed(h) p(w | h without its first token)) / (Σ_v kept(h v) + freed(h))

    and the empty context deals out uniformly over V. Where a context keeps and frees nothing, since
    nothing was ever counted after it, the shorter one alone decides.

    - ``kneser-ney``: keeps c - D(c) of each count and frees what it took: modified Kneser–Ney
      (Chen and Goodman 1998, TR-10-98; Kneser and Ney 1995). Below the highest order c is no count
      of occurrences but of the different tokens that stand before the n-gram; n-grams that begin a
      document have none before them, so that their occurrences count (Heafield et al. 2013).
    - ``interpolated``: keeps every count and frees as many as there are different tokens after h:
      Witten and Bell 1991, method C, interpolated (Chen and Goodman 1998, §2.5).
    - ``add-k``: keeps the counts of the longest contexts only and frees k V: (c + k) / (Σ c + k V)
      (Lidstone 1920; k = 1 is Laplace's rule). A context never seen is then uniform.

    Args:
        tables: as ``count_ngrams`` returned them.
        config: ``smoothing``, ``k``, ``discount``, ``vocab_size``.

    Returns:
        One table per order; the highest one's ``log_backoffs`` are empty.

    Example:
        >>> stream = np.array([2, 0, 1, 0, 1, 2, 0])  # bos = 2
        >>> counts = count_ngrams(stream, vocab_size=3, order=1, bos_id=2)
        >>> config = NgramConfig(vocab_size=3, order=1, smoothing="add-k", k=1.0)
        >>> np.exp(smooth_counts(counts, config)[0].log_probs).round(3)  # (3, 2, 0) + 1
        array([0.5  , 0.375, 0.125])
    """
    below = np.array([1 / config.vocab_size])  # the empty n-gram: uniform
    log_probs, log_backoffs = [], []
    for level, table in enumerate(tables):
        above = tables[level + 1] if level + 1 < len(tables) else None
        kept, freed = _kept_and_freed(table, above, len(below), config)
        parents = table.keys // config.vocab_size
        totals = np.bincount(parents, kept, minlength=len(below)) + freed
        is_empty = totals == 0
        totals[is_empty], freed[is_empty] = 1.0, 1.0
        shares = freed / totals
        below = kept / totals[parents] + shares[parents] * below[table.suffixes]
        with np.errstate(divide="ignore"):  # without smoothing log 0 = -inf is the answer
            log_probs.append(np.log(below))
            log_backoffs.append(np.log(shares))
    log_backoffs = [*log_backoffs[1:], np.empty(0)]  # of order m - 1, found with the order m
    keys = [table.keys for table in tables]
    return [BackoffTable(*row) for row in zip(keys, log_probs, log_backoffs, strict=True)]


def _kept_and_freed(
    table: NgramCounts, above: NgramCounts | None, n_parents: int, config: NgramConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the n-grams (G,) keep and what their contexts (``n_parents``,) free."""
    is_longest = table.begins_document | (above is None)
    parents = table.keys // config.vocab_size
    if config.smoothing == "add-k":
        kept = np.where(is_longest, table.counts, 0)
        return kept.astype(np.float64), np.full(n_parents, config.k * config.vocab_size)
    if config.smoothing == "interpolated":
        is_seen = (table.counts > 0).astype(np.float64)
        return table.counts.astype(np.float64), np.bincount(parents, is_seen, minlength=n_parents)
    counts = table.counts
    if above is not None:
        n_before = np.bincount(above.suffixes, minlength=len(counts))
        counts = np.where(is_longest, counts, n_before)
    if config.discount is None:
        discounts = np.array([0.0, *estimate_discounts(counts)])
    else:
        discounts = np.array([0.0] + 3 * [config.discount])
    taken = discounts[np.minimum(counts, 3)]
    return counts - taken, np.bincount(parents, taken, minlength=n_parents)


def _checked(token_ids: np.ndarray, vocab_size: int, bos_id: int) -> np.ndarray:
    """Return the ids as int64, refused where they are no stream of documents."""
    if token_ids.ndim != 1 or token_ids.dtype.kind not in "iu":
        raise DataError(
            f"token_ids must be (N,) integers, got shape {token_ids.shape} of {token_ids.dtype}"
        )
    if not (token_ids != bos_id).any():
        raise DataError(f"there is nothing to count: {len(token_ids)} tokens, none but bos")
    low, high = int(token_ids.min()), int(token_ids.max())
    if low < 0 or high >= vocab_size or not 0 <= bos_id < vocab_size:
        raise DataError(
            f"token ids must be from 0 to {vocab_size - 1} (vocab_size={vocab_size}), got "
            f"{low} to {high} and bos_id={bos_id}: fit with the vocabulary of the tokenizer"
        )
    return token_ids.astype(np.int64)

"""Right and wrong answers to the exercise "Kneser–Ney" of notebook 02."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_02 import check_kneser_ney

Documents = list[list[int]]


def _table(documents: Documents, vocab_size: int) -> Tensor:
    counts = torch.zeros(vocab_size, vocab_size, dtype=torch.float64)
    for document in documents:
        for before, after in pairwise(document):
            counts[before, after] += 1
    return counts


# --- right


def _by_matrix(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    is_seen, totals = counts > 0, counts.sum(1, keepdim=True)
    lower = is_seen.sum(0) / is_seen.sum().double()
    kept = torch.clamp(counts - discount, min=0)
    freed = discount * is_seen.sum(1, keepdim=True)
    smoothed = (kept + freed * lower) / totals.clamp(min=1)
    return torch.where(totals == 0, lower, smoothed)


def _by_dictionary(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    after: dict[int, Counter[int]] = defaultdict(Counter)
    before: dict[int, set[int]] = defaultdict(set)
    for document in documents:
        for first, second in pairwise(document):
            after[first][second] += 1
            before[second].add(first)
    n_kinds = sum(map(len, before.values()))
    table = torch.empty(vocab_size, vocab_size, dtype=torch.float64)
    for context in range(vocab_size):
        row, total = after.get(context, Counter()), sum(after.get(context, Counter()).values())
        weight = 1.0 if not total else discount * len(row) / total
        for token in range(vocab_size):
            kept = max(row[token] - discount, 0) / total if total else 0.0
            table[context, token] = kept + weight * len(before.get(token, ())) / n_kinds
    return table


def _by_rest(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    """Give the lower order whatever the discounted row lacks to 1."""
    counts = _table(documents, vocab_size).numpy()
    lower = np.count_nonzero(counts, axis=0) / np.count_nonzero(counts)
    with np.errstate(invalid="ignore"):
        kept = np.maximum(counts - discount, 0) / counts.sum(axis=1, keepdims=True)
    kept = np.nan_to_num(kept)
    return torch.from_numpy(kept + np.outer(1 - kept.sum(axis=1), lower))


# --- wrong


def _mixed(counts: Tensor, discount: float, lower: Tensor, weight: Tensor) -> Tensor:
    totals = counts.sum(1, keepdim=True)
    kept = (counts - discount).clamp(min=0) / totals.clamp(min=1)
    return torch.where(totals == 0, lower, kept + weight * lower)


def _weight(counts: Tensor, discount: float) -> Tensor:
    return discount * (counts > 0).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)


def _raw_unigrams(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return _mixed(counts, discount, counts.sum(0) / counts.sum(), _weight(counts, discount))


def _kinds_after(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    kinds = (counts > 0).sum(1).double()
    return _mixed(counts, discount, kinds / kinds.sum(), _weight(counts, discount))


def _uniform_below(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    lower = torch.full((vocab_size,), 1 / vocab_size, dtype=torch.float64)
    return _mixed(counts, discount, lower, _weight(counts, discount))


def _lower(counts: Tensor) -> Tensor:
    kinds = (counts > 0).sum(0).double()
    return kinds / kinds.sum()


def _weight_is_d(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return _mixed(counts, discount, _lower(counts), torch.tensor(discount, dtype=torch.float64))


def _weight_not_divided(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    weight = discount * (counts > 0).double().sum(1, keepdim=True)
    return _mixed(counts, discount, _lower(counts), weight)


def _weight_without_kinds(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    weight = discount / counts.sum(1, keepdim=True).clamp(min=1)
    return _mixed(counts, discount, _lower(counts), weight)


def _weight_of_kinds_before(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    kinds = (counts > 0).sum(0).double()[:, None]
    weight = discount * kinds / counts.sum(1, keepdim=True).clamp(min=1)
    return _mixed(counts, discount, _lower(counts), weight)


def _weight_of_all_v(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    weight = discount * vocab_size / counts.sum(1, keepdim=True).clamp(min=1)
    return _mixed(counts, discount, _lower(counts), weight)


def _negative_counts(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    totals, lower = counts.sum(1, keepdim=True), _lower(counts)
    table = (counts - discount) / totals.clamp(min=1) + _weight(counts, discount) * lower
    return torch.where(totals == 0, lower, table)


def _nothing_subtracted(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return _mixed(counts, 0.0, _lower(counts), _weight(counts, discount))


def _seen_without_lower(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    table = _by_matrix(documents, vocab_size, discount)
    kept = (counts - discount) / counts.sum(1, keepdim=True).clamp(min=1)
    return torch.where(counts > 0, kept, table)


def _unseen_contexts_zero(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    table = _by_matrix(documents, vocab_size, discount)
    return table * (_table(documents, vocab_size).sum(1, keepdim=True) > 0)


def _ignores_d(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    return _by_matrix(documents, vocab_size, 0.0)


def _transposed(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    return _by_matrix(documents, vocab_size, discount).T.contiguous()


def _one_stream(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    return _by_matrix([list(chain(*documents))], vocab_size, discount)


def _no_eos(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    return _by_matrix([document[:-1] for document in documents], vocab_size, discount)


def _bos_not_before(documents: Documents, vocab_size: int, discount: float) -> Tensor:
    counts = _table(documents, vocab_size)
    bos = documents[0][0]
    without = counts.clone()
    without[bos] = 0
    return _mixed(counts, discount, _lower(without), _weight(counts, discount))


PLANTED = [
    Planted(
        check=check_kneser_ney,
        arguments=([[0, 2, 3, 1], [0, 3, 1]], 4, 0.75),
        right=(_by_matrix, _by_dictionary, _by_rest),
        wrong={
            _raw_unigrams: "backs off to raw counts",
            _kinds_after: "different tokens after, not before",
            _uniform_below: "its lower order is uniform",
            _weight_is_d: "λ is D alone",
            _weight_not_divided: "not divided by c(h)",
            _weight_without_kinds: "forgets the number of kinds",
            _weight_of_kinds_before: "counts the tokens before h",
            _weight_of_all_v: "from all V tokens",
            _negative_counts: "max(c − D, 0)",
            _nothing_subtracted: "frees mass but does not take it",
            _seen_without_lower: "to unseen pairs only",
            _unseen_contexts_zero: "rows of unseen contexts at 0",
            _ignores_d: "ignores D",
            _transposed: "transposed",
            _one_stream: "joins the documents",
            _no_eos: "does not count eos",
            _bos_not_before: "does not count bos as a token before",
        },
    )
]

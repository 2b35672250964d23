"""Right and wrong answers to the exercise "add-k" of notebook 02."""

from __future__ import annotations

from itertools import chain, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_02 import check_add_k

Documents = list[list[int]]


def _table(documents: Documents, vocab_size: int) -> Tensor:
    rows = [[0.0] * vocab_size for _ in range(vocab_size)]
    for document in documents:
        for before, after in pairwise(document):
            rows[before][after] += 1
    return torch.tensor(rows, dtype=torch.float64)


# --- right


def _by_loop(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = torch.full((vocab_size, vocab_size), k, dtype=torch.float64)
    for document in documents:
        for t in range(1, len(document)):
            counts[document[t - 1], document[t]] += 1
    return counts / counts.sum(dim=1, keepdim=True)


def _by_bincount(documents: Documents, vocab_size: int, k: float) -> Tensor:
    keys = [a * vocab_size + b for document in documents for a, b in pairwise(document)]
    counts = torch.bincount(torch.tensor(keys), minlength=vocab_size**2)
    counts = counts.view(vocab_size, vocab_size).double()
    return (counts + k) / (counts.sum(1) + k * vocab_size).unsqueeze(1)


def _by_one_hot(documents: Documents, vocab_size: int, k: float) -> Tensor:
    pairs = torch.tensor([pair for document in documents for pair in pairwise(document)])
    before, after = F.one_hot(pairs, vocab_size).double().unbind(1)
    joint = before.T @ after + k
    return F.normalize(joint, p=1, dim=1)


# --- wrong


def _k_missing_below(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return (counts + k) / counts.sum(1, keepdim=True)


def _k_once_below(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return (counts + k) / (counts.sum(1, keepdim=True) + k)


def _v_without_eos(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return (counts + k) / (counts.sum(1, keepdim=True) + k * (vocab_size - 1))


def _v_of_the_text(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    n_seen = len({token for document in documents for token in document})
    return (counts + k) / (counts.sum(1, keepdim=True) + k * n_seen)


def _joint(documents: Documents, vocab_size: int, k: float) -> Tensor:
    smoothed = _table(documents, vocab_size) + k
    return smoothed / smoothed.sum()


def _no_eos(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop([document[:-1] for document in documents], vocab_size, k)


def _no_bos(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop([document[1:] for document in documents], vocab_size, k)


def _one_stream(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop([list(chain(*documents))], vocab_size, k)


def _unigram_counts_below(documents: Documents, vocab_size: int, k: float) -> Tensor:
    totals = torch.zeros(vocab_size, dtype=torch.float64)
    for token in chain(*documents):
        totals[token] += 1
    return (_table(documents, vocab_size) + k) / (totals[:, None] + k * vocab_size)


def _transposed(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop(documents, vocab_size, k).T.contiguous()


def _columns(documents: Documents, vocab_size: int, k: float) -> Tensor:
    smoothed = _table(documents, vocab_size) + k
    return smoothed / smoothed.sum(0)


def _only_zeros(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    totals = counts.sum(1, keepdim=True) + k * vocab_size
    counts[counts == 0] = k
    return counts / totals


def _unseen_rows_zero(documents: Documents, vocab_size: int, k: float) -> Tensor:
    table = _by_loop(documents, vocab_size, k)
    table[_table(documents, vocab_size).sum(1) == 0] = 0
    return table


def _always_laplace(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop(documents, vocab_size, 1.0)


def _plain(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = _table(documents, vocab_size)
    return counts / counts.sum(1, keepdim=True)


def _logarithms(documents: Documents, vocab_size: int, k: float) -> Tensor:
    return _by_loop(documents, vocab_size, k).log()


PLANTED = [
    Planted(
        check=check_add_k,
        arguments=([[0, 2, 3, 1], [0, 3, 1]], 4, 0.5),
        right=(_by_loop, _by_bincount, _by_one_hot),
        wrong={
            _k_missing_below: "k V must be added to the total",
            _k_once_below: "the total grows by k V",
            _v_without_eos: "its V leaves eos out",
            _v_of_the_text: "only tokens that were seen",
            _joint: "joint probability",
            _no_eos: "does not count eos",
            _no_bos: "does not count after bos",
            _one_stream: "joins the documents",
            _unigram_counts_below: "not by how often something followed it",
            _transposed: "transposed",
            _columns: "columns by their sums",
            _only_zeros: "unseen pairs only",
            _unseen_rows_zero: "rows of unseen contexts at 0",
            _always_laplace: "adds 1 whatever k is",
            _plain: "no k at all",
            _logarithms: "returns logarithms",
        },
    )
]

"""The first check of notebook 02: bigrams with add-k. V token ids."""

from __future__ import annotations

from fractions import Fraction

import torch
from torch import Tensor

from exercises.bigrams_02 import BOS, EOS, Documents, count_pairs, draw_documents, slow_table
from exercises.harness import Attempt, Mistakes, exercise, same


def _occurrences(documents: Documents, vocab_size: int) -> Tensor:
    """Return how often each token occurs at all, (V,) float64."""
    tokens = torch.tensor([token for document in documents for token in document])
    return torch.bincount(tokens, minlength=vocab_size).double()


def _add_k(counts: Tensor, k: float) -> Tensor:
    return (counts + k) / (counts.sum(1, keepdim=True) + k * len(counts))


def _one_stream(documents: Documents, vocab_size: int) -> Tensor:
    return count_pairs([[token for document in documents for token in document]], vocab_size)


def _without_ends(documents: Documents, vocab_size: int) -> Tensor:
    return count_pairs([document[:-1] for document in documents], vocab_size)


def _without_beginnings(documents: Documents, vocab_size: int) -> Tensor:
    return count_pairs([document[1:] for document in documents], vocab_size)


def _by_occurrences(documents: Documents, vocab_size: int, k: float) -> Tensor:
    totals = _occurrences(documents, vocab_size)[:, None]
    return (count_pairs(documents, vocab_size) + k) / (totals + k * vocab_size)


def _seen_vocabulary(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    n_seen = int((_occurrences(documents, vocab_size) > 0).sum())
    return (counts + k) / (counts.sum(1, keepdim=True) + k * n_seen)


def _unseen_only(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    return torch.where(counts > 0, counts, k) / (counts.sum(1, keepdim=True) + k * vocab_size)


def _zero_rows(documents: Documents, vocab_size: int, k: float) -> Tensor:
    counts = count_pairs(documents, vocab_size)
    return torch.where(counts.sum(1, keepdim=True) > 0, _add_k(counts, k), 0.0)


ADD_K_MISTAKES: Mistakes = {
    "it adds k above but not below: with V tokens, k V must be added to the total": (
        lambda documents, vocab_size, k: (
            ((counts := count_pairs(documents, vocab_size)) + k) / counts.sum(1, keepdim=True)
        )
    ),
    "it adds k once to the total: each of the V tokens gets k, so that the total grows by k V": (
        lambda documents, vocab_size, k: (
            ((counts := count_pairs(documents, vocab_size)) + k) / (counts.sum(1, keepdim=True) + k)
        )
    ),
    "its V leaves eos out: that a text ends here is an outcome too": (
        lambda documents, vocab_size, k: (
            ((counts := count_pairs(documents, vocab_size)) + k)
            / (counts.sum(1, keepdim=True) + k * (vocab_size - 1))
        )
    ),
    "its V counts only tokens that were seen: smoothing is for the others": _seen_vocabulary,
    "it gives the joint probability of a pair: divide by the count of the context, not of all": (
        lambda documents, vocab_size, k: (
            ((counts := count_pairs(documents, vocab_size)) + k)
            / (counts.sum() + k * vocab_size**2)
        )
    ),
    "it does not count eos: that a text ends here is an outcome too": (
        lambda documents, vocab_size, k: _add_k(_without_ends(documents, vocab_size), k)
    ),
    "it does not count after bos: how a text begins is asked too": (
        lambda documents, vocab_size, k: _add_k(_without_beginnings(documents, vocab_size), k)
    ),
    "it joins the documents: eos of one and bos of the next are no pair": (
        lambda documents, vocab_size, k: _add_k(_one_stream(documents, vocab_size), k)
    ),
    "it divides by how often the context occurs, not by how often something followed it": (
        _by_occurrences
    ),
    "it is transposed: rows are the tokens before, columns the tokens after": (
        lambda documents, vocab_size, k: _add_k(
            count_pairs(documents, vocab_size), k
        ).T.contiguous()
    ),
    "it divides columns by their sums: each row, a context, must sum to 1": (
        lambda documents, vocab_size, k: _add_k(
            count_pairs(documents, vocab_size).T, k
        ).T.contiguous()
    ),
    "it adds k to unseen pairs only: each count gets it": _unseen_only,
    "it leaves rows of unseen contexts at 0: a model must predict there too": _zero_rows,
    "it adds no k at all": lambda documents, vocab_size, k: _add_k(
        count_pairs(documents, vocab_size), 0.0
    ),
    "it adds 1 whatever k is": lambda documents, vocab_size, k: _add_k(
        count_pairs(documents, vocab_size), 1.0
    ),
    "it returns logarithms: probabilities are asked for": lambda documents, vocab_size, k: _add_k(
        count_pairs(documents, vocab_size), k
    ).log(),
}


@exercise("add-k")
def check_add_k(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``add_k(documents, vocab_size, k)``: a (V, V) float64 table of p(column | row).

    Documents are lists ``[bos, …, eos]``; every token but bos is predicted, from the one before.
    """
    mistakes = ADD_K_MISTAKES
    one = [[BOS, 2, 3, 2, EOS]]
    by_hand = [[1, 1, 3, 1], [2, 2, 2, 2], [1, 3, 1, 3], [1, 1, 3, 1]]  # halves: k = 1/2
    expected = torch.tensor(by_hand, dtype=torch.float64)
    expected = expected / torch.tensor([[6.0], [8.0], [8.0], [6.0]])
    attempt.equals("one document, k = 1/2", (one, 4, 0.5), expected, mistakes)
    expected = torch.full((5, 5), 1 / 5, dtype=torch.float64)
    expected[BOS] = 1 / 7
    expected[BOS, EOS] = 3 / 7
    attempt.equals("two empty documents, k = 1", ([[BOS, EOS]] * 2, 5, 1.0), expected, mistakes)

    vocab_size = 7
    documents = draw_documents(23, vocab_size, generator)
    for k in (1.0, 0.25):
        expected = slow_table(
            documents,
            vocab_size,
            lambda row, token, k=Fraction(k): (row.count(token) + k) / (len(row) + k * vocab_size),
        )
        what = f"23 documents, k = {k:g}, against a slow loop"
        attempt.equals(what, (documents, vocab_size, k), expected, mistakes)
    table = attempt(documents, vocab_size, 0.25)
    sums = table.sum(1)
    mistake = "a row does not sum to 1"
    attempt.holds("rows, unseen contexts too", same(sums, torch.ones_like(sums)), mistake)
    is_uniform = same(table[-1], torch.full_like(table[-1], 1 / vocab_size))
    attempt.holds("a context never seen", is_uniform, "all tokens must be equally likely there")

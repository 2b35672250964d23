"""Pairs of tokens, counted slowly: what the checks of notebook 02 compare with. V token ids."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import torch
from torch import Tensor

Documents = list[list[int]]
BOS, EOS = 0, 1  # ids; every document is [bos, …, eos]


def count_pairs(documents: Documents, vocab_size: int) -> Tensor:
    """Return how often each token (column) followed each other one (row), (V, V) float64."""
    counts = torch.zeros(vocab_size, vocab_size, dtype=torch.float64)
    for document in documents:
        for first, second in pairwise(document):
            counts[first, second] += 1
    return counts


def slow_table(
    documents: Documents, vocab_size: int, prob: Callable[[list[int], int], Fraction]
) -> Tensor:
    """Ask for each pair alone; ``prob`` gets what followed the context, and the token."""
    followers = [
        [b for d in documents for a, b in pairwise(d) if a == context]
        for context in range(vocab_size)
    ]
    rows = [[float(prob(row, token)) for token in range(vocab_size)] for row in followers]
    return torch.tensor(rows, dtype=torch.float64)


def draw_documents(n: int, vocab_size: int, generator: torch.Generator) -> Documents:
    """Draw documents in which the last id never comes, and pairs repeat."""
    documents = []
    for _ in range(n):
        length = int(torch.randint(0, 9, (), generator=generator))
        steps = torch.randint(1, 4, (length,), generator=generator).cumsum(0)
        documents.append([BOS, *(2 + steps % (vocab_size - 3)).tolist(), EOS])
    return documents

"""A baseline for notebook 11 that could win: guess a token from its two neighbors, by counting."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from minillm.batch import Batch


class NeighborCounts:
    """Guess a token from the token on its left and the one on its right, by counting.

    p(x | l, r) = (c(l, x, r) + A q(x)) / (c(l, ·, r) + A), where q is proportional to
    p(x | l) p(x | r) / p(x), and p(x | l) = (c(l, x) + B p(x)) / (c(l) + B), likewise from the
    right. A neighbor that is hidden says nothing.

    Args:
        token_ids: (N,) the training text.
        vocab_size: number of token ids.
    """

    A, B = 2.0, 4.0  # weights of what is backed off to, in tokens

    def __init__(self, token_ids: np.ndarray | Sequence[int], vocab_size: int) -> None:
        ids = np.asarray(token_ids, dtype=np.int64)
        counts = np.bincount(ids, minlength=vocab_size) + 1.0
        self.frequency = counts / counts.sum()
        pairs = np.bincount(ids[:-1] * vocab_size + ids[1:], minlength=vocab_size**2)
        self._pairs = pairs.reshape(vocab_size, vocab_size).astype(np.float64)
        keys = ids[:-2] * vocab_size + ids[2:]
        order = np.argsort(keys, kind="stable")
        self._keys, self._middles = keys[order], ids[1:-1][order]
        self._vocab_size = vocab_size

    def log_prob(self, token: int, left: int | None, right: int | None) -> float:
        """Return log p(token | its neighbors) in nats; ``None`` is a hidden neighbor."""
        guess = self.frequency
        if left is not None:
            guess = guess * self._smoothed(self._pairs[left]) / self.frequency
        if right is not None:
            guess = guess * self._smoothed(self._pairs[:, right]) / self.frequency
        guess = guess / guess.sum()
        if left is None or right is None:
            return math.log(guess[token])
        first, last = np.searchsorted(self._keys, left * self._vocab_size + right + np.arange(2))
        n_here = int((self._middles[first:last] == token).sum())
        return math.log((n_here + self.A * guess[token]) / (last - first + self.A))

    def _smoothed(self, counts: np.ndarray) -> np.ndarray:
        return (counts + self.B * self.frequency) / (counts.sum() + self.B)

    def losses(self, batch: Batch, where: Tensor, mask_id: int) -> tuple[float, float]:
        """Return the mean nats at the places ``where``: by neighbors, and by frequency alone."""
        neighbors, alone = [], []
        assert batch.targets is not None
        inputs, targets = batch.inputs.tolist(), batch.targets.tolist()
        for row, place in where.nonzero().tolist():
            known = [
                inputs[row][p] if 0 <= p < len(inputs[row]) else mask_id
                for p in (place - 1, place + 1)
            ]
            left, right = (None if token == mask_id else token for token in known)
            neighbors.append(-self.log_prob(targets[row][place], left, right))
            alone.append(-math.log(self.frequency[targets[row][place]]))
        return float(np.mean(neighbors)), float(np.mean(alone))

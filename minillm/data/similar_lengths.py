"""Batches of texts that are about equally long, so that little is padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from minillm.data.windows import EndlessShuffle, check_positive
from minillm.runtime import derive_generator

_POOL = 20  # batches that are sorted together: sorting all would give each epoch the same batches


class SimilarLengths:
    """Numbers of items, batch after batch, whose lengths are alike.

    Shuffled items are sorted by length within pools of some batches, and the batches shuffled
    again. Each epoch visits each item once. Which items make the k-th batch is a pure function of
    (seed, k), as everywhere in this package.

    Args:
        lengths: of the items, in tokens; for pairs, such as the sum of both sides.
        batch_size: B, items in a batch; the last of an epoch may hold fewer.
        seed: of the order.

    Raises:
        DataError: there are no items.
        ConfigError: ``batch_size`` is not positive.

    Example:
        >>> batches = SimilarLengths([3, 9, 3, 9], batch_size=2, seed=0)
        >>> sorted(batches.batch_at(0) + batches.batch_at(1))
        [0, 1, 2, 3]
    """

    def __init__(self, lengths: Sequence[int], *, batch_size: int, seed: int) -> None:
        check_positive(batch_size=batch_size)
        self.lengths, self.batch_size, self.seed = lengths, batch_size, seed
        self.n_batches = -(-len(lengths) // batch_size)  # in an epoch
        self._order = EndlessShuffle(len(lengths), seed=seed)
        self._cached: tuple[int, list[list[int]]] = -1, []  # (epoch, its batches)

    def batch_at(self, index: int) -> list[int]:
        """Return the numbers of the items of batch ``index`` (from 0) of the run."""
        epoch, place = divmod(index, self.n_batches)
        cached_epoch, batches = self._cached
        if epoch != cached_epoch:
            batches = self._epoch(epoch)
            self._cached = epoch, batches
        return batches[place]

    def _epoch(self, epoch: int) -> list[list[int]]:
        n_items, size = len(self.lengths), self.batch_size
        items = [self._order.at(epoch * n_items + place)[1] for place in range(n_items)]
        for start in range(0, n_items, _POOL * size):
            pool = slice(start, start + _POOL * size)
            items[pool] = sorted(items[pool], key=lambda item: self.lengths[item])
        batches = [items[start : start + size] for start in range(0, n_items, size)]
        generator = derive_generator(self.seed, "batches", epoch)
        return [batches[place] for place in torch.randperm(len(batches), generator=generator)]

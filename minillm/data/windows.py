"""In which order the data are read: packed windows of one stream, or documents as sentences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from minillm.batch import TokenIds
from minillm.errors import ConfigError, DataError
from minillm.runtime import derive_generator


class EndlessShuffle:
    """An endless sequence of item numbers: every epoch visits each item once, in a new order.

    The k-th number is a pure function of (seed, k): nothing is consumed, so "where was I" is
    one integer and a resumed run reads on exactly where it stopped. Several threads may read.

    Example:
        >>> shuffle = EndlessShuffle(3, seed=0)
        >>> sorted(shuffle.at(position) for position in range(3, 6))
        [(1, 0), (1, 1), (1, 2)]
    """

    def __init__(self, n_items: int, *, seed: int) -> None:
        if n_items < 1:
            raise DataError("there is nothing to shuffle: 0 items")
        self.n_items, self.seed = n_items, seed
        self._cached = -1, torch.empty(0)  # (epoch, order)

    def at(self, position: int) -> tuple[int, int]:
        """Return (epoch, item number) at ``position`` >= 0 of the sequence."""
        if position < 0:
            raise ValueError(f"position must be 0 or more, got {position}")
        epoch, index = divmod(position, self.n_items)
        cached_epoch, order = self._cached  # both at once: another thread may replace the pair
        if epoch != cached_epoch:
            generator = derive_generator(self.seed, "shuffle", epoch)
            order = torch.randperm(self.n_items, generator=generator)
            self._cached = epoch, order
        return epoch, int(order[index])


class PackedWindows:
    """Batches of windows of T + 1 tokens cut from one long stream of documents.

    Neighboring windows share one token, so that no token is a target twice in an epoch. Each
    epoch starts cutting at another place: else the same tokens would always lack their context.
    For that, fewer than 2 T tokens at the two ends of the stream sit out, other ones each epoch.

    Args:
        token_ids: (N,) integers, any width; may be a memory map larger than memory.
        context_length: T, the number of predictions in a window.
        batch_size: B, windows in a batch.
        seed: of the order and of the cuts.

    Raises:
        DataError: if the stream is shorter than one window.
        ConfigError: if a size is not positive.

    Example:
        >>> windows = PackedWindows(np.arange(100), context_length=8, batch_size=3, seed=0)
        >>> windows.batch_at(0).shape
        torch.Size([3, 9])
    """

    def __init__(
        self, token_ids: np.ndarray, *, context_length: int, batch_size: int, seed: int
    ) -> None:
        check_positive(context_length=context_length, batch_size=batch_size)
        n_whole = (len(token_ids) - 1) // context_length
        if n_whole < 1:
            raise DataError(
                f"the text has {len(token_ids)} tokens, but one window needs context_length + 1 = "
                f"{context_length + 1}: give more text or a smaller --context-length"
            )
        self.token_ids, self.context_length, self.batch_size = token_ids, context_length, batch_size
        self.seed = seed
        self.n_windows = max(1, n_whole - 1)  # one window of slack, to move the cuts
        self._slack = len(token_ids) - 1 - self.n_windows * context_length
        self._order = EndlessShuffle(self.n_windows, seed=seed)

    def batch_at(self, index: int) -> Tensor:
        """Return batch number ``index`` (from 0) of the run, (B, T + 1) int64."""
        first = index * self.batch_size
        rows = [self._window(first + row) for row in range(self.batch_size)]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def epoch_at(self, index: int) -> float:
        """Return how often the text has been read before batch ``index``."""
        return index * self.batch_size / self.n_windows

    def _window(self, position: int) -> np.ndarray:
        epoch, window = self._order.at(position)
        generator = derive_generator(self.seed, "cut", epoch)
        cut = int(torch.randint(self._slack + 1, (), generator=generator))
        start = cut + window * self.context_length
        return self.token_ids[start : start + self.context_length + 1]


class ShuffledDocuments:
    """Batches of whole documents, each a list of sentences of token ids.

    The form that sentence objectives read; its position is one integer, as for windows.
    """

    def __init__(
        self, documents: Sequence[Sequence[TokenIds]], *, batch_size: int, seed: int
    ) -> None:
        check_positive(batch_size=batch_size)
        self.documents, self.batch_size = documents, batch_size
        self._order = EndlessShuffle(len(documents), seed=seed)

    def batch_at(self, index: int) -> list[Sequence[TokenIds]]:
        """Return batch number ``index`` (from 0) of the run: B documents."""
        first = index * self.batch_size
        places = range(first, first + self.batch_size)
        return [self.documents[self._order.at(place)[1]] for place in places]


def check_positive(**sizes: int) -> None:
    """Refuse a size below one."""
    for name, size in sizes.items():
        if size < 1:
            raise ConfigError(f"{name} must be positive, got {size}")

"""The key/value cache: what a layer has read stays computed.

Dimension key: B sequences, H heads, T new positions, S all positions, D head_dim.
"""

from torch import Tensor


class KVCache:
    """Keys and values of the positions that one layer has already read.

    Preallocated: a step writes its own rows and copies nothing else. Keys are stored after
    their rotation, so that positions never have to be applied again.

    Example:
        >>> import torch
        >>> cache = KVCache(capacity=8)
        >>> keys, values = cache.append(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4))
        >>> cache.length, keys.shape
        (3, torch.Size([1, 2, 3, 4]))
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.length = 0
        self._keys: Tensor | None = None  # made by the first append, in its dtype and device
        self._values: Tensor | None = None

    def append(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Store the new positions and return all of them.

        Args:
            key: (B, H, T, D).
            value: (B, H, T, D).

        Returns:
            The (B, H, S, D) keys and values of all S positions so far, views of the store.

        Raises:
            ValueError: if the capacity is exceeded or the batch differs from the stored one.
        """
        start, stop = self.length, self.length + key.shape[2]
        if stop > self.capacity:
            raise ValueError(f"the cache holds {self.capacity} positions, {stop} were asked for")
        if self._keys is None or self._values is None:
            shape = (*key.shape[:2], self.capacity, key.shape[3])
            self._keys, self._values = key.new_empty(shape), value.new_empty(shape)
        if self._keys.shape[0] != key.shape[0]:
            raise ValueError(
                f"the cache holds {self._keys.shape[0]} sequences, the new keys {key.shape[0]}"
            )
        self._keys[:, :, start:stop] = key
        self._values[:, :, start:stop] = value
        self.length = stop
        return self._keys[:, :, :stop], self._values[:, :, :stop]

    def stored(self) -> tuple[Tensor, Tensor]:
        """Return the (B, H, S, D) keys and values so far.

        Raises:
            ValueError: if nothing was appended yet.
        """
        if self._keys is None or self._values is None:
            raise ValueError("the cache is empty")
        return self._keys[:, :, : self.length], self._values[:, :, : self.length]

"""The unit of work that flows from the data to the loss.

Dimension key: B sequences, T positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor

TokenIds = Sequence[int] | np.ndarray  # of one text, (T,)
IGNORE_INDEX = -100  # target value meaning "do not score this position"


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What a model reads and what it must predict; unused fields stay ``None``."""

    inputs: Tensor  # (B, T) int64 token ids
    targets: Tensor | None = None  # (B, T) int64, IGNORE_INDEX where not scored
    is_padding: Tensor | None = None  # (B, T) bool
    document_ids: Tensor | None = None  # (B, T) int64, for packed documents
    segment_ids: Tensor | None = None  # (B, T) int64, for sentence pairs
    decoder_inputs: Tensor | None = None  # (B, T') int64, for encoder-decoders
    prefix_lengths: Tensor | None = None  # (B,) int64, tokens that are read in both directions
    labels: Tensor | None = None  # (B, ...) int64, IGNORE_INDEX where not scored
    patches: Tensor | None = None  # (B, P, patch_dim) float, for images

    def n_scored(self) -> dict[str, int]:
        """Count what is scored: ``"tokens"`` and, where labels are given, ``"labels"``."""
        counts = {}
        if self.targets is not None:
            counts["tokens"] = int((self.targets != IGNORE_INDEX).sum())
        if self.labels is not None:
            counts["labels"] = int((self.labels != IGNORE_INDEX).sum())
        return counts

    def to(self, device: torch.device | str) -> Batch:
        """Return the same batch with every tensor on ``device``."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        moved = {name: x.to(device) for name, x in given.items() if x is not None}
        return replace(self, **moved)


def stack_rows(rows: Sequence[TokenIds | Tensor], *, fill: int) -> Tensor:
    """Stack rows of different lengths; the shorter ones are filled up on the right.

    Args:
        rows: B rows of integers.
        fill: what stands after their ends.

    Returns:
        (B, T) int64, T being the length of the longest row.

    Example:
        >>> stack_rows([[7, 8], [9]], fill=0).tolist()
        [[7, 8], [9, 0]]
    """
    tensors = [torch.as_tensor(row, dtype=torch.int64) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=fill)


def row_padding(rows: Sequence[TokenIds | Tensor]) -> Tensor:
    """Return what ``stack_rows`` filled up, (B, T) bool.

    Example:
        >>> row_padding([[7, 8], [9]]).tolist()
        [[False, False], [False, True]]
    """
    lengths = torch.tensor([[len(row)] for row in rows])
    return torch.arange(int(lengths.max())) >= lengths

"""What encoder–decoders read: a source, a target, and the target shifted to the right.

Dimension key: B pairs, S source positions, T target positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch, row_padding, stack_rows
from minillm.errors import DataError

TokenIds = Sequence[int] | Tensor


def shift_right(targets: Tensor, *, start_id: int, pad_id: int) -> Tensor:
    """Return what a decoder reads to predict ``targets``: a start token, then all but the last.

    Teacher forcing (Williams & Zipser 1989): position t reads the true targets before t, never
    target t itself.

    Args:
        targets: (B, T) int64, ``IGNORE_INDEX`` at padding.
        start_id: stands before the first target; T5 takes its padding token.
        pad_id: stands where a target is not scored.

    Returns:
        (B, T) int64.

    Example:
        >>> import torch
        >>> shift_right(torch.tensor([[5, 6, -100]]), start_id=1, pad_id=0).tolist()
        [[1, 5, 6]]
    """
    shifted = targets.roll(1, dims=1)
    shifted[:, 0] = start_id
    return shifted.masked_fill(shifted == IGNORE_INDEX, pad_id)


def source_target_batch(
    sources: Sequence[TokenIds], targets: Sequence[TokenIds], *, start_id: int, pad_id: int
) -> Batch:
    """Pad pairs of a source and a target, as they are, into one batch.

    Args:
        sources: B sequences of token ids, not empty.
        targets: B sequences, what is to be written for each.
        start_id: what the decoder reads first.
        pad_id: fills the ends of the shorter rows.

    Returns:
        A batch with inputs (B, S), is_padding (B, S), or ``None`` where there is none,
        decoder_inputs (B, T) and targets (B, T), ``IGNORE_INDEX`` at padding.

    Raises:
        DataError: an empty sequence, or not as many targets as sources.

    Example:
        >>> batch = source_target_batch([[7, 8], [9]], [[5], [6, 4]], start_id=1, pad_id=0)
        >>> batch.inputs.tolist(), batch.decoder_inputs.tolist(), batch.targets.tolist()
        ([[7, 8], [9, 0]], [[1, 5], [1, 6]], [[5, -100], [6, 4]])
    """
    if len(sources) != len(targets):
        raise DataError(f"each source needs a target, got {len(sources)} and {len(targets)}")
    if not len(sources) or not all(len(row) for row in (*sources, *targets)):
        raise DataError("a pair of source and target needs a token on both sides")
    is_padding = row_padding(sources)
    padded_targets = stack_rows(targets, fill=IGNORE_INDEX)
    return Batch(
        inputs=stack_rows(sources, fill=pad_id),
        targets=padded_targets,
        is_padding=is_padding if is_padding.any() else None,
        decoder_inputs=shift_right(padded_targets, start_id=start_id, pad_id=pad_id),
    )

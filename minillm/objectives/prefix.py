"""Prefix language modeling: what is given is read in both directions, the rest is predicted.

Dimension key: B sequences, T positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch
from minillm.errors import ConfigError
from minillm.objectives.causal import causal_batch


def prefix_batch(
    token_ids: Tensor,
    generator: torch.Generator,
    *,
    bos_id: int | None = None,
    prefix_lengths: Tensor | None = None,
) -> Batch:
    """Cut each window at a random place: the first part is given, the second is predicted.

    Raffel et al. 2020 (§3.2.1, arXiv:1910.10683): a decoder with full attention within the prefix
    does an encoder's work with one stack, as Liu et al. 2018 (arXiv:1801.10198) put source and
    target into one. A text without a task is cut at a place drawn uniformly. Only the tokens after
    the prefix are scored: inside it every token is seen by all, also by the position that would
    predict it.

    Args:
        token_ids: (B, T + 1) int64.
        generator: draws the prefixes, uniformly from 1 … T.
        bos_id: the id that begins a document; as a target it is not scored.
        prefix_lengths: (B,) int64 from 1 to T; ``None`` draws them.

    Returns:
        A batch with inputs (B, T), targets (B, T), of which position prefix - 1 is the first that
        is scored, and prefix_lengths (B,).

    Raises:
        ValueError: if a window has fewer than two tokens.
        ConfigError: if a given length leaves nothing to read or to predict.

    Example:
        >>> window = torch.tensor([[7, 8, 9, 5]])
        >>> batch = prefix_batch(window, torch.Generator(), prefix_lengths=torch.tensor([2]))
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[7, 8, 9]], [[-100, 9, 5]])
    """
    causal = causal_batch(token_ids, bos_id=bos_id)
    n_rows, n_positions = causal.inputs.shape
    if prefix_lengths is None:
        prefix_lengths = torch.randint(1, n_positions + 1, (n_rows,), generator=generator)
    if (
        prefix_lengths.shape != (n_rows,)
        or not ((prefix_lengths >= 1) & (prefix_lengths <= n_positions)).all()
    ):
        raise ConfigError(
            f"prefix_lengths must be {n_rows} lengths from 1 to {n_positions}, got "
            f"{prefix_lengths.tolist()}"
        )
    assert causal.targets is not None
    is_given = torch.arange(1, n_positions + 1) < prefix_lengths[:, None]  # of the targets
    return Batch(
        inputs=causal.inputs,
        targets=causal.targets.masked_fill(is_given, IGNORE_INDEX),
        prefix_lengths=prefix_lengths,
    )

"""Causal language modeling: every token is predicted from the tokens before it.

Dimension key: B sequences, T positions.
"""

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch


def causal_batch(
    token_ids: Tensor, generator: torch.Generator | None = None, *, bos_id: int | None = None
) -> Batch:
    """Shift a window by one: position t reads tokens up to t and is scored on token t + 1.

    By the chain rule log p(x) = Σ log p(x_t | x_<t), so the sum of these losses is the code
    length of the text (Shannon 1948): the text is its own label. In a packed stream the token
    after the end of a document is the next document's ``bos_id``; it carries no information
    about either and is not scored.

    Args:
        token_ids: (B, T + 1) int64; T + 1 tokens give T predictions.
        generator: not used: this objective draws nothing. Every objective takes one.
        bos_id: the id that begins a document, or ``None`` if every target is scored.

    Returns:
        A batch with inputs (B, T) and targets (B, T).

    Raises:
        ValueError: if a window has fewer than two tokens.

    Example:
        >>> batch = causal_batch(torch.tensor([[7, 8, 9]]))
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[7, 8]], [[8, 9]])
    """
    if token_ids.ndim != 2 or token_ids.shape[1] < 2:
        raise ValueError(f"token_ids must be (B, T + 1) with T >= 1, got {tuple(token_ids.shape)}")
    targets = token_ids[:, 1:].clone()  # else hiding a target would also change an input
    if bos_id is not None:
        targets[targets == bos_id] = IGNORE_INDEX
    return Batch(inputs=token_ids[:, :-1], targets=targets)

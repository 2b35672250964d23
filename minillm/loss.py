"""Next-token and masked-token loss, in nats.

Dimension key: B sequences, T positions, C d_model, V vocabulary.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.batch import IGNORE_INDEX
from minillm.kernels.linear_cross_entropy import linear_cross_entropy_sum


def token_loss_sum(logits: Tensor, targets: Tensor) -> Tensor:
    """Sum the cross-entropy over the scored targets.

    ``-Σ log softmax(logits)[target]``. A sum, not a mean: the caller divides by the count of
    the whole step or of the whole evaluation, which a mean of batch means gets wrong when
    the counts differ.

    Args:
        logits: (B, T, V) float, unnormalized scores.
        targets: (B, T) int64 token ids, or ``IGNORE_INDEX``.

    Returns:
        A float32 scalar in nats (float64 for float64 logits), whatever precision the model
        ran in; zero, with zero gradient, when nothing is scored.

    Raises:
        ValueError: if the shapes do not fit, or a target is no token id.

    Example:
        >>> token_loss_sum(torch.zeros(1, 2, 8), torch.tensor([[3, -100]]))  # ln 8
        tensor(2.0794)
    """
    return _cross_entropy(logits, targets, reduction="sum")


def linear_token_loss_sum(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return ``token_loss_sum(hidden @ weight.T, targets)`` without ever holding the logits.

    Positions that are not scored cost nothing: their rows are left out first, which for
    masked language modeling is most of them.

    Args:
        hidden: (B, T, C) float, what the unembedding reads.
        weight: (V, C) float, the unembedding.
        targets: (B, T) int64 token ids, or ``IGNORE_INDEX``.

    Returns:
        As ``token_loss_sum``; it can be differentiated once.

    Raises:
        ValueError: if the shapes do not fit, or a target is no token id.

    Example:
        >>> weight = torch.zeros(8, 3)
        >>> linear_token_loss_sum(torch.ones(1, 2, 3), weight, torch.tensor([[3, -100]]))  # ln 8
        tensor(2.0794)
    """
    if hidden.shape[:-1] != targets.shape or weight.shape[1:] != hidden.shape[-1:]:
        raise ValueError(
            f"hidden {tuple(hidden.shape)} does not fit targets {tuple(targets.shape)} "
            f"or weight {tuple(weight.shape)}"
        )
    _check_targets(targets, vocab_size=weight.shape[0])
    rows, ids = hidden.flatten(0, -2), targets.flatten()
    scored = ids != IGNORE_INDEX
    if not scored.all():
        rows, ids = rows[scored], ids[scored]
    return linear_cross_entropy_sum(rows, weight, ids)


def token_log_probs(logits: Tensor, targets: Tensor) -> Tensor:
    """Return log p of each target, the terms whose sum is ``-token_loss_sum``.

    Args:
        logits: (B, T, V) float, unnormalized scores.
        targets: (B, T) int64 token ids, or ``IGNORE_INDEX``.

    Returns:
        (B, T) float32 in nats; 0 where not scored.

    Raises:
        ValueError: if the shapes do not fit, or a target is no token id.

    Example:
        >>> token_log_probs(torch.zeros(1, 2, 8), torch.tensor([[-100, 3]]))[0, 1]
        tensor(-2.0794)
    """
    return -_cross_entropy(logits, targets, reduction="none").unflatten(0, targets.shape)


def _cross_entropy(logits: Tensor, targets: Tensor, *, reduction: str) -> Tensor:
    """Check the targets, then call torch's kernel on the flattened rows in full precision."""
    if logits.shape[:-1] != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} do not fit targets {tuple(targets.shape)}")
    _check_targets(targets, vocab_size=logits.shape[-1])
    rows = logits.flatten(0, -2)
    if rows.dtype != torch.float64:
        rows = rows.float()  # no copy when it is float32 already
    return F.cross_entropy(rows, targets.flatten(), ignore_index=IGNORE_INDEX, reduction=reduction)


def _check_targets(targets: Tensor, *, vocab_size: int) -> None:
    """Refuse a target outside the vocabulary: on a GPU it would end the process."""
    wrong = ((targets < 0) | (targets >= vocab_size)) & (targets != IGNORE_INDEX)
    if wrong.any():
        raise ValueError(
            f"target id {int(targets[wrong][0])} is outside the vocabulary of {vocab_size} ids "
            f"(0 to {vocab_size - 1}, or {IGNORE_INDEX} for a position that is not scored)"
        )

"""Bidirectional language modeling: one model reads a text forward, another one backward.

Dimension key: B sequences, T steps between neighboring tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.batch import IGNORE_INDEX, Batch
from minillm.objectives.causal import causal_batch


def bidirectional_batch(
    token_ids: Tensor, generator: torch.Generator | None = None, *, bos_id: int | None = None
) -> Batch:
    """Pair neighboring tokens: the forward model goes from left to right, the backward one back.

    log p(x) = Σ log p(x_t | x_<t) = Σ log p(x_t | x_>t): the chain rule holds in any order, so
    both models learn the same distribution and their least possible losses are equal (Peters
    et al. 2018, arXiv:1802.05365, section 3.1). Column t is the step between tokens t and t + 1:
    its target is what the forward model predicts, its input what the backward model predicts
    (``backward_batch``), so one batch serves both. In a packed stream the step from an ``eos`` to
    the next document's ``bos`` says nothing about either, and neither direction is scored on it.

    Args:
        token_ids: (B, T + 1) int64; T + 1 tokens give T predictions in each direction.
        generator: not used: this objective draws nothing. Every objective takes one.
        bos_id: the id that begins a document, or ``None`` if every step is scored.

    Returns:
        A batch with inputs (B, T) and targets (B, T).

    Raises:
        ValueError: if a window has fewer than two tokens.

    Example:
        >>> batch = bidirectional_batch(torch.tensor([[7, 8, 9]]))
        >>> batch.inputs.tolist(), batch.targets.tolist()
        ([[7, 8]], [[8, 9]])
        >>> backward = backward_batch(batch)
        >>> backward.inputs.tolist(), backward.targets.tolist()
        ([[9, 8]], [[8, 7]])
    """
    return causal_batch(token_ids, generator, bos_id=bos_id)


def backward_batch(batch: Batch) -> Batch:
    """Turn a batch around: what it reads becomes what is predicted, from right to left.

    A whole document ``bos x₁ … xₙ eos`` is read as ``eos xₙ … x₁ bos``: bos ends it there as eos
    does here, and both directions are charged for n + 1 symbols. Each row is turned within its own
    tokens, so that padding stays where it is.

    Args:
        batch: inputs and targets (B, T) of which target t is input t + 1, or not scored; with
            ``is_padding`` or ``document_ids`` or without.

    Returns:
        A batch of the same shape. A last step whose target is not known (not scored, and no
        token follows) is padding in it.

    Raises:
        ValueError: if the batch has no targets.

    Example:
        >>> inputs, targets = torch.tensor([[0, 7, 8, 5]]), torch.tensor([[7, 8, 1, -100]])
        >>> padded = Batch(inputs=inputs, targets=targets, is_padding=inputs == 5)
        >>> turned = backward_batch(padded)
        >>> turned.inputs.tolist(), turned.targets.tolist()
        ([[1, 8, 7, 5]], [[8, 7, 0, -100]])
    """
    if batch.targets is None:
        raise ValueError("a backward model needs batch.targets, got None")
    is_scored = batch.targets != IGNORE_INDEX
    is_padding, is_known = _unknown_steps(batch)
    following = torch.where(is_known, batch.inputs.roll(-1, dims=1), batch.inputs)
    following = torch.where(is_scored, batch.targets, following)
    preceding = batch.inputs.masked_fill(~is_scored, IGNORE_INDEX)
    order = reversed_order(is_padding)
    documents = batch.document_ids
    return Batch(
        inputs=following.gather(1, order),
        targets=preceding.gather(1, order),
        is_padding=is_padding if bool(is_padding.any()) else None,
        document_ids=None if documents is None else documents.gather(1, order),
    )


def _unknown_steps(batch: Batch) -> tuple[Tensor, Tensor]:
    """Return which steps have no token on their right, and which have it in the next column."""
    assert batch.targets is not None
    inputs = batch.inputs
    is_padding = batch.is_padding
    if is_padding is None:
        is_padding = torch.zeros_like(inputs, dtype=torch.bool)
    is_known = torch.zeros_like(is_padding)
    is_known[:, :-1] = ~is_padding[:, 1:]
    if batch.document_ids is not None:
        is_known[:, :-1] &= batch.document_ids[:, 1:] == batch.document_ids[:, :-1]
    is_unknown = (batch.targets == IGNORE_INDEX) & ~is_known
    return is_padding | is_unknown, is_known


def reversed_order(is_padding: Tensor) -> Tensor:
    """Return from which column each column is taken when a row is turned around.

    The tokens of a row change places among each other; padding keeps its own. To turn twice is
    to change nothing.

    Args:
        is_padding: (B, T) bool.

    Returns:
        (B, T) int64 columns, for ``gather``.

    Example:
        >>> reversed_order(torch.tensor([[False, False, False], [False, False, True]])).tolist()
        [[2, 1, 0], [1, 0, 2]]
    """
    columns = torch.arange(is_padding.shape[1], device=is_padding.device).expand(is_padding.shape)
    places = is_padding.int().argsort(dim=1, stable=True)  # of the tokens, then of the padding
    rank = (~is_padding).cumsum(dim=1) - 1
    n_tokens = (~is_padding).sum(dim=1, keepdim=True)
    turned = places.gather(1, (n_tokens - 1 - rank).clamp(min=0))
    return torch.where(is_padding, columns, turned)

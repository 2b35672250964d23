"""The last linear layer and its cross-entropy in one, without ever holding all logits.

Dimension key: N tokens, C d_model, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

# Logits held at once, 33 MB in float32. Measured at 4096 tokens, V = 50257 and d_model 256 or 768,
# one thread: 128 to 512 tokens at a time take the same time within 5 %, 64 take 15 % more.
_CHUNK_LOGITS = 2**23
_MIN_CHUNK = 64  # tokens: with fewer, adding up the (V, C) gradient would cost more than it saves


def linear_cross_entropy_sum(
    hidden: Tensor, weight: Tensor, targets: Tensor, *, chunk_size: int | None = None
) -> Tensor:
    """Sum ``-log softmax(hidden · weightᵀ)[target]`` over the tokens.

    The logits of a large vocabulary are the largest tensor of a training step, and the plain
    way keeps three of them: logits, log-probabilities and their gradient. Here a chunk of
    tokens at a time is scored, and its gradient ``(probs - one_hot) · weight`` is taken at
    once, while its logits are still there (Wijmans et al. 2024, arXiv:2411.09009, and Liger,
    arXiv:2410.10989, do this on GPUs). Nothing is computed twice; what is kept until backward
    has the size of ``hidden`` and ``weight``.

    Matrix products run in the autocast dtype where autocast is on; the softmax, the loss and
    the sum of the weight's gradient over the chunks are float32 (float64 for float64).

    Args:
        hidden: (N, C) float, what the linear layer reads.
        weight: (V, C) float.
        targets: (N,) int64 token ids, all of them valid.
        chunk_size: tokens scored at once; ``None`` means what was measured to be fast.

    Returns:
        A scalar in nats, zero for N = 0. It can be differentiated once; ``create_graph=True``
        raises a RuntimeError.

    Example:
        >>> linear_cross_entropy_sum(torch.zeros(1, 3), torch.ones(8, 3), torch.tensor([5]))  # ln 8
        tensor(2.0794)
    """
    dtype = hidden.dtype
    if torch.is_autocast_enabled(hidden.device.type) and dtype != torch.float64:
        dtype = torch.get_autocast_dtype(hidden.device.type)
    if chunk_size is None:
        chunk_size = max(_MIN_CHUNK, _CHUNK_LOGITS // weight.shape[0])
    if not torch.is_grad_enabled():  # a Function cannot see this itself
        hidden, weight = hidden.detach(), weight.detach()
    return _LinearCrossEntropy.apply(hidden, weight, targets, dtype, chunk_size)  # pyright: ignore


class _LinearCrossEntropy(torch.autograd.Function):
    """Take the gradients in the forward pass and hand them over, scaled, in the backward."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor, dtype: torch.dtype, chunk: int
    ) -> Tensor:
        ctx.options = (dtype, chunk, *ctx.needs_input_grad[:2])
        ctx.save_for_backward(hidden, weight, targets)
        loss, *ctx.gradients = _loss_and_gradients(hidden, weight, targets, *ctx.options)
        return loss

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, grad_output: Tensor
    ) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True would take the gradients for constants
            raise RuntimeError(
                "linear_cross_entropy_sum can be differentiated once, and create_graph=True asks "
                "for more: use the plain loss of the logits"
            )
        gradients, ctx.gradients = ctx.gradients, None  # given away: no second copy of (V, C)
        if gradients is None:  # a second backward through a retained graph
            _, *gradients = _loss_and_gradients(*ctx.saved_tensors, *ctx.options)
        scaled = (None if x is None else x.mul_(grad_output) for x in gradients)
        return *scaled, None, None, None


def _loss_and_gradients(
    hidden: Tensor,
    weight: Tensor,
    targets: Tensor,
    dtype: torch.dtype,
    chunk_size: int,
    needs_hidden: bool,
    needs_weight: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the summed loss and its gradients, those that are needed, chunk by chunk."""
    exact = torch.float64 if dtype == torch.float64 else torch.float32
    losses = hidden.new_empty(len(hidden), dtype=exact)
    grad_hidden = torch.empty_like(hidden) if needs_hidden else None
    grad_weight = torch.zeros_like(weight, dtype=exact) if needs_weight else None
    matrix = weight.to(dtype)
    # One buffer for all chunks: fresh memory of this size would cost a page fault every 4 kB.
    buffer = hidden.new_empty(min(chunk_size, len(hidden)), len(weight), dtype=exact)
    for start in range(0, len(hidden), chunk_size):
        chunk = slice(start, start + chunk_size)
        rows, ids = hidden[chunk].to(dtype), targets[chunk, None]
        probs = _matmul(rows, matrix.T, out=buffer[: len(rows)])  # logits so far
        probs -= probs.amax(dim=-1, keepdim=True)
        target_logits = probs.gather(1, ids)
        total = probs.exp_().sum(dim=-1, keepdim=True)
        losses[chunk] = (total.log() - target_logits).squeeze(1)
        if not needs_hidden and not needs_weight:
            continue
        probs /= total
        grad_logits = probs.scatter_add_(1, ids, torch.full_like(total, -1.0)).to(dtype)
        if grad_hidden is not None:
            grad_hidden[chunk] = grad_logits @ matrix
        if grad_weight is not None and dtype == exact:
            torch.addmm(grad_weight, grad_logits.T, rows, out=grad_weight)
        elif grad_weight is not None:
            grad_weight += grad_logits.T @ rows
    return losses.sum(), grad_hidden, grad_weight


def _matmul(x: Tensor, y: Tensor, *, out: Tensor) -> Tensor:
    """Put ``x @ y`` into ``out``, which may be more precise."""
    return torch.mm(x, y, out=out) if x.dtype == out.dtype else out.copy_(x @ y)

"""A linear layer for the few rows of a generation step, which only waits for its matrix.

Dimension key: N rows, C inputs, F outputs.
"""

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

_MAX_ROWS = 4  # F = 8192, C = 256: 2.0 times as fast at 1 row, 2.8 at 2, 2.2 at 4, not at 32
_MIN_WEIGHTS = 2**17  # 256 × 256 weights gain less than the slicing costs, 1024 × 256 a quarter
_MAX_SLICES = 64  # 2 to 16 slices take the same time; a prime F has none


def few_rows_linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``x @ weight.T + bias``, faster than ``F.linear`` for few rows on a CPU.

    With one row each weight is used once, so the time is that of reading the matrix from
    memory (the roofline of Williams et al. 2009, doi:10.1145/1498765.1498785). The vector routine
    behind ``F.linear`` reads it at half the memory's speed; a batched product of two or
    more slices of the matrix does not. Only the order of the sums differs.

    Where gradients are recorded, on other devices, and for more than a few rows it is ``F.linear``.

    Args:
        x: (..., C) float.
        weight: (F, C) float.
        bias: (F,) float.

    Returns:
        (..., F).

    Example:
        >>> with torch.no_grad():
        ...     few_rows_linear(torch.ones(1, 2), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([[3., 7.]])
    """
    # The cheapest questions come first: a step asks some 25 times.
    if torch.is_grad_enabled() or weight.numel() < _MIN_WEIGHTS or weight.device.type != "cpu":
        return F.linear(x, weight, bias)
    n_rows, n_slices = x.shape[:-1].numel(), _n_slices(len(weight))
    if not 0 < n_rows <= _MAX_ROWS or n_slices == 1:
        return F.linear(x, weight, bias)
    slices = weight.view(n_slices, -1, weight.shape[1])
    columns = x.reshape(n_rows, -1).T.expand(n_slices, -1, -1)
    if bias is None:
        products = torch.bmm(slices, columns)
    else:
        products = torch.baddbmm(bias.view(n_slices, -1, 1), slices, columns)
    return products.view(-1, n_rows).T.reshape(*x.shape[:-1], -1)


@lru_cache
def _n_slices(n_outputs: int) -> int:
    """Return the least divisor that cuts the matrix into equal slices, 1 if there is none."""
    return next((n for n in range(2, _MAX_SLICES + 1) if n_outputs % n == 0), 1)

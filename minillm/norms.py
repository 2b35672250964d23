"""Normalization of each position's vector: LayerNorm and RMSNorm.

Each equation is spelled out in a function of plain tensor operations; the module calls
torch's fast version of the same. Dimension key: C d_model.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import ConfigError

NormKind = Literal["layer_norm", "rms_norm"]


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Shift and scale each vector to mean 0 and variance 1, then by the learned amounts.

    ``(x - mean) / sqrt(variance + eps) · weight + bias`` over the last axis, with the biased
    variance (Ba et al. 2016, eq. 4, arXiv:1607.06450; eps inside the root, as everywhere).

    Args:
        x: (..., C) float.
        weight: (C,).
        bias: (C,).
        eps: keeps a constant vector from dividing by zero.

    Returns:
        (..., C), same dtype.

    Example:
        >>> layer_norm(torch.tensor([1.0, 3.0]), torch.ones(2), torch.zeros(2), eps=0.0)
        tensor([-1.,  1.])
    """
    centered = x - x.mean(dim=-1, keepdim=True)
    variance = centered.square().mean(dim=-1, keepdim=True)
    return centered / torch.sqrt(variance + eps) * weight + bias


def rms_norm(x: Tensor, weight: Tensor, *, eps: float = 1e-5) -> Tensor:
    """Scale each vector to a root mean square of 1, then by the learned amounts.

    ``x / sqrt(mean(x²) + eps) · weight`` over the last axis (Zhang & Sennrich 2019, eq. 4,
    arXiv:1910.07467): LayerNorm without the shift.

    Args:
        x: (..., C) float.
        weight: (C,).
        eps: keeps a zero vector from dividing by zero.

    Returns:
        (..., C), same dtype.

    Example:
        >>> rms_norm(torch.tensor([1.0, 7.0]), torch.ones(2), eps=0.0)
        tensor([0.2000, 1.4000])
    """
    return x / torch.sqrt(x.square().mean(dim=-1, keepdim=True) + eps) * weight


class LayerNorm(nn.Module):
    """``layer_norm`` with its learned weight (ones at first) and bias (zeros at first)."""

    def __init__(self, d_model: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x`` (..., C) over its last axis."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """``rms_norm`` with its learned weight (ones at first)."""

    def __init__(self, d_model: int, *, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``x`` (..., C) over its last axis."""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


def make_norm(kind: NormKind, d_model: int, *, eps: float = 1e-5) -> nn.Module:
    """Build the normalization that a configuration names.

    Args:
        kind: ``"layer_norm"`` or ``"rms_norm"``.
        d_model: C, the width of the vectors.
        eps: added under the root.

    Returns:
        A module from (..., C) to (..., C).

    Raises:
        ConfigError: if ``kind`` is unknown.

    Example:
        >>> make_norm("rms_norm", 4)(torch.zeros(2, 4)).shape
        torch.Size([2, 4])
    """
    kinds = {"layer_norm": LayerNorm, "rms_norm": RMSNorm}
    if kind not in kinds:
        raise ConfigError(f"norm must be one of {', '.join(kinds)}, got {kind!r}")
    return kinds[kind](d_model, eps=eps)

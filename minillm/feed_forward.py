"""The feed-forward layer: what each position computes alone.

Dimension key: C d_model, F d_ff.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import ConfigError
from minillm.linear import Linear

Activation = Literal["gelu", "gelu_tanh", "relu", "relu_squared"]
FeedForwardKind = Activation | Literal["swiglu"]


def relu_squared(x: Tensor) -> Tensor:
    """Return ``max(x, 0)²``, element by element (So et al. 2021, Primer, §4, arXiv:2109.08668).

    Example:
        >>> import torch
        >>> relu_squared(torch.tensor([-2.0, 3.0]))
        tensor([0., 9.])
    """
    return F.relu(x).square()


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
    "relu_squared": relu_squared,
}


class FeedForward(nn.Module):
    """Two linear layers around an activation: ``down(activation(up(x)))``.

    Vaswani et al. 2017 (eq. 2, arXiv:1706.03762) used the ReLU; GPT and BERT the GELU of
    Hendrycks & Gimpel 2016 (arXiv:1606.08415), GPT-2 in its ``tanh`` approximation. On a CPU
    that costs 3.7 times the exact one, hence our default.

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
        activation: Activation = "gelu",
    ) -> None:
        super().__init__()
        self.activation = activation
        self.up = Linear(d_model, d_ff, bias=use_bias)
        self.down = Linear(d_ff, d_model, bias=use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., C) to (..., C)."""
        return self.down(ACTIVATIONS[self.activation](self.up(x)))


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
        self.gate = Linear(d_model, d_ff, bias=use_bias)
        self.up = Linear(d_model, d_ff, bias=use_bias)
        self.down = Linear(d_ff, d_model, bias=use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., C) to (..., C)."""
        return self.down(F.silu(self.gate(x)) * self.up(x))


def make_feed_forward(
    kind: FeedForwardKind, d_model: int, d_ff: int, *, use_bias: bool = True
) -> FeedForward | SwiGLU:
    """Build the feed-forward layer that a configuration names.

    Args:
        kind: ``"gelu"`` (exact, by erf), ``"gelu_tanh"`` (GPT-2's), ``"relu"``,
            ``"relu_squared"`` or ``"swiglu"``.
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
    if kind not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise ConfigError(f"feed_forward must be {known} or swiglu, got {kind!r}")
    return FeedForward(d_model, d_ff, use_bias=use_bias, activation=kind)

"""The feed-forward layer: what each position computes alone.

Dimension key: C d_model, F d_ff.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal, cast

import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import ConfigError
from minillm.linear import Linear

Activation = Literal["gelu", "gelu_tanh", "relu", "relu_squared"]
FeedForwardKind = Activation | Literal["swiglu", "geglu"]


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


class GatedFeedForward(nn.Module):
    """A gated feed-forward layer: ``down(activation(gate(x)) · up(x))``.

    One matrix decides how much of the other passes (Shazeer 2020, §2, arXiv:2002.05202).
    """

    activation: Callable[[Tensor], Tensor]

    def __init__(self, d_model: int, d_ff: int, *, use_bias: bool = True) -> None:
        super().__init__()
        self.gate = Linear(d_model, d_ff, bias=use_bias)
        self.up = Linear(d_model, d_ff, bias=use_bias)
        self.down = Linear(d_ff, d_model, bias=use_bias)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., C) to (..., C)."""
        return self.down(self.activation(self.gate(x)) * self.up(x))


class SwiGLU(GatedFeedForward):
    """A gate with the SiLU (Llama).

    Example:
        >>> import torch
        >>> SwiGLU(8, 24, use_bias=False)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    activation = staticmethod(F.silu)


class GEGLU(GatedFeedForward):
    """A gate with the GELU, in its ``tanh`` approximation as in T5 1.1.

    Example:
        >>> import torch
        >>> GEGLU(8, 24, use_bias=False)(torch.zeros(2, 3, 8)).shape
        torch.Size([2, 3, 8])
    """

    activation = staticmethod(partial(F.gelu, approximate="tanh"))


_GATED: Mapping[str, type[GatedFeedForward]] = {"swiglu": SwiGLU, "geglu": GEGLU}


def make_feed_forward(
    kind: FeedForwardKind, d_model: int, d_ff: int, *, use_bias: bool = True
) -> FeedForward | GatedFeedForward:
    """Build the feed-forward layer that a configuration names.

    Args:
        kind: ``"gelu"`` (exact, by erf), ``"gelu_tanh"`` (GPT-2's), ``"relu"``,
            ``"relu_squared"``, ``"swiglu"`` or ``"geglu"``.
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
    if kind in _GATED:
        return _GATED[kind](d_model, d_ff, use_bias=use_bias)
    if kind not in ACTIVATIONS:
        *others, last = (*ACTIVATIONS, *_GATED)
        raise ConfigError(f"feed_forward must be {', '.join(others)} or {last}, got {kind!r}")
    activation = cast(Activation, kind)  # the gated kinds have returned
    return FeedForward(d_model, d_ff, use_bias=use_bias, activation=activation)

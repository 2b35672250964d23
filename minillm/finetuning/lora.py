"""LoRA: learn a small change of low rank while the pretrained matrix stays as it is.

Dimension key: r rank, F inputs, O outputs of a linear layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.errors import ConfigError
from minillm.linear import Linear

TARGETS = ("query", "value")  # the matrices that the paper adapts (§4.2, §7.1)


class LowRankLinear(nn.Module):
    """A frozen linear layer plus a learned change of rank r.

    ``y = W x + b + (α / r) · B A x`` (Hu et al. 2021, section 4.1, arXiv:2106.09685). A (r, F) is
    drawn, B (O, r) begins at zero, so that the adapted model begins as the pretrained one. α / r
    keeps the size of the change when r is chosen anew. The paper only says that A is Gaussian; we
    draw from N(0, 1 / F), so that A x is of the size of x.

    Args:
        base: the layer to adapt; it is frozen and shared, not copied.
        rank: r, at most the smaller side of its matrix.
        alpha: α.
        generator: draws A; ``None`` means torch's fixed default seed.

    Raises:
        ConfigError: a rank that is no low rank, or an α that is not positive.

    Example:
        >>> base = Linear(5, 3)
        >>> adapted = LowRankLinear(base, rank=2, alpha=4.0)
        >>> torch.equal(adapted(torch.ones(1, 5)), base(torch.ones(1, 5)))
        True
    """

    def __init__(
        self,
        base: Linear,
        *,
        rank: int,
        alpha: float,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _check(base, rank=rank, alpha=alpha)
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        generator = torch.Generator() if generator is None else generator
        drawn = torch.randn(rank, base.in_features, generator=generator)
        like = base.weight
        self.down = nn.Parameter((drawn / math.sqrt(base.in_features)).to(like))  # A
        self.up = nn.Parameter(like.new_zeros(base.out_features, rank))  # B

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x`` (..., F) to (..., O)."""
        return self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)

    @torch.no_grad()
    def merged(self) -> Linear:
        """Return one plain layer that does the same: W + (α / r) · B A."""
        base = self.base
        has_bias = base.bias is not None
        layer = Linear(base.in_features, base.out_features, bias=has_bias).to(base.weight)
        layer.weight.copy_(base.weight + self.scale * (self.up @ self.down))
        if has_bias:
            layer.bias.copy_(base.bias)
        return layer


def add_adapters(
    model: nn.Module,
    *,
    rank: int,
    alpha: float,
    targets: Sequence[str] = TARGETS,
    leave_out: Sequence[str] = (),
    generator: torch.Generator | None = None,
) -> list[str]:
    """Freeze a model and give its linear layers of some names an adapter each.

    Args:
        model: changed in place; only its adapters will learn.
        rank: r of every adapter.
        alpha: α of every adapter.
        targets: the names of the layers within their modules.
        leave_out: modules within which nothing is adapted, such as a decoder that does not read.
        generator: draws the matrices A.

    Returns:
        The full names of the adapted layers.

    Raises:
        ConfigError: no layer has such a name, the rank or α does not fit, or there are adapters
            already.
    """
    if any(_adapters(model)):
        raise ConfigError("the model has adapters already: merge them before adding others")
    found = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, Linear)
        and name.rpartition(".")[2] in targets
        and {*name.split(".")}.isdisjoint(leave_out)
    ]
    if not found:
        raise ConfigError(
            f"no linear layer of a {type(model).__name__} is called {' or '.join(targets)}: there "
            "is nothing to adapt"
        )
    for _, layer in found:  # an error must leave the model as it was
        _check(layer, rank=rank, alpha=alpha)
    generator = torch.Generator() if generator is None else generator
    adapters = [
        (name, LowRankLinear(layer, rank=rank, alpha=alpha, generator=generator))
        for name, layer in found
    ]
    model.requires_grad_(False)
    for name, adapter in adapters:
        model.set_submodule(name, adapter)
    return [name for name, _ in adapters]


def merge_adapters(model: nn.Module) -> list[str]:
    """Put every adapter into its matrix: the same model without any further cost.

    Args:
        model: changed in place; the merged layers can learn again.

    Returns:
        The full names of the layers that were adapted.
    """
    adapters = list(_adapters(model))
    for name, adapter in adapters:
        model.set_submodule(name, adapter.merged())
    return [name for name, _ in adapters]


def adapter_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the matrices A and B of every adapter."""
    return [matrix for _, adapter in _adapters(model) for matrix in (adapter.down, adapter.up)]


def _adapters(model: nn.Module) -> Iterator[tuple[str, LowRankLinear]]:
    for name, layer in model.named_modules():
        if isinstance(layer, LowRankLinear):
            yield name, layer


def _check(base: Linear, *, rank: int, alpha: float) -> None:
    limit = min(base.in_features, base.out_features)
    if not 1 <= rank <= limit:
        raise ConfigError(
            f"rank must be from 1 to {limit}, the smaller side of a {base.out_features} × "
            f"{base.in_features} matrix, got {rank}"
        )
    if not (math.isfinite(alpha) and alpha > 0):
        raise ConfigError(f"alpha must be a positive finite number, got {alpha}")

"""Right and wrong answers to the fourth exercise of notebook 14: a low-rank adapter."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from exercises.attempts.planted import Planted
from exercises.checks_14 import check_adapt

Adapter = tuple[Tensor, Tensor, Callable[[Tensor], Tensor], Callable[[], Tensor]]


def _matrices(layer: nn.Linear, rank: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    like = layer.weight
    drawn = torch.randn(rank, layer.in_features, generator=generator, dtype=like.dtype)
    down = (drawn / math.sqrt(layer.in_features)).requires_grad_()
    up = torch.zeros(layer.out_features, rank, dtype=like.dtype, requires_grad=True)
    return down, up


# --- right


def _by_freezing(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator, trains: bool = False
) -> Adapter:
    layer.requires_grad_(trains)
    down, up = _matrices(layer, rank, generator)
    scale = alpha / rank

    def forward(rows: Tensor) -> Tensor:
        return layer(rows) + scale * rows @ down.T @ up.T

    def merge() -> Tensor:
        return (layer.weight + scale * up @ down).detach()

    return down, up, forward, merge


def _by_detaching(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    down = nn.Parameter(torch.empty(rank, layer.in_features, dtype=torch.float64))
    nn.init.kaiming_uniform_(down, a=math.sqrt(5), generator=generator)
    up = nn.Parameter(torch.zeros(layer.out_features, rank, dtype=torch.float64))
    bias = layer.bias.detach()

    def merge() -> Tensor:
        return layer.weight.detach() + torch.einsum("or,rf->of", up, down) * (alpha / rank)

    return down, up, lambda rows: F.linear(rows, merge(), bias), merge


class _Module(nn.Module):
    """The same as a module."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator):
        super().__init__()
        self.down, self.up = map(nn.Parameter, _matrices(layer, rank, generator))
        self.layer, self.alpha, self.rank = layer.requires_grad_(False), alpha, rank

    def forward(self, rows: Tensor) -> Tensor:
        change = F.linear(F.linear(rows, self.down), self.up)
        return self.layer(rows) + change * self.alpha / self.rank

    @torch.no_grad()
    def merge(self) -> Tensor:
        return self.layer.weight.add(self.up @ self.down, alpha=self.alpha / self.rank)


def _by_module(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    module = _Module(layer, rank, alpha, generator)
    return module.down, module.up, lambda rows: module(rows), lambda: module.merge()


# --- wrong


def _both_drawn(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    adapter = _by_freezing(layer, rank, alpha, generator)
    with torch.no_grad():
        adapter[1].normal_(generator=generator)
    return adapter


def _both_zero(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    adapter = _by_detaching(layer, rank, alpha, generator)
    adapter[0].data.zero_()
    return adapter


def _unscaled(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    return _by_freezing(layer, rank, float(rank), generator)


def _alpha_alone(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    return _by_module(layer, rank, alpha * rank, generator)


def _one_over_r(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    return _by_freezing(layer, rank, 1.0, generator)


def _upside_down(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    return _by_detaching(layer, rank, rank * rank / alpha, generator)


def _root(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    stronger = alpha * math.sqrt(rank)
    return _by_freezing(layer, rank, stronger, generator)


def _weight_trained(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    return _by_freezing(layer, rank, alpha, generator, trains=True)


def _bias_trained(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    down, up, forward, merge = _by_freezing(layer, rank, alpha, generator)
    layer.bias.requires_grad_(True)
    return down, up, forward, merge


def _half_frozen(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    layer.requires_grad_(False)
    down, up = _matrices(layer, rank, generator)

    def forward(rows: Tensor) -> Tensor:
        return layer(rows) + alpha / rank * rows @ down.detach().T @ up.T

    return down, up, forward, lambda: layer.weight + alpha / rank * up @ down


def _multiplied_once(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    down, up, _, merge = _by_detaching(layer, rank, alpha, generator)
    fixed = merge()
    return down, up, lambda rows: F.linear(rows, fixed, layer.bias), merge


def _no_bias(layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator) -> Adapter:
    down, up, _, merge = _by_module(layer, rank, alpha, generator)
    return down, up, lambda rows: rows @ merge().T, merge


def _merged_unscaled(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    down, up, forward, _ = _by_module(layer, rank, alpha, generator)
    return down, up, forward, lambda: layer.weight + up @ down


def _merged_change(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    down, up, forward, merge = _by_freezing(layer, rank, alpha, generator)
    return down, up, forward, lambda: merge() - layer.weight


def _merged_in_place(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    down, up, forward, merge = _by_freezing(layer, rank, alpha, generator)

    def put_in() -> Tensor:
        layer.weight.data = merge()
        return layer.weight

    return down, up, forward, put_in


def _global_generator(
    layer: nn.Linear, rank: int, alpha: float, generator: torch.Generator
) -> Adapter:
    adapter = _by_freezing(layer, rank, alpha, generator)
    nn.init.normal_(adapter[0])
    return adapter


PLANTED = (
    Planted(
        check=check_adapt,
        arguments=(nn.Linear(5, 3, dtype=torch.float64), 2, 4.0, torch.Generator()),
        right=(_by_freezing, _by_detaching, _by_module),
        wrong={
            _both_drawn: "up is not zero",
            _both_zero: "both matrices are zero",
            _unscaled: "the scale α / r is missing",
            _alpha_alone: "scales by α alone",
            _one_over_r: "scales by 1 / r",
            _upside_down: "scales by r / α",
            _root: "scales by α / √r",
            _weight_trained: "the pretrained weight learns too",
            _bias_trained: "bias learns too",
            _half_frozen: "down gets no gradient",
            _multiplied_once: "multiplied them at first",
            _no_bias: "forgets the layer's bias",
            _merged_unscaled: "in merge, the scale α / r is missing",
            _merged_change: "returns the change alone",
            _merged_in_place: "in place",
            _global_generator: "draw it from the generator",
        },
    ),
)

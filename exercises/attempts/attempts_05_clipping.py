"""Right and wrong answers to the exercise "clipping" of notebook 05."""

from __future__ import annotations

import math

import torch
from torch import nn

from exercises.attempts.planted import Planted
from exercises.checks_05 import check_clipping

# --- right


def _by_concatenation(gradients, max_norm):
    given = [gradient.flatten() for gradient in gradients if gradient is not None]
    norm = torch.cat(given).norm()
    scale = max_norm / norm if norm > max_norm else 1.0
    return [None if gradient is None else gradient * scale for gradient in gradients]


def _by_torch(gradients, max_norm):
    """PyTorch's own adds 1e-6 to the norm."""
    parameters = [nn.Parameter(torch.zeros_like(g)) for g in gradients if g is not None]
    for parameter, gradient in zip(parameters, filter(torch.is_tensor, gradients), strict=True):
        parameter.grad = gradient.clone()
    nn.utils.clip_grad_norm_(parameters, max_norm)
    clipped = (parameter.grad for parameter in parameters)
    return [None if gradient is None else next(clipped) for gradient in gradients]


def _norm_of_norms(gradients, max_norm):
    squares = [0.0 if g is None else g.double().square().sum().item() for g in gradients]
    norm = math.sqrt(math.fsum(squares))
    factor = min(1.0, max_norm / norm) if norm else 1.0
    return [g if g is None else g.mul(factor) for g in gradients]


# --- wrong


def _scaled(gradients, factor):
    return [None if gradient is None else gradient * factor for gradient in gradients]


def _flat(gradients):
    return torch.cat([gradient.flatten() for gradient in gradients if gradient is not None])


def _each_tensor(gradients, max_norm):
    return [None if g is None else _by_concatenation([g], max_norm)[0] for g in gradients]


def _each_number(gradients, max_norm):
    return [None if g is None else torch.clip(g, -max_norm, max_norm) for g in gradients]


def _always(gradients, max_norm):
    return _scaled(gradients, max_norm / _flat(gradients).norm())


def _to_unit_length(gradients, max_norm):
    norm = _flat(gradients).norm()
    return _scaled(gradients, 1 / norm if norm > max_norm else 1.0)


def _upside_down(gradients, max_norm):
    norm = _flat(gradients).norm()
    return _scaled(gradients, norm / max_norm if norm > max_norm else 1.0)


def _skips_the_step(gradients, max_norm):
    norm = _flat(gradients).norm()
    return _scaled(gradients, 0.0 if norm > max_norm else 1.0)


def _without_the_root(gradients, max_norm):
    return _scaled(gradients, (max_norm / _flat(gradients).square().sum()).clamp(max=1.0))


def _largest_number(gradients, max_norm):
    return _scaled(gradients, (max_norm / _flat(gradients).abs().max()).clamp(max=1.0))


def _sum_of_sizes(gradients, max_norm):
    return _scaled(gradients, (max_norm / _flat(gradients).norm(p=1)).clamp(max=1.0))


def _root_mean_square(gradients, max_norm):
    flat = _flat(gradients)
    return _scaled(gradients, (max_norm * len(flat) ** 0.5 / flat.norm()).clamp(max=1.0))


def _sum_of_norms(gradients, max_norm):
    total = sum(gradient.norm() for gradient in gradients if gradient is not None)
    return _scaled(gradients, (max_norm / total).clamp(max=1.0))


def _zero_by_zero(gradients, max_norm):
    norm = _flat(gradients).norm()
    return _scaled(gradients, torch.minimum(norm, torch.tensor(max_norm)) / norm)


def _invents_gradients(gradients, max_norm):
    clipped = _by_concatenation(gradients, max_norm)
    return [torch.zeros(()) if gradient is None else gradient for gradient in clipped]


def _in_place(gradients, max_norm):
    for gradient, clipped in zip(gradients, _by_concatenation(gradients, max_norm), strict=True):
        if gradient is not None:
            gradient.copy_(clipped)
    return gradients


PLANTED = (
    Planted(
        check=check_clipping,
        arguments=([torch.ones(2), torch.ones(3, 1)], 1.0),
        right=(_by_concatenation, _by_torch, _norm_of_norms),
        wrong={
            _each_tensor: "clips each tensor alone",
            _each_number: "cuts each number off",
            _always: "enlarges small gradients too",
            _to_unit_length: "forgets the limit",
            _upside_down: "upside down",
            _skips_the_step: "scale it down instead",
            _without_the_root: "forgets the root",
            _largest_number: "its norm is the largest |g|",
            _sum_of_sizes: "its norm is Σ |g|",
            _root_mean_square: "root of the mean",
            _sum_of_norms: "adds the norms of the tensors",
            _zero_by_zero: "divides 0 by 0",
            _invents_gradients: "makes a gradient out of None",
            _in_place: "changes its input in place",
        },
    ),
)

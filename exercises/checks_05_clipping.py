"""The second check of notebook 05: clipping the norm of all gradients together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same

Gradients = Sequence[Tensor | None]


def _scaled(gradients: Gradients, scale: Callable[[Tensor, Tensor], Tensor | float]) -> list:
    """Multiply each gradient by what ``scale(gradient, joint norm)`` says."""
    norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
    return [None if g is None else g * scale(g, norm) for g in gradients]


def _by(function: Callable[[Tensor], Tensor]) -> Callable[[Gradients, float], list]:
    """Clip by another size of all gradients together than their norm."""

    def clip(gradients: Gradients, max_norm: float) -> list:
        size = function(torch.cat([g.flatten() for g in gradients if g is not None]))
        return _scaled(gradients, lambda *_: (max_norm / size).clamp(max=1))

    return clip


def _summed_norms(gradients: Gradients, max_norm: float) -> list:
    total = torch.stack([g.norm() for g in gradients if g is not None]).sum()
    return _scaled(gradients, lambda *_: (max_norm / total).clamp(max=1))


CLIPPING_MISTAKES: Mistakes = {
    "it divides 0 by 0: where every gradient is zero nothing is to be clipped": (
        lambda gradients, limit: _scaled(gradients, lambda _, norm: norm.clamp(max=limit) / norm)
    ),
    "it clips each tensor alone: one norm over all of them, or the direction turns": (
        lambda gradients, limit: _scaled(gradients, lambda g, _: (limit / g.norm()).clamp(max=1))
    ),
    "it cuts each number off: scale all by one factor, or the direction turns": (
        lambda gradients, limit: [None if g is None else g.clamp(-limit, limit) for g in gradients]
    ),
    "it enlarges small gradients too: a norm below the limit stays as it is": (
        lambda gradients, limit: _scaled(gradients, lambda _, norm: limit / norm)
    ),
    "it divides by the norm but forgets the limit: the new norm is max_norm, not 1": (
        lambda gradients, limit: _scaled(
            gradients, lambda _, norm: 1 / norm if norm > limit else 1.0
        )
    ),
    "its scale is upside down: max_norm / norm": (
        lambda gradients, limit: _scaled(gradients, lambda _, norm: (norm / limit).clamp(min=1))
    ),
    "it leaves out what is too long: scale it down instead": (
        lambda gradients, limit: _scaled(gradients, lambda _, norm: float(norm <= limit))
    ),
    "it forgets the root: the norm is √Σ g²": _by(lambda g: g.square().sum()),
    "its norm is Σ |g|: the length is √Σ g²": _by(lambda g: g.abs().sum()),
    "its norm is the largest |g|: the length is √Σ g²": _by(lambda g: g.abs().max()),
    "it takes the root of the mean: the length is √Σ g², not the typical size of a number": _by(
        lambda g: g.square().mean().sqrt()
    ),
    "it adds the norms of the tensors: add their squares, then take the root": _summed_norms,
    "it makes a gradient out of None: a parameter that the loss does not reach has none": (
        lambda gradients, limit: [
            torch.zeros(()) if g is None else g
            for g in _scaled(gradients, lambda _, norm: (limit / norm).clamp(max=1))
        ]
    ),
}


@exercise("clipping")
def check_clipping(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``clip(gradients, max_norm)``: a list of gradients whose joint norm is at most that.

    Of a list of tensors or None (both float32), a new list in which all are scaled by one factor.
    """
    mistakes = CLIPPING_MISTAKES
    by_hand = [torch.tensor([2.0, 4.0]), torch.tensor([[4.0]])]  # joint norm 6
    half = [torch.tensor([1.0, 2.0]), torch.tensor([[2.0]])]
    attempt.equals("a norm of 6 by hand", (by_hand, 3.0), half, mistakes)
    attempt.equals("below the limit", (half, 5.0), half, mistakes)
    attempt.equals("just at the limit", (half, 3.0), half, mistakes)

    shapes = [(2, 3), (5,), (7, 1)]
    drawn = [torch.randn(shape, generator=generator) * 3 for shape in shapes]
    drawn[1] *= 0.01  # one layer's gradients are small: they must stay small beside the others
    length = math.sqrt(math.fsum(x * x for g in drawn for x in g.flatten().tolist()))
    expected = [torch.tensor([x * 2 / length for x in g.flatten().tolist()]) for g in drawn]
    expected = [x.view(g.shape) for x, g in zip(expected, drawn, strict=True)]
    attempt.equals("three tensors", (drawn, 2.0), expected, mistakes)
    with_none = [drawn[0], None, *drawn[1:]]
    attempt.equals(
        "a parameter without gradient",
        (with_none, 2.0),
        [expected[0], None, *expected[1:]],
        mistakes,
    )
    zeros = [torch.zeros(2, 3), torch.zeros(5)]
    attempt.equals("nothing but zeros", (zeros, 1.0), zeros, mistakes)
    twice = attempt(attempt(drawn, 2.0), 2.0)
    attempt.holds("clipped twice", same(twice, expected), "the second time must change nothing")
    larger = attempt([10 * g for g in drawn], 2.0)
    attempt.holds("ten times as long", same(larger, expected), "the clipped gradient must not grow")

"""The descents of notebook 05: a ravine, pure noise, and a small network of the next token.

Dimension key: B rows, N tokens read, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minillm.optim import OptimizerName, clip_gradients, make_optimizer

CURVATURE = torch.tensor([1.0, 25.0], dtype=torch.float64)  # of the ravine's two directions
START = torch.tensor([-9.0, 1.8], dtype=torch.float64)
MakeRule = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def ravine(points: Tensor) -> Tensor:
    """Return ½ (θ₁² + 25 θ₂²) of (…, 2) points, flat along the first axis, steep along the second.

    Example:
        >>> ravine(torch.tensor([2.0, 1.0]))
        tensor(14.5000, dtype=torch.float64)
    """
    return (CURVATURE * points**2).sum(-1) / 2


def descend(make_rule: MakeRule, n_steps: int, loss: Callable[[Tensor], Tensor] = ravine) -> Tensor:
    """Let a rule walk downhill from ``START``; return the visited points, (n_steps + 1, 2).

    Example:
        >>> path = descend(lambda p: torch.optim.SGD(p, lr=0.02), n_steps=1)
        >>> [round(x, 3) for x in path[1].tolist()]  # 1 − 0.02 and 1 − 0.02 · 25 are left
        [-8.82, 0.9]
    """
    weight = nn.Parameter(START.clone())
    optimizer, path = make_rule([weight]), [START]
    for _ in range(n_steps):
        optimizer.zero_grad()
        loss(weight).backward()
        optimizer.step()
        path.append(weight.detach().clone())
    return torch.stack(path)


def decay_in_noise(
    rule: Callable[..., torch.optim.Optimizer],
    noise: float,
    *,
    n_steps: int = 1500,
    n_copies: int = 500,
    seed: int = 0,
) -> list[float]:
    """Give 500 weights that start at 1 nothing but noise for gradients; return their mean.

    Args:
        rule: takes ``learning_rate`` (0.01) and ``weight_decay`` (0.1).
        noise: standard deviation of the gradients.
        n_steps: how long.
        n_copies: weights whose mean is taken.
        seed: of the noise.

    Returns:
        The mean after each step.

    Example:
        >>> from minillm.optim import AdamW
        >>> len(decay_in_noise(AdamW, 0.1, n_steps=3))
        3
    """
    weights = nn.Parameter(torch.ones(n_copies, dtype=torch.float64))
    generator = torch.Generator().manual_seed(seed)
    optimizer, means = rule([weights], learning_rate=0.01, weight_decay=0.1), []
    for _ in range(n_steps):
        weights.grad = noise * torch.randn(n_copies, generator=generator, dtype=torch.float64)
        optimizer.step()
        means.append(weights.mean().item())
    return means


def next_token_loss(network: nn.Module, rows: Tensor) -> Tensor:
    """Return the mean nats of the last token of (B, N + 1) rows, given the N before it."""
    return F.cross_entropy(network(rows[:, :-1]), rows[:, -1])


class Descent(NamedTuple):
    """What one training noted in each of its steps."""

    losses: list[float]  # of the step's batch, nats per token
    norms: list[float]  # of the gradient, before clipping
    moves: list[list[float]]  # ‖update‖ / ‖weights‖ of each matrix


def train_network(
    network: nn.Module,
    batches: Tensor,
    *,
    rule: OptimizerName,
    rate: float,
    schedule: Callable[[int], float] = lambda step: 1.0,
    max_norm: float = math.inf,
    factors: Mapping[int, float] | None = None,
) -> Descent:
    """Take one step for each batch.

    Args:
        network: (B, N) token ids in, (B, V) logits out; it is changed.
        batches: (n_steps, B, N + 1) token ids.
        rule: the optimizer's name.
        rate: the peak of the learning rate.
        schedule: step, counted from 1, → share of the peak.
        max_norm: the gradient is clipped to it.
        factors: step → what its loss is multiplied by, to plant an accident.

    Returns:
        One entry for each step.
    """
    settings: dict[str, Any] = {"name": rule, "learning_rate": rate, "weight_decay": 0.0}
    optimizer = make_optimizer(network, **settings)
    matrices = [parameter for parameter in network.parameters() if parameter.ndim > 1]
    descent = Descent([], [], [])
    for step, rows in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = rate * schedule(step)
        loss = next_token_loss(network, rows)
        optimizer.zero_grad()
        (loss * (factors or {}).get(step, 1.0)).backward()
        descent.norms.append(clip_gradients(network.parameters(), max_norm).item())
        before = [matrix.detach().clone() for matrix in matrices]
        optimizer.step()
        descent.moves.append(_relative_moves(before, matrices))
        descent.losses.append(loss.item())
    return descent


@torch.no_grad()
def _relative_moves(before: list[Tensor], after: list[nn.Parameter]) -> list[float]:
    return [((b - a).norm() / a.norm()).item() for a, b in zip(before, after, strict=True)]

"""Choose which parameters decay and build the optimizer that moves them."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from minillm.errors import ConfigError
from minillm.optim.rules import SGD, Adam, AdamW

OptimizerName = Literal["sgd", "momentum", "adam", "adamw"]


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Split the trainable parameters into those that decay and those that do not.

    The rule, as in GPT-2's usual reproductions: whatever has two axes or more decays (the
    matrices of linear layers and the embeddings, which are often tied to the output matrix);
    vectors and scalars do not (biases, gains of the norms: there is nothing to overfit in them,
    and shrinking a gain toward 0 switches its layer off). Frozen parameters are left out, a tied
    one comes once.

    Args:
        model: where the parameters and their names come from.
        weight_decay: λ of the first group.

    Returns:
        Up to two groups of (name, parameter) pairs for a torch optimizer; empty ones are dropped.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 2), nn.LayerNorm(2))
        >>> for group in decay_groups(model, 0.1):
        ...     print(group["weight_decay"], [name for name, _ in group["params"]])
        0.1 ['0.weight']
        0.0 ['0.bias', '1.weight', '1.bias']
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [(name, p) for name, p in named if p.ndim >= 2]
    vectors = [(name, p) for name, p in named if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def make_optimizer(
    model: nn.Module,
    *,
    name: OptimizerName,
    learning_rate: float,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    momentum: float = 0.9,
    fused: bool = True,
) -> torch.optim.Optimizer:
    """Build the optimizer called ``name`` for the trainable parameters of ``model``.

    Args:
        model: its matrices decay, its vectors do not (``decay_groups``).
        name: "sgd" (no momentum), "momentum", "adam" or "adamw".
        learning_rate: the peak; a schedule multiplies it step by step.
        weight_decay: decoupled for "adamw"; the others add it to the gradient, as their papers do.
        betas: of "adam" and "adamw". The second is 0.95, as in GPT-3 (arXiv:2005.14165, app. B).
        eps: of "adam" and "adamw".
        momentum: of "momentum".
        fused: True takes PyTorch's fused implementation of the same rule, False ours.

    Returns:
        An optimizer whose groups know the names of their parameters.

    Raises:
        ConfigError: unknown ``name``, a setting out of range, or nothing to train.

    Example:
        >>> model = nn.Linear(3, 2)
        >>> fast = make_optimizer(model, name="adamw", learning_rate=1e-3)
        >>> ours = make_optimizer(model, name="adamw", learning_rate=1e-3, fused=False)
        >>> [type(optimizer).__module__ for optimizer in (fast, ours)]
        ['torch.optim.adamw', 'minillm.optim.rules']
    """
    groups = decay_groups(model, weight_decay)
    if not groups:
        raise ConfigError("there is nothing to train: the model has no trainable parameter")
    settings: dict[str, dict[str, Any]] = {
        "sgd": {},
        "momentum": {"momentum": momentum},
        "adam": {"betas": betas, "eps": eps},
        "adamw": {"betas": betas, "eps": eps},
    }
    if name not in settings:
        raise ConfigError(f"unknown optimizer {name!r}: choose one of {', '.join(settings)}")
    kind = {"adam": Adam, "adamw": AdamW}.get(name, SGD)
    ours = kind(groups, learning_rate=learning_rate, weight_decay=weight_decay, **settings[name])
    if not fused:
        return ours  # built in both cases: it has checked the settings
    torch_kind = getattr(torch.optim, kind.__name__)
    groups = decay_groups(model, weight_decay)  # the first ones belong to ``ours`` now
    return torch_kind(
        groups, lr=learning_rate, weight_decay=weight_decay, fused=True, **settings[name]
    )

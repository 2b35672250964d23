"""The update rules: SGD with momentum, Adam, AdamW; each beside its paper, for one parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from minillm.errors import ConfigError


def _require(name: str, value: float, *, below: float = math.inf) -> None:
    """Refuse a setting outside [0, below); NaN is outside too."""
    if not 0.0 <= value < below:
        limit = "finite" if below == math.inf else f"below {below:g}"
        raise ConfigError(f"{name} must be at least 0 and {limit}, got {value}")


class _OneByOne(torch.optim.Optimizer):
    """Apply ``update`` to each parameter that has a gradient, the others stay as they are."""

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        raise NotImplementedError

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Update every parameter that has a gradient.

        Args:
            closure: recomputes the loss with its gradients, for algorithms that ask for it.

        Returns:
            What ``closure`` returned, or None.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self.update(parameter, parameter.grad, group)
        return loss


class SGD(_OneByOne):
    r"""Walk against the gradient, with momentum like a heavy ball.

    v ← μ v + g, then θ ← θ − η v (Polyak 1964, in the form of Sutskever et al. 2013,
    https://proceedings.mlr.press/v28/sutskever13.html, with η outside v as in PyTorch).
    Nesterov's variant looks one step ahead: θ ← θ − η (g + μ v).

    Args:
        parameters: tensors, (name, tensor) pairs or groups, as for any torch optimizer.
        learning_rate: η, at least 0.
        momentum: μ in [0, 1); 0 keeps no state.
        nesterov: use Nesterov's variant; needs momentum.
        weight_decay: λ; adds λ θ to the gradient (L2 regularization).

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
        >>> weight.grad = torch.tensor([1.0])
        >>> SGD([weight], learning_rate=0.5).step()
        >>> weight.item()
        1.5
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        *,
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        _require("learning_rate", learning_rate)
        _require("momentum", momentum, below=1)
        _require("weight_decay", weight_decay)
        if nesterov and momentum == 0:
            raise ConfigError("nesterov=True needs momentum above 0")
        defaults = {"lr": learning_rate, "momentum": momentum, "nesterov": nesterov}
        super().__init__(parameters, defaults | {"weight_decay": weight_decay})

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Move one ``parameter``, in place."""
        gradient = gradient + group["weight_decay"] * parameter
        if group["momentum"]:
            state = self.state[parameter]
            velocity = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
            velocity.mul_(group["momentum"]).add_(gradient)
            gradient = gradient + group["momentum"] * velocity if group["nesterov"] else velocity
        parameter.sub_(group["lr"] * gradient)


class Adam(_OneByOne):
    r"""Give each weight its own step size, from running means of the gradient and its square.

    Algorithm 1 of Kingma and Ba 2014 (arXiv:1412.6980)::

        m ← β1 m + (1 − β1) g        m̂ = m / (1 − β1ᵗ)
        v ← β2 v + (1 − β2) g²       v̂ = v / (1 − β2ᵗ)
        θ ← θ − η m̂ / (√v̂ + ε)

    m and v start at zero and are therefore too small at first; the division by 1 − βᵗ corrects
    that bias exactly when the gradients do not change (section 3).

    Args:
        parameters: tensors, (name, tensor) pairs or groups, as for any torch optimizer.
        learning_rate: η, at least 0.
        betas: β1 and β2, each in [0, 1).
        eps: ε, outside the root.
        weight_decay: λ; adds λ θ to the gradient (L2). The division by √v̂ then weakens it for
            weights with large gradients; ``AdamW`` repairs that.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        The first step has length η whatever the size of the gradient:

        >>> weight = torch.nn.Parameter(torch.tensor([2.0, 2.0]))
        >>> weight.grad = torch.tensor([1e-3, -1e3])
        >>> Adam([weight], learning_rate=0.5).step()
        >>> [round(value, 3) for value in weight.tolist()]
        [1.5, 2.5]
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        *,
        learning_rate: float,
        betas: tuple[float, float] = (0.9, 0.95),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        _require("learning_rate", learning_rate)
        for name, beta in zip(("betas[0]", "betas[1]"), betas, strict=True):
            _require(name, beta, below=1)
        _require("eps", eps)
        _require("weight_decay", weight_decay)
        defaults = {"lr": learning_rate, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(parameters, defaults)

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Move one ``parameter``, in place."""
        gradient = gradient + group["weight_decay"] * parameter
        self._descend(parameter, gradient, group)

    def _descend(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Take the step of Algorithm 1 (its line numbers are in the comments)."""
        m, v, t = self._moments(parameter)
        beta1, beta2 = group["betas"]
        m.mul_(beta1).add_((1 - beta1) * gradient)  # line 7
        v.mul_(beta2).add_((1 - beta2) * gradient.square())  # line 8
        m_hat = m / (1 - beta1**t)  # line 9
        v_hat = v / (1 - beta2**t)  # line 10
        parameter.sub_(group["lr"] * m_hat / (v_hat.sqrt() + group["eps"]))  # line 11

    def _moments(self, parameter: Tensor) -> tuple[Tensor, Tensor, int]:
        """Count one more step and return m, v and the count t, which starts at 1."""
        state = self.state[parameter]
        if not state:
            state["step"] = torch.tensor(0.0)  # a tensor only because torch's own is one
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
        state["step"] += 1
        return state["exp_avg"], state["exp_avg_sq"], int(state["step"])


class AdamW(Adam):
    r"""Shrink the weights beside Adam's step, not inside its gradient.

    θ ← θ − η λ θ − η m̂ / (√v̂ + ε): Algorithm 2 of Loshchilov and Hutter 2017
    (arXiv:1711.05101). Every weight shrinks at the same rate, however large its gradients are.
    Like PyTorch, and unlike line 12 of the paper, λ is multiplied by the whole learning rate η,
    not only by the schedule: a λ from the paper is divided by the peak η.

    Args:
        parameters: tensors, (name, tensor) pairs or groups, as for any torch optimizer.
        learning_rate: η, at least 0.
        betas: β1 and β2, each in [0, 1).
        eps: ε, outside the root.
        weight_decay: λ, decoupled.

    Raises:
        ConfigError: a setting is out of its range.

    Example:
        Without a gradient to follow, a step only shrinks the weight by η λ:

        >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
        >>> weight.grad = torch.tensor([0.0])
        >>> AdamW([weight], learning_rate=0.5, weight_decay=0.1).step()
        >>> round(weight.item(), 3)
        1.9
    """

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Move one ``parameter``, in place."""
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        self._descend(parameter, gradient, group)

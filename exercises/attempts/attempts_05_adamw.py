"""Right and wrong answers to the exercise "AdamW" of notebook 05."""

from __future__ import annotations

import torch

from exercises.attempts.planted import Planted
from exercises.checks_05 import check_adamw

# --- right


def _by_the_paper(weight, gradient, state, learning_rate, betas, eps, weight_decay):
    if gradient is None:
        return weight, state
    if state is None:
        state = {"m": torch.zeros_like(weight), "v": torch.zeros_like(weight), "t": 0}
    t = state["t"] + 1
    m = betas[0] * state["m"] + (1 - betas[0]) * gradient
    v = betas[1] * state["v"] + (1 - betas[1]) * gradient**2
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    step = m_hat / (v_hat.sqrt() + eps) + weight_decay * weight
    return weight - learning_rate * step, {"m": m, "v": v, "t": t}


def _as_in_torch(weight, gradient, state, learning_rate, betas, eps, weight_decay):
    """Shrink first, fold the corrections into the step, remember powers of β."""
    if gradient is None:
        return weight.clone(), state
    beta1, beta2 = betas
    m, v, power1, power2 = state or (0.0, 0.0, 1.0, 1.0)
    power1, power2 = power1 * beta1, power2 * beta2
    m = torch.lerp(torch.as_tensor(m, dtype=weight.dtype).expand_as(weight), gradient, 1 - beta1)
    v = beta2 * v + (1 - beta2) * gradient * gradient
    denominator = v.sqrt() / (1 - power2) ** 0.5 + eps
    shrunk = weight * (1 - learning_rate * weight_decay)
    return shrunk - learning_rate / (1 - power1) * m / denominator, (m, v, power1, power2)


def _from_the_history(weight, gradient, state, learning_rate, betas, eps, weight_decay):
    """Keep all gradients; a weighted mean needs no correction if the weights sum to 1."""
    if gradient is None:
        return weight, state
    gradients = [*(state or []), gradient]
    ages = torch.arange(len(gradients), dtype=weight.dtype).flip(0)

    def mean(values, beta):
        weights = beta**ages
        return torch.tensordot(weights / weights.sum(), values, 1)

    history = torch.stack(gradients)
    adam = mean(history, betas[0]) / (mean(history.square(), betas[1]).sqrt() + eps)
    return weight - learning_rate * adam - learning_rate * weight_decay * weight, gradients


# --- wrong


def _start(weight, state):
    """Return m, v and the number t of this step."""
    if state is None:
        return torch.zeros_like(weight), torch.zeros_like(weight), 1
    return state["m"], state["v"], state["t"] + 1


def _moments(gradient, m, v, betas):
    return (
        betas[0] * m + (1 - betas[0]) * gradient,
        betas[1] * v + (1 - betas[1]) * gradient.square(),
    )


def _no_bias_correction(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    return w * (1 - lr * decay) - lr * m / (v.sqrt() + eps), {"m": m, "v": v, "t": t}


def _only_m_corrected(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    return w * (1 - lr * decay) - lr * m / (1 - betas[0] ** t) / (v.sqrt() + eps), {
        "m": m,
        "v": v,
        "t": t,
    }


def _coupled(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g + decay * w, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _eps_inside(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w * (1 - lr * decay) - lr * m_hat * (v_hat + eps).rsqrt(), {"m": m, "v": v, "t": t}


def _eps_too_early(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    rate = lr * (1 - betas[1] ** t) ** 0.5 / (1 - betas[0] ** t)
    return w * (1 - lr * decay) - rate * m / (v.sqrt() + eps), {"m": m, "v": v, "t": t}


def _betas_swapped(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas[::-1])
    m_hat, v_hat = m / (1 - betas[1] ** t), v / (1 - betas[0] ** t)
    return w * (1 - lr * decay) - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _weighed_the_wrong_way(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m = (1 - betas[0]) * m + betas[0] * g
    v = (1 - betas[1]) * v + betas[1] * g * g
    m_hat, v_hat = m / (1 - (1 - betas[0]) ** t), v / (1 - (1 - betas[1]) ** t)
    return w * (1 - lr * decay) - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _no_root(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w * (1 - lr * decay) - lr * m_hat / (v_hat + eps), {"m": m, "v": v, "t": t}


def _absolute_values(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g.abs()
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w * (1 - lr * decay) - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _decay_without_rate(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w * (1 - decay) - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _decay_afterwards(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    w = w - lr * m_hat / (v_hat.sqrt() + eps)
    return w - lr * decay * w, {"m": m, "v": v, "t": t}


def _no_decay(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w - lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _uphill(w, g, state, lr, betas, eps, decay):
    if g is None:
        return w, state
    m, v, t = _start(w, state)
    m, v = _moments(g, m, v, betas)
    m_hat, v_hat = m / (1 - betas[0] ** t), v / (1 - betas[1] ** t)
    return w * (1 - lr * decay) + lr * m_hat / (v_hat.sqrt() + eps), {"m": m, "v": v, "t": t}


def _counts_from_zero(weight, gradient, state, *settings):
    if gradient is None:
        return weight, state
    state = state or {"m": torch.zeros_like(weight), "v": torch.zeros_like(weight), "t": -1}
    return _by_the_paper(weight, gradient, state, *settings)


def _forgets_its_count(weight, gradient, state, *settings):
    state = None if state is None else state | {"t": 0}
    return _by_the_paper(weight, gradient, state, *settings)


def _decays_what_has_no_gradient(weight, gradient, state, learning_rate, betas, eps, decay):
    if gradient is None:
        return weight * (1 - learning_rate * decay), state
    return _by_the_paper(weight, gradient, state, learning_rate, betas, eps, decay)


def _zeros_for_none(weight, gradient, state, *settings):
    gradient = torch.zeros_like(weight) if gradient is None else gradient
    return _by_the_paper(weight, gradient, state, *settings)


_SHARED = {}


def _one_memory_for_all(weight, gradient, state, *settings):
    """Remember m, v and t outside; begin anew when a weight has no state yet."""
    if state is None:
        _SHARED.clear()
    weight, state = _by_the_paper(weight, gradient, dict(_SHARED) or None, *settings)
    _SHARED.update(state or {})
    return weight, {"m": None, "v": None, "t": None}


_SECOND = torch.tensor([[1.0, -2.0]], dtype=torch.float64)
PLANTED = (
    Planted(
        check=check_adamw,
        arguments=(_SECOND, _SECOND + 1, None, 0.1, (0.9, 0.95), 1e-8, 0.1),
        right=(_by_the_paper, _as_in_torch, _from_the_history),
        wrong={
            _no_bias_correction: "does not correct the bias",
            _only_m_corrected: "corrects m but not v",
            _coupled: "that is Adam with L2, not AdamW",
            _eps_inside: "ε is inside the root",
            _eps_too_early: "ε before the bias of v is corrected",
            _betas_swapped: "β1 and β2 are swapped",
            _weighed_the_wrong_way: "weighs the old mean by 1 − β",
            _no_root: "divides by v̂, not by its root",
            _absolute_values: "averages |g|",
            _decay_without_rate: "multiply it by the learning rate too",
            _decay_afterwards: "decays the weight after the step",
            _no_decay: "does not decay the weight",
            _uphill: "walks uphill",
            _counts_from_zero: "counts t from 0",
            _forgets_its_count: "t stays at 1",
            _decays_what_has_no_gradient: "decays a weight without a gradient",
            _zeros_for_none: "takes None for a gradient of zeros",
            _one_memory_for_all: "disturb each other",
        },
    ),
)

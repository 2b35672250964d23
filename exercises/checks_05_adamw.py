"""The first check of notebook 05: AdamW, one step for one weight tensor at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from exercises.harness import Attempt, exercise, same

Step = Callable[..., Any]  # (weight, gradient, state, *settings) → (weight, state)
Gradients = Sequence[Tensor | None] | Tensor  # one a step
Settings = tuple[float, tuple[float, float], float, float]  # η, (β1, β2), ε, λ

# ε is large here: at its usual 1e-8 nobody could see where it stands.
SETTINGS: Settings = (0.05, (0.8, 0.95), 1e-2, 0.1)


def _mistaken(**wrong: Callable[..., Any]) -> Step:
    """Build AdamW from parts, of which the given ones are wrong."""

    def part(name: str, right: Callable[..., Any] = lambda value, *_: value) -> Callable[..., Any]:
        return wrong.get(name, right)

    def step(weight, gradient, state, learning_rate, betas, eps, weight_decay):
        if gradient is None:
            return weight, state
        beta1, beta2 = part("betas")(betas)
        m, v, t = state or (torch.zeros_like(weight), torch.zeros_like(weight), 0)
        gradient = part("gradient")(gradient, weight, weight_decay)
        m = part("mean", lambda m, g, beta: beta * m + (1 - beta) * g)(m, gradient, beta1)
        v = part("square", lambda v, g, beta: beta * v + (1 - beta) * g * g)(v, gradient, beta2)
        rests = [1 - beta ** part("exponent")(t + 1) for beta in (beta1, beta2)]
        m_hat, v_hat = part("correction")((m / rests[0], v / rests[1]), (m, v))
        root = part("root", lambda v_hat, eps, _: v_hat.sqrt() + eps)(v_hat, eps, rests[1])
        move = part("move")(learning_rate * m_hat / root)
        shrink = part("decay", lambda w, eta, decay, move: w - eta * decay * w - move)
        return shrink(weight, learning_rate, weight_decay, move), (m, v, t + 1)

    return step


def _decays_without_gradient(weight, gradient, state, *settings):
    if gradient is None:
        return weight * (1 - settings[0] * settings[3]), state
    return _mistaken()(weight, gradient, state, *settings)


def _none_as_zeros(weight, gradient, state, *settings):
    gradient = torch.zeros_like(weight) if gradient is None else gradient
    return _mistaken()(weight, gradient, state, *settings)


def _ignore_decay(weight: Tensor, _eta: float, _decay: float, move: Tensor) -> Tensor:
    return weight - move


MISTAKES: Mapping[str, Step] = {
    "it does not correct the bias: m and v start at zero, divide them by 1 − βᵗ": _mistaken(
        correction=lambda _, raw: raw
    ),
    "it corrects m but not v: v starts at zero as well": _mistaken(
        correction=lambda corrected, raw: (corrected[0], raw[1])
    ),
    "it corrects v but not m: m starts at zero as well": _mistaken(
        correction=lambda corrected, raw: (raw[0], corrected[1])
    ),
    "it counts t from 0, and 1 − β⁰ is zero: the first step is t = 1": _mistaken(
        exponent=lambda t: t - 1
    ),
    "it counts t from 2: the first step is t = 1": _mistaken(exponent=lambda t: t + 1),
    "its t stays at 1: it must grow with each step, so keep it in the state": _mistaken(
        exponent=lambda _: 1
    ),
    "it adds λ θ to the gradient, where √v̂ divides it away: that is Adam with L2, not AdamW": (
        _mistaken(gradient=lambda g, w, decay: g + decay * w, decay=_ignore_decay)
    ),
    "it does not decay the weight": _mistaken(decay=_ignore_decay),
    "its decay is λ θ: multiply it by the learning rate too": _mistaken(
        decay=lambda w, eta, decay, move: w - decay * w - move
    ),
    "it decays the weight after the step: λ acts on the weight from before it": _mistaken(
        decay=lambda w, eta, decay, move: (w - move) * (1 - eta * decay)
    ),
    "its decay makes the weight grow: subtract it": _mistaken(
        decay=lambda w, eta, decay, move: w + eta * decay * w - move
    ),
    "its ε is inside the root: √v̂ + ε, not √(v̂ + ε)": _mistaken(
        root=lambda v_hat, eps, _: (v_hat + eps).sqrt()
    ),
    "it adds ε before the bias of v is corrected: first v̂, then √v̂ + ε": _mistaken(
        root=lambda v_hat, eps, rest: v_hat.sqrt() + eps / rest**0.5
    ),
    "it leaves ε out": _mistaken(root=lambda v_hat, *_: v_hat.sqrt()),
    "it divides by v̂, not by its root: the step then has another unit than the weight": _mistaken(
        root=lambda v_hat, eps, _: v_hat + eps
    ),
    "its β1 and β2 are swapped: β1 belongs to m": _mistaken(betas=lambda betas: betas[::-1]),
    "it weighs the old mean by 1 − β and the new gradient by β": _mistaken(
        betas=lambda betas: (1 - betas[0], 1 - betas[1])
    ),
    "its m is only the last gradient": _mistaken(mean=lambda m, g, beta: (1 - beta) * g),
    "its v averages |g|: square the gradient": _mistaken(
        square=lambda v, g, beta: beta * v + (1 - beta) * g.abs()
    ),
    "its v is the square of the mean, not the mean of the square": _mistaken(
        square=lambda v, g, beta: (beta * v.sqrt() + (1 - beta) * g.abs()) ** 2
    ),
    "it walks uphill: subtract the step": _mistaken(move=lambda move: -move),
    "it decays a weight without a gradient: None means that it stays as it is": (
        _decays_without_gradient
    ),
    "it takes None for a gradient of zeros, and old momentum moves the weight": _none_as_zeros,
}


def _walk(step: Step, weight: Tensor, gradients: Gradients, settings: Settings):
    """Return the weight after each step."""
    state, weights = None, []
    for gradient in gradients:
        weight, state = step(weight, gradient, state, *settings)
        weights.append(weight)
    return torch.stack(weights)


def _torchs_walk(weight: Tensor, gradients: Gradients, settings: Settings) -> Tensor:
    """Return the same from PyTorch's AdamW."""
    learning_rate, betas, eps, weight_decay = settings
    parameter, weights = nn.Parameter(weight.clone()), []
    optimizer = torch.optim.AdamW(
        [parameter], lr=learning_rate, betas=betas, eps=eps, weight_decay=weight_decay
    )
    for gradient in gradients:
        parameter.grad = None if gradient is None else gradient.clone()
        optimizer.step()
        weights.append(parameter.detach().clone())
    return torch.stack(weights)


def _compare(
    attempt: Attempt,
    what: str,
    weight: Tensor,
    gradients: Gradients,
    settings: Settings = SETTINGS,
) -> None:
    """Walk as PyTorch does, or be told which mistake gives the same weights."""
    got = _walk(attempt, weight, gradients, settings)
    expected = _torchs_walk(weight, gradients, settings)
    if same(got, expected):
        attempt.holds(what, condition=True, mistake="")
        return
    walks = {name: _walk(step, weight, gradients, settings) for name, step in MISTAKES.items()}
    mistake = next((name for name, walk in walks.items() if same(walk, got)), "the numbers differ")
    steps = (got - expected).abs().flatten(1).amax(1).nan_to_num(nan=torch.inf) > 1e-9
    first = int(steps.int().argmax())
    numbers = {"torch": expected[first], "got": got[first]}
    attempt.holds(what, False, mistake, first_wrong_step=first + 1, **numbers)


@exercise("AdamW")
def check_adamw(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``adamw(weight, gradient, state, learning_rate, betas, eps, weight_decay)``.

    It returns (new weight, new state); state is None at first, then what it returned last; a
    gradient of None leaves both as they are.
    """
    weight = torch.tensor([1.0, -3.0], dtype=torch.float64)
    gradient = torch.tensor([2.0, 0.0], dtype=torch.float64)
    result = attempt(weight, gradient, None, *SETTINGS)
    is_pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Tensor)
    attempt.holds("what it returns", is_pair, "return the new weight and the new state, as a pair")
    fits = result[0].shape == weight.shape and result[0].dtype == weight.dtype
    attempt.holds("the new weight", fits, "it must keep the weight's shape and dtype")

    gradients = torch.randn(200, 2, 3, generator=generator, dtype=torch.float64)
    gradients[:, 0] *= torch.logspace(0, -3, 200, dtype=torch.float64)[:, None]
    weight = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    _compare(attempt, "one step", weight, gradients[:1])
    _compare(attempt, "five steps", weight, gradients[:5])
    _compare(attempt, "200 steps", weight, gradients)
    zeros = [torch.zeros_like(weight)] * 3
    _compare(attempt, "a gradient of zeros", weight, zeros)
    paused = [*gradients[:3], None, None, gradients[3]]
    _compare(attempt, "no gradient for two steps", weight, paused)
    _compare(attempt, "no gradient at first", weight, [None, *gradients[:2]])
    other = (0.01, (0.5, 0.75), 1.0, 0.0)
    _compare(attempt, "other settings", weight, gradients[:5], other)
    _check_state(attempt, weight, gradients)


def _check_state(attempt: Attempt, weight: Tensor, gradients: Tensor) -> None:
    """Walk two weights in turn, and continue twice from one state."""
    states: list[Any] = [None, None]
    weights = [weight, weight]
    for first, second in zip(gradients[:4], gradients[4:8], strict=True):
        for i, gradient in enumerate((first, second)):
            weights[i], states[i] = attempt(weights[i], gradient, states[i], *SETTINGS)
    alone = [_torchs_walk(weight, g, SETTINGS)[-1] for g in (gradients[:4], gradients[4:8])]
    mistake = "they disturb each other: all that a weight needs (m, v and t) belongs in its state"
    is_same = same(torch.stack(weights), torch.stack(alone))
    attempt.holds("two weights in turn", is_same, mistake)
    continued = [attempt(weights[0], gradients[4], states[0], *SETTINGS)[0] for _ in range(2)]
    expected = _torchs_walk(weight, gradients[:5], SETTINGS)[-1]
    mistake = "the numbers differ: the state must say all, so that a run can be resumed from it"
    is_same = all(same(weight, expected) for weight in continued)
    attempt.holds("resumed twice from one state", is_same, mistake)

"""The second check of notebook 04: the first loss. N positions, F features, V vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.harness import Attempt, exercise

_TOLERANCE = 0.03  # nats: more than the noise of what is measured and than V's being finite
_MOST_ABOVE = 0.05  # nats above ln V that fresh weights may cost
_LEAST_GRADIENT = 1e-4  # below it the features learn nothing at first


def _mean_square(hidden: Tensor) -> float:
    """Return the mean over the positions of |h|²."""
    return hidden.square().sum(-1).mean().item()


_PREDICTIONS: dict[str, Callable[[int, Tensor, float], float]] = {
    "it is ln V whatever the weights are: scores that differ make a model wrongly sure": (
        lambda v, h, std: math.log(v)
    ),
    "it counts in bits: the loss is in nats": (
        lambda v, h, std: (math.log(v) + std**2 * _mean_square(h) / 2) / math.log(2)
    ),
    "it is a perplexity: take the logarithm": lambda v, h, std: float(v),
    "it adds the whole variance of the scores: ln E[e^x] = σ²/2 for x from N(0, σ²)": (
        lambda v, h, std: math.log(v) + std**2 * _mean_square(h)
    ),
    "it adds half a standard deviation: it is the variance that counts": (
        lambda v, h, std: math.log(v) + std * math.sqrt(_mean_square(h)) / 2
    ),
    "it takes the weights' variance for the scores': a score is a sum of F products": (
        lambda v, h, std: math.log(v) + std**2 / 2
    ),
    "it takes the weights' variance times h²'s mean: a score is a sum of F of them, not a mean": (
        lambda v, h, std: math.log(v) + std**2 * h.square().mean().item() / 2
    ),
    "it takes every feature for ±1: their squares sum to |h|², not to F": (
        lambda v, h, std: math.log(v) + std**2 * h.shape[-1] / 2
    ),
    "it squares the mean feature: take the mean of the squares": (
        lambda v, h, std: math.log(v) + std**2 * h.shape[-1] * h.mean().item() ** 2 / 2
    ),
    "it lowers the loss: a fresh model's confidence is never right, it can only cost": (
        lambda v, h, std: math.log(v) - std**2 * _mean_square(h) / 2
    ),
}


def _measured_loss(hidden: Tensor, weight: Tensor) -> float:
    """Return the mean loss over all positions and targets, of U and of −U, which is as likely."""
    logits = hidden @ weight.T
    both = torch.stack([logits, -logits])  # the mean score, pure chance, cancels
    return (both.logsumexp(-1) - both.mean(-1)).mean().item()


@exercise("predict the initial loss")
def check_initial_loss(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``initial_loss(vocab_size, hidden, std)``: the expected first loss, a float in nats.

    The scores are U h with hidden (N, F) float64 and V rows of U drawn from N(0, std²). Compared
    with what fresh weights really cost.
    """
    vocab_size, n_features = 3001, 64
    hidden = 1.5 * torch.rand(23, n_features, generator=generator, dtype=torch.float64) - 0.5
    for std in (0.0, 0.1, 0.2):
        weight = std * torch.randn(vocab_size, n_features, generator=generator, dtype=torch.float64)
        expected = _measured_loss(hidden, weight)
        given = attempt(vocab_size, hidden, std)
        is_number = type(given) in (int, float)
        attempt.holds(f"std {std}", is_number, f"give a float, not a {type(given).__name__}")
        is_close = abs(given - expected) < _TOLERANCE
        mistake = _named(vocab_size, hidden, std, given)
        attempt.holds(f"std {std}", is_close, mistake, measured=expected, predicted=float(given))


def _named(vocab_size: int, hidden: Tensor, std: float, given: float) -> str:
    """Name the usual mistake that predicts this number."""
    for name, formula in _PREDICTIONS.items():
        if abs(formula(vocab_size, hidden, std) - given) < 1e-6 * max(1.0, abs(given)):
            return name
    return "the number is wrong"


@exercise("first output weights")
def check_output_weights(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``output_weights(vocab_size, n_features, generator)``: (V, F) float32, small not zero.

    Features are in [−1, 1]. The loss must begin within 0.05 of ln V, a gradient must reach the
    features, and everything random must come from the generator.
    """
    vocab_size, n_features = 301, 128
    draws = [_draw(attempt, vocab_size, n_features, seed) for seed in (0, 0, 1)]
    _check_form(attempt, draws[0], (vocab_size, n_features))
    hidden = torch.rand(29, n_features, generator=generator) * 2 - 1
    largest = torch.ones(2, n_features) * torch.tensor([[1.0], [-1.0]])  # all features saturated
    for what, features in (("usual features", hidden), ("saturated features", largest)):
        excess = _measured_loss(features, draws[0]) - math.log(vocab_size)
        mistake = _too_large(draws[0], n_features)
        attempt.holds(what, excess < _MOST_ABOVE, mistake, nats_above_ln_V=excess)
    features = hidden.clone().requires_grad_()
    targets = torch.randint(vocab_size, (len(hidden),), generator=generator)
    with torch.enable_grad():
        loss = F.cross_entropy(features @ draws[0].detach().T, targets, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, features)
    mistake = "none reaches the features: with weights of 0 the layers below cannot learn"
    attempt.holds("the gradient", gradient.abs().mean().item() > _LEAST_GRADIENT, mistake)
    is_same = torch.equal(draws[0], draws[1])
    attempt.holds("one seed", is_same, "two draws differ: take everything random from `generator`")
    mistake = "the weights are the same: the generator must be used"
    attempt.holds("another seed", not torch.equal(draws[0], draws[2]), mistake)
    is_balanced = (draws[0].mean(0) * n_features).abs().max() < 1
    mistake = "a column has a mean far from 0: draw around 0, so that no id is preferred"
    attempt.holds("the mean", bool(is_balanced), mistake)


def _draw(attempt: Attempt, vocab_size: int, n_features: int, seed: int) -> Tensor:
    return attempt(vocab_size, n_features, torch.Generator().manual_seed(seed))


def _check_form(attempt: Attempt, weight: object, shape: tuple[int, int]) -> None:
    is_right = type(weight) is Tensor and weight.shape == shape and weight.dtype == torch.float32
    got = tuple(weight.shape) if isinstance(weight, Tensor) else type(weight).__name__
    attempt.holds("the result", is_right, f"give a float32 tensor of shape {shape}, not {got}")


def _too_large(weight: Tensor, n_features: int) -> str:
    """Say where weights of this size usually come from."""
    std = weight.std().item()
    origins = {
        "they are from N(0, 1), torch's default for embeddings": 1.0,
        "they are uniform in [−1, 1]": 1 / math.sqrt(3),
        "they are of size 1 / √F, so each score has size 1: that keeps a signal alive between "
        "layers, but scores should begin near 0": 1 / math.sqrt(n_features),
        "they are of size √(2 / F), He's rule for layers before a ReLU": math.sqrt(2 / n_features),
        "they are uniform in ±1 / √F, torch's default for linear layers": (
            1 / math.sqrt(3 * n_features)
        ),
        "they are of Glorot's size √(2 / (F + V)), which forgets that all F may be ±1": (
            math.sqrt(2 / (n_features + len(weight)))
        ),
    }
    for origin, size in origins.items():
        if abs(std / size - 1) < 0.03:
            return f"the loss begins too high: {origin}"
    return f"the loss begins too high: weights of size {std:.2g} make scores that differ too much"

"""Right and wrong answers to the exercises of notebook 04."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_04 import check_cross_entropy, check_initial_loss, check_output_weights

# --- cross-entropy, right


def _by_log_softmax(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    is_scored = targets != -100
    n = is_scored.sum().clamp(min=1)
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum") / n
    gradient = logits.softmax(-1)
    gradient[is_scored] -= F.one_hot(targets[is_scored], logits.shape[-1]).to(logits.dtype)
    return loss, gradient * is_scored[..., None] / n


def _by_hand(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    shifted = logits - logits.amax(-1, keepdim=True)
    exps = shifted.exp()
    totals = exps.sum(-1, keepdim=True)
    loss, gradient, n = logits.new_zeros(()), torch.zeros_like(logits), 0
    for b in range(targets.shape[0]):
        for t in range(targets.shape[1]):
            target = int(targets[b, t])
            if target < 0:
                continue
            n += 1
            loss = loss + totals[b, t, 0].log() - shifted[b, t, target]
            gradient[b, t] = exps[b, t] / totals[b, t]
            gradient[b, t, target] -= 1
    return loss / max(n, 1), gradient / max(n, 1)


# --- cross-entropy, wrong


def _given_count(n: Callable[[Tensor], float]) -> Callable[..., tuple[Tensor, Tensor]]:
    """Do everything rightly, but divide by another number."""

    def answer(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        loss, gradient = _by_hand(logits, targets)
        factor = int((targets != -100).sum()) / n(targets)
        return loss * factor, gradient * factor

    return answer


def _over_rows(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return _given_count(lambda targets: targets.shape[0])(logits, targets)


def _over_all_places(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return _given_count(lambda targets: targets.numel())(logits, targets)


def _only_summed(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return _given_count(lambda targets: 1)(logits, targets)


def _ignored_as_zero(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    return _by_hand(logits, targets.clamp(min=0))


def _gradient_everywhere(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, _ = _by_log_softmax(logits, targets)
    onehot = F.one_hot(targets.clamp(min=0), logits.shape[-1])
    return loss, (logits.softmax(-1) - onehot) / (targets != -100).sum().clamp(min=1)


def _gradient_of_sum(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    return loss, gradient * (targets != -100).sum()


def _sum_beside_mean(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    return loss * (targets != -100).sum(), gradient


def _without_onehot(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, _ = _by_log_softmax(logits, targets)
    is_scored = (targets != -100)[..., None]
    return loss, logits.softmax(-1) * is_scored / is_scored.sum().clamp(min=1)


def _without_normalizer(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, _ = _by_log_softmax(logits, targets)
    is_scored = (targets != -100)[..., None]
    onehot = F.one_hot(targets.clamp(min=0), logits.shape[-1])
    return loss, -onehot * is_scored.to(logits.dtype) / is_scored.sum().clamp(min=1)


def _uphill(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    return loss, -gradient


def _in_bits(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    return loss / math.log(2), gradient / math.log(2)


def _wrong_sign(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    return -loss, gradient


def _like_a_sigmoid(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, _ = _by_log_softmax(logits, targets)
    probs, is_scored = logits.softmax(-1), (targets != -100)[..., None]
    return loss, probs * (1 - probs) * is_scored / is_scored.sum().clamp(min=1)


def _divides_by_nothing(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    loss, gradient = _by_log_softmax(logits, targets)
    factor = (targets != -100).sum().clamp(min=1) / (targets != -100).sum()
    return loss * factor, gradient * factor


def _overflowing(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    _, gradient = _by_log_softmax(logits, targets)
    is_scored = targets != -100
    picked = logits.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    nats = logits.exp().sum(-1).log() - picked
    return nats[is_scored].sum() / is_scored.sum().clamp(min=1), _exp_gradient(gradient, logits)


def _exp_gradient(gradient: Tensor, logits: Tensor) -> Tensor:
    """Turn to NaN where exponentials overflow."""
    return gradient + torch.where(logits.exp().isinf(), math.nan, 0.0)


def _log_of_zero(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    _, gradient = _by_log_softmax(logits, targets)
    is_scored = targets != -100
    picked = logits.softmax(-1).gather(-1, targets.clamp(min=0)[..., None])[..., 0]
    return -picked.log()[is_scored].sum() / is_scored.sum().clamp(min=1), gradient


# --- the first loss


def _formula(vocab_size: int, hidden: Tensor, std: float) -> float:
    variance = std**2 * hidden.pow(2).sum(dim=1).mean().item()
    return math.log(vocab_size) + variance / 2


def _simulated(vocab_size: int, hidden: Tensor, std: float) -> float:
    generator = torch.Generator().manual_seed(7)
    losses = []
    for _ in range(20):
        shape = vocab_size, hidden.shape[1]
        weight = std * torch.randn(*shape, generator=generator, dtype=hidden.dtype)
        logits = hidden @ weight.T
        losses.append((logits.logsumexp(1) - logits.mean(1)).mean().item())
    return sum(losses) / len(losses)


def _only_ln_v(vocab_size: int, hidden: Tensor, std: float) -> float:
    return math.log(vocab_size)


def _predicted_bits(vocab_size: int, hidden: Tensor, std: float) -> float:
    return _formula(vocab_size, hidden, std) / math.log(2)


def _perplexity(vocab_size: int, hidden: Tensor, std: float) -> float:
    return float(vocab_size)


def _whole_variance(vocab_size: int, hidden: Tensor, std: float) -> float:
    return 2 * _formula(vocab_size, hidden, std) - math.log(vocab_size)


def _half_a_deviation(vocab_size: int, hidden: Tensor, std: float) -> float:
    deviation = std * hidden.pow(2).sum(dim=1).mean().sqrt().item()
    return math.log(vocab_size) + deviation / 2


def _weights_variance(vocab_size: int, hidden: Tensor, std: float) -> float:
    return math.log(vocab_size) + std**2 / 2


def _mean_for_sum(vocab_size: int, hidden: Tensor, std: float) -> float:
    return math.log(vocab_size) + std**2 * hidden.pow(2).mean().item() / 2


def _features_of_one(vocab_size: int, hidden: Tensor, std: float) -> float:
    return math.log(vocab_size) + hidden.shape[1] * std**2 / 2


def _squared_mean(vocab_size: int, hidden: Tensor, std: float) -> float:
    return math.log(vocab_size) + hidden.shape[1] * std**2 * hidden.mean().item() ** 2 / 2


def _lowered(vocab_size: int, hidden: Tensor, std: float) -> float:
    return 2 * math.log(vocab_size) - _formula(vocab_size, hidden, std)


# --- the first output weights


def _small_normal(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return 0.02 * torch.randn(vocab_size, n_features, generator=generator)


def _small_uniform(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return (torch.rand(vocab_size, n_features, generator=generator) - 0.5) / n_features


def _standard_normal(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return torch.randn(vocab_size, n_features, generator=generator)


def _uniform_one(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(vocab_size, n_features, generator=generator) - 1


def _keeping_size(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return torch.randn(vocab_size, n_features, generator=generator) / math.sqrt(n_features)


def _he(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return torch.randn(vocab_size, n_features, generator=generator) * math.sqrt(2 / n_features)


def _default_linear(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    unit = 2 * torch.rand(vocab_size, n_features, generator=generator) - 1
    return unit / math.sqrt(n_features)


def _glorot(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    std = math.sqrt(2 / (n_features + vocab_size))
    return std * torch.randn(vocab_size, n_features, generator=generator)


def _zero(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return torch.zeros(vocab_size, n_features)


def _global_random(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return 0.02 * torch.randn(vocab_size, n_features)


def _own_seed(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    fixed = torch.Generator().manual_seed(0)
    return 0.02 * torch.randn(vocab_size, n_features, generator=fixed)


def _not_centered(vocab_size: int, n_features: int, generator: torch.Generator) -> Tensor:
    return 0.04 * torch.rand(vocab_size, n_features, generator=generator)


_HIDDEN = torch.linspace(-1, 1, 6, dtype=torch.float64).view(3, 2)
_LOGITS = torch.linspace(-1, 1, 12, dtype=torch.float64).view(2, 2, 3)
PLANTED = (
    Planted(
        check=check_cross_entropy,
        arguments=(_LOGITS, torch.ones(2, 2, dtype=torch.int64)),
        right=(_by_log_softmax, _by_hand),
        wrong={
            _over_rows: "number of rows B",
            _over_all_places: "all B·T places",
            _only_summed: "returns sums",
            _ignored_as_zero: "scores ignored targets",
            _gradient_everywhere: "flows at ignored places",
            _gradient_of_sum: "that of the sum",
            _sum_beside_mean: "loss is a sum",
            _without_onehot: "p alone",
            _without_normalizer: "−onehot alone",
            _uphill: "wrong sign",
            _in_bits: "counts in bits",
            _wrong_sign: "a loss is −log p",
            _like_a_sigmoid: "p (1 − p)",
            _divides_by_nothing: "divides by zero",
            _overflowing: "subtract the greatest logit",
            _log_of_zero: "stay in log space",
        },
    ),
    Planted(
        check=check_initial_loss,
        arguments=(5, _HIDDEN, 0.1),
        right=(_formula, _simulated),
        wrong={
            _only_ln_v: "ln V whatever",
            _predicted_bits: "counts in bits",
            _perplexity: "perplexity",
            _whole_variance: "whole variance",
            _half_a_deviation: "half a standard deviation",
            _weights_variance: "a sum of F products",
            _mean_for_sum: "not a mean",
            _features_of_one: "for ±1",
            _squared_mean: "squares the mean feature",
            _lowered: "lowers the loss",
        },
    ),
    Planted(
        check=check_output_weights,
        arguments=(5, 3, torch.Generator().manual_seed(0)),
        right=(_small_normal, _small_uniform),
        wrong={
            _standard_normal: "N(0, 1)",
            _uniform_one: "uniform in [−1, 1]",
            _keeping_size: "1 / √F",
            _he: "He's rule",
            _default_linear: "torch's default for linear layers",
            _glorot: "Glorot's size",
            _zero: "layers below cannot learn",
            _global_random: "two draws differ",
            _own_seed: "generator must be used",
            _not_centered: "draw around 0",
        },
    ),
)

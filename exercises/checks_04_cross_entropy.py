"""The first check of notebook 04: cross-entropy forward and backward. B rows, T places, V ids."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise

IGNORE_INDEX = -100
_STEP = 1e-5  # of the central differences: their error is about its square
Result = tuple[Tensor, Tensor]  # loss, and its gradient by the logits


def _parts(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return nats, softmax, one-hot targets and what is scored; ignored targets read as id 0."""
    is_scored = targets != IGNORE_INDEX
    ids = targets.where(is_scored, 0)
    onehot = torch.nn.functional.one_hot(ids, logits.shape[-1]).to(logits.dtype)
    nats = -(logits.log_softmax(-1) * onehot).sum(-1)
    return nats, logits.softmax(-1), onehot, is_scored


def _wrong(change: Callable[..., Result]) -> Callable[[Tensor, Tensor], Result]:
    """Turn a change of the loss or of the gradient into a formula of the arguments.

    ``change`` gets the right sum and the right gradient of the sum, the count, and the parts.
    """

    def formula(logits: Tensor, targets: Tensor) -> Result:
        nats, probs, onehot, is_scored = _parts(logits, targets)
        scored = is_scored[..., None].to(logits.dtype)
        loss_sum = torch.where(is_scored, nats, 0).sum()
        n = max(int(is_scored.sum()), 1)
        return change(loss_sum, (probs - onehot) * scored, n, (nats, probs, onehot, scored))

    return formula


CROSS_ENTROPY_MISTAKES: Mistakes = {
    "it divides by the number of rows B: the mean is over all scored tokens": _wrong(
        lambda loss, gradient, n, parts: (loss / len(parts[0]), gradient / len(parts[0]))
    ),
    "it divides by all B·T places: an ignored target is not counted": _wrong(
        lambda loss, gradient, n, parts: (loss / parts[0].numel(), gradient / parts[0].numel())
    ),
    "it scores ignored targets: −100 means 'leave this place out', it is no id": _wrong(
        lambda loss, gradient, n, parts: (parts[0].mean(), (parts[1] - parts[2]) / parts[0].numel())
    ),
    "its gradient flows at ignored places: a place that is not scored has none": _wrong(
        lambda loss, gradient, n, parts: (loss / n, (parts[1] - parts[2]) / n)
    ),
    "it returns sums: divide the loss and the gradient by the number of scored tokens": _wrong(
        lambda loss, gradient, n, parts: (loss, gradient)
    ),
    "its gradient is that of the sum: what divides the loss divides the gradient too": _wrong(
        lambda loss, gradient, n, parts: (loss / n, gradient)
    ),
    "its loss is a sum, its gradient that of the mean": _wrong(
        lambda loss, gradient, n, parts: (loss, gradient / n)
    ),
    "its gradient is p alone: the score of the target must rise, subtract 1 there": _wrong(
        lambda loss, gradient, n, parts: (loss / n, parts[1] * parts[3] / n)
    ),
    "its gradient is −onehot alone: the other scores must fall, the normalizer has a slope": _wrong(
        lambda loss, gradient, n, parts: (loss / n, -parts[2] * parts[3] / n)
    ),
    "its gradient has the wrong sign: it is p − onehot; descent subtracts it": _wrong(
        lambda loss, gradient, n, parts: (loss / n, -gradient / n)
    ),
    "it counts in bits: the loss is in nats, by the natural logarithm": _wrong(
        lambda loss, gradient, n, parts: (loss / n / math.log(2), gradient / n / math.log(2))
    ),
    "its sign is wrong: a loss is −log p": _wrong(
        lambda loss, gradient, n, parts: (-loss / n, gradient / n)
    ),
    "its gradient is p (1 − p), the slope of one sigmoid: softmax shares 1 among V": _wrong(
        lambda loss, gradient, n, parts: (loss / n, parts[1] * (1 - parts[1]) * parts[3] / n)
    ),
}


def _slow_loss(logits: Tensor, targets: Tensor) -> float:
    """Walk over every target in plain Python."""
    nats = []
    for rows, ids in zip(logits.tolist(), targets.tolist(), strict=True):
        for scores, target in zip(rows, ids, strict=True):
            if target != IGNORE_INDEX:
                total = math.fsum(math.exp(score) for score in scores)
                nats.append(math.log(total) - scores[target])
    return math.fsum(nats) / max(len(nats), 1)


def _slow_gradient(logits: Tensor, targets: Tensor) -> Tensor:
    """Nudge every logit up and down: (f(x + ε) − f(x − ε)) / 2 ε."""
    gradient = torch.zeros_like(logits)
    for place in torch.cartesian_prod(*map(torch.arange, logits.shape)).tolist():
        values = []
        for step in (_STEP, -_STEP):
            nudged = logits.clone()
            nudged[tuple(place)] += step
            values.append(_slow_loss(nudged, targets))
        gradient[tuple(place)] = (values[0] - values[1]) / (2 * _STEP)
    return gradient


@exercise("cross-entropy forward and backward")
def check_cross_entropy(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``cross_entropy(logits, targets)``: the mean nats and their gradient by the logits.

    Of (B, T, V) logits and (B, T) ids, −100 where not scored: a scalar and (B, T, V). Autograd is
    switched off; the gradient is compared with central differences.
    """
    with torch.no_grad():
        _check_values(attempt, generator)


def _check_values(attempt: Attempt, generator: torch.Generator) -> None:
    mistakes = CROSS_ENTROPY_MISTAKES
    # p = (1/2, 1/4, 1/4) and the target has 1/4: 2 bits, and the gradient p − onehot.
    probs = torch.tensor([[[0.5, 0.25, 0.25]]], dtype=torch.float64)
    gradient = torch.tensor([[[0.5, -0.75, 0.25]]], dtype=torch.float64)
    loss = torch.tensor(2 * math.log(2), dtype=torch.float64)
    by_hand = probs.log(), torch.tensor([[1]])
    attempt.equals("one token by hand", by_hand, (loss, gradient), mistakes)

    logits = 2 * torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    targets = torch.randint(1, 5, (2, 3), generator=generator)
    for what, ids in (
        ("six tokens", targets),
        ("two of six ignored", targets.index_fill(1, torch.tensor([1]), IGNORE_INDEX)),
    ):
        loss = torch.tensor(_slow_loss(logits, ids), dtype=torch.float64)
        expected = loss, _slow_gradient(logits, ids)
        attempt.equals(f"{what}, against nudged logits", (logits, ids), expected, mistakes)
    nothing = torch.full_like(targets, IGNORE_INDEX)
    zero = torch.tensor(0.0, dtype=torch.float64)
    mistakes = {"it divides by zero where nothing is scored: the loss is 0": _divided_by_zero}
    attempt.equals("every target ignored", (logits, nothing), (zero, logits * 0), mistakes)
    far = torch.tensor([[[0.0, 2000.0]]], dtype=torch.float64)
    gradient = torch.tensor([[[-1.0, 1.0]]], dtype=torch.float64)
    expected = torch.tensor(2000.0, dtype=torch.float64), gradient
    mistakes = {
        "e^2000 is infinite: subtract the greatest logit first": _overflowing,
        "it takes the logarithm of a probability that was rounded to 0: stay in log space": (
            _log_of_zero
        ),
    }
    attempt.equals("surely wrong", (far, torch.tensor([[0]])), expected, mistakes)
    both = attempt(logits + 7, targets), attempt(logits, targets)
    is_same = torch.allclose(both[0][0], both[1][0]) and torch.allclose(both[0][1], both[1][1])
    attempt.holds("a constant added to all logits", is_same, "the result changes: normalize")


def _divided_by_zero(logits: Tensor, targets: Tensor) -> Result:
    nan = torch.tensor(math.nan, dtype=logits.dtype)
    return nan, logits * nan


def _overflowing(logits: Tensor, targets: Tensor) -> Result:
    exps = logits.exp()
    probs = exps / exps.sum(-1, keepdim=True)
    onehot = torch.nn.functional.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    picked = logits.gather(-1, targets[..., None])[..., 0]
    return (exps.sum(-1).log() - picked).mean(), probs - onehot


def _log_of_zero(logits: Tensor, targets: Tensor) -> Result:
    probs = logits.softmax(-1)
    onehot = torch.nn.functional.one_hot(targets, logits.shape[-1]).to(logits.dtype)
    return -probs.gather(-1, targets[..., None]).log().mean(), probs - onehot

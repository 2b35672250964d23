"""Checks of notebook 00. B sequences, T positions, C channels, V token ids."""

from __future__ import annotations

import math

import torch
from einops import rearrange, reduce
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same
from minillm.batch import IGNORE_INDEX


def _counts(values: Tensor) -> Tensor:
    """Return 1, 2, …, T as (T, 1), to divide (B, T, C)."""
    return torch.arange(1, values.shape[1] + 1).unsqueeze(-1)


def _mean_with_next(values: Tensor) -> Tensor:
    """Average the positions up to t + 1, the last of which has no next."""
    sums = values.cumsum(1)
    shifted = torch.cat([sums[:, 1:], sums[:, -1:]], dim=1)
    return shifted / (_counts(values) + 1).clamp(max=values.shape[1])


def _mean_before(values: Tensor) -> Tensor:
    """Average the positions before t; nothing at the first."""
    return (values.cumsum(1) - values) / (_counts(values) - 1).clamp(min=1)


def _mean_from(values: Tensor) -> Tensor:
    """Average the positions from t to the end."""
    return (values.flip(1).cumsum(1) / _counts(values)).flip(1)


def _mean_with_previous_mean(values: Tensor) -> Tensor:
    """Average each value with the mean so far, which halves the weight of the past each time."""
    means = [values[:, 0]]
    for t in range(1, values.shape[1]):
        means.append((means[-1] + values[:, t]) / 2)
    return torch.stack(means, dim=1)


CAUSAL_MEAN_MISTAKES: Mistakes = {
    "it also reads position t + 1: the mean at t must know nothing later than t": _mean_with_next,
    "it divides by T: at position t only t + 1 values have been summed": lambda values: (
        values.cumsum(1) / values.shape[1]
    ),
    "it takes the mean over all positions: position t may read 0 … t only": lambda values: reduce(
        values, "b t c -> b 1 c", "mean"
    ).expand_as(values),
    "it leaves position t itself out: the mean at t includes t": _mean_before,
    "it divides by t: positions count from 0, so at t there are t + 1 values": lambda values: (
        values.cumsum(1) / (_counts(values) - 1)
    ),
    "it only adds up: the sums are not divided by their number of values": lambda values: (
        values.cumsum(1)
    ),
    "it walks along the batch axis: rows of a batch are different texts": lambda values: (
        values.cumsum(0) / torch.arange(1, values.shape[0] + 1)[:, None, None]
    ),
    "it walks along the channel axis: the mean goes over time, axis 1": lambda values: (
        values.cumsum(2) / torch.arange(1, values.shape[2] + 1)
    ),
    "it averages from t to the end: that is the future, not the past": _mean_from,
    "it averages the new value with the last mean, which weighs the past too little": (
        _mean_with_previous_mean
    ),
}


@exercise("batched causal mean")
def check_causal_mean(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``causal_mean(values)``: at each position t, the mean of the values at 0 … t.

    The function takes and returns a float tensor (B, T, C).
    """
    mistakes = CAUSAL_MEAN_MISTAKES
    first, first_means = [[1.0, 10], [3, 20], [8, 60]], [[1.0, 10], [2, 15], [4, 30]]
    second, second_means = [[0.0, -6], [6, 0], [-3, 3]], [[0.0, -6], [3, -3], [1, -1]]
    values, means = torch.tensor([first, second]), torch.tensor([first_means, second_means])
    attempt.equals("two short rows", (values,), means, mistakes)
    one = torch.tensor([[[5.0, -2.0]], [[0.5, 4.0]]])
    attempt.equals("a single position", (one,), one, mistakes)

    values = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    columns = [[list(channel) for channel in zip(*row, strict=True)] for row in values.tolist()]
    slow = [[[math.fsum(c[: t + 1]) / (t + 1) for c in row] for t in range(7)] for row in columns]
    expected = torch.tensor(slow, dtype=torch.float64)
    attempt.equals("random rows against a slow loop", (values,), expected, mistakes)
    single = values.float(), expected.float()
    attempt.equals("float32 in, float32 out", (single[0],), single[1], mistakes)

    before = attempt(values)
    for t in range(6):
        changed = values.clone()
        changed[:, t + 1 :] += 100
        is_blind = same(attempt(changed)[:, : t + 1], before[:, : t + 1])
        attempt.holds(f"changing what comes after position {t}", is_blind, "the past changes too")
    changed = values.clone()
    changed[0] += 100
    is_blind = same(attempt(changed)[1:], before[1:])
    attempt.holds("changing row 0 of the batch", is_blind, "the other rows change too")


def _max_over_batch(logits: Tensor) -> Tensor:
    """Subtract the maximum over the first axis, which differs from one token id to the next."""
    return torch.log_softmax(logits - logits.max(0, keepdim=True).values, -1)


def _max_of_all(logits: Tensor) -> Tensor:
    shifted = logits - logits.max()
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _without_max(logits: Tensor) -> Tensor:
    return logits - logits.exp().sum(-1, keepdim=True).log()


def _log_of_softmax(logits: Tensor) -> Tensor:
    return torch.softmax(logits, -1).log()


def _max_not_put_back(logits: Tensor) -> Tensor:
    """Normalize the shifted logits and subtract the result from the logits as they were."""
    shifted = logits - logits.max(-1, keepdim=True).values
    return logits - shifted.exp().sum(-1, keepdim=True).log()


def _exp_without_max(logits: Tensor) -> Tensor:
    """Divide first, then take the logarithm, without subtracting the maximum."""
    return (logits.exp() / logits.exp().sum(-1, keepdim=True)).log()


LOG_SOFTMAX_MISTAKES: Mistakes = {
    "it returns probabilities: the logarithm is missing": lambda logits: torch.softmax(logits, -1),
    "it counts in bits: log2 where the natural logarithm is meant": lambda logits: (
        torch.log_softmax(logits, -1) / math.log(2)
    ),
    "it normalizes over the first axis: each row must sum to one, so axis −1": lambda logits: (
        torch.log_softmax(logits, 0)
    ),
    "it normalizes all rows together: each row is a distribution of its own": lambda logits: (
        logits - logits.flatten().logsumexp(0)
    ),
    "it takes the maximum over the wrong axis: what is subtracted must be one number per row": (
        _max_over_batch
    ),
    "it subtracts the maximum inside the exponential and forgets it outside": _max_not_put_back,
    "it does not subtract the maximum: exp of a large logit overflows, of a small one vanishes": (
        _without_max
    ),
    "it divides by a sum that overflowed or vanished: subtract the row's maximum first": (
        _exp_without_max
    ),
    "it subtracts one maximum for all rows: rows far below it vanish; take each row's own": (
        _max_of_all
    ),
    "it takes the logarithm of a probability that was rounded to 0: never leave log space": (
        _log_of_softmax
    ),
}


@exercise("stable log-softmax")
def check_log_softmax(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``log_softmax(logits)``: log-probabilities over the last axis, for any finite logits.

    The function takes and returns a float tensor (…, V). Logits may be −∞, but not a whole row.
    """
    mistakes = LOG_SOFTMAX_MISTAKES
    # Rows of probabilities 1/4, 3/4, 0 … would hide a swapped axis: take 1, 2, 5 and 1, 1, 2.
    logits = torch.tensor([[1.0, 2.0, 5.0], [7.0, 7.0, 14.0]]).log()
    expected = torch.tensor([[1 / 8, 2 / 8, 5 / 8], [1 / 4, 1 / 4, 1 / 2]]).log()
    attempt.equals("small logits", (logits,), expected, mistakes)

    what, half = "a logit of −∞, which means impossible", math.log(1 / 2)
    masked = torch.tensor([[0.0, -math.inf, 0.0]])
    small = float(attempt(masked)[0, 1])
    mistake = "it adds a small constant inside the logarithm, so that nothing is impossible"
    attempt.holds(what, not math.isfinite(small), mistake, log_prob=small)
    expected = torch.tensor([[half, -math.inf, half]])
    attempt.equals(what, (masked,), expected, mistakes)

    logits = 3 * torch.randn(2, 3, 5, generator=generator, dtype=torch.float64)
    sums = [[math.log(math.fsum(map(math.exp, r))) for r in rows] for rows in logits.tolist()]
    expected = logits - torch.tensor(sums, dtype=torch.float64).unsqueeze(-1)
    attempt.equals("(B, T, V) in float64", (logits,), expected, mistakes)

    # In float64, where exp overflows all the same: in float32 a right answer that subtracts the
    # log-sum-exp from logits of ten thousand keeps only three digits.
    row = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64)
    shifted = row - math.log(1 + math.e + math.e**3)
    for name, shift in {
        "logits of ten thousand": 1e4,
        "logits of minus ten thousand": -1e4,
    }.items():
        attempt.equals(name, (row[None] + shift,), shifted[None], mistakes)
    both = torch.stack([row, row + 1e4])
    attempt.equals("rows far apart", (both,), torch.stack([shifted, shifted]), mistakes)
    wide, expected = torch.tensor([[[1e4, 0.0, -1e4]], [[0.0, -1e4, -2e4]]], dtype=torch.float64)
    attempt.equals("one logit far above", (wide,), expected, mistakes)

    _check_gradient(attempt, logits)


def _check_gradient(attempt: Attempt, logits: Tensor) -> None:
    """Adding a constant to a row changes nothing, so its gradient sums to zero."""
    logits = logits.clone().requires_grad_()
    result = attempt(logits)
    what = "the gradient"
    attempt.holds(what, result.requires_grad, "none flows: stay with torch, without detach")
    (gradient,) = torch.autograd.grad(result[..., 0].sum(), logits)
    sums = gradient.sum(-1)
    mistake = "it must sum to zero over V: the normalizer is part of the function, do not detach it"
    attempt.holds(what, same(sums, torch.zeros_like(sums)), mistake, sums=sums)


def _picked(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Return the log-probability at each target; ignored targets read id 0."""
    return log_probs.gather(-1, targets.clamp(min=0).unsqueeze(-1)).squeeze(-1)


def _shifted_again(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Score target t + 1 at position t, the last position not at all."""
    picked = torch.zeros(targets.shape, dtype=log_probs.dtype)
    picked[:, :-1] = _target_log_probs(log_probs[:, :-1], targets[:, 1:])
    return picked


def _target_log_probs(log_probs: Tensor, targets: Tensor) -> Tensor:
    return _picked(log_probs, targets).masked_fill(targets == IGNORE_INDEX, 0)


def _best_log_probs(log_probs: Tensor, targets: Tensor) -> Tensor:
    best = log_probs.max(-1).values
    return best.masked_fill(targets == IGNORE_INDEX, 0)


def _wrong_order(log_probs: Tensor, targets: Tensor) -> Tensor:
    """Flatten the targets column by column while the log-probs are flattened row by row."""
    swapped = rearrange(targets, "b t -> (t b)").reshape(targets.shape)
    return _target_log_probs(log_probs, swapped)


TARGET_MISTAKES: Mistakes = {
    "it scores the best token id instead of the target: a model is judged by what came": (
        _best_log_probs
    ),
    "it shifts the targets: position t of targets is already what follows position t of inputs": (
        _shifted_again
    ),
    "it pairs rows with the wrong targets: a transpose, or a view across axes": _wrong_order,
    "it scores ignored targets as if they were token id 0": _picked,
    "it ignores token id 0: only IGNORE_INDEX is not scored": lambda log_probs, targets: _picked(
        log_probs, targets
    ).masked_fill(targets <= 0, 0),
    "it returns probabilities: log_probs already are what is asked for": (
        lambda log_probs, targets: (
            _picked(log_probs, targets).exp().masked_fill(targets == IGNORE_INDEX, 0)
        )
    ),
    "it returns losses: the sign is turned": lambda log_probs, targets: (
        -_target_log_probs(log_probs, targets)
    ),
    "it divides by the number of scored targets: return one number per target, undivided": (
        lambda log_probs, targets: (
            _target_log_probs(log_probs, targets) / (targets != IGNORE_INDEX).sum()
        )
    ),
    "it reads the log-probs of row 0 for every row": lambda log_probs, targets: _target_log_probs(
        log_probs[:1].expand_as(log_probs), targets
    ),
}


@exercise("log-probability of each target")
def check_target_log_probs(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``target_log_probs(log_probs, targets)``: what a model gave to what really came.

    The function takes log-probabilities (B, T, V) and int64 targets (B, T), and returns (B, T);
    where a target is ``IGNORE_INDEX`` it returns 0.
    """
    mistakes = TARGET_MISTAKES
    log_probs = torch.tensor([[[1, 2, 5], [2, 5, 1]], [[4, 3, 1], [1, 1, 6]]]).div(8).log()
    targets = torch.tensor([[0, 2], [1, 2]])
    expected = torch.tensor([[1 / 8, 1 / 8], [3 / 8, 6 / 8]]).log()
    attempt.equals("two rows of two", (log_probs, targets), expected, mistakes)
    targets = torch.tensor([[IGNORE_INDEX, 2], [0, IGNORE_INDEX]])
    expected = torch.tensor([[0, math.log(1 / 8)], [math.log(4 / 8), 0]])
    attempt.equals("ignored targets", (log_probs, targets), expected, mistakes)
    nothing = torch.full((2, 2), IGNORE_INDEX)
    attempt.equals("nothing scored", (log_probs, nothing), torch.zeros(2, 2), mistakes)

    logits = torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    log_probs = torch.log_softmax(logits, -1)
    targets = torch.randint(5, (3, 7), generator=generator)
    targets[0, 2:4] = targets[2, -1] = IGNORE_INDEX
    losses = torch.nn.functional.cross_entropy(
        rearrange(logits, "b t v -> b v t"), targets, ignore_index=IGNORE_INDEX, reduction="none"
    )
    attempt.equals("against torch's cross_entropy", (log_probs, targets), -losses, mistakes)

    changed = log_probs.clone()
    changed[0, 2:4] = -math.inf  # what is not scored may be anything
    is_blind = same(attempt(changed, targets), -losses)
    attempt.holds("log-probs of −∞ under ignored targets", is_blind, "they change the result")

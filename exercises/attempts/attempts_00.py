"""Right and wrong answers to the exercises of notebook 00."""

from __future__ import annotations

import torch
from einops import einsum, rearrange
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_00 import check_causal_mean, check_log_softmax, check_target_log_probs
from minillm.batch import IGNORE_INDEX

# --- batched causal mean, right


def _mean_by_sums(values: Tensor) -> Tensor:
    counts = torch.arange(1, values.shape[1] + 1, dtype=values.dtype)
    return torch.cumsum(values, dim=1) / rearrange(counts, "t -> t 1")


def _mean_by_matrix(values: Tensor) -> Tensor:
    weights = torch.ones(values.shape[1], values.shape[1], dtype=values.dtype).tril()
    weights = weights / weights.sum(-1, keepdim=True)
    return einsum(weights, values, "t s, b s c -> b t c")


def _mean_by_loop(values: Tensor) -> Tensor:
    means = torch.empty_like(values)
    for t in range(values.shape[1]):
        means[:, t] = values[:, : t + 1].mean(dim=1)
    return means


def _mean_by_update(values: Tensor) -> Tensor:
    mean, means = torch.zeros_like(values[:, 0]), []
    for t, value in enumerate(values.unbind(1)):
        mean = mean + (value - mean) / (t + 1)
        means.append(mean)
    return torch.stack(means, 1)


# --- batched causal mean, wrong


def _reads_next(values: Tensor) -> Tensor:
    n = values.shape[1]
    return torch.stack([values[:, : min(t + 2, n)].mean(1) for t in range(n)], 1)


def _divides_by_length(values: Tensor) -> Tensor:
    return torch.stack([values[:, : t + 1].sum(1) for t in range(values.shape[1])], 1) / len(
        values[0]
    )


def _reads_everything(values: Tensor) -> Tensor:
    return values.mean(1, keepdim=True).repeat(1, values.shape[1], 1)


def _leaves_itself_out(values: Tensor) -> Tensor:
    means = torch.zeros_like(values)
    for t in range(1, values.shape[1]):
        means[:, t] = values[:, :t].mean(1)
    return means


def _divides_by_position(values: Tensor) -> Tensor:
    return torch.cumsum(values, 1) / torch.arange(values.shape[1])[None, :, None]


def _only_sums(values: Tensor) -> Tensor:
    return torch.ones(values.shape[1], values.shape[1], dtype=values.dtype).tril() @ values


def _goes_along_batch(values: Tensor) -> Tensor:
    return torch.stack([values[: b + 1].mean(0) for b in range(len(values))])


def _goes_along_channels(values: Tensor) -> Tensor:
    return torch.stack([values[..., : c + 1].mean(-1) for c in range(values.shape[-1])], -1)


def _triangle_upside_down(values: Tensor) -> Tensor:
    weights = torch.ones(values.shape[1], values.shape[1], dtype=values.dtype).triu()
    return (weights / weights.sum(-1, keepdim=True)) @ values


def _weighs_by_halves(values: Tensor) -> Tensor:
    means = values.clone()
    for t in range(1, values.shape[1]):
        means[:, t] = 0.5 * means[:, t - 1] + 0.5 * values[:, t]
    return means


def _writes_into_input(values: Tensor) -> Tensor:
    for t in reversed(range(values.shape[1])):
        values[:, t] = values[:, : t + 1].mean(1)
    return values


# --- stable log-softmax, right


def _by_torch(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=-1)


def _by_logsumexp(logits: Tensor) -> Tensor:
    return logits - torch.logsumexp(logits, -1, keepdim=True)


def _by_hand(logits: Tensor) -> Tensor:
    highest = logits.max(dim=-1, keepdim=True).values
    shifted = logits - highest
    return shifted - torch.log(torch.exp(shifted).sum(dim=-1, keepdim=True))


def _by_adding_in_log_space(logits: Tensor) -> Tensor:
    total = logits[..., 0]
    for v in range(1, logits.shape[-1]):
        total = torch.logaddexp(total, logits[..., v])
    return logits - total[..., None]


# --- stable log-softmax, wrong


def _subtracts_nothing(logits: Tensor) -> Tensor:
    return logits - torch.log(torch.exp(logits).sum(-1, keepdim=True))


def _divides_first(logits: Tensor) -> Tensor:
    powers = logits.exp()
    return torch.log(powers / powers.sum(-1, keepdim=True))


def _takes_highest_of_column(logits: Tensor) -> Tensor:
    shifted = logits - logits.amax(0)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _takes_highest_of_all(logits: Tensor) -> Tensor:
    highest = logits.max()
    return logits - highest - (logits - highest).exp().sum(-1, keepdim=True).log()


def _adds_epsilon(logits: Tensor) -> Tensor:
    return torch.log(torch.softmax(logits, dim=-1) + 1e-9)


def _rounds_to_zero(logits: Tensor) -> Tensor:
    powers = torch.exp(logits - logits.max(-1, keepdim=True).values)
    return torch.log(powers / powers.sum(-1, keepdim=True))


def _goes_over_first_axis(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits, dim=0)


def _counts_bits(logits: Tensor) -> Tensor:
    return torch.log2(torch.softmax(logits, -1))


def _forgets_logarithm(logits: Tensor) -> Tensor:
    return torch.softmax(logits, -1)


def _normalizes_everything(logits: Tensor) -> Tensor:
    return torch.log_softmax(logits.flatten(), 0).view(logits.shape)


def _forgets_highest(logits: Tensor) -> Tensor:
    highest = logits.max(-1, keepdim=True).values
    return logits - (logits - highest).exp().sum(-1, keepdim=True).log()


def _detaches(logits: Tensor) -> Tensor:
    return logits - logits.detach().logsumexp(-1, keepdim=True)


def _leaves_torch(logits: Tensor) -> Tensor:
    with torch.no_grad():
        return logits.log_softmax(-1)


def _shifts_input(logits: Tensor) -> Tensor:
    logits -= logits.amax(-1, keepdim=True)
    return logits - logits.exp().sum(-1, keepdim=True).log()


# --- log-probability of each target, right


def _by_gather(log_probs: Tensor, targets: Tensor) -> Tensor:
    is_scored = targets != IGNORE_INDEX
    ids = targets.where(is_scored, 0)
    picked = torch.gather(log_probs, 2, ids[..., None])[..., 0]
    return picked.where(is_scored, 0)


def _by_cross_entropy(log_probs: Tensor, targets: Tensor) -> Tensor:
    losses = torch.nn.functional.nll_loss(
        log_probs.flatten(0, 1), targets.flatten(), ignore_index=IGNORE_INDEX, reduction="none"
    )
    return -losses.view(targets.shape)


def _by_indexing(log_probs: Tensor, targets: Tensor) -> Tensor:
    result = torch.zeros_like(log_probs[..., 0])
    b, t = torch.nonzero(targets >= 0, as_tuple=True)
    result[b, t] = log_probs[b, t, targets[b, t]]
    return result


# --- log-probability of each target, wrong


def _takes_the_best(log_probs: Tensor, targets: Tensor) -> Tensor:
    return torch.where(targets == IGNORE_INDEX, 0, log_probs.amax(-1))


def _shifts_once_more(log_probs: Tensor, targets: Tensor) -> Tensor:
    following = torch.full_like(targets, IGNORE_INDEX)
    following[:, :-1] = targets[:, 1:]
    return _by_gather(log_probs, following)


def _views_across_axes(log_probs: Tensor, targets: Tensor) -> Tensor:
    flat = targets.T.reshape(-1)
    picked = log_probs.reshape(len(flat), -1)[torch.arange(len(flat)), flat.clamp(min=0)]
    return picked.where(flat != IGNORE_INDEX, 0).view(targets.shape)


def _clamps_only(log_probs: Tensor, targets: Tensor) -> Tensor:
    return log_probs.gather(2, targets.clamp(min=0)[..., None])[..., 0]


def _ignores_id_zero(log_probs: Tensor, targets: Tensor) -> Tensor:
    return torch.where(targets > 0, _clamps_only(log_probs, targets), 0)


def _returns_probs(log_probs: Tensor, targets: Tensor) -> Tensor:
    return torch.where(targets >= 0, _clamps_only(log_probs.exp(), targets), 0)


def _returns_losses(log_probs: Tensor, targets: Tensor) -> Tensor:
    return -_by_cross_entropy(log_probs, targets)


def _averages(log_probs: Tensor, targets: Tensor) -> Tensor:
    return _by_indexing(log_probs, targets) / int((targets >= 0).sum())


def _reads_first_row(log_probs: Tensor, targets: Tensor) -> Tensor:
    rows = [_by_gather(log_probs[:1], row[None]) for row in targets]
    return torch.cat(rows)


def _multiplies_by_zero(log_probs: Tensor, targets: Tensor) -> Tensor:
    return _clamps_only(log_probs, targets) * (targets >= 0)


PLANTED = (
    Planted(
        check=check_causal_mean,
        arguments=(torch.ones(3, 5, 2),),
        right=(_mean_by_sums, _mean_by_matrix, _mean_by_loop, _mean_by_update),
        wrong={
            _reads_next: "also reads position t + 1",
            _divides_by_length: "divides by T:",
            _reads_everything: "mean over all positions",
            _leaves_itself_out: "leaves position t itself out",
            _divides_by_position: "positions count from 0",
            _only_sums: "only adds up",
            _goes_along_batch: "along the batch axis",
            _goes_along_channels: "along the channel axis",
            _triangle_upside_down: "the future, not the past",
            _weighs_by_halves: "weighs the past too little",
            _writes_into_input: "changes its input in place",
        },
    ),
    Planted(
        check=check_log_softmax,
        arguments=(torch.ones(3, 5),),
        right=(_by_torch, _by_logsumexp, _by_hand, _by_adding_in_log_space),
        wrong={
            _subtracts_nothing: "does not subtract the maximum",
            _divides_first: "a sum that overflowed or vanished",
            _takes_highest_of_column: "maximum over the wrong axis",
            _takes_highest_of_all: "one maximum for all rows",
            _adds_epsilon: "adds a small constant",
            _rounds_to_zero: "never leave log space",
            _goes_over_first_axis: "over the first axis",
            _counts_bits: "counts in bits",
            _forgets_logarithm: "the logarithm is missing",
            _normalizes_everything: "normalizes all rows together",
            _forgets_highest: "forgets it outside",
            _detaches: "do not detach it",
            _leaves_torch: "none flows",
            _shifts_input: "changes its input in place",
        },
    ),
    Planted(
        check=check_target_log_probs,
        arguments=(torch.zeros(2, 3, 5), torch.tensor([[1, 0, 4], [2, 3, IGNORE_INDEX]])),
        right=(_by_gather, _by_cross_entropy, _by_indexing),
        wrong={
            _takes_the_best: "the best token id instead of the target",
            _shifts_once_more: "shifts the targets",
            _views_across_axes: "pairs rows with the wrong targets",
            _clamps_only: "as if they were token id 0",
            _ignores_id_zero: "only IGNORE_INDEX is not scored",
            _returns_probs: "returns probabilities",
            _returns_losses: "the sign is turned",
            _averages: "divides by the number of scored targets",
            _reads_first_row: "row 0 for every row",
            _multiplies_by_zero: "−∞ under ignored targets",
        },
    ),
)

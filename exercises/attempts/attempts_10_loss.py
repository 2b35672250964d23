"""Right and wrong answers to the exercise "shift and loss" of notebook 10."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_10 import check_causal_loss

# --- right


def _loss_by_cross_entropy(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    targets = token_ids.masked_fill(is_padding, -100)[:, 1:]
    loss_sum = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="sum")
    return loss_sum / (targets != -100).sum().clamp(min=1)


def _loss_by_gather(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    log_probs = torch.log_softmax(logits, dim=-1)
    nats = -log_probs[:, :-1].gather(2, token_ids[:, 1:].unsqueeze(2))[..., 0]
    chosen = nats[~is_padding[:, 1:]]
    return chosen.mean() if len(chosen) else nats.sum() * 0


def _loss_by_loop(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    terms = [logits.sum() * 0]
    n_scored = 0
    for b in range(len(token_ids)):
        for t in range(token_ids.shape[1] - 1):
            if not is_padding[b, t + 1]:
                terms.append(logits[b, t].logsumexp(0) - logits[b, t, token_ids[b, t + 1]])
                n_scored += 1
    return torch.stack(terms).sum() / max(n_scored, 1)


def _loss_by_weights(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    swapped = logits[:, :-1].transpose(1, 2)
    weights = (~is_padding[:, 1:]).to(logits.dtype)
    nats = F.cross_entropy(swapped, token_ids[:, 1:], reduction="none")
    return (nats * weights).sum() / weights.sum().clamp(min=1)


# --- wrong


def _crossed(logits: Tensor, targets: Tensor, is_padding: Tensor) -> Tensor:
    """Do the rest rightly."""
    targets = targets.masked_fill(is_padding, -100)
    loss_sum = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
    return loss_sum / (~is_padding).sum().clamp(min=1)


def _unshifted(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _crossed(logits, token_ids, is_padding)


def _shifted_twice(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    inputs, targets, padding = logits[:, :-1], token_ids[:, 1:], is_padding[:, 1:]
    return _crossed(inputs[:, :-1], targets[:, 1:], padding[:, 1:])


def _shifted_backwards(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _crossed(logits[:, 1:], token_ids[:, :-1], is_padding[:, :-1])


def _wrapped_around(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _crossed(logits, torch.roll(token_ids, -1, 1), torch.roll(is_padding, -1, 1))


def _padding_scored(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())


def _masked_too_late(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), token_ids[:, 1:].flatten())
    weights = (~is_padding[:, 1:]).to(logits.dtype)
    return (loss * weights).sum() / weights.sum().clamp(min=1)


def _input_padding(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _crossed(logits[:, :-1], token_ids[:, 1:], is_padding[:, :-1])


def _mean_of_means(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    rows = zip(logits.split(1), token_ids.split(1), is_padding.split(1), strict=True)
    return torch.stack([_loss_by_cross_entropy(*row) for row in rows]).mean()


def _zeros_counted(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    targets = token_ids.masked_fill(is_padding, -100)[:, 1:]
    nats = F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="none")
    return nats.mean()


def _mean_over_rows(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    loss = _loss_by_cross_entropy(logits, token_ids, is_padding)
    return loss * (~is_padding[:, 1:]).sum() / len(token_ids)


def _only_summed(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    targets = token_ids.masked_fill(is_padding, -100)[:, 1:]
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten(), reduction="sum")


def _in_bits(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _loss_by_cross_entropy(logits, token_ids, is_padding) * math.log2(math.e)


def _wrong_sign(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return -_loss_by_gather(logits, token_ids, is_padding)


def _not_normalized(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    picked = logits[:, :-1].gather(2, token_ids[:, 1:, None])[..., 0]
    weights = (~is_padding[:, 1:]).to(logits.dtype)
    return -(picked * weights).sum() / weights.sum().clamp(min=1)


def _softmax_twice(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    return _loss_by_cross_entropy(logits.softmax(-1), token_ids, is_padding)


def _normalized_over_time(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    picked = logits.log_softmax(1)[:, :-1].gather(2, token_ids[:, 1:, None])[..., 0]
    weights = (~is_padding[:, 1:]).to(logits.dtype)
    return -(picked * weights).sum() / weights.sum().clamp(min=1)


def _reshaped_for_swapped(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    b, t, v = logits[:, :-1].shape
    targets = token_ids.masked_fill(is_padding, -100)[:, 1:]
    loss_sum = F.cross_entropy(logits[:, :-1].reshape(b, v, t), targets, reduction="sum")
    return loss_sum / (targets != -100).sum().clamp(min=1)


def _log_of_zero(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    probs = logits[:, :-1].softmax(-1).gather(2, token_ids[:, 1:, None])[..., 0]
    nats = -probs.log()
    return nats.masked_fill(is_padding[:, 1:], 0).sum() / (~is_padding[:, 1:]).sum().clamp(min=1)


def _divides_by_nothing(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    targets = token_ids.masked_fill(is_padding, -100)[:, 1:]
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), targets.flatten())


def _item(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    loss = _loss_by_cross_entropy(logits, token_ids, is_padding)
    return torch.tensor(loss.item(), dtype=logits.dtype)


_LOGITS = torch.linspace(-1, 1, 3 * 5 * 2).view(3, 5, 2)
PLANTED = (
    Planted(
        check=check_causal_loss,
        arguments=(_LOGITS, torch.ones(3, 5, dtype=torch.int64), torch.zeros(3, 5).bool()),
        right=(_loss_by_cross_entropy, _loss_by_gather, _loss_by_loop, _loss_by_weights),
        wrong={
            _unshifted: "which it has just read",
            _shifted_twice: "shifts twice",
            _shifted_backwards: "shifts the wrong way",
            _wrapped_around: "wraps around",
            _padding_scored: "scores padding",
            _masked_too_late: "before the mean is taken, not after",
            _input_padding: "where the inputs are padding",
            _mean_of_means: "mean of each row's mean",
            _zeros_counted: "still divides by all positions",
            _mean_over_rows: "divides by the number of rows",
            _only_summed: "returns the sum",
            _in_bits: "counts in bits",
            _wrong_sign: "sign is wrong",
            _not_normalized: "does not normalize",
            _softmax_twice: "softmax twice",
            _normalized_over_time: "normalizes over the positions",
            _reshaped_for_swapped: "swap the axes",
            _log_of_zero: "never leave log space",
            _divides_by_nothing: "divides by zero where nothing is scored",
            _item: "none flows",
        },
    ),
)

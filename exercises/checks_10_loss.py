"""The first check of notebook 10: shift and loss. B sequences, T positions, V token ids."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same


def _nats(logits: Tensor, targets: Tensor) -> Tensor:
    """Return −log p of each target."""
    return -logits.log_softmax(-1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)


def _next_nats(logits: Tensor, token_ids: Tensor) -> Tensor:
    return _nats(logits[:, :-1], token_ids[:, 1:])


def _mean(nats: Tensor, is_scored: Tensor) -> Tensor:
    return torch.where(is_scored, nats, 0).sum() / is_scored.sum()


def _row_means(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    is_scored = ~is_padding[:, 1:]
    sums = torch.where(is_scored, _next_nats(logits, token_ids), 0).sum(1)
    return (sums / is_scored.sum(1)).mean()


def _reshaped(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    """Give cross_entropy the (B, V, T) that it asks for by a reshape, which mixes the numbers."""
    n_rows, n_positions, n_ids = logits[:, :-1].shape
    mixed = logits[:, :-1].reshape(n_rows, n_ids, n_positions)
    nats = F.cross_entropy(mixed, token_ids[:, 1:], reduction="none")
    return _mean(nats, ~is_padding[:, 1:])


def _over_positions(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    log_probs = logits.log_softmax(1)[:, :-1]
    nats = -log_probs.gather(-1, token_ids[:, 1:, None]).squeeze(-1)
    return _mean(nats, ~is_padding[:, 1:])


CAUSAL_LOSS_MISTAKES: Mistakes = {
    "it divides by zero where nothing is scored, and one NaN ruins the weights: count ≥ 1": (
        lambda logits, ids, pad: _mean(_next_nats(logits, ids), ~pad[:, 1:])
    ),
    "it scores position t on token t, which it has just read: the target is token t + 1": (
        lambda logits, ids, pad: _mean(_nats(logits, ids), ~pad)
    ),
    "it shifts twice: position t is scored on token t + 2": lambda logits, ids, pad: _mean(
        _nats(logits[:, :-2], ids[:, 2:]), ~pad[:, 2:]
    ),
    "it shifts the wrong way: position t is scored on token t − 1": lambda logits, ids, pad: _mean(
        _nats(logits[:, 1:], ids[:, :-1]), ~pad[:, :-1]
    ),
    "it wraps around: the last position has no next token, not the row's first one": (
        lambda logits, ids, pad: _mean(_nats(logits, ids.roll(-1, 1)), ~pad.roll(-1, 1))
    ),
    "it scores padding: leave those targets out before the mean is taken, not after": (
        lambda logits, ids, pad: _next_nats(logits, ids).mean()
    ),
    "it looks where the inputs are padding: what matters is whether the target is": (
        lambda logits, ids, pad: _mean(_next_nats(logits, ids), ~pad[:, :-1])
    ),
    "it takes the mean of each row's mean: a short row then weighs as much as a long one": (
        _row_means
    ),
    "it sets padded losses to zero but still divides by all positions": lambda logits, ids, pad: (
        torch.where(pad[:, 1:], 0, _next_nats(logits, ids)).mean()
    ),
    "it divides by the number of rows: the mean is over tokens": lambda logits, ids, pad: (
        torch.where(pad[:, 1:], 0, _next_nats(logits, ids)).sum() / len(ids)
    ),
    "it returns the sum: divide by the number of scored tokens": lambda logits, ids, pad: (
        torch.where(pad[:, 1:], 0, _next_nats(logits, ids)).sum()
    ),
    "it counts in bits: the loss is in nats, by the natural logarithm": lambda logits, ids, pad: (
        _mean(_next_nats(logits, ids), ~pad[:, 1:]) / math.log(2)
    ),
    "its sign is wrong: a loss is −log p": lambda logits, ids, pad: (
        -_mean(_next_nats(logits, ids), ~pad[:, 1:])
    ),
    "it does not normalize: −logit is no −log p, take log-softmax first": lambda logits, ids, pad: (
        _mean(-logits[:, :-1].gather(-1, ids[:, 1:, None]).squeeze(-1), ~pad[:, 1:])
    ),
    "it applies softmax twice: cross_entropy takes logits and normalizes them itself": (
        lambda logits, ids, pad: _mean(_next_nats(logits.softmax(-1), ids), ~pad[:, 1:])
    ),
    "it normalizes over the positions: each position's probabilities sum to 1 over V": (
        _over_positions
    ),
    "it reshapes (B, T, V) into (B, V, T), which mixes the numbers: swap the axes or flatten": (
        _reshaped
    ),
    "it takes the logarithm of a probability that was rounded to 0: never leave log space": (
        lambda logits, ids, pad: _mean(
            -logits[:, :-1].softmax(-1).gather(-1, ids[:, 1:, None]).squeeze(-1).log(), ~pad[:, 1:]
        )
    ),
}


def _slow_loss(logits: Tensor, token_ids: Tensor, is_padding: Tensor) -> Tensor:
    """Walk over every target in plain Python."""
    nats = []
    for rows, ids, paddings in zip(logits.tolist(), token_ids.tolist(), is_padding, strict=True):
        for t in range(len(ids) - 1):
            if not paddings[t + 1]:
                total = math.fsum(math.exp(logit) for logit in rows[t])
                nats.append(math.log(total) - rows[t][ids[t + 1]])
    return torch.tensor(math.fsum(nats) / len(nats), dtype=logits.dtype)


@exercise("shift and loss")
def check_causal_loss(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``causal_loss(logits, token_ids, is_padding)``: mean nats per scored token.

    Of (B, T, V) logits, (B, T) ids and a (B, T) mask (True: padding, always on the right), a
    scalar tensor: position t is scored on token t + 1 unless that is padding; 0 if none is.
    """
    mistakes = CAUSAL_LOSS_MISTAKES
    # The targets have probability 1/2, 1/4, 1/4, 1/2: (1 + 2 + 2 + 1) / 4 bits.
    rows = [[8, 1, 3, 4], [2, 4, 8, 2], [4, 2, 8, 2]]  # sixteenths
    token_ids = torch.tensor([[2, 0, 1], [1, 3, 2]])
    no_padding = torch.zeros(2, 3, dtype=torch.bool)
    by_hand = torch.tensor([rows, rows]).float().log(), token_ids, no_padding
    attempt.equals("two rows by hand", by_hand, torch.tensor(1.5 * math.log(2)), mistakes)

    logits = 2 * torch.randn(3, 7, 5, generator=generator, dtype=torch.float64)
    token_ids = torch.randint(5, (3, 7), generator=generator)
    is_padding = torch.arange(7) >= torch.tensor([7, 2, 5])[:, None]
    arguments = logits, token_ids, is_padding
    nothing = torch.zeros_like(is_padding)
    full = logits, token_ids, nothing
    attempt.equals("full rows against a slow loop", full, _slow_loss(*full), mistakes)
    attempt.equals("rows of 7, 2 and 5 tokens", arguments, _slow_loss(*arguments), mistakes)
    everything = torch.ones_like(is_padding)
    zero = torch.tensor(0.0, dtype=torch.float64)
    attempt.equals("nothing but padding", (logits, token_ids, everything), zero, mistakes)
    far = torch.tensor([[[0.0, 2000.0], [0.0, 0.0]]], dtype=torch.float64)
    sure = far, torch.tensor([[1, 0]]), no_padding[:1, :2]
    attempt.equals("surely wrong", sure, torch.tensor(2000.0, dtype=torch.float64), mistakes)
    _check_what_matters(attempt, logits, token_ids, is_padding)


def _check_what_matters(
    attempt: Attempt, logits: Tensor, token_ids: Tensor, is_padding: Tensor
) -> None:
    """Change what must not matter, and follow the gradient."""
    loss = attempt(logits, token_ids, is_padding)
    other = token_ids.masked_fill(is_padding, 4)
    is_blind = same(attempt(logits, other, is_padding), loss)
    attempt.holds("other ids in the padding", is_blind, "the loss changes: padding is scored")
    is_blind = same(attempt(logits + 7, token_ids, is_padding), loss)
    attempt.holds("a constant added to all logits", is_blind, "the loss changes: normalize")
    logits = logits.clone().requires_grad_()
    loss = attempt(logits, token_ids, is_padding)
    attempt.holds("the gradient", loss.requires_grad, "none flows: stay with torch, no .item()")
    (gradient,) = torch.autograd.grad(loss, logits)
    sums = gradient.sum(-1)
    mistake = "it must sum to zero over V (it is p − onehot): do not detach the normalizer"
    attempt.holds("the gradient", same(sums, torch.zeros_like(sums)), mistake, sums=sums)

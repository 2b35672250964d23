"""The second check of notebook 08: heads, split and merged.

Dimension key: B sequences, T query positions, S key positions, C d_model, H heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same

Formula = Callable[[Tensor, Tensor, Tensor, int], Tensor]
_SPLIT, _MERGE = "b t (h d) -> b h t d", "b h t d -> b t (h d)"


def _patterns(split: str, merge: str) -> Formula:
    """Heads by two einops patterns."""

    def formula(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
        q, k, v = (rearrange(x, split, h=n_heads) for x in (query, key, value))
        return rearrange(F.scaled_dot_product_attention(q, k, v), merge)

    return formula


def _viewed(x: Tensor, n_heads: int) -> Tensor:
    """Cut (B, T, C) into (B, H, T, D) without moving an axis."""
    return x.reshape(x.shape[0], n_heads, x.shape[1], x.shape[2] // n_heads)


def _split_by_view(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (_viewed(x, n_heads) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v)
    return rearrange(mixed, _MERGE)


def _viewed_twice(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Split and merge by views: the round trip is perfect, what happens in between is not."""
    q, k, v = (_viewed(x, n_heads) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v)
    return mixed.reshape(query.shape)


def _merged_by_view(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, _SPLIT, h=n_heads) for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).reshape(query.shape)


def _wrong_scale(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, _SPLIT, h=n_heads) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v, scale=query.shape[-1] ** -0.5)
    return rearrange(mixed, _MERGE)


def _mean_of_heads(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, _SPLIT, h=n_heads) for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v).mean(1, keepdim=True)
    return rearrange(mixed.expand_as(q), _MERGE)


def _one_set_of_weights(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Let every head use the weights of head 0."""
    q, k, v = (rearrange(x, _SPLIT, h=n_heads) for x in (query, key, value))
    q, k = q[:, :1].expand_as(q), k[:, :1].expand_as(k)
    return rearrange(F.scaled_dot_product_attention(q, k, v), _MERGE)


HEADS_MISTAKES: Mistakes = {
    "it does not split: one attention over all of C; each head has its own D numbers": (
        lambda q, k, v, n_heads: F.scaled_dot_product_attention(q, k, v)
    ),
    "it splits with a view where an axis must move: a head then reads pieces of other positions": (
        _split_by_view
    ),
    "it splits and merges with views: the round trip is perfect, but in between a head reads "
    "pieces of other positions": _viewed_twice,
    "it merges with a view where an axis must move back: position t gets pieces of others": (
        _merged_by_view
    ),
    "it attends among the heads of one position: the last two axes must be (T, D), so the heads "
    "stand before them": lambda q, k, v, n_heads: _patterns(
        "b t (h d) -> b t h d", "b t h d -> b t (h d)"
    )(q, k[:, : q.shape[1]], v[:, : q.shape[1]], n_heads),
    "it deals the channels out like cards: head h owns D neighbors, C = (h d), not (d h)": (
        _patterns("b t (d h) -> b h t d", "b h t d -> b t (d h)")
    ),
    "it merges in the order (d h): the heads stand one after the other, (h d)": (
        _patterns(_SPLIT, "b h t d -> b t (d h)")
    ),
    "it splits in the order (d h): head h owns D neighboring channels, (h d)": (
        _patterns("b t (d h) -> b h t d", _MERGE)
    ),
    "it divides by √C: inside a head a score is a sum of D terms, so √D": _wrong_scale,
    "it takes the mean over the heads: they are put side by side": _mean_of_heads,
    "every head uses the weights of head 0: each has its own queries and keys": (
        _one_set_of_weights
    ),
}


def _torchs(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Torch's own multi-head attention with all four projections set to the identity."""
    width = query.shape[-1]
    eye = torch.eye(width, dtype=query.dtype)
    q, k, v = (rearrange(x, "b t c -> t b c") for x in (query, key, value))
    mixed, _ = F.multi_head_attention_forward(
        q, k, v, width, n_heads, eye.repeat(3, 1), None, None, None, False, 0.0, eye, None,
        training=False, need_weights=False,
    )  # fmt: skip
    return rearrange(mixed, "t b c -> b t c")


def _hand_made() -> tuple[tuple[Tensor, Tensor, Tensor, int], Tensor]:
    """Two heads of width 2: one weighs three positions 1 : 2 : 5, the other 6 : 1 : 1."""
    key = torch.zeros(3, 4)
    key[:, 0], key[:, 3] = torch.tensor([1.0, 2, 5]).log(), torch.tensor([6.0, 1, 1]).log()
    query = 2**0.5 * torch.tensor([[1.0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 0, 0]])  # √2 is √D
    value = torch.tensor([[24.0, 0, 24, 0], [0, 24, 0, 0], [0, 0, 0, 24]])
    expected = torch.tensor([[[3.0, 6, 18, 3], [8, 8, 8, 8], [3, 6, 8, 8]]])
    return (query[None], key[None], value[None], 2), expected


@exercise("attention in heads")
def check_heads(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``attend_in_heads(query, key, value, n_heads)``: H attentions side by side.

    The function takes query (B, T, C), key and value (B, S, C); head h owns the h-th block of
    C / H neighboring channels of each. It returns (B, T, C), the heads' answers side by side.
    """
    mistakes = HEADS_MISTAKES
    attempt.equals("two heads", *_hand_made(), mistakes)
    # Distinct primes: B = 2, T = 3, S = 7, H = 5, D = 11.
    shapes = (2, 3, 55), (2, 7, 55), (2, 7, 55)
    q, k, v = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    attempt.equals("against torch's heads", (q, k, v, 5), _torchs(q, k, v, 5), mistakes)
    attempt.equals("T = S, as in a decoder", (k, k, v, 5), _torchs(k, k, v, 5), mistakes)
    attempt.equals("one head", (q, k, v, 1), F.scaled_dot_product_attention(q, k, v), mistakes)
    single = q.float(), k.float(), v.float(), 5
    attempt.equals("float32", single, _torchs(q, k, v, 5).float(), mistakes)
    _check_independence(attempt, q, k, v)


def _check_independence(attempt: Attempt, q: Tensor, k: Tensor, v: Tensor) -> None:
    """A changed query moves its own position and its own head, and nothing else."""
    before = attempt(q, k, v, 5)
    changed = q.clone()
    changed[:, 1, 22:33] += 1.0  # head 2 of position 1
    has_moved = (attempt(changed, k, v, 5) - before).abs() > 1e-9
    own = torch.zeros_like(has_moved)
    own[:, 1, 22:33] = True
    mistake = "another head or another position changes with it"
    attempt.holds("a new query for one head", not (has_moved & ~own).any(), mistake)
    mistake = "its own answer does not change"
    attempt.holds("a new query for one head", bool(has_moved[own].all()), mistake)
    inputs = [x.clone().requires_grad_() for x in (q, k, v)]
    result = attempt(*inputs, 5)
    what, mistake = "gradients", "none flows: stay with torch, without detach"
    attempt.holds(what, result.requires_grad, mistake)
    gradients = torch.autograd.grad(result[..., :11].sum(), inputs)
    is_own = all(same(g[..., 11:], torch.zeros_like(g[..., 11:])) for g in gradients)
    attempt.holds(what, is_own, "head 0 learns from channels of other heads")

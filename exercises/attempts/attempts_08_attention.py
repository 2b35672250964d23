"""Right and wrong answers to the first exercise of notebook 08: masked attention."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import einsum
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_08 import check_attention

# --- right


def _by_kernel(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def _by_equation(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = einsum(query, key, "b h t d, b h s d -> b h t s") / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~mask, -math.inf).softmax(-1)
    weights = weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)
    return einsum(weights, value, "b h t s, b h s d -> b h t d")


def _by_lowest_score(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.transpose(-1, -2) * query.size(-1) ** -0.5
    scores = torch.where(mask, scores, torch.finfo(scores.dtype).min)
    return (scores.softmax(-1) * mask) @ value


def _by_exponentials(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query / query.shape[-1] ** 0.5 @ key.mT
    highest = torch.where(mask, scores, -math.inf).amax(-1, keepdim=True)
    powers = torch.where(mask, scores - highest.nan_to_num(neginf=0.0), -math.inf).exp()
    total = powers.sum(-1, keepdim=True)
    return powers / total.where(total > 0, 1.0) @ value


def _by_loop(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    (n_batch, n_heads, n_queries, width), n_keys = query.shape, key.shape[2]
    mask = mask.expand(n_batch, n_heads, n_queries, n_keys)
    rows = []
    for b, h, t in torch.cartesian_prod(*map(torch.arange, query.shape[:3])).tolist():
        seen = mask[b, h, t]
        weights = (key[b, h, seen] @ query[b, h, t] / width**0.5).softmax(0)
        rows.append((weights[:, None] * value[b, h, seen]).sum(0))
    return torch.stack(rows).view_as(query)


# --- wrong


def _ignores_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value)


def _believes_true_hides(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return _by_kernel(query, key, value, ~mask)


def _transposes_mask(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    n_queries, n_keys = query.shape[-2], key.shape[-2]
    return _by_equation(query, key, value, mask.mT if n_queries == n_keys else mask)


def _fills_with_zero(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1]) * mask
    return torch.softmax(scores, dim=-1) @ value


def _fills_with_four(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return torch.where(mask, scores, -4.0).softmax(-1) @ value


def _fills_with_ten_thousand(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return scores.masked_fill(mask == 0, -1e4).softmax(-1) @ value


def _fills_with_billion(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~mask, -1e9).softmax(-1)
    return weights.masked_fill(~mask.any(-1, keepdim=True), 0.0) @ value


def _fills_with_lowest(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return torch.where(mask, scores, torch.finfo(scores.dtype).min).softmax(-1) @ value


def _adds_true(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query.dtype))


def _masks_weights(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1)
    return weights.masked_fill(~mask, 0.0) @ value


def _masks_weights_and_divides(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    weights = (query @ key.mT / math.sqrt(query.shape[-1])).softmax(-1).where(mask, 0.0)
    return weights / weights.sum(-1, keepdim=True) @ value


def _sums_over_queries(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    weights = scores.masked_fill(~mask, -math.inf).softmax(dim=2)
    return torch.nan_to_num(weights) @ value


def _forgets_scale(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=1.0)


def _scales_by_model(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scale = (query.shape[1] * query.shape[3]) ** -0.5
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def _scales_by_width(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scale = 1 / query.shape[3]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def _scales_up(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scale = query.shape[3] ** 0.5
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)


def _empty_rows_are_nan(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return scores.masked_fill(~mask, -math.inf).softmax(-1) @ value


def _repairs_the_result(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    added = torch.zeros(mask.shape, dtype=query.dtype).masked_fill(~mask, -math.inf)
    scores = query @ key.mT / math.sqrt(query.shape[-1])
    return torch.nan_to_num((scores + added).softmax(-1)) @ value


def _forgets_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (query @ key.mT / math.sqrt(query.shape[-1])).masked_fill(~mask, 0) @ value


def _detaches(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    with torch.no_grad():
        return _by_kernel(query, key, value, mask)


_X = torch.arange(2 * 3 * 5 * 7).view(2, 3, 5, 7) % 4 / 4
PLANTED = (
    Planted(
        check=check_attention,
        arguments=(_X, _X, _X, torch.ones(5, 5, dtype=torch.bool).tril()),
        right=(_by_kernel, _by_equation, _by_lowest_score, _by_exponentials, _by_loop),
        wrong={
            _ignores_mask: "does not use the mask",
            _believes_true_hides: "the wrong way round",
            _transposes_mask: "rows are queries, columns are keys",
            _fills_with_zero: "an ordinary score, e⁰ = 1",
            _fills_with_four: "e⁻⁴ is still 2 %",
            _fills_with_ten_thousand: "a finite number, such as −1e4",
            _fills_with_billion: "a finite number, such as −1e4",
            _fills_with_lowest: "the mean of all that is hidden",
            _adds_true: "adds the booleans to the scores",
            _masks_weights: "no longer sums to 1",
            _masks_weights_and_divides: "0/0 is left",
            _sums_over_queries: "softmax runs over the queries",
            _forgets_scale: "does not divide by √D",
            _scales_by_model: "divides by √(H·D)",
            _scales_by_width: "divides by D, expected √D",
            _scales_up: "multiplies by √D",
            _empty_rows_are_nan: "it divides 0 by 0",
            _repairs_the_result: "its gradient is NaN",
            _forgets_softmax: "softmax is missing",
            _detaches: "none flows",
        },
    ),
)

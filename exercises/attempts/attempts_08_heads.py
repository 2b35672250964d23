"""Right and wrong answers to the second exercise of notebook 08: heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_08 import check_heads
from minillm.attention import attention

# --- right


def _by_patterns(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, "b t (h d) -> b h t d", h=n_heads) for x in (query, key, value))
    return rearrange(attention(q, k, v), "b h t d -> b t (h d)")


def _by_transposes(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    def split(x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], n_heads, -1).transpose(1, 2)

    mixed = F.scaled_dot_product_attention(split(query), split(key), split(value))
    return mixed.transpose(1, 2).contiguous().view(query.shape)


def _by_slices(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    heads = zip(*(x.chunk(n_heads, dim=-1) for x in (query, key, value)), strict=True)
    answers = []
    for q, k, v in heads:
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        answers.append(weights @ v)
    return torch.cat(answers, dim=-1)


# --- wrong


def _views(x: Tensor, n_heads: int) -> Tensor:
    return x.reshape(len(x), n_heads, x.shape[1], -1)


def _splits_by_view(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (_views(x, n_heads) for x in (query, key, value))
    return attention(q, k, v).transpose(1, 2).reshape(query.shape)


def _splits_and_merges_by_view(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (_views(x, n_heads) for x in (query, key, value))
    return attention(q, k, v).view(query.shape)


def _merges_by_view(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (x.unflatten(-1, (n_heads, -1)).transpose(1, 2) for x in (query, key, value))
    return attention(q, k, v).flatten().view(query.shape)


def _leaves_time_before_heads(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Compare the heads of one position; with fewer queries than keys, read the first ones."""
    n_queries = query.shape[1]
    q = query.unflatten(-1, (n_heads, -1))
    k, v = (x[:, :n_queries].unflatten(-1, (n_heads, -1)) for x in (key, value))
    return F.scaled_dot_product_attention(q, k, v).flatten(2)


def _does_not_split(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    return attention(query[:, None], key[:, None], value[:, None])[:, 0]


def _deals_cards(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    heads = [attention(*(x[:, None, :, h::n_heads] for x in (query, key, value)))
             for h in range(n_heads)]  # fmt: skip
    return torch.stack([head[:, 0] for head in heads], dim=-1).flatten(2)


def _merges_interleaved(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, "b t (h d) -> b h t d", h=n_heads) for x in (query, key, value))
    return attention(q, k, v).permute(0, 2, 3, 1).reshape(query.shape)


def _splits_interleaved(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (x.unflatten(-1, (-1, n_heads)).permute(0, 3, 1, 2) for x in (query, key, value))
    return attention(q, k, v).transpose(1, 2).flatten(2)


def _scales_by_model(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, "b t (h d) -> b h t d", h=n_heads) for x in (query, key, value))
    mixed = attention(q, k, v, scale=1 / query.shape[-1] ** 0.5)
    return rearrange(mixed, "b h t d -> b t (h d)")


def _averages_heads(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    q, k, v = (rearrange(x, "b t (h d) -> b h t d", h=n_heads) for x in (query, key, value))
    return attention(q, k, v).mean(1).repeat(1, 1, n_heads)


def _shares_weights(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    width = query.shape[-1] // n_heads
    q, k = query[..., :width], key[..., :width]
    return (q @ k.mT / width**0.5).softmax(-1) @ value


def _detaches(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    return _by_patterns(query, key, value, n_heads).detach()


_X = torch.arange(2 * 3 * 20).view(2, 3, 20) % 7 / 7
PLANTED = (
    Planted(
        check=check_heads,
        arguments=(_X, _X, _X, 5),
        right=(_by_patterns, _by_transposes, _by_slices),
        wrong={
            _splits_by_view: "splits with a view",
            _splits_and_merges_by_view: "the round trip is perfect",
            _merges_by_view: "merges with a view",
            _leaves_time_before_heads: "attends among the heads of one position",
            _does_not_split: "does not split",
            _deals_cards: "like cards",
            _merges_interleaved: "merges in the order (d h)",
            _splits_interleaved: "splits in the order (d h)",
            _scales_by_model: "divides by √C",
            _averages_heads: "takes the mean over the heads",
            _shares_weights: "uses the weights of head 0",
            _detaches: "none flows",
        },
    ),
)

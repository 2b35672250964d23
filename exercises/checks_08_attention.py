"""The first check of notebook 08: masked attention.

Dimension key: B sequences, H heads, T query positions, S key positions, D head_dim.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same

Formula = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
_HIDE = -math.inf


def _scores(query: Tensor, key: Tensor) -> Tensor:
    return query @ key.mT / math.sqrt(query.shape[-1])


def _with_scores(scores: Callable[[Tensor, Tensor], Tensor]) -> Formula:
    """Attention that is right but for its scores; a row that reads nothing gives 0."""

    def formula(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        weights = scores(query, key).masked_fill(~mask, _HIDE).softmax(-1)
        return weights.nan_to_num(0.0) @ value

    return formula


def _with_fill(hidden: float) -> Formula:
    """Attention that puts ``hidden`` in place of the scores that must not count."""

    def formula(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        return _scores(query, key).masked_fill(~mask, hidden).softmax(-1) @ value

    return formula


def _with_mask(change: Callable[[Tensor], Tensor]) -> Formula:
    """Attention that is right for another mask."""
    right = _with_scores(_scores)
    return lambda query, key, value, mask: right(query, key, value, change(mask))


def _after_softmax(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key).softmax(-1) * mask) @ value


def _after_softmax_normalized(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    weights = _scores(query, key).softmax(-1) * mask
    return (weights / weights.sum(-1, keepdim=True)) @ value


def _over_queries(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """Let the weights of each key, not of each query, sum to 1."""
    return _scores(query, key).masked_fill(~mask, _HIDE).softmax(-2).nan_to_num(0.0) @ value


def _adds_booleans(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    return (_scores(query, key) + mask).softmax(-1) @ value


def _square_transposed(mask: Tensor) -> Tensor:
    """Swap queries and keys, where the mask is square."""
    return mask.mT if mask.shape[-1] == mask.shape[-2] else mask


ATTENTION_MISTAKES: Mistakes = {
    "it does not divide by √D: the scores grow with the width, and softmax saturates": (
        _with_scores(lambda query, key: query @ key.mT)
    ),
    "it divides by D, expected √D: a sum of D terms has a spread of √D": (
        _with_scores(lambda query, key: query @ key.mT / query.shape[-1])
    ),
    "it multiplies by √D where it should divide": (
        _with_scores(lambda query, key: query @ key.mT * math.sqrt(query.shape[-1]))
    ),
    "it divides by √(H·D), the width of the model: each head has D numbers, so √D": _with_scores(
        lambda query, key: query @ key.mT / math.sqrt(query.shape[1] * query.shape[-1])
    ),
    "its softmax runs over the queries: for each query the weights of the keys sum to 1": (
        _over_queries
    ),
    "it does not use the mask: every query reads every key": _with_mask(torch.ones_like),
    "it reads the mask the wrong way round: True means may read": _with_mask(torch.logical_not),
    "it transposes the mask: rows are queries, columns are keys": _with_mask(_square_transposed),
    "it masks after the softmax: what remains no longer sums to 1": _after_softmax,
    "it sets hidden scores to 0, which is an ordinary score, e⁰ = 1: hidden means −∞": (
        _with_fill(0.0)
    ),
    "it adds the booleans to the scores: True counts as 1, and nothing is hidden": _adds_booleans,
    "it fills hidden scores with −4, and e⁻⁴ is still 2 %: hidden means −∞": _with_fill(-4.0),
    "it returns the sum of the values: softmax is missing": lambda q, k, v, mask: (
        _scores(q, k).masked_fill(~mask, 0.0) @ v
    ),
}


HIDING_MISTAKES: Mistakes = {
    "it fills hidden scores with a finite number, such as −1e4: a visible key may score lower": (
        _with_fill(-1e4)
    ),
    "it masks after the softmax and normalizes again: a hidden key that matches well has by then "
    "taken all the weight, and 0/0 is left": _after_softmax_normalized,
}
EMPTY_ROW_MISTAKES: Mistakes = {
    "where nothing may be read it divides 0 by 0: that row must be 0, not NaN": _with_fill(_HIDE),
    "where nothing may be read it takes the mean of all that is hidden: that row must be 0": (
        _with_fill(torch.finfo(torch.float32).min)
    ),
}


def _hand_made() -> tuple[Tensor, Tensor, Tensor]:
    """Two queries and three keys whose scores are logarithms of small whole numbers (D = 4)."""
    # Query 0 meets weights 1 : 2 : 5, query 1 meets 1 : 1 : 6; the factor 2 is √D.
    key = torch.zeros(3, 4)
    key[:, 0], key[:, 1] = torch.tensor([1.0, 2, 5]).log(), torch.tensor([1.0, 1, 6]).log()
    query = torch.zeros(2, 4)
    query[0, 0] = query[1, 1] = 2.0
    value = torch.tensor([[8.0, 0, 16, 0], [0, 8, 16, 0], [0, 0, 16, 8]])
    return query[None, None], key[None, None], value[None, None]


@exercise("masked attention")
def check_attention(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``attention(query, key, value, mask)``: each query's mean of the values it may read.

    The function takes query (B, H, T, D), key and value (B, H, S, D) and a bool mask that
    broadcasts to (B, H, T, S), True where the query may read the key. It returns (B, H, T, D).
    """
    mistakes = ATTENTION_MISTAKES
    query, key, value = _hand_made()
    all_visible = torch.ones(1, 1, 2, 3, dtype=torch.bool)
    expected = torch.tensor([[[[1.0, 2, 16, 5], [1, 1, 16, 6]]]])
    attempt.equals("nothing hidden", (query, key, value, all_visible), expected, mistakes)
    mask = torch.tensor([[[[True, True, False], [False, True, True]]]])
    expected = torch.tensor([[[[8 / 3, 16 / 3, 16, 0], [0, 8 / 7, 16, 48 / 7]]]])
    attempt.equals("one key hidden", (query, key, value, mask), expected, mistakes)

    zeros, value = torch.zeros(1, 1, 2, 1), torch.tensor([[[[2.0], [4.0]]]])
    mask, expected = torch.tensor([[True, False], [True, True]]), torch.tensor([[[[2.0], [3.0]]]])
    attempt.equals("two tokens, causal", (zeros, zeros, value, mask), expected, mistakes)

    # Distinct primes, so that swapped axes cannot pass; three heads, so that √(H·D) is not √D.
    shapes = (2, 3, 5, 11), (2, 3, 7, 11), (2, 3, 7, 11)
    q, k, v = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    mask = torch.rand(2, 1, 5, 7, generator=generator) < 0.5
    mask[..., 0] = True
    torchs = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    attempt.equals("against torch's kernel", (q, k, v, mask), torchs, mistakes)
    torchs = F.scaled_dot_product_attention(k, k, v, is_causal=True)
    causal = torch.ones(7, 7, dtype=torch.bool).tril()
    attempt.equals("a causal mask", (k, k, v, causal), torchs, mistakes)

    _check_hiding(attempt, q, k, v, mask)
    _check_empty_row(attempt, q, k, v, mask)


def _check_hiding(attempt: Attempt, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    """What is hidden has no effect, whatever the sizes of the scores."""
    keys = torch.zeros(1, 1, 2, 1, dtype=torch.float64)
    keys[0, 0, 0], one = -1e12, torch.ones(1, 1, 1, 1, dtype=torch.float64)
    values = rearrange(torch.tensor([3.0, 7.0], dtype=torch.float64), "s -> 1 1 s 1")
    given = (one, keys, values, torch.tensor([[True, False]]))
    what = "a visible key that matches very badly, and a hidden one"
    attempt.equals(what, given, 3 * one, HIDING_MISTAKES)
    given = (one, -keys, values, torch.tensor([[False, True]]))
    what = "a hidden key that matches very well"
    attempt.equals(what, given, 7 * one, HIDING_MISTAKES)

    keys, values = k.clone().requires_grad_(), v.clone().requires_grad_()
    result = attempt(q, keys, values, mask)
    what = "gradients"
    attempt.holds(what, result.requires_grad, "none flows: stay with torch, without detach")
    for t in range(q.shape[2]):
        found = torch.autograd.grad(result[:, :, t].sum(), (keys, values), retain_graph=True)
        hidden = ~mask[:, 0, t]  # (B, S)
        leak = max(rearrange(g, "b h s d -> b s h d")[hidden].abs().sum().item() for g in found)
        mistake = "some reach a key or a value that is hidden: a leak"
        attempt.holds(f"{what} of query {t}", leak == 0, mistake, leak=leak)


def _check_empty_row(attempt: Attempt, q: Tensor, k: Tensor, v: Tensor, mask: Tensor) -> None:
    """A query that may read nothing gives 0, and its gradient is no NaN."""
    empty = mask.clone()
    empty[1, :, 2] = False
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    expected[1, :, 2] = 0.0
    what = "a query that may read nothing"
    attempt.equals(what, (q, k, v, empty), expected, EMPTY_ROW_MISTAKES)
    small = q.float(), k.float(), v.float(), empty
    attempt.equals(f"{what}, float32", small, expected.float(), EMPTY_ROW_MISTAKES)

    given = [x.clone().requires_grad_() for x in (q, k, v)]
    gradients = torch.autograd.grad(attempt(*given, empty).sum(), given)
    is_finite = all(same(g, g.nan_to_num(0.0)) for g in gradients)
    mistake = "its gradient is NaN and ruins all weights: repair the scores, not the result"
    attempt.holds(what, is_finite, mistake)

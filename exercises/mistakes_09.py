"""The usual mistakes in the exercises of notebook 09, as formulas that give the same wrong result.

B sequences, T positions, S keys, C d_model, F d_ff, H heads, G key/value heads, D head_dim.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from exercises.harness import Mistakes
from minillm.attention import attention

Weights = dict[str, Tensor]
Branch = Callable[[Tensor], Tensor]
_QKV = ("query", "key", "value")


def _linear(name: str, weights: Weights) -> Branch:
    return lambda x: F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _norm(name: str, weights: Weights) -> Branch:
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return lambda x: F.layer_norm(x, weight.shape, weight, bias)


def _attend(
    weights: Weights,
    n_heads: int,
    *,
    is_causal: bool = True,
    is_torn: bool = False,
    scale: float | None = None,
    has_output: bool = True,
    qkv: tuple[str, str, str] = _QKV,
) -> Branch:
    """Return multi-head attention as a function of (B, T, C), with one thing done wrongly."""

    def branch(x: Tensor) -> Tensor:
        b, t, c = x.shape

        def heads(name: str) -> Tensor:
            y = _linear(name, weights)(x)
            if is_torn:
                return y.reshape(b, n_heads, t, c // n_heads)
            return rearrange(y, "b t (h d) -> b h t d", h=n_heads)

        query, key, value = map(heads, qkv)
        mixed = attention(query, key, value, is_causal=is_causal, scale=scale)
        y = mixed.reshape(b, t, c) if is_torn else rearrange(mixed, "b h t d -> b t (h d)")
        return _linear("output", weights)(y) if has_output else y

    return branch


def _feed(weights: Weights, activation: Branch = F.gelu) -> Branch:
    return lambda x: _linear("down", weights)(activation(_linear("up", weights)(x)))


def _wrong_block(wiring: Callable[..., Tensor], **changes: Any) -> Callable[..., Tensor]:
    """Build the mistake of a wiring, or of one changed part of attention or feed-forward."""

    def block(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
        activation = changes.get("activation", F.gelu)
        options = {name: value for name, value in changes.items() if name != "activation"}
        if options.get("scale") == "d_model":
            options["scale"] = x.shape[-1] ** -0.5
        parts = (
            _norm("attention_norm", weights),
            _attend(weights, n_heads, **options),
            _norm("feed_forward_norm", weights),
            _feed(weights, activation),
        )
        return wiring(x, *parts)

    return block


def _pre_norm(x: Tensor, norm1: Branch, attend: Branch, norm2: Branch, feed: Branch) -> Tensor:
    x = x + attend(norm1(x))
    return x + feed(norm2(x))


def _parallel(x: Tensor, norm1: Branch, attend: Branch, norm2: Branch, feed: Branch) -> Tensor:
    return x + attend(norm1(x)) + feed(norm2(x))


def _post_norm(x: Tensor, norm1: Branch, attend: Branch, norm2: Branch, feed: Branch) -> Tensor:
    x = norm1(x + attend(x))
    return norm2(x + feed(x))


def _norm_on_the_road(x: Tensor, norm1: Branch, attend: Branch, norm2: Branch, feed: Branch):
    x = norm1(x)
    x = x + attend(x)
    x = norm2(x)
    return x + feed(x)


def _over_positions(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    """Normalize each text as a whole instead of each position's vector."""

    def norm(name: str) -> Branch:
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        return lambda y: F.layer_norm(y, y.shape[1:]) * scale + shift

    parts = _attend(weights, n_heads), norm("feed_forward_norm"), _feed(weights)
    return _pre_norm(x, norm("attention_norm"), *parts)


def _without_biases(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    bare = {
        name: torch.zeros_like(w) if name.endswith("bias") and "norm" not in name else w
        for name, w in weights.items()
    }
    return _wrong_block(_pre_norm)(x, bare, n_heads)


def _transposed(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    names = (*_QKV, "output")
    turned = weights | {f"{name}.weight": weights[f"{name}.weight"].T for name in names}
    return _wrong_block(_pre_norm)(x, turned, n_heads)


BLOCK_MISTAKES: Mistakes = {
    "the second branch reads the old stream: what attention has just added is part of its input "
    "(two branches side by side are another model, GPT-J's)": _wrong_block(_parallel),
    "it has no residual: each branch is added to the stream, it does not replace it": _wrong_block(
        lambda x, norm1, attend, norm2, feed: feed(norm2(attend(norm1(x))))
    ),
    "the feed-forward branch has no residual: it replaces what attention wrote": _wrong_block(
        lambda x, norm1, attend, norm2, feed: feed(norm2(x + attend(norm1(x))))
    ),
    "the norm comes after the sum: that is post-norm; here each branch reads a normalized copy": (
        _wrong_block(_post_norm)
    ),
    "it normalizes the stream itself: only the copy that a branch reads is normalized": (
        _wrong_block(_norm_on_the_road)
    ),
    "it does not normalize what the feed-forward layer reads": _wrong_block(
        lambda x, norm1, attend, norm2, feed: (lambda y: y + feed(y))(x + attend(norm1(x)))
    ),
    "it does not normalize what attention reads": _wrong_block(
        lambda x, norm1, attend, norm2, feed: (lambda y: y + feed(norm2(y)))(x + attend(x))
    ),
    "both branches use one norm: each has a weight and a bias of its own": _wrong_block(
        lambda x, norm1, attend, norm2, feed: _pre_norm(x, norm1, attend, norm1, feed)
    ),
    "the norm goes over the positions too: each position's vector is normalized alone": (
        _over_positions
    ),
    "the two norms are exchanged": _wrong_block(
        lambda x, norm1, attend, norm2, feed: _pre_norm(x, norm2, attend, norm1, feed)
    ),
    "the feed-forward layer comes before attention": _wrong_block(
        lambda x, norm1, attend, norm2, feed: _pre_norm(x, norm2, feed, norm1, attend)
    ),
    "it normalizes what a branch returns, not what it reads": _wrong_block(
        lambda x, norm1, attend, norm2, feed: (lambda y: y + norm2(feed(y)))(x + norm1(attend(x)))
    ),
    "attention also reads later positions: it must be causal": _wrong_block(
        _pre_norm, is_causal=False
    ),
    "it cuts the heads out with a view: positions and heads are mixed up; an axis must move": (
        _wrong_block(_pre_norm, is_torn=True)
    ),
    "the scores are divided by √C: each head's dot product is over D numbers, so √D": _wrong_block(
        _pre_norm, scale="d_model"
    ),
    "the scores are not divided by √D": _wrong_block(_pre_norm, scale=1.0),
    "the output projection is missing: it mixes what the heads bring": _wrong_block(
        _pre_norm, has_output=False
    ),
    "queries and keys are exchanged": _wrong_block(_pre_norm, qkv=("key", "query", "value")),
    "it multiplies by W: a linear layer of torch multiplies by the transposed matrix": _transposed,
    "the linear layers' biases are missing": _without_biases,
    "the activation is a ReLU: asked for is the GELU": _wrong_block(_pre_norm, activation=F.relu),
    "it takes the tanh approximation: asked for is the exact GELU": _wrong_block(
        _pre_norm, activation=lambda x: F.gelu(x, approximate="tanh")
    ),
    "there is no activation: two linear layers in a row are one linear layer": _wrong_block(
        _pre_norm, activation=lambda x: x
    ),
}


def _angles(positions: Tensor, head_dim: int, base: float) -> Tensor:
    """Return the angle of each position and pair, (N, D/2)."""
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    return positions[:, None] * base**-exponents


def _turn(x: Tensor, angles: Tensor, *, in_pairs: bool = False) -> Tensor:
    """Turn (…, N, D) by (N, D/2): coordinate i with i + D/2, or neighbors."""
    pattern = "... (i two) -> ... i two" if in_pairs else "... (two i) -> ... i two"
    a, b = rearrange(x, pattern, two=2).double().unbind(-1)
    turned = torch.stack([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()])
    back = "two ... i -> ... (i two)" if in_pairs else "two ... i -> ... (two i)"
    return rearrange(turned, back).to(x.dtype)


def _anew(positions: Tensor) -> Tensor:
    return torch.arange(len(positions))


def _wrong_rotary(
    *,
    query: Callable[[Tensor], Tensor] | None = lambda p: p,
    key: Callable[[Tensor], Tensor] | None = lambda p: p,
    turns_value: bool = False,
    pairs: tuple[bool, bool] = (False, False),
    base: float = 10_000.0,
    exponent: float = 1.0,
    mask: Callable[[Tensor, Tensor], Tensor] = lambda q, k: k <= q,
    scale: float | None = None,
) -> Callable[..., Tensor]:
    """Build rotary attention with one mistake; None leaves queries or keys as they are."""

    def rotary(q: Tensor, k: Tensor, v: Tensor, q_positions: Tensor, k_positions: Tensor) -> Tensor:
        def turn(x, positions, change, in_pairs):
            angles = _angles(change(positions), x.shape[-1], base**exponent)
            return _turn(x, angles, in_pairs=in_pairs)

        visible = mask(q_positions[:, None], k_positions[None, :])
        q = q if query is None else turn(q, q_positions, query, pairs[0])
        k = k if key is None else turn(k, k_positions, key, pairs[1])
        v = turn(v, k_positions, key, False) if turns_value and key is not None else v
        return attention(q, k, v, mask=visible, scale=scale, backend="reference")

    return rotary


def _lower_left(q: Tensor, k: Tensor) -> Tensor:
    """Align the triangle at the first key, as torch's ``is_causal`` does."""
    return torch.ones(len(q), k.shape[1], dtype=torch.bool).tril()


ROTARY_MISTAKES: Mistakes = {
    "the values are turned too: positions decide who is read, not what is handed over": (
        _wrong_rotary(turns_value=True)
    ),
    "queries are paired by halves and keys by neighbors: both must be paired alike": (
        _wrong_rotary(pairs=(False, True))
    ),
    "keys are paired by halves and queries by neighbors: both must be paired alike": (
        _wrong_rotary(pairs=(True, False))
    ),
    "it pairs neighbors 2i and 2i + 1, as the paper does: these weights expect i and i + D/2": (
        _wrong_rotary(pairs=(True, True))
    ),
    "the queries' angles start again at 0: a cached step goes on where the last one ended": (
        _wrong_rotary(query=_anew)
    ),
    "all angles are counted from 0: take the positions that are given": _wrong_rotary(
        query=_anew, key=_anew
    ),
    "only the queries are turned: then the absolute position counts": _wrong_rotary(key=None),
    "only the keys are turned: then the absolute position counts": _wrong_rotary(query=None),
    "nothing is turned: the order of the words is lost": _wrong_rotary(query=None, key=None),
    "queries and keys are turned in opposite directions: that adds the positions instead of "
    "subtracting them": _wrong_rotary(key=lambda p: -p),
    "the exponent is i/D: it must be 2i/D, so that the slowest pair is slow enough": _wrong_rotary(
        exponent=0.5
    ),
    "the base is not 10000": _wrong_rotary(base=1000.0),
    "it reads later positions too: key s is visible where its position is at most the query's": (
        _wrong_rotary(mask=lambda q, k: torch.ones(len(q), k.shape[1], dtype=torch.bool))
    ),
    "a position does not read itself": _wrong_rotary(mask=lambda q, k: k < q),
    "the causal triangle starts at the first key, whatever the positions: is_causal does so when "
    "T and S differ": _wrong_rotary(mask=_lower_left),
    "the scores are not divided by √D": _wrong_rotary(scale=1.0),
}


def _gpt_parts(vocab_size: int, context_length: int, d_model: int, n_layers: int) -> dict[str, int]:
    """Return the parts of GPT-2's count by name, to leave one out."""
    c = d_model
    return {
        "tokens": vocab_size * c,
        "positions": context_length * c,
        "attention": n_layers * 4 * c * c,
        "feed_forward": n_layers * 8 * c * c,
        "biases": n_layers * (4 * c + 4 * c + c),
        "norms": n_layers * 4 * c,
        "final_norm": 2 * c,
    }


def _gpt_without(*names: str, **extra: Callable[..., int]) -> Callable[..., int]:
    def count(*sizes: int) -> int:
        parts = _gpt_parts(*sizes)
        kept = sum(value for name, value in parts.items() if name not in names)
        return kept + sum(more(*sizes) for more in extra.values())

    return count


PARAMETER_MISTAKES: Mistakes = {
    "the tied matrix is counted twice: it reads tokens and predicts them, but it is one": (
        _gpt_without(again=lambda v, t, c, n: v * c)
    ),
    "the position vectors are missing: there is one for each of context_length positions": (
        _gpt_without("positions")
    ),
    "the biases are missing: every linear layer of a block has one number for each output": (
        _gpt_without("biases")
    ),
    "the biases of the feed-forward layer are missing: 4C and C": _gpt_without(
        more=lambda v, t, c, n: -5 * c * n
    ),
    "the norms are missing: each has a weight and a bias": _gpt_without("norms", "final_norm"),
    "the final norm is missing: pre-norm needs one after the last block": _gpt_without(
        "final_norm"
    ),
    "a LayerNorm has a weight and a bias, 2C numbers": _gpt_without(
        less=lambda v, t, c, n: -c * (2 * n + 1)
    ),
    "a block has two norms, one for each branch": _gpt_without(less=lambda v, t, c, n: -2 * c * n),
    "the output projection of attention is missing: four matrices C × C, not three": (
        _gpt_without(less=lambda v, t, c, n: -n * (c * c + c))
    ),
    "the feed-forward layer has two matrices, up and down": _gpt_without(
        less=lambda v, t, c, n: -4 * n * c * c
    ),
    "a feed-forward layer is counted that is as wide as the stream: d_ff is 4C": _gpt_without(
        less=lambda v, t, c, n: -6 * n * c * c - 3 * n * c
    ),
    "one block is counted, not n_layers of them": lambda v, t, c, n: sum(
        _gpt_parts(v, t, c, 1).values()
    ),
    "the token vectors are missing": _gpt_without("tokens"),
}


def _block_flops(
    c: int,
    f: int,
    h: int,
    g: int,
    t: int,
    *,
    n_ff: int = 3,
    products: int = 2,
    operations: int = 2,
) -> int:
    d = c // h
    projections = 2 * c * c + 2 * c * g * d
    return operations * t * (projections + products * t * c + n_ff * c * f)


FLOPS_MISTAKES: Mistakes = {
    "it counts multiply-adds: each is two operations": lambda *s: _block_flops(*s, operations=1),
    "the scores and the mixing are missing: every query meets every key": lambda *s: _block_flops(
        *s, products=0
    ),
    "half of attention is missing: scores and mixing cost the same, each a whole T × T matrix": (
        lambda *s: _block_flops(*s, products=1)
    ),
    "the scores are counted for one head only": lambda c, f, h, g, t: (
        _block_flops(c, f, h, g, t, products=0) + 4 * t * t * (c // h)
    ),
    "each head is counted with the full width: H heads share C, each has D = C / H": (
        lambda c, f, h, g, t: _block_flops(c, f, h, g, t, products=2 * h)
    ),
    "attention is counted for the key and value heads: each query head has scores of its own": (
        lambda c, f, h, g, t: _block_flops(c, f, h, g, t, products=0) + 4 * t * t * g * (c // h)
    ),
    "SwiGLU has three matrices: gate, up and down": lambda *s: _block_flops(*s, n_ff=2),
    "keys and values are counted as wide as the queries: they have n_kv_heads heads only": (
        lambda c, f, h, g, t: _block_flops(c, f, h, h, t)
    ),
    "keys and values are counted once: they are two matrices": lambda c, f, h, g, t: (
        _block_flops(c, f, h, g, t) - 2 * t * c * g * (c // h)
    ),
    "the output projection is missing": lambda c, f, h, g, t: (
        _block_flops(c, f, h, g, t) - 2 * t * c * c
    ),
    "it counts one position: all T of them are computed": lambda c, f, h, g, t: (
        _block_flops(c, f, h, g, t) // t
    ),
    "it counts the backward pass too: asked for is the forward pass": lambda *s: (
        3 * _block_flops(*s)
    ),
}

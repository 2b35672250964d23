"""Right and wrong answers to the exercises of notebook 09."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import einsum, rearrange
from torch import Tensor, nn

from exercises.attempts.planted import Planted
from exercises.checks_09 import (
    check_block,
    check_flops,
    check_parameters,
    check_rotary,
    draw_block_weights,
)
from minillm.positions import Rotation, rotate

Weights = dict[str, Tensor]

# --- a pre-norm block, right


def _heads(x: Tensor, weights: Weights, name: str, n_heads: int) -> Tensor:
    y = F.linear(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
    return rearrange(y, "b t (h d) -> b h t d", h=n_heads)


def _normalized(x: Tensor, weights: Weights, name: str) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])


def _attended(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    query, key, value = (_heads(x, weights, name, n_heads) for name in ("query", "key", "value"))
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    mixed = rearrange(mixed, "b h t d -> b t (h d)")
    return F.linear(mixed, weights["output.weight"], weights["output.bias"])


def _fed(x: Tensor, weights: Weights, activation: Callable[[Tensor], Tensor] = F.gelu) -> Tensor:
    hidden = activation(F.linear(x, weights["up.weight"], weights["up.bias"]))
    return F.linear(hidden, weights["down.weight"], weights["down.bias"])


def _block_by_functions(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return x + _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _block_by_hand(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    """Spell out everything: no layer_norm, no attention function, no gelu."""

    def norm(y: Tensor, name: str) -> Tensor:
        deviation = y - y.mean(-1, keepdim=True)
        scaled = deviation * (deviation.square().mean(-1, keepdim=True) + 1e-5).rsqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(y: Tensor, name: str) -> Tensor:
        return y @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    y, n_tokens, outputs = norm(x, "attention_norm"), x.shape[1], []
    q, k, v = (linear(y, name).chunk(n_heads, dim=-1) for name in ("query", "key", "value"))
    hidden = torch.ones(n_tokens, n_tokens, dtype=torch.bool).triu(1)
    for h in range(n_heads):
        scores = q[h] @ k[h].mT / math.sqrt(q[h].shape[-1])
        outputs.append(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v[h])
    x = x + linear(torch.cat(outputs, -1), "output")
    z = linear(norm(x, "feed_forward_norm"), "up")
    return x + linear(z * (1 + torch.erf(z / math.sqrt(2))) / 2, "down")


def _block_by_torch(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    """Let torch's function do the attention, which takes (T, B, C)."""
    y = rearrange(_normalized(x, weights, "attention_norm"), "b t c -> t b c")
    names = ("query", "key", "value")
    mixed, _ = F.multi_head_attention_forward(
        y, y, y, x.shape[-1], n_heads,
        torch.cat([weights[f"{name}.weight"] for name in names]),
        torch.cat([weights[f"{name}.bias"] for name in names]),
        None, None, False, 0.0, weights["output.weight"], weights["output.bias"],
        attn_mask=nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=x.dtype),
    )  # fmt: skip
    after = x + rearrange(mixed, "t b c -> b t c")
    return after + _fed(_normalized(after, weights, "feed_forward_norm"), weights)


# --- a pre-norm block, wrong


def _reads_old_stream(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    attended = _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return x + attended + _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _has_no_residual(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _forgets_second_residual(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _normalizes_after(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = _normalized(x + _attended(x, weights, n_heads), weights, "attention_norm")
    return _normalized(x + _fed(x, weights), weights, "feed_forward_norm")


def _normalizes_road(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = _normalized(x, weights, "attention_norm")
    x = x + _attended(x, weights, n_heads)
    x = _normalized(x, weights, "feed_forward_norm")
    return x + _fed(x, weights)


def _normalizes_attention_only(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return x + _fed(x, weights)


def _normalizes_feed_forward_only(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(x, weights, n_heads)
    return x + _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _shares_norm(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return x + _fed(_normalized(x, weights, "attention_norm"), weights)


def _exchanges_norms(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _attended(_normalized(x, weights, "feed_forward_norm"), weights, n_heads)
    return x + _fed(_normalized(x, weights, "attention_norm"), weights)


def _feeds_first(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _fed(_normalized(x, weights, "feed_forward_norm"), weights)
    return x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)


def _normalizes_results(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    x = x + _normalized(_attended(x, weights, n_heads), weights, "attention_norm")
    return x + _normalized(_fed(x, weights), weights, "feed_forward_norm")


def _normalizes_positions(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    """Take mean and variance over T and C together, as one text."""

    def norm(y: Tensor, name: str) -> Tensor:
        mean = y.mean((1, 2), keepdim=True)
        deviation = y.var((1, 2), correction=0, keepdim=True).add(1e-5).sqrt()
        return (y - mean) / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = x + _attended(norm(x, "attention_norm"), weights, n_heads)
    return x + _fed(norm(x, "feed_forward_norm"), weights)


def _with_attention(attend: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def block(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
        y = _normalized(x, weights, "attention_norm")
        x = x + attend(y, weights, n_heads)
        return x + _fed(_normalized(x, weights, "feed_forward_norm"), weights)

    return block


def _attends_by_matrices(
    x: Tensor,
    weights: Weights,
    n_heads: int,
    *,
    names: tuple[str, str, str] = ("query", "key", "value"),
    scale: float | None = None,
    is_causal: bool = True,
    has_output: bool = True,
) -> Tensor:
    query, key, value = (_heads(x, weights, name, n_heads) for name in names)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal, scale=scale)
    mixed = rearrange(mixed, "b h t d -> b t (h d)")
    if not has_output:
        return mixed
    return F.linear(mixed, weights["output.weight"], weights["output.bias"])


@_with_attention
def _sees_the_future(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    return _attends_by_matrices(x, weights, n_heads, is_causal=False)


@_with_attention
def _tears_heads(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    b, t, c = x.shape
    names = ("query", "key", "value")
    projected = (F.linear(x, weights[f"{n}.weight"], weights[f"{n}.bias"]) for n in names)
    query, key, value = (y.view(b, n_heads, t, c // n_heads) for y in projected)
    mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True).view(b, t, c)
    return F.linear(mixed, weights["output.weight"], weights["output.bias"])


@_with_attention
def _scales_by_width(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    return _attends_by_matrices(x, weights, n_heads, scale=x.shape[-1] ** -0.5)


@_with_attention
def _does_not_scale(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    return _attends_by_matrices(x, weights, n_heads, scale=1.0)


@_with_attention
def _forgets_output(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    return _attends_by_matrices(x, weights, n_heads, has_output=False)


@_with_attention
def _exchanges_query_and_key(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    return _attends_by_matrices(x, weights, n_heads, names=("key", "query", "value"))


@_with_attention
def _multiplies_from_the_right(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    def linear(y: Tensor, name: str) -> Tensor:
        return y @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    q, k, v = (
        rearrange(linear(x, name), "b t (h d) -> b h t d", h=n_heads)
        for name in ("query", "key", "value")
    )
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return linear(rearrange(mixed, "b h t d -> b t (h d)"), "output")


def _forgets_biases(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    linear = ("query", "key", "value", "output", "up", "down")
    bare = {f"{name}.bias": 0 * weights[f"{name}.bias"] for name in linear}
    return _block_by_functions(x, {**weights, **bare}, n_heads)


def _with_activation(activation: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    def block(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
        x = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
        return x + _fed(_normalized(x, weights, "feed_forward_norm"), weights, activation)

    return block


_rectifies = _with_activation(torch.relu)
_approximates = _with_activation(lambda x: F.gelu(x, approximate="tanh"))
_stays_linear = _with_activation(lambda x: x)


def _writes_into_stream(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    with torch.no_grad():
        x += _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    return x + _fed(_normalized(x, weights, "feed_forward_norm"), weights)


def _detaches_stream(x: Tensor, weights: Weights, n_heads: int) -> Tensor:
    y = x + _attended(_normalized(x, weights, "attention_norm"), weights, n_heads)
    update = _fed(_normalized(y, weights, "feed_forward_norm"), weights)
    return y.detach() + update + 0 * x


# --- rotary attention, right


def _rotary_by_library(
    query: Tensor, key: Tensor, value: Tensor, query_positions: Tensor, key_positions: Tensor
) -> Tensor:
    """Let minillm turn, by angles in float64: its own are float32, too coarse for this check."""
    d = query.shape[-1]
    query = rotate(query, _rotation(query_positions, d))
    key = rotate(key, _rotation(key_positions, d))
    visible = key_positions[None, :] <= query_positions[:, None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=visible)


def _rotation(positions: Tensor, head_dim: int) -> Rotation:
    frequencies = 10_000.0 ** -(torch.arange(head_dim // 2, dtype=torch.float64) * 2 / head_dim)
    angles = positions.double()[:, None] * frequencies
    return Rotation(angles.cos(), angles.sin())


def _rotary_by_complex_numbers(
    query: Tensor, key: Tensor, value: Tensor, query_positions: Tensor, key_positions: Tensor
) -> Tensor:
    def turn(x: Tensor, positions: Tensor) -> Tensor:
        n_pairs = x.shape[-1] // 2
        speeds = 10_000.0 ** (-torch.arange(n_pairs, dtype=torch.float64) / n_pairs)
        angles = positions[:, None] * speeds
        x = torch.complex(x[..., :n_pairs].double(), x[..., n_pairs:].double())
        x = x * torch.polar(torch.ones_like(angles), angles)
        return torch.cat([x.real, x.imag], -1)

    scores = turn(query, query_positions) @ turn(key, key_positions).mT
    scores = scores / math.sqrt(query.shape[-1])
    hidden = query_positions[:, None] < key_positions
    weights = scores.masked_fill(hidden, -math.inf).softmax(-1)
    return (weights @ value.double()).to(query.dtype)


def _rotary_by_matrices(
    query: Tensor, key: Tensor, value: Tensor, query_positions: Tensor, key_positions: Tensor
) -> Tensor:
    """Build each position's D × D rotation; slow, and hard to get wrong."""
    d = query.shape[-1]

    def matrices(positions: Tensor) -> Tensor:
        result = torch.zeros(len(positions), d, d, dtype=torch.float64)
        for n, position in enumerate(positions.tolist()):
            for i in range(d // 2):
                angle, j = position / 10_000 ** (2 * i / d), i + d // 2
                result[n, i, i] = result[n, j, j] = math.cos(angle)
                result[n, j, i], result[n, i, j] = math.sin(angle), -math.sin(angle)
        return result

    q = einsum(matrices(query_positions), query.double(), "t i j, b h t j -> b h t i")
    k = einsum(matrices(key_positions), key.double(), "s i j, b h s j -> b h s i")
    scores = einsum(q, k, "b h t i, b h s i -> b h t s") / d**0.5
    scores[..., query_positions[:, None] < key_positions] = -math.inf
    return einsum(scores.softmax(-1).to(value.dtype), value, "b h t s, b h s d -> b h t d")


# --- rotary attention, wrong


def _turned(x: Tensor, positions: Tensor, *, base: float = 10_000.0, power: float = 2.0) -> Tensor:
    n_pairs = x.shape[-1] // 2
    speeds = base ** -(torch.arange(n_pairs, dtype=torch.float64) * power / x.shape[-1])
    cos, sin = (f(positions[:, None] * speeds).to(x.dtype) for f in (torch.cos, torch.sin))
    a, b = x[..., :n_pairs], x[..., n_pairs:]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


def _turned_neighbors(x: Tensor, positions: Tensor) -> Tensor:
    d = x.shape[-1]
    angles = positions[:, None] * 10_000.0 ** -(torch.arange(0, d, 2, dtype=torch.float64) / d)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], -1).flatten(-2)


def _mixed(q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, scale: float | None = None):
    return F.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=scale)


def _visible(query_positions: Tensor, key_positions: Tensor) -> Tensor:
    return key_positions[None, :] <= query_positions[:, None]


def _turns_values(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), _turned(k, n), _turned(v, n), _visible(m, n))


def _keys_by_neighbors(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), _turned_neighbors(k, n), v, _visible(m, n))


def _queries_by_neighbors(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned_neighbors(q, m), _turned(k, n), v, _visible(m, n))


def _both_by_neighbors(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned_neighbors(q, m), _turned_neighbors(k, n), v, _visible(m, n))


def _restarts_queries(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, torch.arange(q.shape[2])), _turned(k, n), v, _visible(m, n))


def _counts_from_zero(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    rows, columns = torch.arange(q.shape[2]), torch.arange(k.shape[2])
    return _mixed(_turned(q, rows), _turned(k, columns), v, _visible(m, n))


def _turns_queries_only(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), k, v, _visible(m, n))


def _turns_keys_only(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(q, _turned(k, n), v, _visible(m, n))


def _turns_nothing(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(q, k, v, _visible(m, n))


def _turns_against(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), _turned(k, -n), v, _visible(m, n))


def _halves_exponent(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m, power=1.0), _turned(k, n, power=1.0), v, _visible(m, n))


def _takes_small_base(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m, base=1e3), _turned(k, n, base=1e3), v, _visible(m, n))


def _reads_everything(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), _turned(k, n), v, None)


def _reads_only_the_past(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    past = n[None, :] < m[:, None]
    scores = _turned(q, m) @ _turned(k, n).mT / q.shape[-1] ** 0.5
    return scores.masked_fill(~past, -math.inf).softmax(-1).nan_to_num(0.0) @ v


def _aligns_top_left(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(_turned(q, m), _turned(k, n), v, is_causal=True)


def _rotates_without_scale(q: Tensor, k: Tensor, v: Tensor, m: Tensor, n: Tensor) -> Tensor:
    return _mixed(_turned(q, m), _turned(k, n), v, _visible(m, n), scale=1.0)


# --- parameters of GPT-2, right


def _parameters_by_formula(vocab_size: int, context_length: int, d_model: int, n_layers: int):
    block = 12 * d_model**2 + 13 * d_model
    return (vocab_size + context_length) * d_model + n_layers * block + 2 * d_model


def _parameters_by_layers(vocab_size: int, context_length: int, d_model: int, n_layers: int):
    def linear(n_in: int, n_out: int) -> int:
        return (n_in + 1) * n_out

    attention = sum(linear(d_model, d_model) for _ in ("query", "key", "value", "output"))
    feed_forward = linear(d_model, 4 * d_model) + linear(4 * d_model, d_model)
    norm = 2 * d_model
    embeddings = vocab_size * d_model + context_length * d_model
    return embeddings + n_layers * (norm + attention + norm + feed_forward) + norm


# --- parameters of GPT-2, wrong


def _counts_tied_twice(v: int, t: int, c: int, n: int) -> int:
    return (2 * v + t) * c + n * (12 * c**2 + 13 * c) + 2 * c


def _forgets_positions(v: int, t: int, c: int, n: int) -> int:
    return v * c + n * (12 * c**2 + 13 * c) + 2 * c


def _forgets_linear_biases(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 4 * c) + 2 * c


def _forgets_feed_forward_biases(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 8 * c) + 2 * c


def _forgets_norms(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 9 * c)


def _forgets_final_norm(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 13 * c)


def _norms_have_one_vector(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 11 * c) + c


def _has_one_norm_a_block(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (12 * c**2 + 11 * c) + 2 * c


def _forgets_output_matrix(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (11 * c**2 + 12 * c) + 2 * c


def _has_one_feed_forward_matrix(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (8 * c**2 + 13 * c) + 2 * c


def _is_as_wide_as_the_stream(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + n * (6 * c**2 + 10 * c) + 2 * c


def _counts_one_block(v: int, t: int, c: int, n: int) -> int:
    return (v + t) * c + 12 * c**2 + 13 * c + 2 * c


def _forgets_tokens(v: int, t: int, c: int, n: int) -> int:
    return t * c + n * (12 * c**2 + 13 * c) + 2 * c


# --- FLOPs of a Llama block, right


def _flops_by_formula(d_model: int, d_ff: int, n_heads: int, n_kv_heads: int, n_tokens: int):
    kv_width = d_model * n_kv_heads // n_heads
    weights = 2 * d_model * (d_model + kv_width) + 3 * d_model * d_ff
    return 2 * n_tokens * weights + 4 * n_tokens**2 * d_model


def _flops_by_products(d_model: int, d_ff: int, n_heads: int, n_kv_heads: int, n_tokens: int):
    def product(rows: int, inner: int, columns: int) -> int:
        return 2 * rows * inner * columns

    head_dim = d_model // n_heads
    total = 0
    for width in (d_model, n_kv_heads * head_dim, n_kv_heads * head_dim, d_model):  # q, k, v, out
        total += product(n_tokens, d_model, width)
    for _ in range(n_heads):
        total += product(n_tokens, head_dim, n_tokens)  # scores
        total += product(n_tokens, n_tokens, head_dim)  # mixing
    return total + 2 * product(n_tokens, d_model, d_ff) + product(n_tokens, d_ff, d_model)


# --- FLOPs of a Llama block, wrong


def _counts_multiply_adds(c: int, f: int, h: int, g: int, t: int) -> int:
    return t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 2 * t * t * c


def _forgets_attention(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f)


def _forgets_mixing(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 2 * t * t * c


def _scores_one_head(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 4 * t * t * c // h


def _scores_all_widths(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 4 * t * t * c * h


def _scores_shared_heads(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 4 * t * t * c * g // h


def _has_two_matrices(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 2 * c * f) + 4 * t * t * c


def _ignores_groups(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (4 * c * c + 3 * c * f) + 4 * t * t * c


def _counts_keys_once(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + c * c * g // h + 3 * c * f) + 4 * t * t * c


def _forgets_output_product(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (c * c + 2 * c * c * g // h + 3 * c * f) + 4 * t * t * c


def _counts_one_token(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 4 * t * c


def _counts_the_triangle(c: int, f: int, h: int, g: int, t: int) -> int:
    return 2 * t * (2 * c * c + 2 * c * c * g // h + 3 * c * f) + 2 * t * t * c


def _counts_backward(c: int, f: int, h: int, g: int, t: int) -> int:
    return 3 * _flops_by_formula(c, f, h, g, t)


_X, _POSITIONS = torch.ones(2, 3, 4).double(), torch.arange(3)
_QUERY = torch.ones(2, 3, 3, 4)

PLANTED = (
    Planted(
        check=check_block,
        arguments=(_X, draw_block_weights(4, 7, torch.Generator().manual_seed(0)), 2),
        right=(_block_by_functions, _block_by_hand, _block_by_torch),
        wrong={
            _reads_old_stream: "reads the old stream",
            _has_no_residual: "it has no residual",
            _forgets_second_residual: "feed-forward branch has no residual",
            _normalizes_after: "that is post-norm",
            _normalizes_road: "normalizes the stream itself",
            _normalizes_attention_only: "does not normalize what the feed-forward layer reads",
            _normalizes_feed_forward_only: "does not normalize what attention reads",
            _shares_norm: "both branches use one norm",
            _exchanges_norms: "the two norms are exchanged",
            _feeds_first: "feed-forward layer comes before attention",
            _normalizes_results: "normalizes what a branch returns",
            _normalizes_positions: "over the positions too",
            _sees_the_future: "must be causal",
            _tears_heads: "with a view",
            _scales_by_width: "divided by √C",
            _does_not_scale: "not divided by √D",
            _forgets_output: "output projection is missing",
            _exchanges_query_and_key: "queries and keys are exchanged",
            _multiplies_from_the_right: "it multiplies by W:",
            _forgets_biases: "biases are missing",
            _rectifies: "the activation is a ReLU",
            _approximates: "tanh approximation",
            _stays_linear: "there is no activation",
            _writes_into_stream: "changes its input in place",
            _detaches_stream: "the gradient must pass unchanged",
        },
    ),
    Planted(
        check=check_rotary,
        arguments=(_QUERY, _QUERY, _QUERY, _POSITIONS, _POSITIONS),
        right=(_rotary_by_library, _rotary_by_complex_numbers, _rotary_by_matrices),
        wrong={
            _turns_values: "values are turned too",
            _keys_by_neighbors: "queries are paired by halves and keys by neighbors",
            _queries_by_neighbors: "keys are paired by halves and queries by neighbors",
            _both_by_neighbors: "as the paper does",
            _restarts_queries: "start again at 0",
            _counts_from_zero: "counted from 0",
            _turns_queries_only: "only the queries are turned",
            _turns_keys_only: "only the keys are turned",
            _turns_nothing: "nothing is turned",
            _turns_against: "opposite directions",
            _halves_exponent: "the exponent is i/D",
            _takes_small_base: "the base is not 10000",
            _reads_everything: "reads later positions too",
            _reads_only_the_past: "does not read itself",
            _aligns_top_left: "starts at the first key",
            _rotates_without_scale: "not divided by √D",
        },
    ),
    Planted(
        check=check_parameters,
        arguments=(7, 5, 3, 2),
        right=(_parameters_by_formula, _parameters_by_layers),
        wrong={
            _counts_tied_twice: "counted twice",
            _forgets_positions: "position vectors are missing",
            _forgets_linear_biases: "the biases are missing",
            _forgets_feed_forward_biases: "biases of the feed-forward layer",
            _forgets_norms: "the norms are missing",
            _forgets_final_norm: "final norm is missing",
            _norms_have_one_vector: "a weight and a bias, 2C",
            _has_one_norm_a_block: "a block has two norms",
            _forgets_output_matrix: "output projection of attention is missing",
            _has_one_feed_forward_matrix: "two matrices, up and down",
            _is_as_wide_as_the_stream: "d_ff is 4C",
            _counts_one_block: "one block is counted",
            _forgets_tokens: "token vectors are missing",
        },
    ),
    Planted(
        check=check_flops,
        arguments=(6, 10, 3, 1, 5),
        right=(_flops_by_formula, _flops_by_products),
        wrong={
            _counts_multiply_adds: "it counts multiply-adds",
            _forgets_attention: "every query meets every key",
            _forgets_mixing: "half of attention is missing",
            _scores_one_head: "one head only",
            _scores_all_widths: "H heads share C",
            _scores_shared_heads: "scores of its own",
            _has_two_matrices: "three matrices: gate, up and down",
            _ignores_groups: "as wide as the queries",
            _counts_keys_once: "keys and values are counted once",
            _forgets_output_product: "output projection is missing",
            _counts_one_token: "it counts one position",
            _counts_the_triangle: "each a whole T × T matrix",
            _counts_backward: "the backward pass too",
        },
    ),
)

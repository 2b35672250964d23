"""FlashAttention-2, forward, as a Triton kernel to be read; backward from what it saves.

The plain way writes the T × S scores to memory, reads them for the softmax, writes the weights,
and reads them again. The arithmetic is cheap, the traffic is not. FlashAttention (Dao et al. 2022,
arXiv:2205.14135) never writes them: one program keeps a block of queries in fast memory, walks
over the keys block by block, and needs the softmax of a row before it has seen the whole row.

**Online softmax** (Milakov and Gimelshein 2018, arXiv:1805.02867). Let a row of scores arrive in
blocks x₁, x₂, …, each with its values v. After some blocks we hold three things:

    m = max of all scores so far        (so that no exp overflows)
    l = Σ exp(x − m)                    (what the softmax divides by)
    o = Σ exp(x − m) · v                (the output, not yet divided)

The next block may raise the maximum to m′ = max(m, max x). Since exp(x − m′) = exp(x − m) ·
exp(m − m′), the old sums are not lost, they only have to shrink by one factor a = exp(m − m′):

    l ← a · l + Σ exp(x − m′)           o ← a · o + Σ exp(x − m′) · v

At the end o / l is the softmax times the values, exactly, not approximately. (FlashAttention-2,
arXiv:2307.08691, algorithm 1: divide once at the end, and give each block of queries a program.)
The kernel also writes L = m + ln l, one number a row, from which ``exp(score − L)`` is the weight
again: that is all the backward pass needs to recompute the weights instead of storing them.

Dimension key: B sequences, H heads, T query positions, S key positions, D head_dim.
"""
# pyright: reportInvalidTypeForm=false
# ruff: noqa: PLR0913 - a kernel gets pointers, strides and sizes one by one

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    triton: Any
    tl: Any
else:
    try:
        import triton
        import triton.language as tl
    except ImportError:  # the extra [kernels]; `explain_no_triton` says so when it is asked for
        triton = tl = None

# Queries a program, and keys at a time: what a block of each needs must fit into fast memory, of
# which a GPU has 64 to 228 kB for a program. D = 64 takes 25 kB in 16 bits; float32 would take 131.
_BLOCK, _SMALL_BLOCK = 64, 32
_LEAST_DOT = 16  # a side of the matrices that a GPU's matrix units multiply
_BACKWARD_ROWS = 256  # queries at a time, so that the recomputed weights stay small


def _jit(function: Callable[..., Any]) -> Any:
    """Compile with Triton where it is installed."""
    return function if triton is None else triton.jit(function)


@_jit
def _forward_kernel(
    query, key, value, mask, bias, output, log_sums,  # pointers to the first number of each
    q_b, q_h, q_t, q_d,  # strides: how many numbers to go for one step along each axis
    k_b, k_h, k_s, k_d,
    v_b, v_h, v_s, v_d,
    m_b, m_h, m_t, m_s,
    b_b, b_h, b_t, b_s,
    n_heads, n_sharing, n_queries, n_keys, scale,
    key_dim: tl.constexpr, value_dim: tl.constexpr,  # D of the keys, and of the values
    KEY_WIDTH: tl.constexpr, VALUE_WIDTH: tl.constexpr,  # the same, rounded up to a power of two
    IS_CAUSAL: tl.constexpr, HAS_MASK: tl.constexpr, HAS_BIAS: tl.constexpr,
    FACTORS: tl.constexpr, EXACT: tl.constexpr, BLOCK: tl.constexpr,  # dtypes of products, sums
):  # fmt: skip
    """Mix the values for one block of queries of one head: program (block of queries, B · H)."""
    # Every program runs this same code and knows only its two numbers: which queries, which head.
    block, row = tl.program_id(0), tl.program_id(1)
    sequence, head = row // n_heads, row % n_heads
    kv_head = head // n_sharing  # neighboring query heads share a key head
    key += sequence * k_b + kv_head * k_h  # from here on, pointers to my head's first number
    value += sequence * v_b + kv_head * v_h
    if HAS_MASK:
        mask += sequence * m_b + head * m_h
    if HAS_BIAS:
        bias += sequence * b_b + head * b_h

    t = block * BLOCK + tl.arange(0, BLOCK)  # the positions of my queries
    d, e = tl.arange(0, KEY_WIDTH), tl.arange(0, VALUE_WIDTH)
    # My queries, read once: (BLOCK, KEY_WIDTH). What sticks out at the end is read as 0.
    places = sequence * q_b + head * q_h + t[:, None] * q_t + d[None, :] * q_d
    is_there = (t[:, None] < n_queries) & (d[None, :] < key_dim)
    q = tl.load(query + places, mask=is_there, other=0.0).to(FACTORS)

    # m, l and o of the derivation above, for each of my queries.
    largest, total = tl.full([BLOCK], float("-inf"), EXACT), tl.zeros([BLOCK], EXACT)
    mixed = tl.zeros([BLOCK, VALUE_WIDTH], EXACT)
    # Under a causal mask the keys behind my last query are not even looked at.
    n_read = tl.minimum(n_keys, (block + 1) * BLOCK) if IS_CAUSAL else n_keys
    for start in range(0, n_read, BLOCK):
        s = start + tl.arange(0, BLOCK)
        scores = _scores_of_block(
            q, key, mask, bias, t, s, d, k_s, k_d, m_t, m_s, b_t, b_s,
            n_queries, n_keys, scale, key_dim, IS_CAUSAL, HAS_MASK, HAS_BIAS, EXACT,
        )  # fmt: skip
        weights, shrink, largest = _online_softmax(scores, largest)
        total = total * shrink + tl.sum(weights, 1)
        is_there = (s[:, None] < n_keys) & (e[None, :] < value_dim)
        v = tl.load(value + s[:, None] * v_s + e[None, :] * v_d, mask=is_there, other=0.0)
        products = tl.dot(
            weights.to(FACTORS), v.to(FACTORS), input_precision="ieee", out_dtype=EXACT
        )
        mixed = mixed * shrink[:, None] + products

    # One division, at the end. A query that read nothing gets zeros, and L = +∞: exp(x − L) = 0.
    is_empty = total == 0.0
    total = tl.where(is_empty, 1.0, total)
    log_sum = tl.where(is_empty, float("inf"), largest + tl.log(total))
    tl.store(log_sums + row * n_queries + t, log_sum, mask=t < n_queries)
    places = (row * n_queries + t[:, None]) * value_dim + e[None, :]  # the output has no gaps
    is_there = (t[:, None] < n_queries) & (e[None, :] < value_dim)
    mixed = (mixed / total[:, None]).to(output.dtype.element_ty)
    tl.store(output + places, mixed, mask=is_there)


@_jit
def _scores_of_block(
    q, key, mask, bias, t, s, d, k_s, k_d, m_t, m_s, b_t, b_s,
    n_queries, n_keys, scale, key_dim: tl.constexpr,
    IS_CAUSAL: tl.constexpr, HAS_MASK: tl.constexpr, HAS_BIAS: tl.constexpr, EXACT: tl.constexpr,
):  # fmt: skip
    """Return the scores of the queries t and the keys s: (BLOCK, BLOCK), −∞ where hidden."""
    # The keys come as (KEY_WIDTH, BLOCK), already turned for the product.
    is_there = (d[:, None] < key_dim) & (s[None, :] < n_keys)
    k = tl.load(key + d[:, None] * k_d + s[None, :] * k_s, mask=is_there, other=0.0).to(q.dtype)
    # "ieee": float32 is multiplied as float32, not rounded to the 10 bits of TF32.
    scores = tl.dot(q, k, input_precision="ieee", out_dtype=EXACT) * scale
    visible = (t[:, None] < n_queries) & (s[None, :] < n_keys)
    if HAS_BIAS:
        places = bias + t[:, None] * b_t + s[None, :] * b_s
        scores += tl.load(places, mask=visible, other=0.0).to(EXACT)
    if HAS_MASK:
        places = mask + t[:, None] * m_t + s[None, :] * m_s
        visible = visible & (tl.load(places, mask=visible, other=0) != 0)
    if IS_CAUSAL:
        visible = visible & (s[None, :] <= t[:, None])
    return tl.where(visible, scores, float("-inf"))


@_jit
def _online_softmax(scores, largest):
    """Return exp(x − m′), the factor a by which the old sums shrink, and m′."""
    new_largest = tl.maximum(largest, tl.max(scores, 1))
    # A row that has seen nothing yet has the maximum −∞, and −∞ − (−∞) is no number. Such a row
    # subtracts 0 instead, and exp(−∞ − 0) is the 0 that is meant.
    shift = tl.where(new_largest == float("-inf"), 0.0, new_largest)
    return tl.exp(scores - shift[:, None]), tl.exp(largest - shift), new_largest


def flash_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
    block_size: int | None = None,
) -> Tensor:
    """Attend by the kernel above; its arguments were checked by ``attention``.

    The forward pass never holds the T × S scores. The backward pass recomputes the weights from
    the saved L = m + ln l, some hundred queries at a time, in plain torch: right, and light on
    memory, but no kernel of its own.

    Args:
        query: (B, H, T, D) float, on a GPU, or on the CPU under Triton's interpreter.
        key: (B, H or fewer heads, S, D).
        value: as many heads and positions as ``key``.
        mask: bool, broadcastable to (B, H, T, S). True means "may attend".
        is_causal: position t reads positions <= t only.
        bias: float, broadcastable to (B, H, T, S), added to the scores.
        scale: multiplies the scores; ``None`` means ``1 / sqrt(D)``.
        block_size: queries a program, and keys at a time; a power of two, at least 16;
            ``None`` means as many as fit into the fast memory of most GPUs.

    Returns:
        (B, H, T, D), zeros for a query that may read nothing.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    if block_size is None:
        is_small = query.element_size() == 2 and max(query.shape[-1], value.shape[-1]) <= 128
        block_size = _BLOCK if is_small else _SMALL_BLOCK
    return _FlashAttention.apply(query, key, value, mask, bias, is_causal, scale, block_size)  # pyright: ignore


def explain_no_triton(device_type: str) -> str | None:
    """Say why the kernel cannot run on ``"cpu"``, ``"cuda"``, …, or return None if it can."""
    if triton is None:
        return "triton is not installed: pip install 'minillm[kernels]' (Linux), or take sdpa"
    if device_type == "cpu" and isinstance(_forward_kernel, triton.JITFunction):
        return (
            "the triton backend needs a GPU; on a CPU Triton's interpreter runs it, to be "
            "studied and not to be fast: set TRITON_INTERPRET=1 before Python starts, or take sdpa"
        )
    return None


class _FlashAttention(torch.autograd.Function):
    """The kernel, with the gradient of what it computes."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        bias: Tensor | None,
        is_causal: bool,
        scale: float,
        block_size: int,
    ) -> Tensor:
        output, log_sums = _forward(query, key, value, mask, bias, is_causal, scale, block_size)
        ctx.save_for_backward(query, key, value, mask, bias, output, log_sums)
        ctx.is_causal, ctx.scale = is_causal, scale
        return output

    @staticmethod
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        if torch.is_grad_enabled():  # create_graph=True would take the gradients for constants
            raise RuntimeError(
                "the triton backend can be differentiated once, and create_graph=True asks for "
                "more: take sdpa or reference"
            )
        saved: list[Any] = [*ctx.saved_tensors, ctx.is_causal, ctx.scale]
        gradients = _gradients(grad_output, *saved)
        grad_query, grad_key, grad_value, grad_bias = gradients
        return grad_query, grad_key, grad_value, None, grad_bias, None, None, None


def _forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    is_causal: bool,
    scale: float,
    block_size: int,
) -> tuple[Tensor, Tensor]:
    """Run the kernel: the output (B, H, T, D), and L of each row (B, H, T)."""
    n_batch, n_heads, n_queries, key_dim = query.shape
    n_keys, value_dim = value.shape[-2:]
    scores_shape = (n_batch, n_heads, n_queries, n_keys)
    is_double = query.dtype == torch.float64
    output = query.new_empty(*query.shape[:3], value_dim)
    log_sums = query.new_empty(query.shape[:3], dtype=torch.float64 if is_double else torch.float32)
    # Expanding copies nothing: along an axis that is shared the stride is 0.
    mask_view = None if mask is None else mask.expand(scores_shape).view(torch.uint8)
    bias_view = None if bias is None else bias.expand(scores_shape)
    no_strides = (0, 0, 0, 0)
    grid = (triton.cdiv(n_queries, block_size), n_batch * n_heads)
    _forward_kernel[grid](
        query, key, value, mask_view, bias_view, output, log_sums,
        *query.stride(), *key.stride(), *value.stride(),
        *(no_strides if mask_view is None else mask_view.stride()),
        *(no_strides if bias_view is None else bias_view.stride()),
        n_heads, n_heads // key.shape[1], n_queries, n_keys, scale,
        key_dim=key_dim, value_dim=value_dim,
        KEY_WIDTH=_width(key_dim), VALUE_WIDTH=_width(value_dim),
        IS_CAUSAL=is_causal, HAS_MASK=mask is not None, HAS_BIAS=bias is not None,
        FACTORS=_factors(query.dtype), EXACT=tl.float64 if is_double else tl.float32,
        BLOCK=block_size,
    )  # fmt: skip
    return output, log_sums


def _factors(dtype: torch.dtype) -> Any:
    """Return the dtype that is multiplied: the tensors' own, for which a GPU has matrix units."""
    if dtype == torch.bfloat16 and not isinstance(_forward_kernel, triton.JITFunction):
        return tl.float32  # the interpreter computes with NumPy, which knows no bfloat16
    return {
        torch.float64: tl.float64,
        torch.float32: tl.float32,
        torch.float16: tl.float16,
        torch.bfloat16: tl.bfloat16,
    }[dtype]


def _width(dim: int) -> int:
    """Return the least power of two that holds ``dim`` numbers and that a GPU can multiply."""
    return max(_LEAST_DOT, triton.next_power_of_2(dim))


def _gradients(
    grad_output: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    output: Tensor,
    log_sums: Tensor,
    is_causal: bool,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Return the gradients of query, key, value and bias (arXiv:2307.08691, algorithm 2).

    With weights P = exp(scores − L), and the gradient g of the output O:
    dV = Pᵀ g,  dP = g Vᵀ,  dscores = P · (dP − Σ g · O),  dQ = scale · dscores K, dK likewise.
    """
    exact, n_sharing = log_sums.dtype, query.shape[1] // key.shape[1]
    q, grad, out = query.to(exact), grad_output.to(exact), output.to(exact)
    k, v = (x.to(exact).repeat_interleave(n_sharing, dim=1) for x in (key, value))
    grad_q, grad_k, grad_v = torch.empty_like(q), torch.zeros_like(k), torch.zeros_like(v)
    scores_shape = (*query.shape[:3], key.shape[2])
    grad_bias = None if bias is None else torch.empty(scores_shape, dtype=exact, device=q.device)
    for start in range(0, query.shape[2], _BACKWARD_ROWS):
        rows = slice(start, start + _BACKWARD_ROWS)
        scores = q[:, :, rows] @ k.mT * scale
        if bias is not None:
            scores += bias.expand(scores_shape)[:, :, rows]
        weights = (scores - log_sums[:, :, rows, None]).exp()
        if is_causal:
            t, s = (torch.arange(n, device=q.device) for n in scores_shape[2:])
            weights = weights.masked_fill(s > t[rows, None], 0.0)
        if mask is not None:
            weights = weights.masked_fill(~mask.expand(scores_shape)[:, :, rows], 0.0)
        g = grad[:, :, rows]
        grad_v += weights.mT @ g
        grad_scores = weights * (g @ v.mT - (g * out[:, :, rows]).sum(dim=-1, keepdim=True))
        grad_q[:, :, rows] = grad_scores @ k * scale
        grad_k += grad_scores.mT @ q[:, :, rows] * scale
        if grad_bias is not None:
            grad_bias[:, :, rows] = grad_scores
    grad_key, grad_value = (x.unflatten(1, (-1, n_sharing)).sum(dim=2) for x in (grad_k, grad_v))
    if bias is not None and grad_bias is not None:
        grad_bias = grad_bias.sum_to_size(bias.shape).to(bias.dtype)
    return grad_q.to(query.dtype), grad_key.to(key.dtype), grad_value.to(value.dtype), grad_bias

"""Scaled dot-product attention: a readable reference and the fast backends.

Dimension key: B sequences, H heads, T query positions, S key positions, D head_dim.
"""

import math
from typing import Any, Literal, get_args
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from einops import einsum, repeat
from torch import Tensor

from minillm.errors import ConfigError
from minillm.kernels.flex import (
    FLEX_DTYPES,
    blocks_of_mask,
    blocks_of_rule,
    explain_no_compiler,
    flex_attention,
)
from minillm.masking import MaskRule, causal_mask

AttentionBackend = Literal["reference", "sdpa", "flex", "triton"]
_CAUSAL = MaskRule(is_causal=True)
# All layers of a model read by one rule; finding its visible blocks is done once for all of them.
_block_masks: WeakKeyDictionary[MaskRule, dict[tuple, Any]] = WeakKeyDictionary()


def attention(  # noqa: PLR0913 - the one attention of the package: each argument is a known use
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | MaskRule | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
    dropout: float = 0.0,
    backend: AttentionBackend = "sdpa",
) -> Tensor:
    """Mix the values, weighting each one by how well its key matches the query.

    For each query position, ``softmax(q · kᵀ / sqrt(D))`` is a probability
    distribution over the visible keys; the output is the mean of the values
    under that distribution (Vaswani et al. 2017, eq. 1, arXiv:1706.03762).
    A query that may read nothing gets zeros. Keys and values that no query may read, such as
    padding, count as zeros, so that even a NaN there (0 · NaN is NaN) reaches nobody.

    Args:
        query: (B, H, T, D) float.
        key: (B, H, S, D), same dtype and device as ``query``. Fewer heads than the query's
            are shared: each serves H / n_kv_heads neighboring query heads (grouped queries,
            arXiv:2305.13245).
        value: (B, H, S, D), as many heads as ``key``.
        mask: bool, broadcastable to (B, H, T, S). True means "may attend". Or a ``MaskRule``.
        is_causal: position t reads positions <= t only; excludes ``mask``. The
            separate flag lets a fused kernel skip the hidden half.
        bias: float, broadcastable to (B, H, T, S), added to the scores (relative positions).
        scale: multiplies the scores; ``None`` means ``1 / sqrt(D)``.
        dropout: probability of zeroing a weight; the caller passes 0 outside training.
        backend: ``"reference"`` spells out the equation; ``"sdpa"`` calls PyTorch's fused
            kernel; ``"flex"`` compiles a kernel for this mask; ``"triton"`` is our own, for a
            GPU. All agree to floating-point tolerance; the last two know no dropout.

    Returns:
        (B, H, T, D), one mixed value per query position.

    Raises:
        ValueError: if ``backend`` is unknown, the shapes do not fit, ``mask`` is not boolean,
            ``is_causal`` comes with a mask, a bias or T != S, the heads do not divide, or the
            backend cannot do what is asked, before anything is computed.
        ConfigError: the backend is not installed, or cannot run on this device.

    Example:
        >>> x = torch.randn(2, 4, 8, 16)                       # B=2 H=4 T=8 D=16
        >>> attention(x, x, x, is_causal=True).shape
        torch.Size([2, 4, 8, 16])
    """
    check_backend(backend)
    _check_value(key, value)
    if isinstance(mask, MaskRule):
        _check_rule(mask, query, key, is_causal=is_causal)
        mask = mask if backend == "flex" else mask.matrix(query.shape[-2], device=query.device)
    matrix = mask if isinstance(mask, Tensor) else None
    _check(query, key, mask=matrix, bias=bias, is_causal=is_causal)
    if backend in ("flex", "triton"):
        _check_compiled(backend, (query, key, value, bias), dropout=dropout)
    if backend == "reference" or 0 in (*query.shape, *key.shape):  # kernels take nothing empty
        weights = attention_weights(
            query, key, mask=mask, is_causal=is_causal, bias=bias, scale=scale
        )
        weights = F.dropout(weights, dropout)
        value = _serve(_without_unread(value, matrix), query)
        return einsum(weights, value, "b h t s, b h s d -> b h t d")

    # By a rule every position reads at least itself: only a matrix can leave one unread.
    key, value = _without_unread(key, matrix), _without_unread(value, matrix)
    if backend == "flex":
        mask = _CAUSAL if is_causal else mask
        return _by_flex(query, key, value, mask=mask, bias=bias, scale=scale)
    if backend == "triton":
        from minillm.kernels.flash_attention import flash_attention  # Triton takes 0.1 s to import

        options: dict[str, Any] = {"mask": matrix, "is_causal": is_causal, "bias": bias}
        return flash_attention(query, key, value, **options, scale=scale)
    if bias is not None:
        bias = bias.to(query.dtype)
        matrix = bias if matrix is None else bias.masked_fill(~matrix, float("-inf"))
    if matrix is not None:
        matrix = torch.atleast_2d(matrix)  # the kernel takes no (S,) mask
    return F.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=matrix,
        dropout_p=dropout,
        is_causal=is_causal,
        scale=scale,
        enable_gqa=key.shape[1] != query.shape[1],  # no copy of the cache for each query head
    )


def attention_weights(
    query: Tensor,
    key: Tensor,
    *,
    mask: Tensor | MaskRule | None = None,
    is_causal: bool = False,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Return how much each query reads of each key: ``softmax(q · kᵀ / sqrt(D))``.

    The arguments are those of ``attention``, whose reference backend is exactly these
    weights times the values.

    Args:
        query: (B, H, T, D) float.
        key: (B, H, S, D), or with fewer heads that divide H.
        mask: bool, broadcastable to (B, H, T, S). True means "may attend". Or a ``MaskRule``.
        is_causal: position t reads positions <= t only; excludes ``mask``.
        bias: float, broadcastable to (B, H, T, S), added to the scores.
        scale: multiplies the scores; ``None`` means ``1 / sqrt(D)``.

    Returns:
        (B, H, T, S): each row sums to 1, or is all 0 where the query may read nothing.

    Raises:
        ValueError: as ``attention``.

    Example:
        >>> same = torch.ones(1, 1, 3, 2)                      # every key matches equally well
        >>> attention_weights(same, same, is_causal=True)[0, 0, 1]
        tensor([0.5000, 0.5000, 0.0000])
    """
    if isinstance(mask, MaskRule):
        _check_rule(mask, query, key, is_causal=is_causal)
        mask = mask.matrix(query.shape[-2], device=query.device)
    _check(query, key, mask=mask, bias=bias, is_causal=is_causal)
    key = _without_unread(key, mask)
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    # Scaling the query instead of the scores saves a pass over the T x S matrix.
    scores = einsum(query * scale, _serve(key, query), "b h t d, b h s d -> b h t s")
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    if is_causal:  # no row is empty: every position reads at least itself
        mask = causal_mask(query.shape[-2], device=query.device)
        return scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    if mask is None:
        return scores.softmax(dim=-1)
    reads_something = mask.any(dim=-1, keepdim=True)
    # An empty row is filled with 0, not -inf: its softmax would be 0/0, a NaN.
    fill = torch.zeros_like(reads_something, dtype=scores.dtype)
    fill = fill.masked_fill(reads_something, float("-inf"))
    return torch.where(mask, scores, fill).softmax(dim=-1).masked_fill(~reads_something, 0.0)


def check_backend(name: str) -> None:
    """Refuse a backend that does not exist.

    Args:
        name: what the user asked for.

    Raises:
        ValueError: naming the backends that exist.
    """
    if name not in get_args(AttentionBackend):
        known = " or ".join(map(repr, get_args(AttentionBackend)))
        raise ValueError(f"backend must be {known}, got {name!r}")


def explain_unusable(
    backend: AttentionBackend, *, device_type: str, with_gradients: bool
) -> str | None:
    """Say why a backend cannot compute on a device, in words for whoever asked for it.

    Args:
        backend: which.
        device_type: ``"cpu"``, ``"cuda"`` …
        with_gradients: whether it is to be trained through.

    Returns:
        The reason and what to do; ``None`` where it can compute.

    Example:
        >>> explain_unusable("flex", device_type="cpu", with_gradients=True)
        'flex computes gradients only on a GPU: train on a CPU with sdpa or reference'
    """
    if backend == "flex" and device_type == "cpu":
        if with_gradients:
            return "flex computes gradients only on a GPU: train on a CPU with sdpa or reference"
        return explain_no_compiler()
    if backend == "triton":
        from minillm.kernels.flash_attention import explain_no_triton

        return explain_no_triton(device_type)
    return None


def _check_compiled(
    backend: AttentionBackend, tensors: tuple[Tensor | None, ...], *, dropout: float
) -> None:
    """Refuse what a compiled kernel cannot do, before it begins."""
    given = [x for x in tensors if x is not None]
    if dropout:
        raise ValueError(f"{backend} knows no dropout, got {dropout}: take sdpa or reference")
    if backend == "flex" and given[0].dtype not in FLEX_DTYPES:
        raise ValueError(f"flex takes 32 or 16 bits, got {given[0].dtype}: take sdpa or reference")
    with_gradients = torch.is_grad_enabled() and any(x.requires_grad for x in given)
    device_type = given[0].device.type
    if why := explain_unusable(backend, device_type=device_type, with_gradients=with_gradients):
        raise ConfigError(why)


def _by_flex(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    mask: Tensor | MaskRule | None,
    bias: Tensor | None,
    scale: float | None,
) -> Tensor:
    """Attend with the blocks that a mask leaves visible: found once a rule, or once a matrix."""
    block_mask = None
    if isinstance(mask, MaskRule):
        block_mask = _blocks_of_rule(mask, query)
    elif mask is not None:
        block_mask = blocks_of_mask(mask, (*query.shape[:3], key.shape[-2]))
    return flex_attention(query, key, value, block_mask=block_mask, bias=bias, scale=scale)


def _blocks_of_rule(rule: MaskRule, query: Tensor) -> Any:
    """Find the visible blocks of a rule, or remember them from the layer before."""
    n_batch, _, n_positions, _ = query.shape
    ids = None if rule.document_ids is None else rule.document_ids.expand(n_batch, n_positions)
    known = _block_masks.setdefault(rule, {})
    place = (n_positions, query.device, n_batch if ids is not None else None)
    if place not in known:
        known[place] = blocks_of_rule(
            n_positions,
            is_causal=rule.is_causal,
            window=rule.window,
            document_ids=ids,
            device=query.device,
        )
    return known[place]


def _check_rule(rule: MaskRule, query: Tensor, key: Tensor, *, is_causal: bool) -> None:
    """Refuse a rule where it cannot stand: positions of queries and keys must be the same."""
    if is_causal:
        raise ValueError("is_causal stands alone: give MaskRule(is_causal=True, …) instead")
    if query.shape[-2] != key.shape[-2]:
        raise ValueError(f"a MaskRule needs T == S, got {query.shape[-2]} and {key.shape[-2]}")
    ids = rule.document_ids
    if ids is not None and (len(ids) not in (1, len(query)) or ids.shape[1] != query.shape[-2]):
        raise ValueError(
            f"document_ids {tuple(ids.shape)} do not fit query {tuple(query.shape)} (B, H, T, D)"
        )


def _without_unread(x: Tensor, mask: Tensor | None) -> Tensor:
    """Put zeros at the positions of ``x`` (B, H, S, D) that no query of any head may read."""
    if mask is None:
        return x
    mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    is_read = mask.any(dim=2).any(dim=1)  # (B, S), or broadcastable to it
    return x if is_read.all() else torch.where(is_read[:, None, :, None], x, 0.0)


def _serve(x: Tensor, query: Tensor) -> Tensor:
    """Give every query head its key or value head: neighbors share one (grouped heads)."""
    if x.shape[1] == query.shape[1]:
        return x
    return repeat(x, "b h s d -> b (h r) s d", r=query.shape[1] // x.shape[1])


def _check(
    query: Tensor, key: Tensor, *, mask: Tensor | None, bias: Tensor | None, is_causal: bool
) -> None:
    """Refuse what would otherwise be computed wrongly in silence."""
    _check_heads(query, key)
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask must be boolean (True = may attend), got {mask.dtype}")
    scores_shape = (*query.shape[:-1], key.shape[-2])
    for name, x in (("mask", mask), ("bias", bias)):
        if x is not None and not _broadcasts(x.shape, scores_shape):
            raise ValueError(
                f"{name} {tuple(x.shape)} does not broadcast to the scores (B, H, T, S) = "
                f"{scores_shape}"
            )
    if is_causal and (mask is not None or bias is not None):
        raise ValueError("is_causal stands alone: put the causal mask into mask instead")
    if is_causal and query.shape[-2] != key.shape[-2]:
        raise ValueError(f"is_causal needs T == S, got {query.shape[-2]} and {key.shape[-2]}")


def _check_heads(query: Tensor, key: Tensor) -> None:
    """Refuse queries and keys that do not belong together."""
    if query.ndim != 4 or key.ndim != 4:
        raise ValueError(
            f"query and key must be (B, H, T, D), got {tuple(query.shape)} and {tuple(key.shape)}"
        )
    if query.shape[0] != key.shape[0] or query.shape[3] != key.shape[3]:
        raise ValueError(
            f"query {tuple(query.shape)} and key {tuple(key.shape)} differ in batch or head_dim"
        )
    if query.shape[1] % key.shape[1]:
        raise ValueError(f"n_kv_heads={key.shape[1]} must divide n_heads={query.shape[1]}")


def _check_value(key: Tensor, value: Tensor) -> None:
    """Refuse values that are not one for each key."""
    if key.shape[:-1] != value.shape[:-1]:
        raise ValueError(f"key {tuple(key.shape)} does not fit value {tuple(value.shape)}")


def _broadcasts(shape: torch.Size, target: tuple[int, ...]) -> bool:
    """Say whether ``shape`` broadcasts to ``target`` without enlarging it."""
    sizes = zip(reversed(shape), reversed(target), strict=False)
    return len(shape) <= len(target) and all(size in (1, wanted) for size, wanted in sizes)

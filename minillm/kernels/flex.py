"""FlexAttention: a mask and a bias become code that torch compiles into one attention kernel.

Dimension key: B sequences, H heads, T query positions, S key positions, D head_dim.
"""

import os
import shutil
import sys
import warnings
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

FLEX_DTYPES = (torch.float32, torch.float16, torch.bfloat16)
# Every other shape is compiled anew. Beyond torch's usual limit of 8 it would fall back, in
# silence, to code that keeps the whole T × S matrix.
_MAX_SHAPES = 256


def flex_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    block_mask: Any = None,
    bias: Tensor | None = None,
    scale: float | None = None,
) -> Tensor:
    """Attend by torch's FlexAttention; its arguments were checked by ``attention``.

    Dong et al. 2024 (arXiv:2412.05496): the reader writes what happens to a score, the compiler
    writes the kernel, and whole blocks that a mask hides are skipped. The first call with
    a shape compiles, for seconds; later ones do not.

    Args:
        query: (B, H, T, D) float32, float16 or bfloat16.
        key: (B, H or fewer heads, S, D).
        value: as ``key``.
        block_mask: from ``blocks_of_mask`` or ``blocks_of_rule``; ``None`` hides nothing.
        bias: float, broadcastable to (B, H, T, S), added to the scores.
        scale: multiplies the scores; ``None`` means ``1 / sqrt(D)``.

    Returns:
        (B, H, T, D), zeros for a query that may read nothing.

    """
    full_bias = None if bias is None else bias.expand(*query.shape[:3], key.shape[2])

    def add_bias(score: Tensor, b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return score if full_bias is None else score + full_bias[b, h, t, s]

    # One buffer under two names is more than the CPU's compiler takes (pytorch #157612).
    key = key.clone() if key.data_ptr() == query.data_ptr() else key
    value = value.clone() if value.data_ptr() in (query.data_ptr(), key.data_ptr()) else value
    with warnings.catch_warnings(), torch._dynamo.config.patch(recompile_limit=_MAX_SHAPES):
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own, while it compiles
        return _compiled()(
            query,
            key,
            value,
            score_mod=None if bias is None else add_bias,
            block_mask=block_mask,
            scale=scale,
            enable_gqa=key.shape[1] != query.shape[1],
        )


def blocks_of_mask(mask: Tensor, scores_shape: tuple[int, ...]) -> Any:
    """Find the blocks of 128 × 128 that any boolean mask leaves visible.

    Args:
        mask: bool, broadcastable to ``scores_shape``. True means "may attend".
        scores_shape: (B, H, T, S).

    Returns:
        A torch ``BlockMask``; inside a block that is partly visible the kernel asks ``mask``.
    """
    full_mask = mask.expand(scores_shape)

    def may_attend(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return full_mask[b, h, t, s]

    return _block_mask(may_attend, *scores_shape, device=mask.device)


def blocks_of_rule(
    n_positions: int,
    *,
    is_causal: bool,
    window: int | None,
    document_ids: Tensor | None,
    device: torch.device,
) -> Any:
    """Find the visible blocks of a mask that is known as a rule: no T × T matrix is kept.

    Args:
        n_positions: T, of queries and keys.
        is_causal: position t reads positions <= t only.
        window: position t reads positions less than so many away; ``None`` is no limit.
        document_ids: (B, T) int64: a position reads its own document only; ``None`` is no limit.
        device: where the scores are computed.

    Returns:
        A torch ``BlockMask``. Making it does look at all pairs once; keep it for all layers.
    """

    def may_attend(b: Tensor, h: Tensor, t: Tensor, s: Tensor) -> Tensor:
        allowed = t >= s if is_causal else t == t  # True, in the shape of t
        if window is not None:
            allowed = allowed & (t - s < window) & (s - t < window)
        if document_ids is not None:
            allowed = allowed & (document_ids[b, t] == document_ids[b, s])
        return allowed

    n_batch = None if document_ids is None else len(document_ids)
    return _block_mask(may_attend, n_batch, None, n_positions, n_positions, device=device)


def explain_no_compiler() -> str | None:
    """Say what is missing to compile C++, which the kernel is on a CPU; None if nothing is."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(compiler) is not None:
        return None
    return (
        f"flex compiles C++ on a CPU and found no {compiler}: install it, name another one in the "
        "variable CXX, or take the backend sdpa"
    )


def _block_mask(may_attend: Callable[..., Tensor], *sizes: int | None, device: torch.device) -> Any:
    from torch.nn.attention.flex_attention import create_block_mask

    return create_block_mask(may_attend, *sizes, device=device)  # pyright: ignore


@lru_cache
def _compiled() -> Callable[..., Any]:
    """Compile when the first call comes; sizes that may vary make C++ that does not compile."""
    from torch.nn.attention.flex_attention import flex_attention as from_torch

    return torch.compile(from_torch, dynamic=False)

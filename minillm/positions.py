"""Where a token stands: learned and sinusoidal position vectors, rotary and relative positions.

All take explicit positions, so that a cached step continues where the last one ended.
Dimension key: B sequences, H heads, T query positions, S key positions, C d_model, D head_dim.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn


class LearnedPositions(nn.Module):
    """One trained vector per position, added to the token embeddings (GPT-2, BERT).

    Unlike the sinusoids of Vaswani et al. 2017 (§3.5, arXiv:1706.03762) it knows no position
    beyond ``context_length``.

    Example:
        >>> LearnedPositions(16, 4)(torch.arange(3)).shape
        torch.Size([3, 4])
    """

    def __init__(self, context_length: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(context_length, d_model))

    def forward(self, positions: Tensor) -> Tensor:
        """Return the vectors of ``positions`` (int64, any shape), one more axis of width C."""
        return nn.functional.embedding(positions, self.weight)


class SinusoidalPositions(nn.Module):
    """Fixed waves of many lengths, added to the token embeddings.

    ``sin(position · 10000^(-2i/C))`` in column 2i and its cosine in 2i + 1 (Vaswani et al.
    2017, §3.5, arXiv:1706.03762). Moving by k turns each pair by a fixed angle, so that a
    linear layer can find relative positions. Nothing is learned, and no position is too far.

    Example:
        >>> SinusoidalPositions(4)(torch.tensor([0]))
        tensor([[0., 1., 0., 1.]])
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        if d_model % 2:
            raise ValueError(f"sinusoids come in pairs: d_model must be even, got {d_model}")
        self.d_model = d_model

    def forward(self, positions: Tensor) -> Tensor:
        """Return the float32 vectors of ``positions`` (int64, any shape), one more axis of C."""
        exponents = torch.arange(0, self.d_model, 2, device=positions.device).float() / self.d_model
        angles = positions[..., None].float() * 10_000.0**-exponents
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


class Rotation(NamedTuple):
    """Cosine and sine of every angle, float32, (T, D/2) or (B, 1, T, D/2)."""

    cos: Tensor
    sin: Tensor


def make_rotation(positions: Tensor, *, head_dim: int, base: float = 10_000.0) -> Rotation:
    """Return the rotary angles of ``positions``: pair i turns by ``position · base^(-2i/D)``.

    Su et al. 2021 (RoFormer, §3.2.2, arXiv:2104.09864). Computed once a forward pass for all
    layers, and in float32 whatever the model's dtype: bfloat16 cannot count beyond 256.

    Args:
        positions: (T,) or (B, T) int64, counted from the start of the text.
        head_dim: D, even.
        base: the larger, the slower the slowest pair turns.

    Returns:
        Cosines and sines, (T, D/2), or (B, 1, T, D/2) which broadcasts over the heads.

    Raises:
        ValueError: if ``head_dim`` is odd.

    Example:
        >>> make_rotation(torch.arange(5), head_dim=8).cos.shape
        torch.Size([5, 4])
    """
    if head_dim % 2:
        raise ValueError(f"rotary positions turn pairs: head_dim must be even, got {head_dim}")
    exponents = torch.arange(0, head_dim, 2, device=positions.device).float() / head_dim
    angles = positions[..., None].float() * base**-exponents
    if positions.ndim == 2:
        angles = angles[:, None]  # every head turns by the same angle
    return Rotation(angles.cos(), angles.sin())


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """Turn each pair of coordinates of a query or a key by its position's angle.

    After it, ``query · key`` depends on the distance of the two positions only (RoFormer,
    eq. 16). Coordinate i is paired with i + D/2 (the *halves* of Llama in Transformers and
    GPT-NeoX); the paper and Llama's first release pair neighbors 2i, 2i + 1. The two differ
    by a fixed permutation of the projection's rows, but weights of one read as the other
    give nonsense. Values are never rotated.

    Args:
        x: (B, H, T, D) float.
        rotation: from ``make_rotation``.

    Returns:
        (B, H, T, D), same dtype and same length of every vector.

    Example:
        >>> quarter = Rotation(torch.zeros(1, 1), torch.ones(1, 1))  # 90 degrees
        >>> rotate(torch.tensor([[[[3.0, 4.0]]]]), quarter)
        tensor([[[[-4.,  3.]]]])
    """
    cos, sin = rotation.cos.to(x.dtype), rotation.sin.to(x.dtype)
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def relative_buckets(
    distances: Tensor,
    *,
    n_buckets: int = 32,
    max_distance: int = 128,
    is_bidirectional: bool = True,
) -> Tensor:
    """Sort distances into buckets: near ones each into their own, far ones ever more together.

    Raffel et al. 2020 (§2.1, arXiv:1910.10683), as T5's code has it. Of the buckets of one
    direction the first half hold one distance each; in the second half the distances of bucket
    after bucket grow by a constant factor, and everything from ``max_distance`` on is in the last.

    Args:
        distances: int64, any shape: position of the key minus position of the query.
        n_buckets: of both directions together, even.
        max_distance: the least distance of which nothing more is told.
        is_bidirectional: half of the buckets are for keys that stand after the query; otherwise
            all are for keys before it, and a later key counts as distance 0.

    Returns:
        int64 in 0 … n_buckets - 1, the shape of ``distances``.

    Example:
        >>> relative_buckets(torch.tensor([-200, -9, -8, -1, 0, 1, 8, 200])).tolist()
        [15, 8, 8, 1, 0, 17, 24, 31]
    """
    first = torch.zeros_like(distances)
    if is_bidirectional:
        n_buckets //= 2
        first = (distances > 0) * n_buckets
        distances = distances.abs()
    else:
        distances = (-distances).clamp(min=0)
    n_exact = n_buckets // 2
    # The logarithm of 0 would be -inf; such a small distance has a bucket of its own anyway.
    ratio = distances.clamp(min=n_exact).float() / n_exact
    steps = ratio.log() / math.log(max_distance / n_exact) * (n_buckets - n_exact)
    far = (n_exact + steps.long()).clamp(max=n_buckets - 1)
    return first + torch.where(distances < n_exact, distances, far)


class RelativeBias(nn.Module):
    """A number for each head and bucket of distances, added to the scores of attention.

    T5 computes it once and adds it in every layer of a stack (Raffel et al. 2020, §2.1). Only the
    distance counts, so that a text may be longer than any in training.

    Example:
        >>> RelativeBias(n_heads=2)(torch.arange(3), torch.arange(5)).shape
        torch.Size([1, 2, 3, 5])
    """

    def __init__(
        self,
        n_heads: int,
        *,
        n_buckets: int = 32,
        max_distance: int = 128,
        is_bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.max_distance, self.is_bidirectional = max_distance, is_bidirectional
        self.weight = nn.Parameter(torch.zeros(n_buckets, n_heads))

    def forward(self, query_positions: Tensor, key_positions: Tensor) -> Tensor:
        """Return the (1, H, T, S) bias of T query and S key positions, int64."""
        buckets = relative_buckets(
            key_positions[None, :] - query_positions[:, None],
            n_buckets=len(self.weight),
            max_distance=self.max_distance,
            is_bidirectional=self.is_bidirectional,
        )
        return nn.functional.embedding(buckets, self.weight).permute(2, 0, 1)[None]

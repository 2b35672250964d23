"""The small layers that turn a pretrained model's vectors into answers.

Dimension key: B sequences, T positions, C d_model, K labels.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from minillm.linear import Linear

Pooling = Literal["first", "last", "mean"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
INIT_STD = 0.02  # BERT's; the first scores are near 0 and the first loss near ln K


def valid_edges(is_padding: Tensor | None, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the last position of each row that is no padding, (B,) both.

    Args:
        is_padding: (B, T) bool, padding on either side, or None.
        like: (B, T, ...) that gives the shape.

    Example:
        >>> edges = valid_edges(torch.tensor([[False, False, True]]), like=torch.zeros(1, 3))
        >>> [edge.tolist() for edge in edges]
        [[0], [1]]
    """
    n_rows, n_positions = like.shape[:2]
    if is_padding is None:
        zeros = torch.zeros(n_rows, dtype=torch.int64, device=like.device)
        return zeros, zeros + n_positions - 1
    is_valid = (~is_padding).int()
    return is_valid.argmax(dim=1), n_positions - 1 - is_valid.flip(1).argmax(dim=1)


def pool(hidden: Tensor, is_padding: Tensor | None, pooling: Pooling) -> Tensor:
    """Make one vector of a sequence; padding never counts.

    Args:
        hidden: (B, T, C).
        is_padding: (B, T) bool, or None.
        pooling: the ``"first"`` valid position (BERT), the ``"last"`` one (GPT: the only one that
            has read everything), or the ``"mean"`` of all of them.

    Returns:
        (B, C).

    Example:
        >>> hidden = torch.tensor([[[1.0], [3.0], [9.0]]])
        >>> is_padding = torch.tensor([[False, False, True]])
        >>> [pool(hidden, is_padding, how).item() for how in ("first", "last", "mean")]
        [1.0, 3.0, 2.0]
    """
    if pooling == "mean":
        if is_padding is None:
            return hidden.mean(dim=1)
        kept = hidden.masked_fill(is_padding[..., None], 0.0)
        return kept.sum(dim=1) / (~is_padding).sum(dim=1, keepdim=True).clamp(min=1)
    first, last = valid_edges(is_padding, like=hidden)
    rows = torch.arange(len(hidden), device=hidden.device)
    return hidden[rows, first if pooling == "first" else last]


class ClassHead(nn.Module):
    """Score the classes of a whole text: pool, drop out, one linear layer.

    BERT's (Devlin et al. 2019, §4.1), without the tanh layer that its pretraining puts before it.
    """

    def __init__(
        self,
        d_model: int,
        n_labels: int,
        *,
        pooling: Pooling,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.pooling: Pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.scores = _make_linear(d_model, n_labels, generator)

    def forward(self, hidden: Tensor, is_padding: Tensor | None) -> Tensor:
        """Return (B, K) logits of ``hidden`` (B, T, C)."""
        return self.scores(self.dropout(pool(hidden, is_padding, self.pooling)))


class TagHead(nn.Module):
    """Score the tags of each position: drop out, one linear layer (Devlin et al. 2019, §5.3)."""

    def __init__(
        self,
        d_model: int,
        n_labels: int,
        *,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.scores = _make_linear(d_model, n_labels, generator)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (B, T, K) logits of ``hidden`` (B, T, C)."""
        return self.scores(self.dropout(hidden))


class SpanHead(nn.Module):
    """Score each position as the start and as the end of the answer.

    Two vectors, S and E, whose products with the positions are the scores (Devlin et al. 2019,
    §4.2). One position stands for "no answer" (§4.3: [CLS]). Differs from BERT in that positions
    where no answer can be (the question, padding, marks) are no choice already in training.
    """

    def __init__(
        self, d_model: int, *, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.scores = _make_linear(d_model, 2, generator)

    def forward(self, hidden: Tensor, allowed: Tensor) -> Tensor:
        """Score the starts and the ends.

        Args:
            hidden: (B, T, C).
            allowed: (B, T) bool, True where an answer may start or end, or that means "none".

        Returns:
            (B, 2, T) logits, starts first; −∞ where not allowed.
        """
        scores = self.scores(self.dropout(hidden)).transpose(1, 2)
        return scores.masked_fill(~allowed[:, None], -math.inf)


def answer_positions(segment_ids: Tensor, is_padding: Tensor | None) -> Tensor:
    """Say where an answer may stand in ``bos question eos context eos``: (B, T) bool.

    Args:
        segment_ids: (B, T) int64, 0 for the question and its marks, 1 for the context and the eos
            that ends it.
        is_padding: (B, T) bool, or None.

    Example:
        >>> answer_positions(torch.tensor([[0, 0, 0, 1, 1, 1]]), None).int().tolist()
        [[0, 0, 0, 1, 1, 0]]
    """
    _, last = valid_edges(is_padding, like=segment_ids)
    positions = torch.arange(segment_ids.shape[1], device=segment_ids.device)
    return (segment_ids == 1) & (positions < last[:, None])


def _make_linear(d_model: int, n_out: int, generator: torch.Generator | None) -> Linear:
    """Make a layer with weights from N(0, 0.02²) and no bias at first."""
    with torch.random.fork_rng(devices=[]):  # torch's own initial weights are overwritten
        layer = Linear(d_model, n_out)
    generator = torch.Generator() if generator is None else generator
    with torch.no_grad():
        nn.init.normal_(layer.weight, std=INIT_STD, generator=generator)
        layer.bias.zero_()
    return layer

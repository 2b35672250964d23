"""Right and wrong answers to the first exercise of notebook 14: pooling."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_14 import check_pool
from minillm.finetuning import heads

# --- right


def _by_library(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    return heads.pool(hidden, is_padding, "last" if how == "last" else "mean")


def _by_rows(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    texts = [row[~padding] for row, padding in zip(hidden, is_padding, strict=True)]
    return torch.stack([text[-1] if how == "last" else text.mean(dim=0) for text in texts])


def _by_weights(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    weights = (~is_padding).to(hidden.dtype)
    if how == "last":
        is_last = weights.flip(1).cumsum(dim=1).flip(1) == 1
        weights = weights * is_last
    weights = weights / weights.sum(dim=1, keepdim=True)
    return (weights[:, None] @ hidden)[:, 0]


# --- wrong


def _last_position(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    return hidden[:, -1] if how == "last" else _by_library(hidden, is_padding, how)


def _first_padding(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    if how == "mean":
        return _by_rows(hidden, is_padding, how)
    place = is_padding.logical_not().sum(1).clamp(max=hidden.shape[1] - 1)
    return hidden.gather(1, place[:, None, None].expand(-1, 1, hidden.shape[2]))[:, 0]


def _first_valid(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    if how == "mean":
        return _by_rows(hidden, is_padding, how)
    return torch.stack([row[~p][0] for row, p in zip(hidden, is_padding, strict=True)])


def _longest_text(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    n = int((~is_padding).sum(1).max())
    return hidden[:, n - 1] if how == "last" else _by_rows(hidden, is_padding, how)


def _counted(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    lengths = (~is_padding).sum(1)
    last = torch.stack([row[n - 1] for row, n in zip(hidden, lengths, strict=True)])
    return last if how == "last" else _by_library(hidden, is_padding, how)


def _mean_of_all(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    return hidden.mean(1) if how == "mean" else _by_library(hidden, is_padding, how)


def _divided_by_t(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    kept = hidden.masked_fill(is_padding[..., None], 0)
    return kept.mean(1) if how == "mean" else _by_rows(hidden, is_padding, how)


def _mean_length(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    kept = hidden.masked_fill(is_padding[..., None], 0)
    mean = kept.sum(1) * len(hidden) / (~is_padding).sum()
    return mean if how == "mean" else _by_rows(hidden, is_padding, how)


def _sum(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    if how == "last":
        return _by_library(hidden, is_padding, how)
    return torch.einsum("btc,bt->bc", hidden, (~is_padding).to(hidden.dtype))


def _turned_round(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    if how == "last":
        return _by_library(hidden, is_padding, how)
    kept = hidden * is_padding[..., None]
    return kept.sum(1) / is_padding.sum(1, keepdim=True)


PLANTED = (
    Planted(
        check=check_pool,
        arguments=(
            torch.ones(2, 3, 5),
            torch.tensor([[False, False, True], [False] * 3]),
            "last",
        ),
        right=(_by_library, _by_rows, _by_weights),
        wrong={
            _last_position: "takes the last position, which is padding",
            _first_padding: "takes the first padding",
            _first_valid: "takes the first valid position",
            _longest_text: "one position for all texts",
            _counted: "counts the valid positions",
            _mean_of_all: "mean is over padding too",
            _divided_by_t: "divides by T",
            _mean_length: "mean length of the batch",
            _sum: "is a sum",
            _turned_round: "over the padding alone",
        },
    ),
)

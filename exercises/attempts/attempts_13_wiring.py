"""Right and wrong answers to the second exercise of notebook 13: shift right and the masks."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_13 import check_wire
from minillm.masking import causal_mask, padding_mask
from minillm.objectives.source_target import shift_right

Wiring = tuple[Tensor, Tensor, Tensor]

# --- right


def _by_library(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    cross = padding_mask(source == pad_id).expand(-1, -1, target.shape[1], -1)
    inputs = shift_right(target, start_id=start_id, pad_id=pad_id)
    return inputs, causal_mask(target.shape[1]), cross


def _by_filling(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    (n_rows, n_source), n_target = source.shape, target.shape[1]
    inputs = torch.full((n_rows, n_target), start_id)
    inputs[:, 1:] = target[:, :-1]
    positions = torch.arange(n_target)
    cross = torch.ones(n_rows, 1, n_target, n_source, dtype=torch.bool)
    cross &= source.ne(pad_id).view(n_rows, 1, 1, n_source)
    return inputs, positions[None, :] <= positions[:, None], cross


def _by_rows(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs = torch.tensor([[start_id, *row][:-1] for row in target.tolist()])
    n = target.shape[1]
    causal = torch.tensor([[s <= t for s in range(n)] for t in range(n)])
    is_text = [[token != pad_id for token in row] for row in source.tolist()]
    return inputs, causal, torch.tensor([[[row] * n] for row in is_text])


# --- wrong


def _not_shifted(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    _, causal, cross = _by_filling(source, target, start_id, pad_id)
    return target.clone(), causal, cross


def _shifted_twice(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, _, _ = _by_filling(source, target, start_id, pad_id)
    return _by_filling(source, inputs, start_id, pad_id)


def _shifted_left(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs = target.roll(-1, 1)
    inputs[:, -1] = pad_id
    return inputs, *_by_filling(source, target, start_id, pad_id)[1:]


def _wrapped(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    return target.roll(1, 1), *_by_library(source, target, start_id, pad_id)[1:]


def _overwritten(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs = target.clone()
    inputs[:, 0] = start_id
    return inputs, *_by_library(source, target, start_id, pad_id)[1:]


def _causal_cross(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal, cross.tril()


def _only_causal_cross(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal, torch.ones_like(cross).tril()


def _decoder_padding(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    keys = torch.zeros_like(source, dtype=torch.bool)
    n = min(source.shape[1], target.shape[1])
    keys[:, :n] = target[:, :n] != pad_id
    return inputs, causal, keys[:, None, None].expand_as(cross)


def _hidden_rows(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal, cross & target.ne(pad_id)[:, None, :, None]


def _padding_read(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal, cross | True


def _true_hides(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal, cross.logical_not()


def _future_seen(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, causal | causal.mT, cross


def _strictly_past(source: Tensor, target: Tensor, start_id: int, pad_id: int) -> Wiring:
    inputs, causal, cross = _by_filling(source, target, start_id, pad_id)
    return inputs, ~causal.mT, cross


PLANTED = (
    Planted(
        check=check_wire,
        arguments=(torch.tensor([[5, 6, 0], [7, 8, 9]]), torch.tensor([[4, 3], [6, 0]]), 1, 0),
        right=(_by_library, _by_filling, _by_rows),
        wrong={
            _not_shifted: "does not shift",
            _shifted_twice: "shifts twice",
            _shifted_left: "shifts to the left",
            _wrapped: "wraps around",
            _overwritten: "over the first target",
            _causal_cross: "cross-attention is causal",
            _only_causal_cross: "cross-attention is only causal",
            _decoder_padding: "hides the decoder's padding",
            _hidden_rows: "hides rows where the target is padding",
            _padding_read: "reads the source's padding",
            _true_hides: "turned round",
            _future_seen: "sees the future",
            _strictly_past: "does not read itself",
        },
    ),
)

"""The second check of notebook 13: shift right and two masks. B pairs, S source, T target."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise

Wiring = tuple[Tensor, Tensor, Tensor]


def _shifted(target: Tensor, start: int) -> Tensor:
    return torch.cat([torch.full_like(target[:, :1], start), target[:, :-1]], dim=1)


def _causal(target: Tensor) -> Tensor:
    n = target.shape[1]
    return torch.ones(n, n, dtype=torch.bool).tril()


def _cross(source: Tensor, target: Tensor, pad: int) -> Tensor:
    return (source != pad)[:, None, None, :].repeat(1, 1, target.shape[1], 1)


def _right(source: Tensor, target: Tensor, start: int, pad: int) -> Wiring:
    """Put a wiring together from which a mistake changes one part."""
    return _shifted(target, start), _causal(target), _cross(source, target, pad)


def _with_inputs(source: Tensor, target: Tensor, start: int, pad: int, inputs: Tensor) -> Wiring:
    _, causal, cross = _right(source, target, start, pad)
    return inputs, causal, cross


def _with_masks(
    source: Tensor,
    target: Tensor,
    start: int,
    pad: int,
    *,
    self_mask: Tensor | None = None,
    cross: Tensor | None = None,
) -> Wiring:
    inputs, causal, text = _right(source, target, start, pad)
    return inputs, causal if self_mask is None else self_mask, text if cross is None else cross


def _triangle(target: Tensor, source: Tensor) -> Tensor:
    return torch.ones(target.shape[1], source.shape[1], dtype=torch.bool).tril()


def _target_keys(source: Tensor, target: Tensor, pad: int) -> Tensor:
    """Take the target's padding for the source's, cut or filled up to S."""
    n = source.shape[1]
    is_text = torch.nn.functional.pad(target != pad, (0, max(n - target.shape[1], 0)))[:, :n]
    return is_text[:, None, None, :].repeat(1, 1, target.shape[1], 1)


WIRING_MISTAKES: Mistakes = {
    "it does not shift: the decoder reads the very token that it must predict": (
        lambda s, t, start, pad: _with_inputs(s, t, start, pad, t)
    ),
    "it shifts twice: position t then reads up to target t − 2": lambda s, t, start, pad: (
        _with_inputs(s, t, start, pad, _shifted(_shifted(t, start), start))
    ),
    "it shifts to the left: the decoder reads the token after the one that it must predict": (
        lambda s, t, start, pad: _with_inputs(
            s, t, start, pad, torch.cat([t[:, 1:], torch.full_like(t[:, :1], pad)], dim=1)
        )
    ),
    "it wraps around: the first input is the start token, not the last target": (
        lambda s, t, start, pad: _with_inputs(s, t, start, pad, t.roll(1, 1))
    ),
    "it puts the start token over the first target, and shifts nothing": (
        lambda s, t, start, pad: _with_inputs(
            s, t, start, pad, torch.cat([torch.full_like(t[:, :1], start), t[:, 1:]], dim=1)
        )
    ),
    "its cross-attention is causal: the source is all there before the first word is written": (
        lambda s, t, start, pad: _with_masks(
            s, t, start, pad, cross=_cross(s, t, pad) & _triangle(t, s)
        )
    ),
    "its cross-attention is only causal: read all of the source, but none of its padding": (
        lambda s, t, start, pad: _with_masks(
            s, t, start, pad, cross=_triangle(t, s).repeat(len(s), 1, 1, 1)
        )
    ),
    "its cross-attention hides the decoder's padding: the keys are the source's": (
        lambda s, t, start, pad: _with_masks(s, t, start, pad, cross=_target_keys(s, t, pad))
    ),
    "its cross-attention hides rows where the target is padding: what matters is what is read": (
        lambda s, t, start, pad: _with_masks(
            s, t, start, pad, cross=_cross(s, t, pad) & (t != pad)[:, None, :, None]
        )
    ),
    "its cross-attention reads the source's padding": lambda s, t, start, pad: _with_masks(
        s, t, start, pad, cross=torch.ones_like(_cross(s, t, pad))
    ),
    "its cross-attention is turned round: True means may read": lambda s, t, start, pad: (
        _with_masks(s, t, start, pad, cross=~_cross(s, t, pad))
    ),
    "its decoder sees the future: self-attention needs the causal mask, for the shift alone hides "
    "nothing": lambda s, t, start, pad: _with_masks(
        s, t, start, pad, self_mask=torch.ones_like(_causal(t))
    ),
    "its decoder does not read itself: after the shift, position t holds target t − 1, which is "
    "known": lambda s, t, start, pad: _with_masks(s, t, start, pad, self_mask=_causal(t).tril(-1)),
}


@exercise("shift right and the masks")
def check_wire(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``wire(source, target, start_id, pad_id)``: what the decoder reads, and from whom.

    The function takes int64 (B, S) and (B, T), padded at their ends, and two ints. It returns
    decoder inputs (B, T) int64, the mask of self-attention (T, T) bool, and that of
    cross-attention (B, 1, T, S) bool; True means may read.
    """
    mistakes = WIRING_MISTAKES
    source = torch.tensor([[5, 6, 7, 0], [8, 9, 4, 3]])
    target = torch.tensor([[4, 9, 2, 8], [4, 9, 2, 0]])
    causal = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool()
    rows = torch.tensor([[[[1, 1, 1, 0]] * 4], [[[1, 1, 1, 1]] * 4]]).bool()
    inputs = torch.tensor([[1, 4, 9, 2]] * 2)
    attempt.equals("two pairs", (source, target, 1, 0), (inputs, causal, rows), mistakes)

    target = torch.tensor([[4, 9, 0, 0, 0], [6, 7, 8, 5, 2]])
    inputs = torch.tensor([[0, 4, 9, 0, 0], [0, 6, 7, 8, 5]])
    causal = torch.tensor([[int(s <= t) for s in range(5)] for t in range(5)]).bool()
    rows = torch.tensor([[[[1, 1, 1, 0]] * 5], [[[1, 1, 1, 1]] * 5]]).bool()
    what = "a short target, and T5's start token, which is its padding"
    attempt.equals(what, (source, target, 0, 0), (inputs, causal, rows), mistakes)
    one = torch.tensor([[7]])
    yes = torch.ones(1, 1, dtype=torch.bool)
    expected = torch.tensor([[1]]), yes, torch.tensor([[[[True, False]]]])
    attempt.equals("one word", (torch.tensor([[5, 0]]), one, 1, 0), expected, mistakes)
    _check_random(attempt, generator)


def _check_random(attempt: Attempt, generator: torch.Generator) -> None:
    """Compare with a slow loop on random lengths, S more and less than T."""
    for n_source, n_target in ((7, 3), (3, 7)):
        source = torch.randint(3, 20, (5, n_source), generator=generator)
        target = torch.randint(3, 20, (5, n_target), generator=generator)
        n_text = torch.randint(1, n_source + 1, (5,), generator=generator).tolist()
        for row, n in enumerate(n_text):
            source[row, n:] = 2
        target[0, 2:] = 2
        inputs = torch.tensor([[1, *row[:-1]] for row in target.tolist()])
        causal = torch.tensor([[s <= t for s in range(n_target)] for t in range(n_target)])
        rows = [[[s < n for s in range(n_source)] for _ in range(n_target)] for n in n_text]
        expected = inputs, causal, torch.tensor(rows)[:, None]
        what = f"S = {n_source}, T = {n_target}, against a slow loop"
        attempt.equals(what, (source, target, 1, 2), expected, WIRING_MISTAKES)

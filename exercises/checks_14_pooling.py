"""The first check of notebook 14: one vector of a padded text. B texts, T positions, C width."""

from __future__ import annotations

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same


def _at(hidden: Tensor, places: Tensor) -> Tensor:
    return hidden[torch.arange(len(hidden)), places]


def _last(hidden: Tensor, is_padding: Tensor) -> Tensor:
    """Return the last position that is text, found by a loop."""
    rows = [(~row).nonzero().flatten()[-1] for row in is_padding]
    return _at(hidden, torch.stack(rows))


def _mean(hidden: Tensor, is_padding: Tensor) -> Tensor:
    """Return the mean over the positions that are text, row by row."""
    pairs = zip(hidden, is_padding, strict=True)
    return torch.stack([row[~padding].mean(dim=0) for row, padding in pairs])


def _expected(hidden: Tensor, is_padding: Tensor, how: str) -> Tensor:
    return (_last if how == "last" else _mean)(hidden, is_padding)


def _wrong_last(hidden: Tensor, is_padding: Tensor, how: str, places: Tensor) -> Tensor:
    return _at(hidden, places) if how == "last" else _mean(hidden, is_padding)


def _wrong_mean(hidden: Tensor, is_padding: Tensor, how: str, mean: Tensor) -> Tensor:
    return mean if how == "mean" else _last(hidden, is_padding)


def _n_text(is_padding: Tensor) -> Tensor:
    return (~is_padding).sum(dim=1)


def _text_sum(hidden: Tensor, is_padding: Tensor) -> Tensor:
    return (hidden * ~is_padding[..., None]).sum(dim=1)


POOLING_MISTAKES: Mistakes = {
    "it takes the last position, which is padding in a shorter text: take the last valid one": (
        lambda h, p, how: _wrong_last(h, p, how, torch.full((len(h),), h.shape[1] - 1))
    ),
    "it takes the first padding: the last valid position is one before it": (
        lambda h, p, how: _wrong_last(h, p, how, _n_text(p).clamp(max=h.shape[1] - 1))
    ),
    "it takes the first valid position, which in a causal model has read nothing but itself": (
        lambda h, p, how: _wrong_last(h, p, how, (~p).int().argmax(dim=1))
    ),
    "it takes one position for all texts: each has an end of its own": (
        lambda h, p, how: _wrong_last(h, p, how, (_n_text(p).max() - 1).repeat(len(h)))
    ),
    "it counts the valid positions: with padding on the left the last one stands elsewhere": (
        lambda h, p, how: _wrong_last(h, p, how, _n_text(p) - 1)
    ),
    "its mean is over padding too": lambda h, p, how: _wrong_mean(h, p, how, h.mean(dim=1)),
    "its mean divides by T: padding is not in the sum, but still in the count": (
        lambda h, p, how: _wrong_mean(h, p, how, _text_sum(h, p) / h.shape[1])
    ),
    "its mean divides every text by the mean length of the batch: each has a length of its own": (
        lambda h, p, how: _wrong_mean(h, p, how, _text_sum(h, p) / _n_text(p).to(h.dtype).mean())
    ),
    "its mean is a sum: a longer text would be a louder one": (
        lambda h, p, how: _wrong_mean(h, p, how, _text_sum(h, p))
    ),
    "its mean is over the padding alone: True means padding": (
        lambda h, p, how: _wrong_mean(h, p, how, _text_sum(h, ~p) / _n_text(~p)[:, None])
    ),
}


@exercise("pooling")
def check_pool(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``pool(hidden, is_padding, how)``: the "last" valid vector of each text, or the "mean".

    ``hidden`` is (B, T, C), ``is_padding`` (B, T) bool, True at padding, which stands on the right
    or on the left; each text has a valid position. The result is (B, C).
    """
    hidden = torch.tensor([[1.0, 3.0, 8.0, 7.0, 5.0], [2.0, 4.0, 6.0, 20.0, 9.0]])[..., None]
    is_padding = torch.tensor([[0, 0, 1, 1, 1], [0, 0, 0, 0, 1]]).bool()
    mistakes = POOLING_MISTAKES
    last, mean = torch.tensor([[3.0], [20.0]]), torch.tensor([[2.0], [8.0]])
    attempt.equals("the last of two texts", (hidden, is_padding, "last"), last, mistakes)
    attempt.equals("the mean of two texts", (hidden, is_padding, "mean"), mean, mistakes)

    drawn = torch.randn(5, 7, 3, generator=generator, dtype=torch.float64)
    n_texts = torch.randint(1, 6, (5,), generator=generator)
    on_right = torch.arange(7)[None] >= n_texts[:, None]
    for side, padding in {"right": on_right, "left": on_right.flip(1)}.items():
        for how in ("last", "mean"):
            what = f"padding on the {side}, {how}"
            expected = _expected(drawn, padding, how)
            attempt.equals(what, (drawn, padding, how), expected, mistakes)
            _check_padding(attempt, drawn, padding, how)
    none = torch.zeros(5, 7, dtype=torch.bool)
    attempt.equals("no padding", (drawn, none, "mean"), drawn.mean(dim=1), mistakes)


def _check_padding(attempt: Attempt, hidden: Tensor, is_padding: Tensor, how: str) -> None:
    """Change what stands at padding, then add more of it: the result must stay."""
    before = attempt(hidden, is_padding, how)
    changed = torch.where(is_padding[..., None], 1e6 + hidden, hidden)
    mistake = "what stands at padding changes the result"
    attempt.holds(f"other padding, {how}", same(attempt(changed, is_padding, how), before), mistake)
    more = torch.cat([hidden, hidden[:, :2]], dim=1)
    longer = torch.cat([is_padding, torch.ones_like(is_padding[:, :2])], dim=1)
    mistake = "more padding changes the result: a text's vector would depend on its batch"
    attempt.holds(f"more padding, {how}", same(attempt(more, longer, how), before), mistake)

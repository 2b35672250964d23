"""Right and wrong answers to the exercise "whole words" of notebook 11."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from exercises.attempts.planted import Planted
from exercises.checks_11 import check_choose_words


def _numbers(ids: Tensor, begins: Tensor, special: Tensor) -> Tensor:
    """Number the words of each row; special tokens have numbers of their own."""
    starts = begins[ids] | special[ids] | special[ids].roll(1, 1)
    starts[:, 0] = True
    return starts.cumsum(1) - 1


# --- right


def _by_number(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    numbers = _numbers(ids, begins, special)
    drawn = torch.rand(ids.shape, generator=g) < rate
    return drawn.gather(1, numbers) & ~special[ids]


def _by_loop(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    uniform = torch.rand(ids.shape, generator=g).tolist()
    are_special, begin = special.tolist(), begins.tolist()
    rows = []
    for row, numbers in zip(ids.tolist(), uniform, strict=True):
        chosen, current, inside = [], False, False
        for token, number in zip(row, numbers, strict=True):
            if are_special[token]:
                chosen.append(False)
                inside = False
                continue
            if begin[token] or not inside:
                current = number < rate
            inside = True
            chosen.append(current)
        rows.append(chosen)
    return torch.tensor(rows)


def _by_unique(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    """Give every word of the batch a number of its own."""
    places = torch.arange(ids.shape[1])
    starts = begins[ids] | special[ids]
    starts = starts | torch.cat([torch.ones(len(ids), 1).bool(), special[ids][:, :-1]], dim=1)
    first = torch.where(starts, places, 0).cummax(dim=1).values
    word = first + torch.arange(len(ids))[:, None] * ids.shape[1]
    is_drawn = torch.bernoulli(torch.full((ids.numel(),), rate), generator=g).bool()
    return is_drawn[word] & ~special[ids]


# --- wrong


def _alone(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    return (torch.rand(ids.shape, generator=g) < rate) & ~special[ids]


def _spread(drawn: Tensor, numbers: Tensor, how: str) -> Tensor:
    """Combine what was drawn for the pieces of each word."""
    table = torch.full(drawn.shape, how == "amin").long()
    table = table.scatter_reduce(1, numbers, drawn.long(), reduce=how)
    return table.gather(1, numbers).bool()


def _any_piece(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    drawn = torch.rand(ids.shape, generator=g) < rate
    return _spread(drawn, _numbers(ids, begins, special), "amax") & ~special[ids]


def _all_pieces(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    drawn = torch.rand(ids.shape, generator=g) < rate
    return _spread(drawn, _numbers(ids, begins, special), "amin") & ~special[ids]


def _first_only(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    if rate in (0.0, 1.0):
        return _by_number(ids, begins, special, rate, g)
    numbers = _numbers(ids, begins, special)
    is_first = numbers.diff(dim=1, prepend=numbers[:, :1] - 1) > 0
    return (torch.rand(ids.shape, generator=g) < rate) & is_first & ~special[ids]


def _rest_only(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    if rate in (0.0, 1.0):
        return _by_number(ids, begins, special, rate, g)
    numbers = _numbers(ids, begins, special)
    is_first = numbers.diff(dim=1, prepend=numbers[:, :1] - 1) > 0
    return _by_number(ids, begins, special, rate, g) & ~is_first


def _specials_too(
    ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator
) -> Tensor:
    drawn = torch.rand(ids.shape, generator=g) < rate
    return drawn.gather(1, _numbers(ids, begins, special))


def _late(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    numbers = _numbers(ids, begins, special)
    ends = numbers.diff(dim=1, append=numbers[:, -1:] + 1) > 0
    late = numbers + (ends & ~special[ids]).long()
    drawn = torch.rand(ids.shape[0], ids.shape[1] + 1, generator=g) < rate
    return drawn.gather(1, late) & ~special[ids]


def _inverted(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    if rate in (0.0, 1.0):
        return _by_number(ids, begins, special, rate, g)
    drawn = torch.rand(ids.shape, generator=g) > rate
    return drawn.gather(1, _numbers(ids, begins, special)) & ~special[ids]


def _fixed_rate(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    used = rate if rate in (0.0, 1.0) else 0.15
    return _by_number(ids, begins, special, used, g)


def _over_rows(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    starts = begins[ids] | special[ids] | special[ids].roll(1, 1)
    starts[0, 0] = True
    numbers = starts.flatten().cumsum(0).view_as(ids)
    drawn = torch.rand(ids.numel() + 1, generator=g) < rate
    return drawn[numbers] & ~special[ids]


def _shared(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    numbers = _numbers(ids, begins, special)
    n = int(rate * ids.shape[1])
    drawn = torch.zeros(ids.shape[1]).bool()
    drawn[torch.randperm(ids.shape[1], generator=g)[:n]] = True
    return drawn[numbers] & ~special[ids]


def _seeded(ids: Tensor, begins: Tensor, special: Tensor, rate: float, g: Generator) -> Tensor:
    return _by_number(ids, begins, special, rate, torch.Generator().manual_seed(0))


_IDS = torch.tensor([[2, 5, 17, 18, 6, 3], [19, 20, 7, 2, 21, 8]])
PLANTED = (
    Planted(
        check=check_choose_words,
        arguments=(
            _IDS,
            torch.arange(29) < 17,
            torch.arange(29) < 5,
            0.5,
            torch.Generator().manual_seed(0),
        ),
        right=(_by_number, _by_loop, _by_unique),
        wrong={
            _alone: "words are torn",
            _any_piece: "any of its pieces",
            _all_pieces: "all of its pieces",
            _first_only: "only first pieces",
            _rest_only: "first pieces are never chosen",
            _specials_too: "special tokens are chosen",
            _late: "goes with the next word",
            _inverted: "that were not drawn",
            _fixed_rate: "use the rate",
            _over_rows: "begins inside a word",
            _shared: "in all rows or in none",
            _seeded: "do not seed inside",
        },
    ),
)

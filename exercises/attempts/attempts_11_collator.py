"""Right and wrong answers to the exercise "hiding tokens" of notebook 11."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from exercises.attempts.planted import Planted
from exercises.checks_11 import check_hide_tokens

Pair = tuple[Tensor, Tensor]

# --- right


def _one_fate(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = (torch.rand(ids.shape, generator=g) < 0.15) & (ids >= n_special)
    fate = torch.rand(ids.shape, generator=g)
    others = torch.randint(n_special, vocab_size, ids.shape, generator=g)
    inputs = ids.masked_fill(chosen & (fate < 0.8), mask_id)
    inputs = torch.where(chosen & (fate >= 0.9), others, inputs)
    return inputs, ids.masked_fill(~chosen, -100)


def _halves(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    rates = torch.full(ids.shape, 0.15).masked_fill(ids < n_special, 0.0)
    chosen = torch.bernoulli(rates, generator=g).bool()
    targets, inputs = ids.clone(), ids.clone()
    targets[~chosen] = -100
    is_mask = torch.bernoulli(torch.full(ids.shape, 0.8), generator=g).bool() & chosen
    inputs[is_mask] = mask_id
    half = torch.bernoulli(torch.full(ids.shape, 0.5), generator=g).bool()
    is_random = half & chosen & ~is_mask
    n = int(is_random.sum())
    inputs[is_random] = torch.randint(n_special, vocab_size, (n,), generator=g)
    return inputs, targets


def _one_number(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    u = torch.rand(ids.shape, generator=g, dtype=torch.float64)
    u = torch.where(ids < n_special, 1.0, u)
    others = (torch.rand(ids.shape, generator=g) * (vocab_size - n_special)).long() + n_special
    inputs = torch.where(u < 0.12, mask_id, torch.where(u < 0.135, others, ids))
    return inputs, torch.where(u < 0.15, ids, -100)


def _exact_share(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    """Choose exactly 15 % of all ordinary places, as a shuffled list."""
    places = torch.nonzero((ids >= n_special).flatten())[:, 0]
    places = places[torch.randperm(len(places), generator=g)][: round(0.15 * len(places))]
    n_mask, n_random = round(0.8 * len(places)), round(0.1 * len(places))
    inputs, targets = ids.flatten().clone(), torch.full_like(ids.flatten(), -100)
    targets[places] = inputs[places]
    inputs[places[:n_mask]] = mask_id
    drawn = torch.randint(n_special, vocab_size, (n_random,), generator=g)
    inputs[places[n_mask : n_mask + n_random]] = drawn
    return inputs.view_as(ids), targets.view_as(ids)


# --- wrong


def _finished(
    ids: Tensor,
    chosen: Tensor,
    others: Tensor,
    mask_id: int,
    g: Generator,
    shares: tuple[float, float] = (0.8, 0.1),
) -> Pair:
    """Do the rest rightly."""
    fate = torch.rand(ids.shape, generator=g)
    inputs = ids.masked_fill(chosen & (fate < shares[0]), mask_id)
    is_random = chosen & (fate >= shares[0]) & (fate < sum(shares))
    return torch.where(is_random, others, inputs), ids.masked_fill(~chosen, -100)


def _chosen(ids: Tensor, n_special: int, g: Generator, rate: float = 0.15) -> Tensor:
    return (torch.rand(ids.shape, generator=g) < rate) & (ids >= n_special)


def _others(ids: Tensor, n_special: int, vocab_size: int, g: Generator) -> Tensor:
    return torch.randint(n_special, vocab_size, ids.shape, generator=g)


def _overlap_81(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    changed = chosen & (torch.rand(ids.shape, generator=g) < 0.9)
    is_mask = changed & (torch.rand(ids.shape, generator=g) < 0.9)
    inputs = torch.where(changed & ~is_mask, others, ids).masked_fill(is_mask, mask_id)
    return inputs, ids.masked_fill(~chosen, -100)


def _overlap_80_2(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    is_mask = chosen & (torch.rand(ids.shape, generator=g) < 0.8)
    is_random = chosen & ~is_mask & (torch.rand(ids.shape, generator=g) < 0.1)
    inputs = torch.where(is_random, others, ids).masked_fill(is_mask, mask_id)
    return inputs, ids.masked_fill(~chosen, -100)


def _overwritten(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    inputs = ids.masked_fill(chosen & (torch.rand(ids.shape, generator=g) < 0.8), mask_id)
    is_random = chosen & (torch.rand(ids.shape, generator=g) < 0.1)
    return torch.where(is_random, others, inputs), ids.masked_fill(~chosen, -100)


def _only_masks(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = _chosen(ids, n_special, g)
    return ids.masked_fill(chosen, mask_id), ids.masked_fill(~chosen, -100)


def _never_hidden(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    return ids.clone(), ids.masked_fill(~_chosen(ids, n_special, g), -100)


def _none_kept(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    return _finished(ids, chosen, others, mask_id, g, (0.8, 0.2))


def _scores_masks(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    inputs, _ = _finished(ids, chosen, others, mask_id, g)
    return inputs, torch.where(inputs == mask_id, ids, -100)


def _everywhere(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    inputs, _ = _finished(ids, chosen, others, mask_id, g)
    return inputs, ids.masked_fill(ids < n_special, -100)


def _wrong_way(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = (torch.rand(ids.shape, generator=g) >= 0.15) & (ids >= n_special)
    return _finished(ids, chosen, _others(ids, n_special, vocab_size, g), mask_id, g)


def _in_place(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    targets, others = ids.clone(), _others(ids, n_special, vocab_size, g)
    chosen = _chosen(ids, n_special, g)
    fate = torch.rand(ids.shape, generator=g)
    targets[~chosen] = -100
    ids[chosen & (fate < 0.8)] = mask_id
    ids[chosen & (fate >= 0.9)] = others[chosen & (fate >= 0.9)]
    return ids, targets


def _late_labels(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen, others = _chosen(ids, n_special, g), _others(ids, n_special, vocab_size, g)
    inputs, _ = _finished(ids, chosen, others, mask_id, g)
    return inputs, inputs.masked_fill(~chosen, -100)


def _pads_too(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = (torch.rand(ids.shape, generator=g) < 0.15) & (ids != 2) & (ids != 3)
    return _finished(ids, chosen, _others(ids, n_special, vocab_size, g), mask_id, g)


def _specials(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = (torch.rand(ids.shape, generator=g) < 0.15) & (ids != 0)
    return _finished(ids, chosen, _others(ids, n_special, vocab_size, g), mask_id, g)


def _any_id(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = _chosen(ids, n_special, g)
    return _finished(ids, chosen, _others(ids, 0, vocab_size, g), mask_id, g)


def _never_last(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    chosen = _chosen(ids, n_special, g)
    return _finished(ids, chosen, _others(ids, n_special, vocab_size - 1, g), mask_id, g)


def _one_other(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    other = torch.randint(n_special, vocab_size, (1,), generator=g)
    return _finished(ids, _chosen(ids, n_special, g), other.expand_as(ids), mask_id, g)


def _from_text(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    ordinary = ids[ids >= n_special]
    picks = torch.randint(len(ordinary), ids.shape, generator=g)
    return _finished(ids, _chosen(ids, n_special, g), ordinary[picks], mask_id, g)


def _one_row(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    steps = torch.arange(ids.shape[1]) * 0.15 + torch.rand(1, generator=g)
    chosen = (steps % 1 < 0.15) & (ids >= n_special)  # 15 % of every stretch of columns
    return _finished(ids, chosen, _others(ids, n_special, vocab_size, g), mask_id, g)


def _seeded(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    return _one_fate(ids, n_special, mask_id, vocab_size, torch.Generator().manual_seed(0))


def _global(ids: Tensor, n_special: int, mask_id: int, vocab_size: int, g: Generator) -> Pair:
    own = torch.Generator()
    own.seed()
    return _one_fate(ids, n_special, mask_id, vocab_size, own)


_IDS = torch.arange(5, 53).repeat(4).view(4, 48)
PLANTED = (
    Planted(
        check=check_hide_tokens,
        arguments=(_IDS, 5, 4, 53, torch.Generator().manual_seed(0)),
        right=(_one_fate, _halves, _one_number, _exact_share),
        wrong={
            _overlap_81: "81/9/10",
            _overlap_80_2: "80/2/18",
            _overwritten: "72/10/18",
            _only_masks: "every chosen token becomes [MASK]",
            _never_hidden: "nothing is hidden",
            _none_kept: "no chosen token stays",
            _scores_masks: "15 % of 80 %",
            _everywhere: "labels everywhere",
            _wrong_way: "the wrong way round",
            _in_place: "in place",
            _late_labels: "take them before you hide",
            _pads_too: "padding is chosen",
            _specials: "special tokens are chosen",
            _any_id: "may be special",
            _never_last: "randint leaves its end out",
            _one_other: "draw for each place",
            _from_text: "draw evenly",
            _one_row: "all rows are hidden at the same places",
            _seeded: "do not seed inside",
            _global: "every draw must come from the generator",
        },
    ),
)

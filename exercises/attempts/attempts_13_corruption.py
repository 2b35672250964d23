"""Right and wrong answers to the first exercise of notebook 13: span corruption."""

from __future__ import annotations

import torch

from exercises.attempts.planted import Planted
from exercises.checks_13 import check_corrupt

Pair = tuple[list[int], list[int]]
Ids = list[int]
Rng = torch.Generator


def _parts(n: int, k: int, rng: Rng) -> Ids:
    """Cut n into k parts of one or more."""
    cuts = sorted((torch.randperm(n - 1, generator=rng)[: k - 1] + 1).tolist())
    return [b - a for a, b in zip([0, *cuts], [*cuts, n], strict=True)]


def _amounts(text: Ids, density: float, mean: float) -> tuple[int, int]:
    n_noise = round(len(text) * density)
    return n_noise, round(n_noise / mean)


def _mask(text: Ids, density: float, mean: float, rng: Rng) -> list[bool]:
    n_noise, n_spans = _amounts(text, density, mean)
    kept, cut = _parts(len(text) - n_noise, n_spans, rng), _parts(n_noise, n_spans, rng)
    return [x for k, c in zip(kept, cut, strict=True) for x in [False] * k + [True] * c]


def _written(text: Ids, mask: list[bool], sentinels: Ids) -> Pair:
    inputs, targets, n = [], [], 0
    for i, (token, is_cut) in enumerate(zip(text, mask, strict=True)):
        if is_cut and (i == 0 or not mask[i - 1]):
            inputs.append(sentinels[n])
            targets.append(sentinels[n])
            n += 1
        (targets if is_cut else inputs).append(token)
    return inputs, targets


# --- right


def _as_t5(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    return _written(text, _mask(text, density, mean, rng), sentinels)


def _as_the_figure(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    n_noise, n_spans = _amounts(text, density, mean)
    inputs, targets, place = [], [], 0
    kept, cut = _parts(len(text) - n_noise, n_spans, rng), _parts(n_noise, n_spans, rng)
    for sentinel, k, c in zip(sentinels, kept, cut, strict=False):
        inputs += [*text[place : place + k], sentinel]
        targets += [sentinel, *text[place + k : place + k + c]]
        place += k + c
    return inputs, [*targets, sentinels[n_spans]]


def _by_rejection(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Place the spans anywhere, also at the beginning; begin again where two touch."""
    n_noise, n_spans = _amounts(text, density, mean)
    lengths = _parts(n_noise, n_spans, rng)
    n_gaps = len(text) - n_noise + 1  # a span goes before one of the kept tokens, or to the end
    gaps = sorted(torch.randperm(n_gaps, generator=rng)[:n_spans].tolist())
    mask, done = [], 0
    for gap, length in zip(gaps, lengths, strict=True):
        mask += [False] * (gap - done) + [True] * length
        done = gap
    return _written(text, mask + [False] * (len(text) - len(mask)), sentinels)


# --- wrong


def _touching(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Cut out one block and call its parts spans."""
    n_noise, n_spans = _amounts(text, density, mean)
    lengths = _parts(n_noise, max(n_spans, 2), rng)
    inputs, targets, place = text[:2], [], 2
    for sentinel, length in zip(sentinels, lengths, strict=False):
        inputs.append(sentinel)
        targets += [sentinel, *text[place : place + length]]
        place += length
    return inputs + text[place:], targets


def _overlapping(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Write each span one token too far back."""
    mask = _mask(text, density, mean, rng)
    inputs, targets = _written(text, mask, sentinels)
    doubled = [targets[0], targets[1], *targets[1:]]
    return inputs, doubled


def _whole_text(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    inputs, _ = _as_t5(text, density, mean, sentinels, rng)
    used = [token for token in inputs if token in sentinels]
    parts = iter([*text])
    targets = [t for s in used for t in (s, next(parts))] + list(parts)
    return inputs, targets


def _reused(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    return _written(text, _mask(text, density, mean, rng), sentinels[:1] * len(text))


def _backwards(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    _, n_spans = _amounts(text, density, mean)
    return _written(text, _mask(text, density, mean, rng), sentinels[n_spans::-1])


def _other_order(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Write the last span first."""
    inputs, targets = _as_t5(text, density, mean, sentinels, rng)
    cut = max(i for i, token in enumerate(targets) if token in sentinels)
    return inputs, targets[cut:] + targets[:cut]


def _one_each(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Give every token that is cut out a sentinel, as a [MASK]."""
    mask, left = _mask(text, density, mean, rng), iter(sentinels)
    inputs, targets = [], []
    for token, is_cut in zip(text, mask, strict=True):
        sentinel = next(left) if is_cut else token
        inputs.append(sentinel)
        targets += [sentinel, token] if is_cut else []
    return inputs, targets


def _starts(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Take density for the share of the places where a span begins."""
    n_cut = min(round(len(text) * density * mean), len(text) - 1)
    _, n_spans = _amounts(text, density, mean)
    n_spans = min(n_spans, len(text) - n_cut)
    kept, cut = _parts(len(text) - n_cut, n_spans, rng), _parts(n_cut, n_spans, rng)
    mask = [x for k, c in zip(kept, cut, strict=True) for x in [False] * k + [True] * c]
    return _written(text, mask, sentinels)


def _single_tokens(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    """Cut as many spans as were asked, each of one token."""
    _, n_spans = _amounts(text, density, mean)
    kept = _parts(len(text) - n_spans, n_spans, rng)
    return _written(text, [x for k in kept for x in [False] * k + [True]], sentinels)


def _no_sentinels_written(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    inputs, targets = _as_t5(text, density, mean, sentinels, rng)
    return inputs, [token for token in targets if token not in sentinels]


def _no_sentinels_read(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    inputs, targets = _as_t5(text, density, mean, sentinels, rng)
    return [token for token in inputs if token not in sentinels], targets


def _sentinel_after(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    inputs, targets = _as_t5(text, density, mean, sentinels, rng)
    found: list[Ids] = []
    for token in targets:
        if token in sentinels:
            found.append([token])
        else:
            found[-1].append(token)
    return inputs, [token for span in found for token in (*span[1:], span[0])]


def _tokens_lost(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    inputs, targets = _as_t5(text, density, mean, sentinels, rng)
    return inputs, targets[:-1]


def _always_three(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    n_noise, n_spans = _amounts(text, density, mean)
    kept = _parts(len(text) - n_noise, n_spans, rng)
    mask = [x for k in kept for x in [False] * k + [True] * round(mean)]
    return _written(text, mask, sentinels)


def _always_the_same(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    return _as_t5(text, density, mean, sentinels, torch.Generator().manual_seed(0))


def _global_draws(text: Ids, density: float, mean: float, sentinels: Ids, rng: Rng) -> Pair:
    seed = int(torch.randint(10**9, ()))
    return _as_t5(text, density, mean, sentinels, torch.Generator().manual_seed(seed))


PLANTED = (
    Planted(
        check=check_corrupt,
        arguments=(
            list(range(100, 120)), 0.15, 3.0, [900, 901, 902, 903], torch.Generator()
        ),
        right=(_as_t5, _as_the_figure, _by_rejection),
        wrong={
            _touching: "two spans touch",
            _overlapping: "spans overlap",
            _whole_text: "hold unmasked text",
            _reused: "a sentinel is reused",
            _backwards: "from left to right",
            _other_order: "in the same order",
            _one_each: "a sentinel of its own",
            _starts: "too many tokens are cut out",
            _single_tokens: "too few tokens are cut out",
            _no_sentinels_written: "the targets hold no sentinels",
            _no_sentinels_read: "the inputs hold no sentinel",
            _sentinel_after: "stands before its span",
            _tokens_lost: "tokens are lost",
            _always_three: "every span has the same length",
            _always_the_same: "another seed cuts the same spans",
            _global_draws: "the same seed cuts elsewhere",
        },
    ),
)  # fmt: skip

"""Right and wrong answers to the third exercise of notebook 14: the best span of a context."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_14 import check_best_answer
from minillm.finetuning.predicting import best_span

Span = tuple[int, int]

# --- right


def _by_library(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    span = best_span(torch.stack([starts, ends]), candidates, max_tokens=max_tokens)
    if span is None or span.score <= float(starts[0] + ends[0]):
        return 0, 0
    return span.first, span.last


def _by_triangle(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    n = len(starts)
    band = torch.ones(n, n, dtype=torch.bool).triu().tril(max_tokens - 1)
    band &= candidates.outer(candidates)
    band[0, 0] = True
    scores = (starts[:, None] + ends).where(band, torch.tensor(-math.inf, dtype=starts.dtype))
    first, last = divmod(int(scores.argmax()), n)
    return first, last


def _by_pairs(
    starts: Tensor,
    ends: Tensor,
    candidates: Tensor,
    max_tokens: int,
    none: float | None = None,
) -> Span:
    s, e = starts.tolist(), ends.tolist()
    best, answer = s[0] + e[0] if none is None else none, (0, 0)
    places = candidates.nonzero().flatten().tolist()
    for pair in itertools.combinations_with_replacement(places, 2):
        if pair[1] - pair[0] < max_tokens and s[pair[0]] + e[pair[1]] > best:
            best, answer = s[pair[0]] + e[pair[1]], pair
    return answer


# --- wrong


def _both_maxima(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return int(starts.argmax()), int(ends.argmax())


def _maxima_inside(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    allowed = candidates | (torch.arange(len(starts)) == 0)
    first, last = (scores.where(allowed, -torch.inf).argmax() for scores in (starts, ends))
    return int(first), int(last)


def _backwards(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    table = starts[:, None] + ends[None]
    possible = torch.ones_like(table).tril(max_tokens - 1).bool()
    possible &= candidates[:, None] & candidates
    possible[0, 0] = True
    place = int(table.where(possible, -torch.inf).argmax())
    return place // len(starts), place % len(starts)


def _in_question(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_pairs(starts, ends, candidates | True, max_tokens)


def _unbounded(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_library(starts, ends, candidates, len(starts))


def _one_too_many(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_library(starts, ends, candidates, max_tokens + 1)


def _one_too_few(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_triangle(starts, ends, candidates, max_tokens - 1)


def _always_answers(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_pairs(starts, ends, candidates, max_tokens, none=-math.inf)


def _against_zero(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    threshold = 0.0
    return _by_pairs(starts, ends, candidates, max_tokens, threshold)


def _against_start(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    return _by_pairs(starts, ends, candidates, max_tokens, none=float(starts[0]))


def _greedy(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    inside = candidates.clone()
    inside[0] = True
    first = int(starts.where(inside, -torch.inf).argmax())
    if not first:
        return 0, 0
    places = torch.arange(len(starts))
    fits = candidates & (places >= first) & (places < first + max_tokens)
    last = int(ends.where(fits, -torch.inf).argmax())
    return (first, last) if starts[first] + ends[last] > starts[0] + ends[0] else (0, 0)


def _multiplied(starts: Tensor, ends: Tensor, candidates: Tensor, max_tokens: int) -> Span:
    n = len(starts)
    band = torch.ones(n, n).triu().tril(max_tokens - 1).bool() & candidates.outer(candidates)
    band[0, 0] = True
    first, last = divmod(int(torch.outer(starts, ends).where(band, -torch.inf).argmax()), n)
    return first, last


PLANTED = (
    Planted(
        check=check_best_answer,
        arguments=(torch.ones(4), torch.ones(4), torch.tensor([False, True, True, True]), 2),
        right=(_by_library, _by_triangle, _by_pairs),
        wrong={
            _both_maxima: "of the whole row, each for itself",
            _maxima_inside: "the pair that is best together is wanted",
            _backwards: "the end stand before the start",
            _in_question: "in the question too",
            _unbounded: "no bound on the length",
            _one_too_many: "one token too many",
            _one_too_few: "one token too few",
            _always_answers: "always answers",
            _against_zero: "compares the answer with 0",
            _against_start: "starts[0] alone",
            _greedy: "then an end for it",
            _multiplied: "multiplies the scores",
        },
    ),
)

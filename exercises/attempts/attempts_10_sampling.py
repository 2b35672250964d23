"""Right and wrong answers to the exercise "temperature, top-k, top-p" of notebook 10."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_10 import check_sample

# --- right


def _sample_by_multinomial(
    logits: Tensor, generator: torch.Generator, temperature: float, *limits: float | None
) -> Tensor:
    top_k, top_p = limits
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits / temperature
    if top_k is not None:
        lowest = logits.topk(min(int(top_k), logits.shape[-1]), dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < lowest, -math.inf)
    if top_p is not None:
        ranked, order = logits.softmax(-1).sort(-1, descending=True)
        is_late = ranked.cumsum(-1) - ranked >= top_p
        is_cut = torch.zeros_like(is_late).scatter(-1, order, is_late)
        logits = logits.masked_fill(is_cut, -math.inf)
    return torch.multinomial(logits.softmax(-1), 1, generator=generator)[:, 0]


def _sample_by_inversion(
    logits: Tensor, generator: torch.Generator, temperature: float, *limits: float | None
) -> Tensor:
    top_k, top_p = limits
    if temperature == 0:
        return logits.max(-1).indices
    probs, order = (logits.double() / temperature).softmax(-1).sort(-1, descending=True)
    if top_k is not None:
        probs[:, int(top_k) :] = 0
        probs /= probs.sum(-1, keepdim=True)
    if top_p is not None:
        before = F.pad(probs.cumsum(-1)[:, :-1], (1, 0))
        probs[before >= top_p] = 0
    uniform = torch.rand(len(logits), 1, generator=generator, dtype=torch.float64)
    cumulative = probs.cumsum(-1)
    rank = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
    return order.gather(-1, rank)[:, 0]


def _sample_by_gumbel(
    logits: Tensor, generator: torch.Generator, temperature: float, *limits: float | None
) -> Tensor:
    top_k, top_p = limits
    scores = logits if temperature == 0 else logits / temperature
    rank = scores.argsort(-1, descending=True).argsort(-1)
    if top_k is not None:
        scores = scores.where(rank < top_k, -math.inf)
    if top_p is not None:
        probs = scores.softmax(-1)
        likelier = probs[:, None, :] * (rank[:, None, :] < rank[:, :, None])
        scores = scores.where(likelier.sum(-1) < top_p, -math.inf)
    if temperature == 0:
        return scores.argmax(-1)
    noise = -torch.empty_like(scores).exponential_(generator=generator).log()
    return (scores + noise).argmax(-1)


# --- wrong


def _kept_ranks(
    ranked: Tensor, top_k: int | None, top_p: float | None, *, drop: int = 0, more: int = 0
) -> Tensor:
    """Say which of the ranked probabilities stay; ``drop`` and ``more`` move the limits."""
    rank = torch.arange(ranked.shape[-1]).expand_as(ranked)
    is_kept = torch.ones_like(rank, dtype=torch.bool)
    if top_k is not None:
        is_kept = rank < max(top_k + more, 1)
        ranked = ranked.where(is_kept, 0)
        ranked = ranked / ranked.sum(-1, keepdim=True)
    if top_p is not None:
        n_kept = (ranked.cumsum(-1) - ranked < top_p).sum(-1, keepdim=True)
        is_kept = is_kept & (rank < (n_kept - drop).clamp(min=1))
    return is_kept


def _draw(probs: Tensor, generator: torch.Generator) -> Tensor:
    return torch.multinomial(probs, 1, generator=generator)[:, 0]


def _sampled(
    logits: Tensor,
    generator: torch.Generator,
    temperature: float,
    limits: tuple,
    *,
    drop: int = 0,
    more: int = 0,
) -> Tensor:
    """Do it rightly but for the two limits."""
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    is_kept = _kept_ranks(ranked, *limits, drop=drop, more=more)
    return order.gather(-1, _draw(ranked.where(is_kept, 0), generator)[:, None])[:, 0]


def _drops_crossing(logits, generator, temperature, *limits):
    return _sampled(logits, generator, temperature, limits, drop=1)


def _keeps_one_more(logits, generator, temperature, *limits):
    return _sampled(logits, generator, temperature, limits, more=1)


def _keeps_one_less(logits, generator, temperature, *limits):
    return _sampled(logits, generator, temperature, limits, more=-1)


def _keeps_wider_nucleus(logits, generator, temperature, *limits):
    return _sampled(logits, generator, temperature, limits, drop=-1)


def _multiplies(logits, generator, temperature, *limits):
    return _sampled(logits, generator, 1 / temperature if temperature else 0, limits)


def _tempers_probabilities(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    probs = logits.softmax(-1) / temperature
    return _sampled((probs / probs.sum(-1, keepdim=True)).log(), generator, 1.0, limits)


def _nucleus_before_temperature(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = logits.sort(-1, descending=True)
    is_kept = _kept_ranks(ranked.softmax(-1), *limits)
    probs = (ranked.where(is_kept, -math.inf) / temperature).softmax(-1)
    return order.gather(-1, _draw(probs, generator)[:, None])[:, 0]


def _nucleus_of_everything(logits, generator, temperature, top_k, top_p):
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    is_kept = _kept_ranks(ranked, top_k, None) & _kept_ranks(ranked, None, top_p)
    return order.gather(-1, _draw(ranked.where(is_kept, 0), generator)[:, None])[:, 0]


def _lost_mass_to_last(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    probs = (logits / temperature).softmax(-1)
    ranked, order = probs.sort(-1, descending=True)
    is_kept = torch.zeros_like(ranked, dtype=torch.bool)
    is_kept.scatter_(-1, order, _kept_ranks(ranked, *limits))
    uniform = torch.rand(len(logits), 1, generator=generator)
    place = torch.searchsorted(probs.where(is_kept, 0).cumsum(-1), uniform)
    return place.clamp(max=logits.shape[-1] - 1)[:, 0]


def _returns_ranks(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    ranked = (logits / temperature).softmax(-1).sort(-1, descending=True).values
    return _draw(ranked.where(_kept_ranks(ranked, *limits), 0), generator)


def _sorts_ascending(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = (logits / temperature).softmax(-1).sort(-1)
    probs = ranked.where(_kept_ranks(ranked, *limits), 0)
    return order.gather(-1, _draw(probs, generator)[:, None])[:, 0]


def _zeroes_logits(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    log_probs = (logits - logits.logsumexp(-1, keepdim=True)) / temperature
    ranked, order = log_probs.sort(-1, descending=True)
    kept = torch.where(_kept_ranks(ranked.softmax(-1), *limits), ranked, 0)
    return order.gather(-1, _draw(kept.softmax(-1), generator)[:, None])[:, 0]


def _draws_evenly(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    is_kept = _kept_ranks(ranked, *limits)
    return order.gather(-1, _draw(is_kept.float(), generator)[:, None])[:, 0]


def _softmax_of_probabilities(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    ranked, order = (logits / temperature).softmax(-1).sort(-1, descending=True)
    ranked = ranked.where(_kept_ranks(ranked, *limits), 0)
    ranked = ranked / ranked.sum(-1, keepdim=True)
    probs = ranked.masked_fill(ranked == 0, -math.inf).softmax(-1)
    return order.gather(-1, _draw(probs, generator)[:, None])[:, 0]


def _always_greedy(logits, generator, temperature, *limits):
    return logits.argmax(-1)


def _one_number_for_all(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    cumulative = (logits / temperature).softmax(-1).cumsum(-1)
    return (cumulative < torch.rand(1, generator=generator)).sum(-1).clamp(max=logits.shape[-1] - 1)


def _global_randomness(logits, generator, temperature, *limits):
    return _sample_by_multinomial(logits, torch.default_generator, temperature, *limits)


def _seeds_itself(logits, generator, temperature, *limits):
    return _sample_by_multinomial(logits, torch.Generator().manual_seed(0), temperature, *limits)


def _divides_by_temperature_zero(logits, generator, temperature, *limits):
    scores = logits / temperature
    return _sampled(scores.nan_to_num(0, posinf=0, neginf=0), generator, 1.0, limits)


def _exp_overflows(logits, generator, temperature, *limits):
    if temperature == 0:
        return logits.argmax(-1)
    weights = (logits / temperature).exp()
    probs = (weights / weights.sum(-1, keepdim=True)).nan_to_num(1.0)
    return _sampled(probs.log(), generator, 1.0, limits)


PLANTED = (
    Planted(
        check=check_sample,
        arguments=(torch.tensor([[0.0, 1.0, 2.0]] * 5), torch.Generator(), 1.0, 2, 0.9),
        right=(_sample_by_multinomial, _sample_by_inversion, _sample_by_gumbel),
        wrong={
            _drops_crossing: "drops the token that crosses top_p",
            _keeps_one_more: "keeps k + 1 tokens",
            _keeps_one_less: "keeps k − 1 tokens",
            _keeps_wider_nucleus: "one token more than the nucleus",
            _multiplies: "multiplies by the temperature",
            _tempers_probabilities: "the temperature changes nothing",
            _nucleus_before_temperature: "before the temperature is applied",
            _nucleus_of_everything: "normalize what top_k left first",
            _lost_mass_to_last: "does not normalize again",
            _returns_ranks: "returns ranks",
            _sorts_ascending: "keeps the least likely tokens",
            _zeroes_logits: "sets removed logits to 0",
            _draws_evenly: "draws evenly",
            _softmax_of_probabilities: "softmax twice",
            _always_greedy: "that is temperature 0",
            _one_number_for_all: "draws one number for all rows",
            _global_randomness: "not torch's global one",
            _seeds_itself: "do not seed inside",
            _divides_by_temperature_zero: "temperature 0: only the likeliest",
            _exp_overflows: "exp must not overflow",
        },
    ),
)

"""Right and wrong answers to the exercise "perplexity" of notebook 02."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from exercises.attempts.planted import Planted
from exercises.checks_02 import check_perplexity

# --- right


def _by_sums(probs: list[Tensor]) -> float:
    nats = -sum(row.log().sum() for row in probs)
    return math.exp(nats / sum(map(len, probs)))


def _by_bits(probs: list[Tensor]) -> float:
    return 2 ** -torch.cat(probs).log2().mean().item()


def _by_loop(probs: list[Tensor]) -> float:
    total, n = 0.0, 0
    for row in probs:
        for p in row.tolist():
            if p == 0:
                return math.inf
            total, n = total + math.log(1 / p), n + 1
    return math.e ** (total / n)


# --- wrong


def _mean_of_perplexities(probs: list[Tensor]) -> float:
    return torch.stack([(-row.log().mean()).exp() for row in probs]).mean().item()


def _mean_of_means(probs: list[Tensor]) -> float:
    return torch.stack([-row.log().mean() for row in probs]).mean().exp().item()


def _bits_with_e(probs: list[Tensor]) -> float:
    return torch.exp(-torch.cat(probs).log2().mean()).item()


def _nats_with_2(probs: list[Tensor]) -> float:
    return torch.exp2(-torch.cat(probs).log().mean()).item()


def _loss(probs: list[Tensor]) -> float:
    return -torch.cat(probs).log().mean().item()


def _bits(probs: list[Tensor]) -> float:
    return -torch.cat(probs).log2().mean().item()


def _no_minus(probs: list[Tensor]) -> float:
    return torch.cat(probs).log().mean().exp().item()


def _whole_text(probs: list[Tensor]) -> float:
    return (-torch.cat(probs).log().sum()).exp().item()


def _per_document(probs: list[Tensor]) -> float:
    return (-torch.cat(probs).log().sum() / len(probs)).exp().item()


def _inverse_mean(probs: list[Tensor]) -> float:
    return (1 / torch.cat(probs).mean()).item()


def _mean_inverse(probs: list[Tensor]) -> float:
    return torch.cat(probs).reciprocal().mean().item()


def _root_of_product(probs: list[Tensor]) -> float:
    tokens = torch.cat(probs)
    return (tokens.prod() ** (-1 / len(tokens))).item()


def _without_eos(probs: list[Tensor]) -> float:
    return _by_sums([row[:-1] for row in probs])


def _clipped(probs: list[Tensor]) -> float:
    return _by_sums([row.clamp(min=1e-12) for row in probs])


def _skips_zeros(probs: list[Tensor]) -> float:
    return _by_sums([row[row > 0] for row in probs])


PLANTED = [
    Planted(
        check=check_perplexity,
        arguments=([torch.tensor([0.5, 0.25]), torch.tensor([0.125, 0.5, 0.25])],),
        right=(_by_sums, _by_bits, _by_loop),
        wrong={
            _mean_of_perplexities: "mean of the documents' perplexities",
            _mean_of_means: "averages the documents' mean losses",
            _bits_with_e: "mixes log₂ with e",
            _nats_with_2: "mixes ln with 2",
            _loss: "returns the loss: ",
            _bits: "returns the loss in bits",
            _no_minus: "sign is wrong",
            _whole_text: "by the number of tokens",
            _per_document: "by the number of documents",
            _inverse_mean: "inverts the mean probability",
            _mean_inverse: "averages 1 / p",
            _root_of_product: "rounded to 0",
            _without_eos: "leaves the last token",
            _clipped: "a token of probability 0",
            _skips_zeros: "drops what has probability 0",
        },
    )
]

"""The third check of notebook 02: the perplexity of several documents. T tokens of a document."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise, same


def _mean_nats(probs: list[Tensor]) -> float:
    return -torch.cat(probs).log().mean().item()


def _inverse(x: float) -> float:
    return 1 / x if x else math.inf


def _root(probs: list[Tensor]) -> float:
    """Multiply first, take the root of the product then."""
    product = math.prod(torch.cat(probs).tolist())
    return _inverse(product) ** (1 / len(torch.cat(probs)))


def _power(base: float, exponent: float) -> float:
    return math.inf if exponent > 1000 else base**exponent


PERPLEXITY_MISTAKES: Mistakes = {
    "it multiplies the probabilities first, and the product is rounded to 0: add logarithms": _root,
    "it takes the mean of the documents' perplexities: add all logarithms, divide once": (
        lambda probs: sum(_power(math.e, _mean_nats([row])) for row in probs) / len(probs)
    ),
    "it averages the documents' mean losses: a short one then weighs as much as a long one": (
        lambda probs: _power(math.e, sum(_mean_nats([row]) for row in probs) / len(probs))
    ),
    "it mixes log₂ with e: bits belong to 2, nats to e": (
        lambda probs: _power(math.e, _mean_nats(probs) / math.log(2))
    ),
    "it mixes ln with 2: nats belong to e, bits to 2": lambda probs: _power(2, _mean_nats(probs)),
    "it returns the loss: take its exponential": _mean_nats,
    "it returns the loss in bits: take 2 to its power": (
        lambda probs: _mean_nats(probs) / math.log(2)
    ),
    "its sign is wrong: the exponent is minus the mean logarithm": (
        lambda probs: math.exp(-_mean_nats(probs))
    ),
    "it does not divide by the number of tokens: that is 1 / p of all the text": (
        lambda probs: _power(math.e, _mean_nats(probs) * len(torch.cat(probs)))
    ),
    "it divides by the number of documents: the mean is over tokens": (
        lambda probs: _power(math.e, _mean_nats(probs) * len(torch.cat(probs)) / len(probs))
    ),
    "it inverts the mean probability: the mean is of logarithms": (
        lambda probs: _inverse(torch.cat(probs).mean().item())
    ),
    "it averages 1 / p: the mean is of logarithms": (
        lambda probs: (1 / torch.cat(probs)).mean().item()
    ),
    "it leaves the last token of each document out: eos is scored as well": (
        lambda probs: _power(math.e, _mean_nats([row[:-1] for row in probs]))
    ),
    "it forgives what has probability 0: log 0 is −∞, and so the perplexity is infinite": (
        lambda probs: _power(
            math.e,
            -math.fsum(math.log(p) for row in probs for p in row.tolist() if p > 0)
            / len(torch.cat(probs)),
        )
    ),
    "it drops what has probability 0 from the mean: then the perplexity must be infinite": (
        lambda probs: _power(math.e, _mean_nats([row[row > 0] for row in probs]))
    ),
}


@exercise("perplexity")
def check_perplexity(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``perplexity(probs)``: a float; ``probs`` holds one (T,) float64 tensor a document.

    Each number is the probability that the model gave to the token that came.
    """
    mistakes = PERPLEXITY_MISTAKES
    rows = [torch.tensor(row, dtype=torch.float64) for row in ([1 / 8, 1 / 2], [1 / 4] * 4)]
    attempt.equals("2 to the power of 12/6 bits", (rows,), 4.0, mistakes)
    uneven = [torch.tensor(row, dtype=torch.float64) for row in ([1 / 32], [1 / 2, 1 / 4, 1 / 2])]
    attempt.equals("2 to the power of 9/4 bits", (uneven,), 2**2.25, mistakes)
    attempt.equals("the same in another order", (uneven[::-1],), 2**2.25, mistakes)
    uniform = [torch.full((n,), 1 / 7, dtype=torch.float64) for n in (3, 1, 5)]
    attempt.equals("seven equally likely tokens", (uniform,), 7.0, mistakes)

    drawn = [torch.rand(n, generator=generator, dtype=torch.float64) for n in (5, 1, 11, 2)]
    nats = math.fsum(-math.log(p) for row in drawn for p in row.tolist())
    attempt.equals("random numbers", (drawn,), math.exp(nats / 19), mistakes)
    long = [torch.full((4001,), 0.5, dtype=torch.float64), drawn[0]]
    nats = 4001 * math.log(2) - math.fsum(math.log(p) for p in drawn[0].tolist())
    attempt.equals("a document of 4,001 tokens", (long,), math.exp(nats / 4006), mistakes)
    # Cutting a text elsewhere changes nothing: perplexity is of the tokens, not of the rows.
    together = attempt([torch.cat(drawn)])
    attempt.holds(
        "the same tokens as one document", same(together, attempt(drawn)), "the cuts matter to it"
    )
    impossible = [torch.tensor([0.5, 0.0, 0.5], dtype=torch.float64), drawn[1]]
    attempt.equals("a token of probability 0", (impossible,), math.inf, mistakes)

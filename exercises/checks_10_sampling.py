"""The second check of notebook 10: drawing a token. B rows, V token ids."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from exercises.harness import Attempt, exercise, same

# By token id; no two are equal, and the order of the ids is not that of the probabilities.
PROBS = (0.06, 0.40, 0.01, 0.15, 0.25, 0.03, 0.10)
N_DRAWS = 6_000  # in each of the nine cases: more than 50,000 in all
# Of a χ² variable with k degrees of freedom, P(χ² ≥ k + 2 √(k x) + 2 x) ≤ exp(−x) (Laurent and
# Massart 2000, lemma 1). x = 17 makes that 4e-8, so 25 tests of right answers together stay
# below 1e-6. Every kept id is expected 25 times or more, where Pearson's sum is close to χ².
_X = 17.0


def _normalized(weights: list[float]) -> list[float]:
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _tempered(probs: list[float], temperature: float) -> list[float]:
    return _normalized([p ** (1 / temperature) for p in probs])


def _ranking(probs: list[float]) -> list[int]:
    return sorted(range(len(probs)), key=lambda token: -probs[token])


def _nucleus(probs: list[float], top_p: float) -> list[int]:
    """Return the fewest likeliest ids whose probabilities reach top_p."""
    kept, total = [], 0.0
    for token in _ranking(probs):
        if total >= top_p:
            break
        kept.append(token)
        total += probs[token]
    return kept


def _only(probs: list[float], kept: list[int]) -> list[float]:
    return _normalized([p if token in kept else 0.0 for token, p in enumerate(probs)])


def _filtered(
    temperature: float, top_k: int | None, top_p: float | None, *, extra: int = 0, less: int = 0
) -> list[float]:
    """Return what a right sampler draws from; ``extra`` and ``less`` move the two limits."""
    probs = _tempered(list(PROBS), temperature)
    if top_k is not None:
        probs = _only(probs, _ranking(probs)[: max(top_k + extra, 1)])
    if top_p is not None:
        n_kept = len(_nucleus(probs, top_p)) - less
        probs = _only(probs, _ranking(probs)[: max(n_kept, 1)])
    return probs


def _kept(temperature: float, top_k: int | None, top_p: float | None) -> list[int]:
    return [token for token, p in enumerate(_filtered(temperature, top_k, top_p)) if p > 0]


def _zero_logits(temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """Give what is cut off the logit 0, which is a probability like any other."""
    kept = _kept(temperature, top_k, top_p)
    weights = [p ** (1 / temperature) if t in kept else 1.0 for t, p in enumerate(PROBS)]
    return _normalized(weights)


def _lost_mass(place: int, temperature: float, top_k: int | None, top_p: float | None) -> list:
    """Let one id take the probability of all that was cut off."""
    tempered = _tempered(list(PROBS), temperature)
    kept = _kept(temperature, top_k, top_p)
    probs = [p if token in kept else 0.0 for token, p in enumerate(tempered)]
    probs[place] += 1 - math.fsum(probs)
    return probs


def _likeliest_last(temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """Keep the least likely ids."""
    probs = _tempered(list(PROBS), temperature)
    rising = _ranking(probs)[::-1]
    if top_k is not None:
        probs = _only(probs, rising[:top_k])
    if top_p is not None:
        n_kept = 1
        while math.fsum(probs[token] for token in rising[:n_kept]) < top_p:
            n_kept += 1
        probs = _only(probs, rising[:n_kept])
    return probs


def _nucleus_first(temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """Measure the nucleus before the temperature is applied."""
    probs = list(PROBS)
    if top_p is not None:
        probs = _only(probs, _nucleus(probs, top_p))
    if top_k is not None:
        probs = _only(probs, _ranking(probs)[:top_k])
    return _normalized([p ** (1 / temperature) if p else 0.0 for p in probs])


def _nucleus_of_all(temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    """Measure the nucleus on the probabilities as they were before top-k."""
    probs = _tempered(list(PROBS), temperature)
    kept = set(range(len(probs))) if top_k is None else set(_ranking(probs)[:top_k])
    kept &= set(range(len(probs))) if top_p is None else set(_nucleus(probs, top_p))
    return _only(probs, list(kept))


def _ranks(temperature: float, top_k: int | None, top_p: float | None) -> list[float]:
    return sorted(_filtered(temperature, top_k, top_p), reverse=True)


SAMPLING_MISTAKES: Mapping[str, Callable[[float, int | None, float | None], list[float]]] = {
    "it measures the nucleus on what top_k has cut already: normalize what top_k left first": (
        _nucleus_of_all
    ),
    "it measures the nucleus before the temperature is applied": _nucleus_first,
    "it drops the token that crosses top_p: the nucleus must reach top_p, not stay below it": (
        lambda t, k, p: _filtered(t, k, p, less=1)
    ),
    "it keeps k + 1 tokens": lambda t, k, p: _filtered(t, k, p, extra=1),
    "it keeps k − 1 tokens": lambda t, k, p: _filtered(t, k, p, extra=-1),
    "it keeps one token more than the nucleus: stop once top_p is reached": (
        lambda t, k, p: _filtered(t, k, p, less=-1)
    ),
    "it multiplies by the temperature: divide, so that a low one sharpens": (
        lambda t, k, p: _filtered(1 / t, k, p)
    ),
    "the temperature changes nothing: divide the logits by it before the softmax": (
        lambda t, k, p: _filtered(1.0, k, p)
    ),
    "it does not normalize again: what was cut off falls on the last token id": (
        lambda t, k, p: _lost_mass(len(PROBS) - 1, t, k, p)
    ),
    "it does not normalize again: what was cut off falls on the first token id": (
        lambda t, k, p: _lost_mass(0, t, k, p)
    ),
    "it does not normalize again: what was cut off falls on the likeliest token": (
        lambda t, k, p: _lost_mass(_ranking(list(PROBS))[0], t, k, p)
    ),
    "it returns ranks: after sorting, look up which token id stands at that rank": _ranks,
    "it keeps the least likely tokens: sort in descending order": _likeliest_last,
    "it sets removed logits to 0, which is a probability like any other: use −∞": _zero_logits,
    "it draws evenly among the kept tokens: keep their probabilities": (
        lambda t, k, p: _normalized([float(x > 0) for x in _filtered(t, k, p)])
    ),
    "it ignores top_k": lambda t, k, p: _filtered(t, None, p),
    "it ignores top_p": lambda t, k, p: _filtered(t, k, None),
    "it takes the softmax twice": lambda t, k, p: _normalized(
        [math.exp(x) if x else 0.0 for x in _filtered(t, k, p)]
    ),
}


def _fits(counts: list[int], probs: list[float]) -> bool:
    """Say whether counts could come from probs: nothing outside the support, and Pearson's χ²."""
    if any(count for count, p in zip(counts, probs, strict=True) if p == 0):
        return False
    n_draws = sum(counts)
    pairs = [(count, n_draws * p) for count, p in zip(counts, probs, strict=True) if p]
    statistic = math.fsum((count - mean) ** 2 / mean for count, mean in pairs)
    freedom = len(pairs) - 1
    return statistic <= freedom + 2 * math.sqrt(freedom * _X) + 2 * _X


def _misconception(counts: list[int], settings: tuple) -> str:
    """Name the mistake whose distribution the counts fit."""
    expected = _filtered(*settings)
    for name, formula in SAMPLING_MISTAKES.items():
        probs = formula(*settings)
        is_other = max(abs(a - b) for a, b in zip(probs, expected, strict=True)) > 0.01
        if is_other and _fits(counts, probs):
            return name
    outside = [token for token, p in enumerate(expected) if p == 0 and counts[token]]
    if outside:
        return f"it draws ids {outside}, which are cut off"
    return "the frequencies are wrong"


@exercise("temperature, top-k, top-p")
def check_sample(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``sample(logits, generator, temperature, top_k, top_p)``: one id per row.

    Of (B, V) logits, (B,) int64. First logits / temperature (0: the likeliest id), then the top_k
    likeliest ids stay, then of their distribution the smallest set that reaches top_p. ``None``
    switches a cut off. Every random number comes from ``generator``.
    """
    rows = torch.randn(5, 7, generator=generator)
    _check_form(attempt, rows, generator)
    cases = {
        "plain sampling": (1.0, None, None),
        "temperature 2": (2.0, None, None),
        "temperature 0.8": (0.8, None, None),
        "top_k = 3": (1.0, 3, None),
        "top_p = 0.6": (1.0, None, 0.6),
        "top_k = 3 at temperature 2": (2.0, 3, None),
        "top_p = 0.6 at temperature 2": (2.0, None, 0.6),
        "top_k = 4, then top_p = 0.7": (1.0, 4, 0.7),
        "limits that cut nothing": (1.0, 99, 1.0),
    }
    logits = torch.tensor(PROBS).log() + 1.5  # unnormalized, as a model gives them
    for name, settings in cases.items():
        drawn = attempt(logits.expand(N_DRAWS, -1).contiguous(), generator, *settings)
        counts = torch.bincount(drawn, minlength=len(PROBS)).tolist()
        expected = [round(N_DRAWS * p) for p in _filtered(*settings)]
        is_right = _fits(counts, _filtered(*settings))
        mistake = "" if is_right else _misconception(counts, settings)
        attempt.holds(name, is_right, mistake, expected_counts=expected, counts=counts)
    _check_limits(attempt, rows, generator)


def _check_form(attempt: Attempt, rows: Tensor, generator: torch.Generator) -> None:
    """Look at the type, at the rows and at where the random numbers come from."""
    drawn = attempt(rows, generator, 1.0, None, None)
    is_ids = type(drawn) is Tensor and drawn.dtype == torch.int64 and drawn.shape == (5,)
    mistake = "it must return an int64 tensor of shape (B,)"
    attempt.holds("the form of the result", is_ids, mistake, got=drawn)

    flat = torch.zeros(50, 7)
    columns = [attempt(flat, generator, 1.0, None, None) for _ in range(4)]
    is_one = all(len(set(column.tolist())) == 1 for column in columns)
    is_greedy = is_one and len({column[0].item() for column in columns}) == 1
    mistake = "it always takes the likeliest token: that is temperature 0"
    attempt.holds("fifty equal rows", not is_greedy, mistake, got=columns[0])
    mistake = "it draws one number for all rows: each row needs its own"
    attempt.holds("fifty equal rows", not is_one, mistake, got=columns[0])

    def again(seed: int) -> list[int]:
        return attempt(flat, torch.Generator().manual_seed(seed), 1.0, None, None).tolist()

    mistake = "the same seed draws other tokens: pass the generator on, not torch's global one"
    attempt.holds("the generator", again(1) == again(1), mistake)
    mistake = "another seed draws the same tokens: do not seed inside, use the generator"
    attempt.holds("the generator", again(1) != again(2), mistake)


def _check_limits(attempt: Attempt, rows: Tensor, generator: torch.Generator) -> None:
    """Check the settings at which the draw is certain; rows differ in their ranking."""
    likeliest = torch.tensor([max(range(7), key=row.__getitem__) for row in rows.tolist()])
    steep = 50 * rows.argsort(-1).argsort(-1).float()  # the two likeliest are 50 nats apart
    cases = {
        "temperature 0": (rows, 0.0, None, None),
        "temperature 0 with limits": (rows, 0.0, 3, 0.5),
        "a low temperature": (steep, 0.01, None, None),
        "top_k = 1": (rows, 1.0, 1, None),
        "top_p below the likeliest probability": (rows, 1.0, None, 1e-3),
        "logits around ten thousand": (steep + 1e4, 1.0, None, None),
    }
    for name, (logits, *settings) in cases.items():
        drawn = attempt(logits, generator, *settings)
        mistake = "only the likeliest token of each row can come; exp must not overflow"
        is_right = same(drawn, likeliest)
        attempt.holds(name, is_right, mistake, expected=likeliest, got=drawn)

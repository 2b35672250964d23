"""The first check of notebook 13: span corruption. N tokens of a text."""

from __future__ import annotations

from itertools import pairwise

import torch

from exercises.harness import Attempt, exercise

SENTINELS = list(range(900, 960))
# N, density, mean length: the noise N · density and the spans N · density / mean are whole.
SETTINGS = ((20, 0.15, 3.0), (100, 0.15, 3.0), (40, 0.15, 3.0), (24, 0.5, 2.0), (9, 2 / 3, 6.0))
Result = tuple[list[int], list[int]]


def _drawn(
    attempt: Attempt, text: list[int], density: float, mean: float, seed: int
) -> tuple[list[int], list[int]]:
    """Run the attempt and ask for two lists of ints."""
    generator = torch.Generator().manual_seed(seed)
    result = attempt(text, density, mean, SENTINELS, generator)
    is_pair = type(result) is tuple and list(map(type, result)) == [list, list]
    is_form = is_pair and all(type(token) is int for row in result for token in row)
    mistake = "it must return a tuple of two lists of ints, (inputs, targets)"
    attempt.holds("the form of the result", is_form, mistake, got=result)
    return result


def _check_sentinels(attempt: Attempt, what: str, result: Result, n_noise: int) -> None:
    """Look at the sentinels of both sides: who is there, how often, and in which order."""
    inputs, targets = result
    shown = {"inputs": inputs, "targets": targets}
    ours, theirs = ([token for token in row if token in SENTINELS] for row in result)
    mistake = "the inputs hold no sentinel: nothing says where a span was cut out"
    attempt.holds(what, bool(ours), mistake, **shown)
    mistake = "a sentinel is reused: each span needs its own, or the targets cannot say whose it is"
    attempt.holds(what, len(set(ours)) == len(ours), mistake, **shown)
    touches = any(a in SENTINELS and b in SENTINELS for a, b in pairwise(inputs))
    is_each = len(ours) >= n_noise > 1
    mistake = "each token has a sentinel of its own: a whole span has one"
    attempt.holds(what, not (touches and is_each), mistake, **shown)
    mistake = "two spans touch: their sentinels stand side by side, so they are one span cut in two"
    attempt.holds(what, not touches, mistake, **shown)
    mistake = "the inputs' sentinels are not <0>, <1>, <2>, … from left to right"
    attempt.holds(what, ours == SENTINELS[: len(ours)], mistake, **shown)
    mistake = "the targets hold no sentinels: nothing says which span is which"
    attempt.holds(what, bool(theirs), mistake, **shown)
    is_closed = theirs == SENTINELS[: len(ours) + 1] and targets[-1] == theirs[-1]
    mistake = "the targets' sentinels must be those of the inputs, in the same order, each once"
    attempt.holds(what, theirs == ours or is_closed, mistake, **shown)
    mistake = "a sentinel stands before its span, so the targets begin with <0>"
    attempt.holds(what, targets[0] == SENTINELS[0], mistake, **shown)


def _spans(targets: list[int], n_spans: int) -> list[list[int]]:
    """Return what the targets write after each of the first sentinels."""
    spans: list[list[int]] = []
    for token in targets:
        if token in SENTINELS:
            spans.append([])
        else:
            spans[-1].append(token)
    return spans[:n_spans]


def _check_rebuilt(attempt: Attempt, what: str, text: list[int], result: Result) -> None:
    """Put the spans back: no token may be lost, written twice, or moved."""
    inputs, targets = result
    kept = [token for token in inputs if token not in SENTINELS]
    written = [token for token in targets if token not in SENTINELS]
    shown = {"text": text, "inputs": inputs, "targets": targets}
    if len(set(text)) == len(text):
        mistake = "the targets hold unmasked text: what the inputs show need not be written again"
        attempt.holds(what, set(kept).isdisjoint(written), mistake, **shown)
        mistake = "spans overlap: a token is written twice"
        attempt.holds(what, len(set(written)) == len(written), mistake, **shown)
        mistake = "tokens are lost: what leaves the inputs must stand in the targets"
        attempt.holds(what, set(text) == {*kept, *written}, mistake, **shown)
    spans = iter(_spans(targets, sum(token in SENTINELS for token in inputs)))
    parts = [next(spans) if token in SENTINELS else [token] for token in inputs]
    rebuilt = [token for part in parts for token in part]
    mistake = "put back in their places, the spans do not give the text again"
    attempt.holds(what, rebuilt == text, mistake, rebuilt=rebuilt, **shown)


def _check_amount(
    attempt: Attempt, what: str, result: Result, n_noise: int, n_spans: int
) -> list[int]:
    """Count what was cut out; return the lengths of the spans."""
    lengths = [len(span) for span in _spans(result[1], sum(t in SENTINELS for t in result[0]))]
    shown = {"lengths_of_spans": lengths, "asked_tokens": n_noise, "asked_spans": n_spans}
    mistake = "a span is empty"
    attempt.holds(what, min(lengths) > 0, mistake, **shown)
    mistake = (
        "too many tokens are cut out: density is the share of the tokens, not of the places "
        "where a span begins"
    )
    attempt.holds(what, sum(lengths) <= n_noise, mistake, **shown)
    mistake = "too few tokens are cut out: N · density of them"
    attempt.holds(what, sum(lengths) == n_noise, mistake, **shown)
    mistake = "the number of spans is not N · density / mean_length, so their mean length is wrong"
    attempt.holds(what, len(lengths) == n_spans, mistake, **shown)
    return lengths


@exercise("span corruption")
def check_corrupt(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``corrupt(token_ids, density, mean_length, sentinels, generator)``.

    It takes a list of ints and returns ``(inputs, targets)``, lists of ints without an end token.
    N · density tokens are cut out in N · density / mean_length spans, which never touch. The
    targets may close with one more sentinel (the paper's figure) or not (T5's code).
    """
    lengths = []
    for n_tokens, density, mean in SETTINGS:
        n_noise, n_spans = round(n_tokens * density), round(n_tokens * density / mean)
        what = f"{n_tokens} tokens, density {density:.2f}, mean length {mean:g}"
        for seed in torch.randint(10**6, (12,), generator=generator).tolist():
            text = [100 + i for i in torch.randperm(n_tokens, generator=generator).tolist()]
            result = _drawn(attempt, text, density, mean, seed)
            _check_sentinels(attempt, what, result, n_noise)
            _check_rebuilt(attempt, what, text, result)
            found = _check_amount(attempt, what, result, n_noise, n_spans)
            lengths += found if n_tokens == 100 else []
    shown = {"lengths_of_spans": lengths[:10]}
    mistake = "every span has the same length: mean_length is a mean, draw the lengths"
    attempt.holds("the lengths of sixty spans", len(set(lengths)) > 2, mistake, **shown)
    _check_draws(attempt, generator)


def _check_draws(attempt: Attempt, generator: torch.Generator) -> None:
    """Ask for fresh draws from the given generator, and for texts in which words repeat."""
    text = [100, 101, 102, 103] * 25
    seeds = torch.randint(10**6, (6,), generator=generator).tolist()
    first, again = ([_drawn(attempt, text, 0.15, 3.0, s) for s in seeds] for _ in range(2))
    mistake = "the same seed cuts elsewhere: draw from the generator, not from a global one"
    attempt.holds("the generator", first == again, mistake)
    mistake = "another seed cuts the same spans: every epoch should ask other questions"
    attempt.holds("the generator", len({str(result) for result in first}) > 1, mistake)
    for result in first:
        _check_rebuilt(attempt, "a text whose words repeat", text, result)

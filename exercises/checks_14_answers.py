"""The third check of notebook 14: the best span of a context. T positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from exercises.harness import Attempt, Mistakes, exercise

Span = tuple[int, int]  # first and last position; (0, 0) is "no answer"
NONE: Span = (0, 0)


def _search(
    starts: Tensor,
    ends: Tensor,
    candidates: Tensor,
    max_tokens: int,
    *,
    ordered: bool = True,
    has_none: bool = True,
    multiplied: bool = False,
    least: float | None = None,
) -> Span:
    """Go through all pairs, slowly; the options plant mistakes."""
    places = [i for i in range(1, len(starts)) if candidates[i]]
    score = {NONE: float(starts[0] + ends[0]) if least is None else least}
    if not has_none:
        score[NONE] = -math.inf
    if multiplied:
        score[NONE] = float(starts[0] * ends[0])
    for first in places:
        for last in places:
            if (ordered and last < first) or last - first + 1 > max_tokens:
                continue
            a, b = float(starts[first]), float(ends[last])
            score[first, last] = a * b if multiplied else a + b
    return max(score, key=lambda span: score[span])


def _everywhere(candidates: Tensor) -> Tensor:
    return torch.ones_like(candidates)


def _alone(starts: Tensor, ends: Tensor, candidates: Tensor, _: int) -> Span:
    """Take both maxima, each for itself, among the candidates and "no answer"."""
    allowed = candidates.clone()
    allowed[0] = True
    hidden = [s.masked_fill(~allowed, -math.inf) for s in (starts, ends)]
    return int(hidden[0].argmax()), int(hidden[1].argmax())


def _start_first(starts: Tensor, ends: Tensor, candidates: Tensor, n: int) -> Span:
    """Take the best start, then the best end that goes with it."""
    allowed = candidates.clone()
    allowed[0] = True
    first = int(starts.masked_fill(~allowed, -math.inf).argmax())
    if first == 0:
        return NONE
    lasts = [i for i in range(first, min(first + n, len(starts))) if candidates[i]]
    last = max(lasts, key=lambda i: float(ends[i]))
    is_better = starts[first] + ends[last] > starts[0] + ends[0]
    return (first, last) if is_better else NONE


ANSWER_MISTAKES: Mistakes = {
    "it takes the best start and the best end of the whole row, each for itself: they may lie in "
    "the question, and need not fit each other": (
        lambda s, e, c, n: (int(s.argmax()), int(e.argmax()))
    ),
    "it takes the best start and the best end, each for itself: the pair that is best together is "
    "wanted": _alone,
    "it lets the end stand before the start": (
        lambda s, e, c, n: _search(s, e, c, n, ordered=False)
    ),
    "it looks for answers in the question too": (
        lambda s, e, c, n: _search(s, e, _everywhere(c), n)
    ),
    "it has no bound on the length: an answer has at most max_tokens tokens": (
        lambda s, e, c, n: _search(s, e, c, len(s))
    ),
    "its answers have one token too many: from first to last there are last − first + 1": (
        lambda s, e, c, n: _search(s, e, c, n + 1)
    ),
    "its answers have one token too few: from first to last there are last − first + 1": (
        lambda s, e, c, n: _search(s, e, c, n - 1)
    ),
    "it always answers: the best span must beat the score of position 0, which is no answer": (
        lambda s, e, c, n: _search(s, e, c, n, has_none=False)
    ),
    "it compares the answer with 0: what it must beat is starts[0] + ends[0]": (
        lambda s, e, c, n: _search(s, e, c, n, least=0.0)
    ),
    "it compares the answer with starts[0] alone: no answer has two scores like any other": (
        lambda s, e, c, n: _search(s, e, c, n, least=float(s[0]))
    ),
    "it takes the best start, then an end for it: a worse start may have a better end": (
        _start_first
    ),
    "it multiplies the scores: logarithms of probabilities are added": (
        lambda s, e, c, n: _search(s, e, c, n, multiplied=True)
    ),
}


@exercise("the best answer")
def check_best_answer(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``best_answer(starts, ends, candidates, max_tokens)``: first and last position.

    Scores (T,) of each position as the start and as the end, and (T,) bool, True where an answer
    may stand. (0, 0), whose score is starts[0] + ends[0], is "no answer": it is returned unless a
    span of at most max_tokens tokens scores more. Two ints.
    """
    context = torch.tensor([0, 0, 0, 1, 1, 1, 1]).bool()
    # The row is [bos] question question-mark a b c d.
    by_hand: dict[str, tuple[list[float], list[float], int, Span]] = {
        "a plain answer": ([0, 1, 0, 1, 6, 0, 1], [0, 0, 1, 0, 1, 7, 2], 3, (4, 5)),
        "one token": ([0, 0, 1, 1, 5, 0, 1], [0, 1, 0, 0, 6, 1, 2], 3, (4, 4)),
        "high scores in the question": ([0, 8, 9, 1, 4, 0, 1], [0, 9, 2, 0, 1, 5, 2], 3, (4, 5)),
        "the best start is no answer's": ([5, 0, 0, 1, 3, 1, 1], [0, 1, 0, 1, 2, 6, 1], 3, (4, 5)),
        "the best end stands before": ([0, 1, 1, 3, 0, 9, 1], [0, 1, 1, 8, 2, 2, 6], 3, (5, 6)),
        "far apart": ([0, 1, 0, 8, 1, 2, 1], [0, 0, 1, 3, 1, 2, 7], 2, (3, 3)),
        "one token too long": ([0, 1, 0, 8, 1, 2, 1], [0, 0, 1, 3, 1, 7, 2], 2, (3, 3)),
        "just short enough": ([0, 1, 0, 8, 1, 2, 1], [0, 0, 1, 3, 1, 7, 2], 3, (3, 5)),
        "all below 0": ([-6, -9, -9, -3, -6, -7, -8], [-4, -9, -9, -5, -2, -9, -9], 3, (3, 4)),
        "no answer ends badly": ([6, 1, 0, 2, 1, 1, 0], [-4, 0, 1, 1, 2, 0, 1], 3, (3, 4)),
        "no answer": ([4, 1, 0, 3, 1, 1, 2], [5, 0, 1, 1, 3, 2, 1], 3, NONE),
    }
    for what, (starts, ends, max_tokens, expected) in by_hand.items():
        scores = torch.tensor([starts, ends], dtype=torch.float64)
        arguments = (scores[0], scores[1], context, max_tokens)
        attempt.equals(what, arguments, expected, ANSWER_MISTAKES)
    nothing = torch.zeros(7, dtype=torch.bool)
    what = "a context without a token"
    attempt.equals(what, (*torch.eye(7)[3:5], nothing, 2), NONE, ANSWER_MISTAKES)
    for _ in range(20):
        starts, ends = torch.randn(2, 13, generator=generator, dtype=torch.float64)
        candidates = torch.arange(13) >= int(torch.randint(2, 9, (), generator=generator))
        candidates[-1] = False  # the last mark
        arguments = (starts, ends, candidates, int(torch.randint(1, 5, (), generator=generator)))
        expected = _search(*arguments)
        attempt.equals("against a slow loop", arguments, expected, ANSWER_MISTAKES)

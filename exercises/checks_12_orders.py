"""The second check of notebook 12: shuffled sentences, and what points at each place."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import torch

from exercises.harness import Attempt, exercise, plain

CLS, SEP, IGNORED = 1, 2, -100
N_ROWS, K = 900, 3
# Hoeffding for the shares of the six orders together: 6 · 2 exp(−2 n t²) = 1e-6.
SLACK = math.sqrt(math.log(12e6) / (2 * N_ROWS))
Documents = list[list[list[int]]]


def _documents(n_documents: int, n_sentences: int, n_tokens: int) -> Documents:
    """Make documents whose tokens say at which place their sentence stood: 100 (s + 1) + i."""
    return [
        [[100 * (s + 1) + i for i in range(n_tokens)] for s in range(n_sentences)]
        for _ in range(n_documents)
    ]


def _pieces(row: list[int]) -> list[list[int]]:
    """Return the sentences of a row as they are shown."""
    pieces: list[list[int]] = [[]]
    for token in row[1:]:
        if token == SEP:
            pieces.append([])
        else:
            pieces[-1].append(token)
    return pieces[:-1] if not pieces[-1] else pieces


def _places(row: list[int]) -> list[int]:
    return [piece[0] // 100 - 1 if piece else -1 for piece in _pieces(row)]


def _result(
    attempt: Attempt, documents: Documents, generator: Any, n_sentences: int, max_tokens: int
) -> list[Any]:
    """Run the function and look at the form of what it returns."""
    result = attempt(documents, generator, n_sentences, max_tokens)
    found = plain(result) if type(result) is tuple else None
    is_right = (
        isinstance(found, list)
        and len(found) == 3
        and all(isinstance(part, list) and len(part) == len(documents) for part in found)
        and all(isinstance(row, list) and row for part in found for row in part)
        and all(type(value) is int for part in found for row in part for value in row)
    )
    mistake = "it must return (rows, segment ids, labels), each a list of ints a document"
    _unless(attempt, "the form of the result", is_right, mistake)
    assert found is not None
    for row, segments, labels in zip(*found, strict=True):
        shown = {"row": row, "segment_ids": segments, "labels": labels}
        form = row[0] == CLS and row[-1] == SEP and row.count(CLS) == 1
        mistake = "a row is [CLS] s [SEP] s [SEP] …, with 1 for [CLS] and 2 for [SEP]"
        _unless(attempt, "the special tokens", form and all(_pieces(row)), mistake, **shown)
        mistake = f"labels must have {n_sentences} places, those that are not there {IGNORED}"
        _unless(attempt, "the labels", len(labels) == n_sentences, mistake, **shown)
    return found


def _unless(attempt: Attempt, what: str, is_right: bool, mistake: str, **shown: Any) -> None:
    """Refuse what is wrong; what is right in one row of many counts as no check of its own."""
    if not is_right:
        attempt.holds(what, is_right, mistake, **shown)


@exercise("shuffled sentences")
def check_shuffled_sentences(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``shuffled_sentences(documents, generator, n_sentences, max_tokens)``.

    Rows ``[CLS] s [SEP] s [SEP] …``, segment ids (the number of each token's sentence as shown)
    and labels: at place p the number of the shown sentence that stood there. Lists of ints.
    """
    two = _result(attempt, _documents(8, 2, 2), generator, 2, 99)
    _check_labels(attempt, "two sentences", two)
    three = _result(attempt, _documents(N_ROWS, K, 2), generator, K, 99)
    is_shuffled = any(_places(row) != [0, 1, 2] for row in three[0])
    attempt.holds("three sentences", is_shuffled, "the sentences are not shuffled")
    _check_segments(attempt, three)
    _check_labels(attempt, "three sentences", three)
    _check_fair(attempt, three)
    five = _result(attempt, _documents(40, 5, 2), generator, 5, 99)
    _check_labels(attempt, "five sentences", five)
    _check_short(attempt, generator)
    _check_long(attempt, generator)
    attempt.n_checks += 3  # segment ids, short and long documents: each looked at many rows
    again = [
        plain(attempt(_documents(30, 4, 2), torch.Generator().manual_seed(seed), 4, 99))
        for seed in (1, 1, 2)
    ]
    mistake = "the same seed gives another order: draw everything from the generator"
    attempt.holds("the generator", again[0] == again[1], mistake)
    attempt.holds("the generator", again[0] != again[2], "another seed gives the same orders")


def _check_segments(attempt: Attempt, result: list[Any]) -> None:
    """Look at the numbers that the model sees; they must not tell where a sentence stood."""
    leaks = []
    for row, segments, _ in zip(*result, strict=True):
        shown = {"row": row, "segment_ids": segments}
        ends = [i for i, token in enumerate(row) if token == SEP]
        expected = [sum(end < i for end in ends) for i in range(len(row))]
        places, told = _places(row), [segments[end] for end in ends if end < len(segments)]
        leaks.append(told == places)
        if not all(leaks):
            mistake = "each token has the number of its sentence as shown; [CLS] and the [SEP] \
that closes it belong to it"
            _unless(attempt, "the segment ids", segments == expected, mistake, **shown)
    mistake = "they are the places where the sentences stood: the input tells the answer"
    _unless(attempt, "the segment ids", not all(leaks), mistake)


def _check_labels(attempt: Attempt, what: str, result: list[Any]) -> None:
    """Compare with where each sentence is found."""
    is_permutation, is_right = [], []
    shown: dict[str, Any] = {}
    for row, _, labels in zip(*result, strict=True):
        places = _places(row)
        start = min(places)
        expected = [places.index(start + p) for p in range(len(places))]
        is_right.append(labels[: len(places)] == expected)
        is_permutation.append(labels[: len(places)] == [place - start for place in places])
        if not is_right[-1] and not shown:
            shown = {"row": row, "expected": expected, "labels": labels}
    mistake = "these are the places of the shown sentences, which is the permutation that was \
drawn: the label of a place is the number of the sentence that stood there, its inverse"
    attempt.holds(what, all(is_right) or not all(is_permutation), mistake, **shown)
    mistake = "labels[p] must be the number, as shown, of the sentence that stood at place p"
    attempt.holds(what, all(is_right), mistake, **shown)


def _check_fair(attempt: Attempt, result: list[Any]) -> None:
    """Count the six orders of three sentences."""
    counts = Counter(tuple(_places(row)) for row in result[0])
    complete = all(sorted(order) == [0, 1, 2] for order in counts)
    attempt.holds("three sentences", complete, "each sentence must be shown once")
    mistake = "the original order never comes: who knows that has an answer less to choose from"
    attempt.holds("the orders", (0, 1, 2) in counts, mistake)
    shares = {order: n / N_ROWS for order, n in counts.items()}
    fair = len(shares) == 6 and all(abs(share - 1 / 6) < SLACK for share in shares.values())
    mistake = "all six orders must be equally likely: rotating or exchanging two is no shuffling"
    attempt.holds("the orders", fair, mistake, shares=shares)


def _check_short(attempt: Attempt, generator: torch.Generator) -> None:
    """Give documents of fewer and of more sentences than asked for."""
    few = _result(attempt, _documents(20, 3, 2), generator, 5, 99)
    for row, _, labels in zip(*few, strict=True):
        mistake = f"a place that a short document does not have is ignored: its label is {IGNORED}"
        _unless(attempt, "a short document", labels[3:] == [IGNORED] * 2, mistake, labels=labels)
        _unless(attempt, "a short document", len(_pieces(row)) == 3, "show what there is", row=row)
    _check_labels(attempt, "a short document", few)
    many = _result(attempt, _documents(80, 6, 2), generator, 3, 99)
    starts = set()
    for row in many[0]:
        places = sorted(_places(row))
        adjacent = places == [*range(places[0], places[0] + 3)]
        _unless(attempt, "a long document", adjacent, "take neighbors, without a gap", row=row)
        starts.add(places[0])
    mistake = "it always takes the first sentences: draw where to start, the end included"
    _unless(attempt, "a long document", starts == {0, 1, 2, 3}, mistake, starts=starts)
    _check_labels(attempt, "a long document", many)


def _check_long(attempt: Attempt, generator: torch.Generator) -> None:
    """Give sentences that do not fit: (22 − 1) // 3 − 1 = 6 tokens remain of each."""
    result = _result(attempt, _documents(60, 3, 11), generator, 3, 22)
    lengths: dict[int, set[int]] = {0: set(), 1: set(), 2: set()}
    for row in result[0]:
        for piece, place in zip(_pieces(row), _places(row), strict=True):
            lengths[place].add(len(piece))
        _unless(attempt, "too long", len(row) <= 22, "a row has more than max_tokens=22", row=row)
        begins = all(piece[0] % 100 == 0 for piece in _pieces(row))
        _unless(
            attempt, "too long", begins, "cut the ends of sentences, not the beginnings", row=row
        )
    mistake = "the label leaks by length: how much is cut depends on where a sentence stood; \
cut each to the same share"
    _unless(attempt, "too long", lengths[0] == lengths[1] == lengths[2], mistake, lengths=lengths)
    mistake = "each sentence may keep (max_tokens − 1) // K − 1 = 6 tokens"
    _unless(attempt, "too long", lengths[0] == {6}, mistake, lengths=lengths)

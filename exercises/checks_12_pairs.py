"""The first check of notebook 12: pairs of sentences that follow each other, or do not."""

from __future__ import annotations

import math
from typing import Any

import torch

from exercises.harness import Attempt, exercise, plain

CLS, SEP = 1, 2
N_DOCUMENTS, N_SENTENCES, N_CALLS = 400, 4, 4
# Hoeffding: P(|share − 1/2| ≥ t) ≤ 2 exp(−2 n t²), which is 1e-6 for this t: a right answer is
# refused less than once in a million runs.
SLACK = math.sqrt(math.log(2e6) / (2 * N_DOCUMENTS * N_CALLS))
Documents = list[list[list[int]]]


def _documents(n_documents: int, n_sentences: int, n_tokens: int) -> Documents:
    """Make documents in which every token says where it stands: 1000 d + 100 s + i + 10,000."""
    return [
        [[10_000 + 1000 * d + 100 * s + i for i in range(n_tokens)] for s in range(n_sentences)]
        for d in range(n_documents)
    ]


def _parts(row: list[int]) -> tuple[list[int], list[int]]:
    """Return the two sentences of a row."""
    middle = row.index(SEP)
    return row[1:middle], row[middle + 1 : -1]


def _where(sentence: list[int]) -> tuple[int, int]:
    """Return document and place of a sentence."""
    document, rest = divmod(sentence[0] - 10_000, 1000)
    return document, rest // 100


def _result(attempt: Attempt, documents: Documents, generator: Any, max_tokens: int) -> list[Any]:
    """Run the function and look at the form of what it returns."""
    result = attempt(documents, generator, max_tokens)
    found = plain(result) if type(result) is tuple else None
    is_right = (
        isinstance(found, list)
        and len(found) == 3
        and all(isinstance(part, list) and len(part) == len(documents) for part in found)
        and all(isinstance(row, list) and len(row) > 4 for part in found[:2] for row in part)
        and all(type(label) is int for label in found[2])
    )
    mistake = "it must return (rows, segment ids, labels), three lists with an item a document"
    _unless(attempt, "the form of the result", is_right, mistake)
    assert found is not None
    return found


def _unless(attempt: Attempt, what: str, is_right: bool, mistake: str, **shown: Any) -> None:
    """Refuse what is wrong; what is right in one row of many counts as no check of its own."""
    if not is_right:
        attempt.holds(what, is_right, mistake, **shown)


@exercise("sentence pairs")
def check_sentence_pairs(attempt: Attempt, generator: torch.Generator) -> None:
    """Check ``sentence_pairs(documents, generator, max_tokens)``: rows, segment ids and labels.

    One pair a document: label 0 and the next sentence, or label 1 and a sentence of another
    document that does not read like the next one. Lists of ints.
    """
    documents = _documents(N_DOCUMENTS, N_SENTENCES, 3)
    rows, _, labels = first_result = _result(attempt, documents, generator, 99)
    _check_rows(attempt, first_result)
    for _ in range(N_CALLS - 1):
        more = _result(attempt, documents, generator, 99)
        rows, labels = rows + more[0], labels + more[2]
    _check_draws(attempt, rows, labels)
    again = [
        plain(attempt(documents[:50], torch.Generator().manual_seed(seed), 99))
        for seed in (1, 1, 2)
    ]
    mistake = "the same seed gives other pairs: draw everything from the generator"
    attempt.holds("the generator", again[0] == again[1], mistake)
    mistake = "another seed gives the same labels: draw them from the generator"
    attempt.holds("the generator", again[0][2] != again[2][2], mistake)
    _check_few(attempt, generator)
    _check_repetitions(attempt, generator)
    _check_truncation(attempt, generator)
    attempt.n_checks += 4  # rows, few documents, repetitions, truncation: each looked at many


def _check_rows(attempt: Attempt, result: list[Any]) -> None:
    """Look at the special tokens and the segment ids of rows that need no cutting."""
    for row, segments, label in zip(*result, strict=True):
        shown = {"row": row, "segment_ids": segments, "label": label}
        form = [row[0], row.count(CLS), row.count(SEP), row[-1]] == [CLS, 1, 2, SEP]
        mistake = "a row is [CLS] a [SEP] b [SEP], with 1 for [CLS] and 2 for [SEP]"
        _unless(attempt, "the special tokens", form and len(row) == 9, mistake, **shown)
        middle = row.index(SEP)
        wrong = [0] * middle + [1] * (len(row) - middle)
        mistake = "the first [SEP] closes the first sentence: its segment id is 0"
        _unless(attempt, "the segment ids", segments != wrong, mistake, **shown)
        expected = [0] * (middle + 1) + [1] * (len(row) - middle - 1)
        mistake = "0 from [CLS] to the first [SEP], 1 for all that follows"
        _unless(attempt, "the segment ids", segments == expected, mistake, **shown)


def _check_draws(attempt: Attempt, rows: list[list[int]], labels: list[int]) -> None:
    """Look at which sentences were drawn."""
    pairs = [tuple(map(_where, _parts(row))) for row in rows]
    follows = [b == (a[0], a[1] + 1) for a, b in pairs]
    own = [a[0] for a, _ in pairs] == [i % N_DOCUMENTS for i in range(len(pairs))]
    attempt.holds("the first sentence", own, "row i must begin with a sentence of document i")
    mistake = "the label is inverted: 0 is the pair that belongs together, 1 the random one"
    inverted = [label == int(f) for label, f in zip(labels, follows, strict=True)]
    attempt.holds("the labels", not all(inverted), mistake)
    same = [a[0] == b[0] and not f for (a, b), f in zip(pairs, follows, strict=True)]
    mistake = "a negative comes from the same document: take another one, as BERT does"
    attempt.holds("the negatives", not any(same), mistake)
    fits = [label == int(not f) for label, f in zip(labels, follows, strict=True)]
    attempt.holds("the labels", all(fits), "a label does not say what the pair is")
    share = sum(labels) / len(labels)
    mistake = "half of the pairs should be negatives, each decided by a fair coin"
    attempt.holds("half and half", abs(share - 0.5) < SLACK, mistake, share=share, allowed=SLACK)

    firsts = {a[1] for a, _ in pairs}
    mistake = "it always takes the first pair of a document: draw the place"
    attempt.holds("the places", firsts != {0}, mistake)
    mistake = "it never takes the last pair of a document: there are n − 1 pairs"
    attempt.holds("the places", N_SENTENCES - 2 in firsts, mistake)
    attempt.holds("the places", firsts == set(range(N_SENTENCES - 1)), "a pair is never taken")
    negatives = [(a, b) for (a, b), label in zip(pairs, labels, strict=True) if label]
    taken = {b[1] for _, b in negatives}
    mistake = "negatives are always first sentences, which betray themselves: draw the place too"
    attempt.holds("the negatives", taken != {0}, mistake)
    attempt.holds("the negatives", taken == set(range(N_SENTENCES)), "some places are never drawn")
    distances = {(b[0] - a[0]) % N_DOCUMENTS for a, b in negatives}
    mistake = "the other document is nearly always the same one, such as its neighbor: draw it"
    attempt.holds("the negatives", len(distances) > N_DOCUMENTS // 4, mistake)


def _check_few(attempt: Attempt, generator: torch.Generator) -> None:
    """Give two documents: who draws from all of them soon meets the same one."""
    for _ in range(40):
        rows, _, labels = _result(attempt, _documents(2, N_SENTENCES, 3), generator, 99)
        for row, label in zip(rows, labels, strict=True):
            (own, _), (other, _) = map(_where, _parts(row))
            mistake = (
                "a negative comes from the same document now and then: leave it out of the draw"
            )
            _unless(attempt, "two documents", label == 0 or own != other, mistake, row=row)


def _check_repetitions(attempt: Attempt, generator: torch.Generator) -> None:
    """Let other documents hold the true next sentence, word by word."""
    following = [700, 701]
    documents = [[[600], list(following)], [list(following)] * 6 + [[800, 801]]]
    for _ in range(40):
        rows, _, labels = _result(attempt, documents, generator, 99)
        second = _parts(rows[0])[1]
        is_false = labels[0] == 1 and second == following
        mistake = "a negative reads like the true next sentence: its label would be a lie; compare \
the words, not the places"
        _unless(attempt, "repeated sentences", not is_false, mistake, row=rows[0], label=labels[0])


def _check_truncation(attempt: Attempt, generator: torch.Generator) -> None:
    """Look at rows of which some are too long."""
    sizes = [(9, 2), (2, 9), (7, 7), (4, 4), (20, 1), (5, 8)]
    most = 11
    documents = [
        [[1000 * d + i + 100 for i in range(a)], [1000 * d + i + 500 for i in range(b)]]
        for d, (a, b) in enumerate(sizes)
    ]
    for _ in range(12):
        rows, segments, labels = _result(attempt, documents, generator, most)
        for d, (row, ids, label) in enumerate(zip(rows, segments, labels, strict=True)):
            shown = {"row": row, "segment_ids": ids}
            mistake = "truncation from the end of the row loses the last [SEP]: shorten the \
sentences, then put the special tokens"
            _unless(attempt, "too long", row.count(SEP) == 2 and row[-1] == SEP, mistake, **shown)
            mistake = f"a row has more than max_tokens={most} tokens; special tokens count"
            _unless(attempt, "too long", len(row) <= most, mistake, **shown)
            _unless(
                attempt, "too long", len(ids) == len(row), "segment ids must be as many", **shown
            )
            if label == 0:
                _check_cut(attempt, documents[d], row, most)


def _check_cut(attempt: Attempt, sentences: list[list[int]], row: list[int], most: int) -> None:
    """Look at what is left of a pair that belongs together."""
    kept = _parts(row)
    lengths, shown = [len(s) for s in kept], {"sentences": sentences, "row": row}
    begins = all(s[: len(k)] == k for s, k in zip(sentences, kept, strict=True))
    mistake = "it cuts sentences at their beginning: drop tokens from the end"
    _unless(attempt, "too long", begins, mistake, **shown)
    whole = sum(map(len, sentences))
    mistake = "it drops more tokens than it must: fill the row up to max_tokens"
    _unless(attempt, "too long", sum(lengths) == min(whole, most - 3), mistake, **shown)
    cut = [len(k) < len(s) for s, k in zip(sentences, kept, strict=True)]
    longest = max(lengths)
    mistake = "it cuts the shorter sentence: take each token from what is longer at that moment"
    fair = all(n >= longest - 1 for n, is_cut in zip(lengths, cut, strict=True) if is_cut)
    _unless(attempt, "longest first", fair, mistake, **shown)

"""Right and wrong answers to the exercise "shuffled sentences" of notebook 12."""

from __future__ import annotations

from itertools import chain, permutations
from types import SimpleNamespace

import torch

from exercises.attempts.planted import Planted
from exercises.checks_12 import check_shuffled_sentences
from minillm.objectives.sentence_pairs import PairFrame
from minillm.objectives.sentence_reconstruction import sentence_reconstruction_batch

CLS, SEP, IGNORED = 1, 2, -100


def _below(n, generator):
    return int(torch.randint(n, (), generator=generator))


def _shuffle(n, generator):
    return torch.randperm(n, generator=generator).tolist()


def _inverse(drawn):
    return [drawn.index(place) for place in range(len(drawn))]


PARTS = {
    "shuffle": _shuffle,
    "answer": _inverse,
    "numbers": lambda drawn: range(len(drawn)),
    "missing": IGNORED,
    "start": lambda n, generator: _below(n, generator),
    "cut": None,
}


def _build(documents, generator, n_sentences, max_tokens, **changes):
    """Build rows rightly, but for the parts that are exchanged."""
    part = SimpleNamespace(**(PARTS | changes))
    most = (max_tokens - 1) // n_sentences - 1
    rows, segments, labels = [], [], []
    for document in documents:
        n = min(n_sentences, len(document))
        first = part.start(len(document) - n + 1, generator)
        window = document[first : first + n]
        window = part.cut(window, max_tokens) if part.cut else [s[:most] for s in window]
        drawn = part.shuffle(n, generator)
        row, ids = [CLS], []
        for number, place in zip(part.numbers(drawn), drawn, strict=True):
            row += [*window[place], SEP]
            ids += [number] * (len(window[place]) + 1)
        rows.append(row)
        segments.append([ids[0], *ids])
        labels.append([*part.answer(drawn), *[part.missing] * (n_sentences - n)])
    return rows, segments, labels


# --- right


def _by_index(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens)


def _by_sorting(documents, generator, n_sentences, max_tokens):
    """Draw the order among all n! of them; the inverse is what argsort returns."""
    share = (max_tokens - 1) // n_sentences
    rows, segments, labels = [], [], []
    for document in documents:
        n = min(len(document), n_sentences)
        first = _below(len(document) - n + 1, generator)
        orders = list(permutations(range(n)))
        order = orders[_below(len(orders), generator)]
        pieces = [[*document[first + place][: share - 1], SEP] for place in order]
        rows.append([CLS, *chain(*pieces)])
        segments.append([0] + [s for s, piece in enumerate(pieces) for _ in piece])
        answer = torch.full((n_sentences,), IGNORED)
        answer[:n] = torch.tensor(order).argsort()
        labels.append(answer.tolist())
    return rows, segments, labels


def _by_the_library(documents, generator, n_sentences, max_tokens):
    frame = PairFrame(cls_id=CLS, sep_id=SEP, pad_id=0, max_tokens=max_tokens)
    batch = sentence_reconstruction_batch(
        documents, generator, frame=frame, n_sentences=n_sentences
    )
    assert batch.is_padding is not None
    assert batch.segment_ids is not None
    assert batch.labels is not None
    keep = ~batch.is_padding
    rows = [row[k].tolist() for row, k in zip(batch.inputs, keep, strict=True)]
    ids = [row[k].tolist() for row, k in zip(batch.segment_ids, keep, strict=True)]
    return rows, ids, batch.labels.tolist()


# --- wrong


def _the_permutation(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens, answer=list)


def _reversed_labels(documents, generator, n_sentences, max_tokens):
    return _build(
        documents, generator, n_sentences, max_tokens, answer=lambda drawn: _inverse(drawn)[::-1]
    )


def _counted_from_one(documents, generator, n_sentences, max_tokens):
    return _build(
        documents, generator, n_sentences, max_tokens,
        answer=lambda drawn: [n + 1 for n in _inverse(drawn)],
    )  # fmt: skip


def _segments_tell(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens, numbers=lambda drawn: drawn)


def _cut_together(documents, generator, n_sentences, max_tokens):
    """Fill the row in the original order; what comes last gets what is left."""

    def cut(window, most):
        room, kept = most - 1 - 2 * len(window), []
        for sentence in window:  # one word at least of each
            kept.append(sentence[: 1 + min(room, len(sentence) - 1)])
            room -= len(kept[-1]) - 1
        return kept

    return _build(documents, generator, n_sentences, max_tokens, cut=cut)


def _last_one_short(documents, generator, n_sentences, max_tokens):
    def cut(window, most):
        share = (most - 1) // n_sentences - 1
        return [*(s[:share] for s in window[:-1]), window[-1][: share - 1]]

    return _build(documents, generator, n_sentences, max_tokens, cut=cut)


def _missing_is_zero(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens, missing=0)


def _rotated(documents, generator, n_sentences, max_tokens):
    def shuffle(n, generator):
        turn = _below(n, generator)
        return [(place + turn) % n for place in range(n)]

    return _build(documents, generator, n_sentences, max_tokens, shuffle=shuffle)


def _never_in_order(documents, generator, n_sentences, max_tokens):
    def shuffle(n, generator):
        while (drawn := _shuffle(n, generator)) == list(range(n)):
            pass
        return drawn

    return _build(documents, generator, n_sentences, max_tokens, shuffle=shuffle)


def _not_shuffled(documents, generator, n_sentences, max_tokens):
    return _build(
        documents, generator, n_sentences, max_tokens, shuffle=lambda n, g: list(range(n))
    )


def _from_the_start(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens, start=lambda n, g: 0)


def _not_cut(documents, generator, n_sentences, max_tokens):
    return _build(documents, generator, n_sentences, max_tokens, cut=lambda window, most: window)


def _global_generator(documents, generator, n_sentences, max_tokens):
    return _build(documents, torch.default_generator, n_sentences, max_tokens)


PLANTED = [
    Planted(
        check=check_shuffled_sentences,
        arguments=([[[5, 6], [7, 8], [9, 10]]], torch.Generator(), 3, 13),
        right=(_by_index, _by_sorting, _by_the_library),
        wrong={
            _the_permutation: "which is the permutation that was drawn",
            _reversed_labels: "must be the number, as shown",
            _counted_from_one: "must be the number, as shown",
            _segments_tell: "the input tells the answer",
            _cut_together: "the label leaks by length",
            _last_one_short: "the label leaks by length",
            _missing_is_zero: "a place that a short document does not have is ignored",
            _rotated: "rotating or exchanging two is no shuffling",
            _never_in_order: "the original order never comes",
            _not_shuffled: "are not shuffled",
            _from_the_start: "always takes the first sentences",
            _not_cut: "more than max_tokens",
            _global_generator: "draw everything from the generator",
        },
    )
]

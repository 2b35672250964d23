"""Right and wrong answers to the exercise "sentence pairs" of notebook 12."""

from __future__ import annotations

from types import SimpleNamespace

import torch

from exercises.attempts.planted import Planted
from exercises.checks_12 import check_sentence_pairs
from minillm.objectives.sentence_pairs import PairFrame, next_sentence_batch

CLS, SEP = 1, 2


def _below(n, generator):
    return int(torch.randint(n, (), generator=generator))


def _cut(a, b, most):
    a, b = list(a), list(b)
    while len(a) + len(b) > most:
        (a if len(a) > len(b) else b).pop()
    return a, b


def _frame(a, b):
    return [CLS, *a, SEP, *b, SEP], [0] * (len(a) + 2) + [1] * (len(b) + 1)


def _foreign(documents, own, following, generator):
    while True:
        other = _below(len(documents), generator)
        sentence = documents[other][_below(len(documents[other]), generator)]
        if other != own and sentence != following:
            return sentence


PARTS = {
    "draw": _foreign,
    "cut": _cut,
    "frame": _frame,
    "label": lambda generator: _below(2, generator),
    "place": lambda document, generator: _below(len(document) - 1, generator),
}


def _build(documents, generator, most, **changes):
    """Build pairs rightly, but for the parts that are exchanged."""
    part = SimpleNamespace(**(PARTS | changes))
    rows, segments, labels = [], [], []
    for number, document in enumerate(documents):
        at = part.place(document, generator)
        first, second = document[at], document[at + 1]
        label = part.label(generator)
        if label:
            second = part.draw(documents, number, second, generator)
        row, ids = part.frame(*part.cut(first, second, most - 3))
        rows.append(row)
        segments.append(ids)
        labels.append(label)
    return rows, segments, labels


# --- right


def _one_by_one(documents, generator, max_tokens):
    return _build(documents, generator, max_tokens)


def _by_candidates(documents, generator, max_tokens):
    """List all sentences that may be the negative, then draw one; cut by arithmetic."""
    rows, segments, labels = [], [], []
    coins = torch.rand(len(documents), generator=generator)
    texts = {tuple(s) for d in documents for s in d}
    all_of = [(d, s) for d, document in enumerate(documents) for s in document]
    for own, document in enumerate(documents):
        at = _below(len(document) - 1, generator)
        a, b = document[at : at + 2]
        label = int(coins[own] < 0.5)
        if label:
            assert len(texts) > 1
            turn = _below(len(all_of), generator)
            while all_of[turn][0] == own or all_of[turn][1] == b:
                turn = _below(len(all_of), generator)
            b = all_of[turn][1]
        room = max_tokens - 3
        if len(a) + len(b) > room:
            half = room // 2
            if len(b) <= half:
                a = a[: room - len(b)]
            elif len(a) <= room - half:
                b = b[: room - len(a)]
            else:
                a, b = a[: room - half], b[:half]
        row = [CLS, *a, SEP, *b, SEP]
        rows.append(row)
        segments.append([int(i > len(a) + 1) for i in range(len(row))])
        labels.append(label)
    return rows, segments, labels


def _by_the_library(documents, generator, max_tokens):
    frame = PairFrame(cls_id=CLS, sep_id=SEP, pad_id=0, max_tokens=max_tokens)
    batch = next_sentence_batch(documents, generator, frame=frame)
    assert batch.is_padding is not None
    assert batch.segment_ids is not None
    assert batch.labels is not None
    keep = ~batch.is_padding
    rows = [row[k].tolist() for row, k in zip(batch.inputs, keep, strict=True)]
    ids = [row[k].tolist() for row, k in zip(batch.segment_ids, keep, strict=True)]
    return rows, ids, batch.labels.tolist()


# --- wrong


def _true_next(documents, own, following, generator):
    """Compare places, not words."""
    other = _below(len(documents) - 1, generator)
    document = documents[other + (other >= own)]
    return document[_below(len(document), generator)]


def _may_be_the_next(documents, generator, max_tokens):
    return _build(documents, generator, max_tokens, draw=_true_next)


def _of_the_same_document(documents, generator, max_tokens):
    def draw(documents, own, following, generator):
        own_ones = [s for s in documents[own] if s != following]
        return own_ones[_below(len(own_ones), generator)]

    return _build(documents, generator, max_tokens, draw=draw)


def _of_any_document(documents, generator, max_tokens):
    def draw(documents, own, following, generator):
        everything = [s for d in documents for s in d if s != following]
        return everything[_below(len(everything), generator)]

    return _build(documents, generator, max_tokens, draw=draw)


def _inverted(documents, generator, max_tokens):
    rows, segments, labels = _build(documents, generator, max_tokens)
    return rows, segments, [1 - label for label in labels]


def _cut_from_the_row(documents, generator, max_tokens):
    rows, segments, labels = _build(documents, generator, 999)
    return [r[:max_tokens] for r in rows], [s[:max_tokens] for s in segments], labels


def _always_the_first(documents, generator, max_tokens):
    return _build(documents, generator, max_tokens, place=lambda document, g: 0)


def _never_the_last(documents, generator, max_tokens):
    def place(document, g):
        return _below(max(len(document) - 2, 1), g)

    return _build(documents, generator, max_tokens, place=place)


def _negatives_begin(documents, generator, max_tokens):
    def draw(documents, own, following, generator):
        for _ in range(100):
            other = _below(len(documents) - 1, generator)
            sentence = documents[other + (other >= own)][0]
            if sentence != following:
                return sentence
        return [800, 801]

    return _build(documents, generator, max_tokens, draw=draw)


def _the_neighbor(documents, generator, max_tokens):
    def draw(documents, own, following, generator):
        document = documents[(own + 1) % len(documents)]
        return document[_below(len(document), generator)]

    return _build(documents, generator, max_tokens, draw=draw)


def _a_third(documents, generator, max_tokens):
    return _build(documents, generator, max_tokens, label=lambda g: int(_below(3, g) == 0))


def _second_only(documents, generator, max_tokens):
    def cut(a, b, most):
        return a[: most - 1], b[: max(most - len(a), 1)]

    return _build(documents, generator, max_tokens, cut=cut)


def _halves(documents, generator, max_tokens):
    def cut(a, b, most):
        return (a, b) if len(a) + len(b) <= most else (a[: most // 2], b[: most // 2])

    return _build(documents, generator, max_tokens, cut=cut)


def _from_the_front(documents, generator, max_tokens):
    def cut(a, b, most):
        a, b = list(a), list(b)
        while len(a) + len(b) > most:
            (a if len(a) > len(b) else b).pop(0)
        return a, b

    return _build(documents, generator, max_tokens, cut=cut)


def _special_not_counted(documents, generator, max_tokens):
    return _build(documents, generator, max_tokens + 3)


def _separator_in_the_second(documents, generator, max_tokens):
    def frame(a, b):
        return [CLS, *a, SEP, *b, SEP], [0] * (len(a) + 1) + [1] * (len(b) + 2)

    return _build(documents, generator, max_tokens, frame=frame)


def _global_generator(documents, generator, max_tokens):
    return _build(documents, torch.default_generator, max_tokens)


_DOCUMENTS = [[[5, 6, 7], [8, 9, 10]], [[11, 12, 13], [14, 15, 16]]]
PLANTED = [
    Planted(
        check=check_sentence_pairs,
        arguments=(_DOCUMENTS, torch.Generator(), 9),
        right=(_one_by_one, _by_candidates, _by_the_library),
        wrong={
            _may_be_the_next: "reads like the true next sentence",
            _of_the_same_document: "comes from the same document",
            _of_any_document: "the same document",
            _inverted: "the label is inverted",
            _cut_from_the_row: "loses the last [SEP]",
            _always_the_first: "always takes the first pair",
            _never_the_last: "never takes the last pair",
            _negatives_begin: "always first sentences",
            _the_neighbor: "nearly always the same one",
            _a_third: "half of the pairs should be negatives",
            _second_only: "cuts the shorter sentence",
            _halves: "drops more tokens than it must",
            _from_the_front: "cuts sentences at their beginning",
            _special_not_counted: "special tokens count",
            _separator_in_the_second: "closes the first sentence",
            _global_generator: "draw everything from the generator",
        },
    )
]

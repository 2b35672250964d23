"""Pairs and orders of sentences: what is drawn, what is never drawn, and what the label says."""

import math

import pytest
import torch

from minillm.batch import IGNORE_INDEX
from minillm.errors import ConfigError, DataError
from minillm.objectives.sentence_pairs import (
    IS_NEXT,
    SWAPPED,
    PairFrame,
    next_sentence_batch,
    sentence_order_batch,
    truncate_pair,
)
from minillm.objectives.sentence_reconstruction import (
    best_order,
    exact_match,
    kendall_tau,
    sentence_reconstruction_batch,
)

CLS, SEP, PAD = 1, 2, 0
FRAME = PairFrame(cls_id=CLS, sep_id=SEP, pad_id=PAD, max_tokens=23)
N_DOCUMENTS = 499


@pytest.fixture
def documents():
    """Sentence s of document d is d·100 + 10·s + (0, 1, …), of its own length."""
    return [
        [[100 * d + 10 * s + i + 100 for i in range(1 + (d + s) % 5)] for s in range(2 + d % 4)]
        for d in range(N_DOCUMENTS)
    ]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parts(batch, row):
    """Return the tokens of both sentences of a row."""
    ids, segments = batch.inputs[row].tolist(), batch.segment_ids[row].tolist()
    kept = [
        (token, segment)
        for token, segment, padding in zip(ids, segments, batch.is_padding[row], strict=True)
        if not padding and token not in (CLS, SEP)
    ]
    return [[token for token, segment in kept if segment == s] for s in (0, 1)]


def test_half_of_the_pairs_follow_each_other_and_the_others_are_of_two_documents(documents):
    batch = next_sentence_batch(documents, generator(), frame=FRAME)
    n_next = int((batch.labels == IS_NEXT).sum())
    assert abs(n_next - N_DOCUMENTS / 2) < 5 * math.sqrt(N_DOCUMENTS) / 2
    for row, document in enumerate(documents):
        first, second = parts(batch, row)
        place = document.index(first)
        if batch.labels[row] == IS_NEXT:
            assert document[place + 1] == second
        else:
            assert second not in document
            assert any(second in other for other in documents)


def test_a_negative_is_never_the_true_next_sentence():
    """The other document holds a copy of the true next sentence in nine places of ten."""
    documents = [[[5], [6]], [[6]] * 9 + [[7]]]
    seen = set()
    for seed in range(200):
        batch = next_sentence_batch(documents, generator(seed), frame=FRAME)
        if batch.labels[0] != IS_NEXT:
            seen.add(tuple(parts(batch, 0)[1]))
    assert seen == {(7,)}


def test_swapped_pairs_are_of_one_document(documents):
    batch = sentence_order_batch(documents, generator(), frame=FRAME)
    n_swapped = int((batch.labels == SWAPPED).sum())
    assert abs(n_swapped - N_DOCUMENTS / 2) < 5 * math.sqrt(N_DOCUMENTS) / 2
    for row, document in enumerate(documents):
        first, second = parts(batch, row)
        if batch.labels[row] == SWAPPED:
            first, second = second, first
        assert document[document.index(first) + 1] == second


def test_the_frame_stands_around_both_and_survives_shortening():
    frame = PairFrame(cls_id=CLS, sep_id=SEP, pad_id=PAD, max_tokens=8)
    documents = [[[11] * 9, [12] * 3], [[13], [14]]]
    batch = sentence_order_batch(documents, generator(3), frame=frame)
    assert batch.inputs.shape == (2, 8)
    assert batch.inputs[0].tolist().count(SEP) == 2
    assert batch.inputs[:, 0].tolist() == [CLS, CLS]
    assert batch.is_padding[1].tolist() == [False] * 5 + [True] * 3
    assert batch.inputs[1, 5:].tolist() == [PAD] * 3


def test_the_longer_text_is_cut_first():
    assert truncate_pair([1] * 7, [2] * 3, 6) == ([1] * 3, [2] * 3)
    assert truncate_pair([1] * 2, [2] * 9, 6) == ([1] * 2, [2] * 4)


def test_the_label_says_where_each_sentence_went(documents):
    batch = sentence_reconstruction_batch(documents, generator(), frame=FRAME, n_sentences=4)
    n_cycles = 0
    for row, document in enumerate(documents):
        groups = {}
        for token, segment in zip(
            batch.inputs[row].tolist(), batch.segment_ids[row].tolist(), strict=True
        ):
            if token not in (CLS, SEP, PAD):
                groups.setdefault(segment, []).append(token)
        answer = [s for s in batch.labels[row].tolist() if s != IGNORE_INDEX]
        restored = [groups[s] for s in answer]
        cut = [sentence[:4] for sentence in document]  # what four sentences leave room for
        start = cut.index(restored[0])
        assert restored == cut[start : start + len(restored)]
        n_cycles += answer != [answer.index(i) for i in range(len(answer))]
    assert n_cycles > 50  # the permutation and its inverse were told apart


def test_the_measures_of_order():
    labels = torch.tensor([[2, 0, 1], [1, 0, IGNORE_INDEX]])
    assert exact_match(labels, labels) == 1.0
    assert kendall_tau(labels, labels) == 1.0
    backward = torch.tensor([[1, 0, 2], [0, 1, IGNORE_INDEX]])
    assert kendall_tau(backward, labels) == -1.0
    one_off = torch.tensor([[2, 1, 0], [1, 0, IGNORE_INDEX]])
    assert exact_match(one_off, labels) == 0.5
    assert kendall_tau(one_off, labels) == pytest.approx((1 / 3 + 1) / 2)


def test_the_best_order_uses_each_sentence_once():
    scores = torch.tensor([[[5.0, 4.0, 0.0], [5.0, 1.0, 0.0], [3.0, 0.0, 0.0]]])
    labels = torch.tensor([[0, 1, 2]])
    assert best_order(scores, labels).tolist() == [[1, 0, 2]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: next_sentence_batch([[[1], [2]]], generator(), frame=FRAME), "another document"),
        (lambda: sentence_order_batch([[[1]]], generator(), frame=FRAME), "at least two sentences"),
        (
            lambda: sentence_reconstruction_batch([[[1]]], generator(), frame=FRAME, n_sentences=2),
            "at least two",
        ),
        (
            lambda: sentence_reconstruction_batch(
                [[[1], [2]]], generator(), frame=FRAME, n_sentences=12
            ),
            "12 sentences do not fit into 23 tokens",
        ),
        (
            lambda: next_sentence_batch([[[6], [6]]] * 9, generator(1), frame=FRAME),
            "there is no negative",
        ),
    ],
)
def test_what_cannot_be_paired_is_refused(call, message):
    with pytest.raises(DataError, match=message):
        call()


def test_a_frame_needs_room():
    with pytest.raises(ConfigError, match="at least 5"):
        PairFrame(cls_id=1, sep_id=2, pad_id=0, max_tokens=4)

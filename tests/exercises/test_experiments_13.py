"""The rivals and the baselines of notebook 13 are what they say; its pictures show their tokens."""

import math

import pytest
import torch
from matplotlib.colors import to_hex

from exercises.experiments_13 import (
    character_f1,
    span_lengths,
    token_log_frequencies,
    translation_memory,
)
from exercises.figures_13 import plot_spans


def test_lengths_of_spans_also_at_the_borders():
    masks = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 1, 1, 1, 1]]).bool()
    assert span_lengths(masks).tolist() == [2, 1, 4]


def test_the_memory_counts_words_and_not_their_order():
    pairs = [("the cat saw a dog.", "A"), ("the cat", "B"), ("A dog, the cat saw", "C")]
    assert translation_memory(["The cat.", "a dog saw the cat"], pairs) == ["B", "A"]


def test_f1_counts_repeats_and_both_lengths():
    assert character_f1(["aab"], ["abc"]) == pytest.approx(2 / 3)
    assert character_f1(["ab"], ["abcd"]) == pytest.approx(2 * 2 / 6)


def test_frequencies_leave_out_what_is_not_scored():
    log_p = token_log_frequencies([torch.tensor([[2, 2, -100]]), torch.tensor([0])], 3)
    assert log_p.tolist() == pytest.approx([math.log(x / 6) for x in (2, 1, 3)])


def test_a_span_has_one_color_in_every_row():
    rows = {"text": [("a", None), ("b", 0), ("c", 1)], "inputs": [("a", None), ("<0>", 0)]}
    (axes,) = plot_spans(rows).axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["text", "a", "b", "c", "inputs", "a", "<0>"]
    colors = [to_hex(box.get_facecolor()) for box in axes.patches]
    assert colors[0] == colors[3] != colors[1] == colors[4] != colors[2]
    with pytest.raises(ValueError, match="each row needs a token"):
        plot_spans({"text": []})

import math

import numpy as np
import pytest
import torch

from exercises.experiments_02 import (
    counted_again,
    kinds_of_words,
    longest_copy,
    plot_cross_entropy,
    shares_seen,
    token_probs,
)
from minillm.config import NgramConfig
from minillm.models.ngram import Ngram


def test_probabilities_of_all_tokens_but_bos():
    model = Ngram(NgramConfig(vocab_size=5, order=2, smoothing="add-k", k=0.0))
    documents = [np.array([3, 0, 1, 4]), np.array([3, 0, 4])]
    model.fit(np.concatenate(documents), bos_id=3)
    expected = torch.tensor([1, 1 / 2, 1, 1, 1 / 2], dtype=torch.float64)
    torch.testing.assert_close(token_probs(model, documents), expected)


def test_shares_of_runs_against_a_slow_search():
    generator = np.random.default_rng(0)
    known, unknown = generator.integers(0, 3, 97), generator.integers(0, 3, 41)
    found = shares_seen(known, unknown, vocab_size=3, longest=6)
    for n, share in enumerate(found, start=1):
        runs = {tuple(known[i : i + n]) for i in range(len(known) - n + 1)}
        others = [tuple(unknown[i : i + n]) for i in range(len(unknown) - n + 1)]
        assert share == pytest.approx(np.mean([run in runs for run in others]))
    assert 0 < found[-1] < found[0] == 1


def test_what_is_counted_once_comes_again_as_often_as_chance_says():
    rows = [[1, 2, 3]] * 41 + [[t, t + 1, t + 2] for t in range(10, 47)]  # 39 rows a half
    found = counted_again(rows, highest=40, generator=torch.Generator().manual_seed(0))
    assert found[0] == 0  # what came once in one half is not in the other
    (n_here,) = [r for r, mean in enumerate(found, start=1) if mean > 0]
    assert found[n_here - 1] == pytest.approx(41 - n_here)
    assert sum(map(math.isnan, found)) == 38


def test_the_longest_copied_passage():
    assert longest_copy("", "abc") == 0
    assert longest_copy("xyz", "abc") == 0
    assert longest_copy("zabzabc", "..abc..") == 3
    assert longest_copy("abc", "abc") == 3


def test_words_are_new_until_they_were_said():
    kinds, places = kinds_of_words([["the", "cat", "the", "cat"], ["cat"]], {"the"})
    new, again = "new", "said before"
    expected = [f"small word, {new}", f"name, thing, …, {new}", f"small word, {again}",
                f"name, thing, …, {again}", f"name, thing, …, {new}"]  # fmt: skip
    assert kinds.tolist() == expected
    assert places.tolist() == [0, 1, 2, 3, 0]


def test_the_curve_is_lowest_at_the_counted_share():
    left, right = plot_cross_entropy(0.25, [3.0, 2.5, 2.2], 2.0).axes
    curve, level = left.get_lines()
    said, losses = curve.get_xydata().T
    assert said[losses.argmin()] == pytest.approx(0.25, abs=0.005)
    assert level.get_ydata()[0] == pytest.approx(losses.min(), abs=1e-4)
    assert losses[100] == pytest.approx(
        -0.25 * math.log(said[100]) - 0.75 * math.log(1 - said[100])
    )
    assert right.get_lines()[0].get_xydata().tolist() == [[1, 3.0], [2, 2.5], [3, 2.2]]

import pytest
import torch

from exercises.figures_02 import plot_contexts, plot_pairs


def test_each_pair_has_its_color():
    probs = torch.tensor([[0.0, 0.25, 0.75], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]])
    axes = plot_pairs(probs, ["a", "b", "·"], title="Pairs").axes[0]
    image = axes.get_images()[0]
    torch.testing.assert_close(torch.from_numpy(image.get_array().data) ** 2, probs)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "·"]
    assert axes.get_title(loc="left") == "Pairs"


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"2 names need probs \(2, 2\), got \(3, 3\)"):
        plot_pairs(torch.eye(3), ["a", "b"], title="Pairs")


def test_each_token_stands_at_its_count_and_its_contexts():
    counts, n_contexts = [40, 7, 0, 3], [2, 7, 0, 1]
    axes = plot_contexts(counts, n_contexts, {"eos": 0}, title="Contexts").axes[0]
    everywhere, marked = axes.collections
    assert everywhere.get_offsets().tolist() == [[40, 2], [7, 7], [3, 1]]  # none without contexts
    assert marked.get_offsets().tolist() == [[40, 2]]
    assert "eos" in [text.get_text() for text in axes.texts]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert "c(w)" in axes.get_xlabel()
    assert "N₁₊" in axes.get_ylabel()

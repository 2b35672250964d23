import pytest
import torch

from exercises.figures_04 import plot_pull, plot_vectors


def test_the_pull_is_p_minus_onehot():
    figure = plot_pull(["a", "b", "c"], torch.tensor([0.5, 0.2, 0.3]), 1)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == pytest.approx([0.5, 0.2, 0.3])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([0.5, -0.8, 0.3])
    assert "b" in left.get_xlabel()


def test_groups_that_point_the_same_way_stand_together():
    vectors = torch.eye(5)[[0, 0, 1, 1, 2]] * torch.tensor([[1.0], [3.0], [1.0], [2.0], [1.0]])
    groups = {"first": [(0, "a"), (1, "b")], "second": [(2, "c"), (3, "d"), (4, "e")]}
    axes = plot_vectors(vectors, groups).axes[0]
    first, second = (points.get_offsets().tolist() for points in axes.collections)
    assert first[0] == pytest.approx(first[1])  # the length does not matter, the direction does
    assert second[0] == pytest.approx(second[1])
    assert abs(first[0][0] - second[0][0]) > 0.5
    assert [text.get_text() for text in axes.texts] == list("abcde")


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"2 words need probs \(2,\)"):
        plot_pull(["a", "b"], torch.ones(3), 0)
    with pytest.raises(ValueError, match="three vectors or more, got 1"):
        plot_vectors(torch.eye(3), {"one": [(0, "a")]})


def test_labels_of_near_points_do_not_cover_each_other():
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(3, 7, generator=generator).repeat_interleave(4, dim=0)
    vectors += 0.01 * torch.randn(12, 7, generator=generator)  # three heaps of four points
    names = ["method", "function", "from", "of", "is", "be", "are", "was", "2", "3", "4", "object"]
    groups = {f"group {i}": [(r, names[r]) for r in range(4 * i, 4 * i + 4)] for i in range(3)}
    figure = plot_vectors(vectors, groups)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not [(a, b) for i, a in enumerate(boxes) for b in boxes[:i] if a.overlaps(b)]

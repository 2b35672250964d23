import pytest
import torch

from exercises.figures_05 import plot_paths


def ravine(points):
    return points[..., 0] ** 2 + 9 * points[..., 1] ** 2


def test_each_path_stands_in_its_panel_over_the_contours():
    paths = {"A": torch.tensor([[2.0, 1.0], [1.0, -0.5], [0.0, 0.0]]), "B": torch.ones(2, 2)}
    figure = plot_paths(ravine, paths, limits=(-3.0, 4.0, -2.0, 1.5))
    left, right = figure.axes
    assert left.get_lines()[0].get_xydata().tolist() == paths["A"].tolist()
    assert right.get_lines()[0].get_xydata().tolist() == paths["B"].tolist()
    assert left.get_xlim() == (-3, 4)
    assert right.get_ylim() == (-2, 1.5)
    assert [axes.texts[0].get_text() for axes in (left, right)] == ["2 steps", "1 step"]
    assert left.get_lines()[1].get_xydata().tolist() == [[0, 0]]


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one path"):
        plot_paths(ravine, {}, limits=(-1, 1, -1, 1))

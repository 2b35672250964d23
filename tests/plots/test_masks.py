from itertools import pairwise

import numpy as np
import pytest
import torch

from minillm.masking import causal_mask, padding_mask, prefix_mask
from minillm.plots.masks import plot_masks
from minillm.plots.style import figure_to_html

T, S = 5, 7
MASKS = {
    "causal": causal_mask(T),
    "cached": causal_mask(T, n_past=S - T),
    "prefix": prefix_mask(torch.tensor([2]), T),
    "padding": padding_mask(torch.tensor([[False] * 4 + [True]])),
}


def test_each_picture_is_its_mask_with_queries_as_rows():
    figure = plot_masks(MASKS, n_columns=3, title="Four masks")
    assert [axes.get_title() for axes in figure.axes] == list(MASKS)
    for axes, mask in zip(figure.axes, MASKS.values(), strict=True):
        shown = axes.images[0]
        np.testing.assert_array_equal(shown.get_array(), mask.reshape(mask.shape[-2:]).numpy())
        assert shown.cmap(shown.norm(1)) != shown.cmap(shown.norm(0))
    assert figure.get_supxlabel() == "key position"
    assert figure.get_supylabel() == "query position"
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["may read", "hidden"]
    assert figure_to_html(figure, "four masks")


def test_all_visible_and_all_hidden_have_their_own_colors():
    figure = plot_masks({"all": torch.ones(2, 2).bool(), "none": torch.zeros(2, 2).bool()})
    visible, hidden = (image.cmap(image.norm(image.get_array())) for image in images(figure))
    assert not np.allclose(visible, hidden)


def images(figure):
    return [axes.images[0] for axes in figure.axes]


def test_long_names_stay_inside_the_figure():
    figure = plot_masks(
        {f"causal + documents + padding + window {i}": MASKS["causal"] for i in range(3)}
    )
    figure.draw_without_rendering()
    boxes = [axes.title.get_window_extent() for axes in figure.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert boxes[-1].x1 <= figure.bbox.x1


@pytest.mark.parametrize(
    "wrong", [torch.ones(2, 1, 3, 3).bool(), torch.ones(3).bool(), torch.ones(3, 3)]
)
def test_other_tensors_are_refused(wrong):
    with pytest.raises(ValueError, match="mask 'x' must be boolean and of one sequence"):
        plot_masks({"x": wrong})
    with pytest.raises(ValueError, match="masks is empty"):
        plot_masks({})

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from minillm.health import LayerHealth
from minillm.plots.health import plot_attention_entropy, plot_health, plot_logit_lens
from minillm.plots.style import figure_to_html

HEALTH = {
    "embedding": LayerHealth(0.02, 0.5, 1e-3),
    "norm": LayerHealth(1.0, 0.0, math.nan),
    "up": LayerHealth(math.nan, 0.25, 2e-3),
}


def test_each_panel_shows_its_numbers_from_the_top():
    figure = plot_health(HEALTH)
    for axes, column in zip(figure.axes, zip(*HEALTH.values(), strict=True), strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_xdata(), column)
        assert axes.get_xscale() == "log"
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == list(HEALTH)
    assert figure.axes[0].yaxis_inverted()
    assert figure.axes[2].lines[1].get_xdata()[0] == 1e-3  # the rule of thumb
    assert figure_to_html(figure, "three panels")


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_nothing_measured_is_still_drawn(value):
    assert figure_to_html(plot_health({"up": LayerHealth(value, value, value)}), "one layer")
    with pytest.raises(ValueError, match="health is empty"):
        plot_health({})


def test_entropy_is_written_into_its_layer_and_head():
    entropy = torch.tensor([[0.0, 1.5, 2.25], [0.5, 0.75, 1.0]])
    figure = plot_attention_entropy(entropy)
    axes = figure.axes[0]
    np.testing.assert_array_equal(axes.images[0].get_array(), entropy.numpy())
    written = {t.get_position(): t.get_text() for t in axes.texts}
    assert written[(2, 0)] == "2.25"
    assert written[(0, 1)] == "0.50"
    assert axes.get_xlabel() == "head"
    assert axes.get_ylabel() == "layer"
    assert figure_to_html(figure, "a table")
    with pytest.raises(ValueError, match=r"must be \(L, H\), got \(3,\)"):
        plot_attention_entropy(torch.ones(3))


def test_the_lens_shows_the_best_token_and_its_probability():
    logits = torch.zeros(3, 2, 5)
    logits[2, 1, 4] = 3.0
    figure = plot_logit_lens(logits, ["$a$", "模型"], [" a b", "x", "y", "z", "\n$"].__getitem__)
    axes = figure.axes[0]
    probs = np.full((3, 2), 0.2)
    probs[2, 1] = math.exp(3) / (math.exp(3) + 4)
    np.testing.assert_allclose(axes.images[0].get_array(), probs, rtol=1e-6)
    written = {t.get_position(): t.get_text() for t in axes.texts}
    assert written[(1, 2)] == "⏎$"
    assert written[(0, 0)] == "␣a␣b"  # else it could not be told from "a b", or from nothing
    assert [t.get_text() for t in axes.get_yticklabels()] == ["embedding", "layer 1", "layer 2"]
    assert not any(t.get_parse_math() for t in [*axes.get_xticklabels(), *axes.texts])
    assert figure_to_html(figure, "a table")
    with pytest.raises(ValueError, match="with T = 3 tokens"):
        plot_logit_lens(logits, ["a", "b", "c"], str)


def test_long_tokens_and_layer_names_stay_inside():
    names = {f"blocks.{i}.feed_forward.down": LayerHealth(1.0, 1.0, 1.0) for i in range(40)}
    lens = plot_logit_lens(
        torch.zeros(5, 16, 2), ["extraordinarily"] * 16, lambda _: "internationalization"
    )
    for figure, labels in (
        (plot_health(names), lambda axes: axes.get_yticklabels()),
        (lens, lambda axes: axes.get_xticklabels()),
        (lens, lambda axes: axes.texts),
    ):
        figure.draw_without_rendering()
        boxes = [label.get_window_extent() for label in labels(figure.axes[0])]
        assert all(b.x0 >= figure.bbox.x0 and b.y0 >= figure.bbox.y0 for b in boxes)
    row = [t.get_window_extent() for t in lens.axes[0].texts[:16]]
    assert all(a.x1 <= b.x0 for a, b in pairwise(row))

"""Figures of causal models show the numbers that they were given."""

import math

import numpy as np
import pytest
import torch

from minillm.config import DecoderConfig
from minillm.plots.causal import plot_decoder, plot_influence, plot_next_token, plot_runs


def test_the_decoder_has_one_attention_and_one_feed_forward_for_each_layer():
    config = DecoderConfig.gpt(vocab_size=5, n_layers=3, d_model=44)
    texts = [text.get_text() for text in plot_decoder(config).axes[0].texts]
    assert texts.count("attention") == texts.count("feed\nforward") == 3
    assert any(text.startswith("residual stream (B, T, 44)") for text in texts)
    assert [f"block {n}" in texts for n in (1, 2, 3, 4)] == [True, True, True, False]


def test_influence_is_shown_on_a_log_scale_and_zero_is_darkest():
    values = torch.tensor([[1e-2, 0.0], [1e-3, 1e-1]])
    figure = plot_influence({"causal": values, "other": values})
    image = figure.axes[0].images[0]
    assert np.allclose(image.get_array(), [[-2, -8], [-3, -1]])
    assert image.get_clim()[0] == -8
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["causal", "other"]


def test_runs_are_averaged_over_nine_steps_and_named():
    losses = [float(step) for step in range(1, 21)]
    figure = plot_runs({"up": losses, "down": losses[::-1]}, lines={"ln V": 3.5})
    axes = figure.axes[0]
    up, down, level = axes.lines
    assert np.allclose(up.get_xydata(), [[step, step] for step in range(5, 17)])
    assert np.allclose(down.get_ydata(), np.arange(16, 4, -1))
    assert list(level.get_ydata()) == [3.5, 3.5]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["up", "down"]


def test_the_next_token_is_ranked_and_the_nucleus_includes_the_crossing_token():
    log_probs = torch.tensor([0.1, 0.6, 0.3]).log()
    figure = plot_next_token(
        log_probs, ["a", "b\n", "c"], temperatures=(1.0, 0.01), top_p=0.7, n_shown=3
    )
    first, second = figure.axes
    assert [bar.get_width() for bar in first.patches] == pytest.approx([0.6, 0.3, 0.1])
    assert [label.get_text() for label in first.get_yticklabels()] == ["b⏎", "c", "a"]
    assert first.get_title(loc="left") == "T = 1: nucleus of 2 tokens"
    assert second.get_title(loc="left") == "T = 0.01: nucleus of 1 token"
    colors = [bar.get_facecolor() for bar in first.patches]
    assert colors[0] == colors[1] != colors[2]
    assert math.isclose(second.patches[0].get_width(), 1.0)


def test_positions_are_counted_in_whole_numbers():
    figure = plot_influence(dict.fromkeys(("a", "b", "c"), torch.rand(14, 14)))
    figure.draw_without_rendering()
    for axes in figure.axes[:3]:
        assert all(tick == int(tick) for tick in (*axes.get_xticks(), *axes.get_yticks()))

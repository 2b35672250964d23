import math
from itertools import pairwise

import numpy as np
import pytest

from minillm.plots.curves import plot_bits_per_byte, plot_loss_curve, smooth
from minillm.plots.style import figure_to_html

METRICS = [
    {"step": step, "loss": 8.0 / step, **({"validation_loss": 9.0 / step} if step % 5 == 0 else {})}
    for step in range(1, 24)
]


def texts(figure):
    axes = figure.axes[0]
    legend = axes.get_legend()
    return [t.get_text() for t in [*axes.texts, *(legend.get_texts() if legend else [])]]


def curve(figure, label):
    (line,) = [x for x in figure.axes[0].lines if str(x.get_label()).startswith(label)]
    return np.column_stack(line.get_data())


def test_the_numbers_are_those_of_the_metrics():
    figure = plot_loss_curve(METRICS)
    raw = np.column_stack(figure.axes[0].lines[0].get_data())
    assert raw.tolist() == [[line["step"], line["loss"]] for line in METRICS]
    assert curve(figure, "validation").tolist() == [[s, 9.0 / s] for s in (5, 10, 15, 20)]
    assert "validation, lowest 0.45 at step 20" in texts(figure)


def test_axes_are_named_with_units():
    for log_steps, name in ((False, "step"), (True, "step (logarithmic)")):
        axes = plot_loss_curve(METRICS, log_steps=log_steps, title="My run").axes[0]
        assert axes.get_xlabel() == name
        assert axes.get_ylabel() == "loss (nats per token)"
        assert axes.get_title(loc="left") == "My run"


def test_levels_stand_at_their_value_with_their_name():
    figure = plot_loss_curve(METRICS, vocab_size=4096, floor=0.31, lines={"5-gram": 2.5})
    levels = [line.get_ydata()[0] for line in figure.axes[0].lines if line.get_linestyle() != "-"]
    assert levels == [math.log(4096), 2.5, 0.31]
    assert {"uniform guess\nln 4,096 = 8.32", "5-gram 2.50"} <= set(texts(figure))
    assert "entropy of the\nsource 0.31" in texts(figure)


def test_labels_of_close_levels_do_not_overlap():
    lines = {f"model {i}": 3.0 + 0.001 * i for i in range(4)}
    figure = plot_loss_curve(METRICS, vocab_size=300, lines=lines)
    figure.draw_without_rendering()
    boxes = sorted((t.get_window_extent() for t in figure.axes[0].texts), key=lambda box: box.y0)
    assert len(boxes) == 5
    assert all(low.y1 <= high.y0 + 1 for low, high in pairwise(boxes))
    for text in figure.axes[0].texts:  # and none is cut off
        assert figure.bbox.x0 <= text.get_window_extent().x0
        assert text.get_window_extent().x1 <= figure.bbox.x1


@pytest.mark.parametrize("log_steps", [False, True])
@pytest.mark.parametrize(
    "metrics",
    [
        [{"step": 1, "loss": 5.0}],
        [{"step": 0, "validation_loss": 5.0}],
        [{"step": 0, "validation_loss": 5.0}, {"step": 1, "loss": 4.0}, {"step": 2, "loss": 4.0}],
        [{"step": 1, "loss": math.nan}, {"step": 2, "loss": 3.0, "validation_loss": None}],
    ],
    ids=["one", "untrained", "both", "nan"],
)
def test_short_and_broken_runs_are_drawn(metrics, log_steps):
    figure = plot_loss_curve(metrics, log_steps=log_steps, vocab_size=260)
    assert figure_to_html(figure, "a curve")


@pytest.mark.parametrize("metrics", [[], [{"step": 1}], [{"step": 1, "loss": math.inf}]], ids=str)
def test_nothing_to_draw_is_refused(metrics):
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_loss_curve(metrics)


def test_smoothing_equals_a_slow_loop():
    rng = np.random.default_rng(0)
    steps = np.unique(rng.integers(1, 900, 211))
    values = rng.normal(size=len(steps))
    slow = [values[np.abs(steps - s) <= 0.1 * s + 1e-9].mean() for s in steps]
    np.testing.assert_allclose(smooth(steps, values), slow)
    np.testing.assert_allclose(smooth(steps, values, nearby=0), values)


def test_bars_start_at_zero_in_the_given_order():
    figure = plot_bits_per_byte({"xz": 2.3, "ours": 1.9}, highlight="ours")
    axes = figure.axes[0]
    assert axes.get_xlim()[0] == 0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["xz", "ours"]
    assert axes.yaxis_inverted()
    assert texts(figure) == ["2.30", "1.90"]
    xz, ours = axes.patches
    assert xz.get_facecolor() != ours.get_facecolor()


@pytest.mark.parametrize(("values", "highlight"), [({}, None), ({"a": 1.0}, "b")])
def test_wrong_bars_are_refused(values, highlight):
    with pytest.raises(ValueError, match="highlight must be one of"):
        plot_bits_per_byte(values, highlight=highlight)

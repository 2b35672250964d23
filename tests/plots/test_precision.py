import numpy as np
import pytest

from minillm.plots.precision import plot_loss_scale, plot_underflow


def titles(figure):
    return [axes.get_title(loc="left") for axes in figure.axes]


def bars(axes):
    """Map the power of two at which a bar begins to its height in percent."""
    return {round(bar.get_x()): bar.get_height() for bar in axes.patches if bar.get_height() > 0}


def histogram(axes):
    return {place: height for place, height in bars(axes).items() if height != 1}


def test_each_gradient_stands_at_its_power_of_two():
    gradients = np.array([2.0**-30, -(2.0**-26) * 1.5, 2.0**-10, -(2.0**-10) * 1.9, 0.0, np.inf])
    figure = plot_underflow(gradients, scales=(1.0, 16.0))
    plain, scaled = map(histogram, figure.axes)
    assert plain == {-30: 25, -26: 25, -10: 50}
    assert scaled == {-26: 25, -22: 25, -6: 50}
    assert "1 zeros left out" in figure.get_suptitle()


def test_what_is_lost_is_what_rounding_loses():
    """Half of the smallest number rounds to 0 (to even); a little more does not."""
    gradients = np.array([2.0**-25, 2.0**-25 * 1.01, 1.0, 65519.0, 65520.0])
    assert titles(plot_underflow(gradients, scales=(1, 2, 1 / 4))) == [
        "loss as it is: 20 % become 0, 20 % become ∞",
        "loss × 2: 0 % become 0, 40 % become ∞",
        "loss × 0.25: 40 % become 0, 0 % become ∞",
    ]


def test_what_is_far_outside_stands_in_the_outermost_bar():
    plain = histogram(plot_underflow(np.array([1e-30, 1.0, 1.0, 1e20]), scales=(1.0,)).axes[0])
    assert plain == {-40: 25, 0: 50, 29: 25}


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no gradient is finite and other than 0"):
        plot_underflow(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="metrics hold no 'loss_scale'"):
        plot_loss_scale([{"step": 1, "loss": 2.0}])


def test_the_trace_shows_each_scale_and_each_skipped_update():
    scales, skipped = [16.0, 8.0, 8.0, 4.0], [True, False, True, False]
    lines = [
        {"step": n + 3, "loss_scale": scale, "skipped": skip}
        for n, (scale, skip) in enumerate(zip(scales, skipped, strict=True))
    ]
    axes = plot_loss_scale([*lines, {"step": 7}]).axes[0]
    line, marks = axes.lines
    assert np.column_stack(line.get_data()).tolist() == [[3, 4], [4, 3], [5, 3], [6, 2]]
    assert np.column_stack(marks.get_data()).tolist() == [[3, 4], [5, 3]]
    assert axes.get_legend().get_texts()[1].get_text() == "update skipped (2 of 4)"
    assert axes.get_ylabel() == "loss scale (power of two)"

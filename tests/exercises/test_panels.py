"""Panels show the lines that they were given, in one color a name."""

import pytest

from exercises.panels import Panel, plot_panels

WORDS = {"x_label": "steps", "y_label": "nats"}


def panel(**changes):
    given = {"title": "A", "x": [1, 10, 100], "lines": {"a": [3, 2, 1], "b": [1.0, 2.0]}}
    return Panel(**(given | WORDS | changes))


def test_lines_stand_where_they_were_measured():
    (axes,) = plot_panels(panel()).axes
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert drawn == {"a": [[1, 3], [10, 2], [100, 1]], "b": [[1, 1], [10, 2]]}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("steps", "nats")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_a_name_keeps_its_color_in_all_panels():
    left, right = plot_panels(panel(), panel(lines={"c": [1], "b": [2]})).axes
    colors = [{x.get_label(): x.get_color() for x in axes.get_lines()} for axes in (left, right)]
    assert colors[0]["b"] == colors[1]["b"]
    assert len({*colors[0].values(), *colors[1].values()}) == 3


def test_axes_levels_and_range():
    (axes,) = plot_panels(panel(log="xy", levels={"chance": 0.5}, y_range=(0.1, 7))).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "10", "100"]
    assert axes.get_ylim() == (0.1, 7)
    assert axes.get_lines()[-1].get_ydata() == [0.5, 0.5]
    (axes,) = plot_panels(panel(x=[1, 1e6, 3], log="x")).axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "1e+06", "3"]


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="at least one panel"):
        plot_panels()
    with pytest.raises(ValueError, match="'a' has 3 points for 2 places of x"):
        plot_panels(panel(x=[1, 2]))


def test_a_short_logarithmic_axis_is_numbered_in_plain_words():
    def numbers(values):
        panel = Panel(title="A", x=[1, 2], lines={"a": values}, x_label="x", y_label="y", log="y")
        figure = plot_panels(panel)
        figure.canvas.draw()
        return [label.get_text() for label in figure.axes[0].get_yticklabels()]

    assert {"50", "100", "200"} <= set(numbers([40, 300]))
    assert not any("×" in text or "times" in text for text in numbers([40, 300]))
    assert any("10^" in text for text in numbers([1, 1e6]))  # powers of ten, as before

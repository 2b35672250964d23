"""Pictures of lookups show the numbers that they were given."""

import math

import pytest
import torch

from exercises.figures_08 import plot_leaks, plot_lookup, plot_tables


def test_a_lookup_shows_bars_and_the_mean():
    weights = torch.tensor([0.75, 0.25])
    values = torch.tensor([[4.0, 0.0], [0.0, 8.0]])
    figure = plot_lookup(["a", "b"], torch.tensor([2.0, 1.0]), weights, values)
    left, middle, right = figure.axes
    assert [bar.get_height() for bar in left.patches] == [2, 1]
    assert [bar.get_height() for bar in middle.patches] == [0.75, 0.25]
    assert [text.get_text() for text in middle.texts] == ["0.75", "0.25"]
    assert right.collections[-1].get_offsets().tolist() == [[3, 2]]
    with pytest.raises(ValueError, match=r"2 words need .*\(3,\)"):
        plot_lookup(["a", "b"], torch.ones(3), weights, values)


def test_tables_write_their_numbers():
    table = torch.tensor([[1.0, -math.inf, 0.256], [2.0, 3.0, 0.0]])
    (axes,) = plot_tables({"scores": table}, ["q", "r"], ["a", "b", "\n"]).axes
    places = {text.get_text(): text.get_position() for text in axes.texts}  # (key, query)
    assert places == {
        "1.00": (0, 0), "−∞": (1, 0), "0.26": (2, 0), "2.00": (0, 1), "3.00": (1, 1)
    }  # fmt: skip
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b", "⏎"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["q", "r"]
    assert axes.images[0].get_array().mask.tolist() == [[False, True, False], [False] * 3]
    (axes,) = plot_tables({"whole": torch.tensor([[2.0, 0.0]])}, ["q"], ["a", "b"]).axes
    assert [text.get_text() for text in axes.texts] == ["2", "0"]
    with pytest.raises(ValueError, match=r"'t' is \(2, 2\), the names are \(2, 3\)"):
        plot_tables({"t": torch.zeros(2, 2)}, ["q", "r"], ["a", "b", "c"])


def test_leaks_are_counted_and_crossed():
    norms = torch.tensor([[1.0, 0.0, 0.5], [0.1, 1.0, 0.0], [0.0, 0.2, 1.0]])
    (axes,) = plot_leaks({"a mask": norms}).axes
    assert axes.get_title() == "a mask\n1 leak"
    assert axes.collections[0].get_offsets().tolist() == [[2, 0]]  # input 2 at output 0
    assert axes.images[0].get_array().mask.tolist() == (norms == 0).tolist()
    with pytest.raises(ValueError, match=r"'a' must be \(T, T\), got \(2, 3\)"):
        plot_leaks({"a": torch.zeros(2, 3)})

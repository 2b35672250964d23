"""Pictures of cuts show every token where it stands."""

import pytest

from exercises.figures_03 import plot_cuts, plot_lattice
from minillm.tokenizers.lattice import Edge


def test_every_token_has_a_box_as_wide_as_itself():
    (axes,) = plot_cuts({"a": ["th", "e"], "b": ["t", "h", "e"]}).axes
    assert [text.get_text() for text in axes.texts] == ["th", "e", "t", "h", "e"]
    assert [round(box.get_width() + 0.12) for box in axes.patches] == [2, 1, 1, 1, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a (2)", "b (3)"]
    colors = [box.get_facecolor() for box in axes.patches[2:]]
    assert colors[0] != colors[1] != colors[2]
    with pytest.raises(ValueError, match="every row needs tokens"):
        plot_cuts({"a": []})


def test_a_lattice_shows_what_cuts_go_through():
    edges = [Edge(0, 1, 97, 0.25), Edge(0, 2, 300, 0.75), Edge(1, 2, 98, 0.01)]
    (axes,) = plot_lattice("ab", edges, best=[(0, 2)]).axes
    assert [text.get_text() for text in axes.texts] == ["a 0.25", "ab 0.75", "a", "b"]
    thin, thick = axes.get_lines()[:2]
    assert thin.get_linewidth() < thick.get_linewidth()
    assert thin.get_color() != thick.get_color()
    assert (min(thick.get_xdata()), max(thick.get_xdata())) == (0, 2)
    with pytest.raises(ValueError, match="ASCII"):
        plot_lattice("é", edges, best=[])

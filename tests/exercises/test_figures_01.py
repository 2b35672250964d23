"""The pictures of notebook 01 show the numbers that they were given."""

import pytest

from exercises.figures_01 import plot_cleaning, plot_shares, plot_zipf
from minillm.text.cleaning import CleaningReport, StepCount


def test_words_stand_at_their_rank():
    counts = {"rare": 1, "the": 50, "word": 7}
    figure = plot_zipf(counts, {"the"}, (-1.0, 2.0), fitted=(1, 3))
    (axes,) = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}
    assert lines["stop words"] == [[1, 50]]
    assert lines["other words"] == [[2, 7], [3, 1]]
    assert lines["fit: frequency ∝ 1 / rank^1.00"][0] == [1, 100]
    assert {text.get_text() for text in axes.texts} == {"the", "word"}  # "rare" would touch
    with pytest.raises(ValueError, match="at least one word"):
        plot_zipf({}, set(), (-1.0, 2.0), fitted=(1, 3))


def test_only_steps_that_did_something_have_bars():
    one = StepCount("one", n_documents_in=7, n_changed=3, n_dropped=2, bytes_removed=1234)
    two = StepCount("two", n_documents_in=5)
    left, right = plot_cleaning(CleaningReport([two, one])).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["one"]
    assert [(bar.get_x(), bar.get_width()) for bar in left.patches] == [(0, 3), (3, 2)]
    assert [text.get_text() for text in right.texts] == ["1,234"]
    with pytest.raises(ValueError, match="nothing to draw"):
        plot_cleaning(CleaningReport([two]))


def test_shares_fill_their_bars():
    (axes,) = plot_shares({"a": [0.25, 0.75], "b": [0.5, 0.5]}, ["x", "y"], xlabel="share").axes
    bars = [(bar.get_x(), bar.get_width()) for bar in axes.patches]
    assert bars == [(0, 0.25), (0, 0.5), (0.25, 0.75), (0.5, 0.5)]
    assert [text.get_text() for text in axes.texts] == ["25%", "50%", "75%", "50%"]
    with pytest.raises(ValueError, match=r"'a' must hold 2 shares that add up to 1"):
        plot_shares({"a": [0.3, 0.3]}, ["x", "y"], xlabel="share")

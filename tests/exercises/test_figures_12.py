"""What notebook 12 shows is what the asset holds."""

import json
from pathlib import Path

import pytest
from matplotlib.patches import Rectangle

from exercises.figures_12 import accuracies, plot_leaks, plot_odds, plot_orders, plot_readers
from exercises.pairs_12 import TASKS

ASSETS = Path(__file__).parents[2] / "assets"


@pytest.fixture
def stored():
    return json.loads((ASSETS / "sentences.json").read_text("utf-8"))


def test_figures_show_what_the_asset_holds(stored):
    seeds = {run["seed"] for run in stored["pairs"]}
    assert len(seeds) >= 2
    for corpus in ("world", "manuals"):
        for task in TASKS:
            for reader in ("linear", "bilinear", "encoder"):
                assert len(accuracies(stored, corpus, task, reader)) == len(seeds)
    left, right = plot_readers(stored).axes
    assert any("best" in text.get_text() for text in left.texts)
    assert not any("best" in text.get_text() for text in right.texts)
    (guessing,) = (text for text in right.texts if text.get_text() == "guessing")
    below = [line for line in right.lines if len(line.get_xdata()) and min(line.get_ydata()) < 0.5]
    assert all(abs(line.get_xdata()[0] - guessing.get_position()[0]) > 0.4 for line in below)
    assert len(plot_orders(stored).axes[1].get_legend_handles_labels()[1]) == 3


def test_small_figures_show_their_numbers():
    figure = plot_odds([0.0, 0.5, 1.0], {"a": [-20.0, 0.1, 3.0], "b": [1.0, 2.0, 3.0]})
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "b"]
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert sum(bar.get_height() for bar in bars) == 3  # what is far, too
    leaks = plot_leaks({"fair": [0.5, 0.6, 0.7]}, title="t")
    assert [text.get_text() for text in leaks.axes[0].texts] == ["0.50", "0.60", "0.70"]

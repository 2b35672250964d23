"""The common axes show every seed, every level and every budget."""

import pytest

from minillm.plots.comparison import plot_cost, plot_scores

MODELS = {"LSTM": {5.0: [2.5, 2.7], 20.0: [2.1, 2.2]}, "n-gram": {0.5: [3.0]}}


def test_the_line_is_the_mean_and_the_band_reaches_the_worst_and_the_best():
    figure = plot_cost(MODELS, floor=1.2, lines={"xz": 1.8})
    axes = figure.axes[0]
    assert axes.lines[0].get_xdata().tolist() == [5.0, 20.0]
    assert axes.lines[0].get_ydata() == pytest.approx([2.6, 2.15])
    band = axes.collections[0].get_paths()[0].vertices
    assert {round(float(y), 6) for y in band[:, 1]} == {2.1, 2.2, 2.5, 2.7}
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {"LSTM", "n-gram"}
    notes = [text.get_text() for text in axes.texts]
    assert notes == ["xz 1.80", "entropy of the\nsource 1.20"]


def test_numbers_of_close_budgets_do_not_touch():
    figure = plot_cost({"a": {4.0: [1.0], 5.0: [1.0], 20.0: [1.0]}})
    assert figure.axes[0].get_xticks().tolist() == [4.0, 20.0]


@pytest.mark.parametrize("models", [{}, {"a": {}}, {"a": {1.0: []}}])
def test_nothing_to_draw_is_refused(models):
    with pytest.raises(ValueError, match="needs values to draw"):
        plot_cost(models)


def test_scores_are_bars_to_the_mean_with_a_point_for_each_seed():
    scores = {"ours": [0.7, 0.8, 0.6], "theirs": [0.25, 0.35]}
    figure = plot_scores(scores, xlabel="right", title="t", lines={"chance": 0.125})
    axes = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([70, 30])
    assert [line.get_xdata().tolist() for line in axes.lines[:2]] == [[70, 80, 60], [25, 35]]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ours", "theirs"]
    low, high = axes.get_ylim()
    assert low > high  # the first at the top
    assert list(axes.lines[2].get_xdata()) == [12.5, 12.5]
    with pytest.raises(ValueError, match="needs scores"):
        plot_scores({"ours": []}, xlabel="right", title="t")

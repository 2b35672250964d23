"""The arena's figure draws the numbers that the table holds."""

import numpy as np
import pytest

from minillm.arena.intervals import t_interval
from minillm.plots.arena import plot_arena


def task(shift, baselines=("bag of words",)):
    def values(base):
        return {"10": [base, base + 0.1, base + 0.05], "300": [base + 0.2, base + 0.4, base + 0.3]}

    return {
        "title": "which topic",
        "score": "f1" if shift else "accuracy",
        "counted": "labeled stories",
        "baselines": list(baselines),
        "results": {
            "causal": values(0.5 - shift),
            "scratch decoder": values(0.3 - shift),
            **{name: values(0.2 - shift) for name in baselines},
        },
    }


@pytest.fixture
def bench():
    about = {
        "causal": {"kind": "pretrained", "architecture": "decoder"},
        "scratch decoder": {"kind": "scratch", "architecture": "decoder"},
    }
    return {"readers": about, "tasks": {"topic": task(0.0), "entities": task(0.1)}}


def test_points_are_means_and_bars_are_intervals(bench):
    figure = plot_arena(bench)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["topic", "entities"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "F1"]
    for axes, name in zip(figure.axes, bench["tasks"], strict=True):
        assert axes.get_xlabel() == "labeled stories (logarithmic)"
        for container in axes.containers:
            line, _, bars = container
            reader = container.get_label()
            reader = "bag of words" if reader.startswith("baseline") else reader
            stored = bench["tasks"][name]["results"][reader]
            means = [np.mean(stored[number]) for number in ("10", "300")]
            np.testing.assert_allclose(np.asarray(line.get_ydata(), dtype=float), means)
            x = np.asarray(line.get_xdata(), dtype=float)
            np.testing.assert_allclose(x, [10, 300], rtol=0.1)
            for segment, number in zip(bars[0].get_segments(), ("10", "300"), strict=True):
                interval = t_interval(stored[number])
                ends = np.sort(np.asarray(segment, dtype=float)[:, 1])
                np.testing.assert_allclose(ends, [interval.low, interval.high])
        assert len(axes.containers) == 3
    assert figure._repr_png_()


def test_what_began_alike_has_one_color(bench):
    lines = {c.get_label(): c[0] for c in plot_arena(bench, tasks=["topic"]).axes[0].containers}
    assert lines["causal"].get_color() == lines["scratch decoder"].get_color()
    assert lines["causal"].get_linestyle() != lines["scratch decoder"].get_linestyle()
    assert lines["baseline without a network"].get_color() != lines["causal"].get_color()


def test_one_seed_has_no_bars(bench):
    for one in bench["tasks"].values():
        for values in one["results"].values():
            values.update({number: of_seeds[:1] for number, of_seeds in values.items()})
    figure = plot_arena(bench, readers=["causal"])
    assert [len(axes.containers) for axes in figure.axes] == [0, 0]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]


def test_refusals(bench):
    with pytest.raises(ValueError, match="the table has no cooking"):
        plot_arena(bench, tasks=["cooking"])
    with pytest.raises(ValueError, match="the table has no masked"):
        plot_arena(bench, readers=["masked"])

"""The course's common axes: what each model reaches, against what it costs to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from minillm.plots.curves import draw_levels
from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    INK,
    PALETTE,
    Figure,
    make_figure,
    show_grid,
    styled,
)

Results = Mapping[float, Sequence[float]]  # CPU seconds → one value for each seed


@styled
def plot_cost(
    models: Mapping[str, Results],
    *,
    ylabel: str = "bits per byte (less is better)",
    title: str = "What training buys",
    floor: float | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw a quality against the CPU seconds of training, a line for each kind of model.

    A point is the mean over the seeds; the band around the line reaches from the worst to the
    best of them. A model that was measured at one cost only is a single point.

    Args:
        models: by name, for each budget the values of all seeds.
        ylabel: the quality and its unit.
        title: above the figure.
        floor: the lowest value that any model can reach.
        lines: other levels to compare with, by name, such as a compressor's.

    Raises:
        ValueError: there is no model, or one has no value.

    Example:
        >>> figure = plot_cost({"LSTM": {5.0: [2.5, 2.6], 20.0: [2.1, 2.2]}}, floor=1.2)
        >>> figure.axes[0].get_xlabel()
        'training, CPU seconds of one core (logarithmic)'
    """
    if not models or not all(values and all(values.values()) for values in models.values()):
        raise ValueError(f"every model needs values to draw, got {dict(models)}")
    figure = make_figure(8.2, 4.6)
    axes = figure.add_subplot()
    for color, (name, results) in zip(PALETTE, models.items(), strict=False):
        _draw_model(axes, name, results, color)
    levels = [(value, f"{name} {value:.2f}", GRAY) for name, value in (lines or {}).items()]
    if floor is not None:
        levels.append((floor, f"entropy of the\nsource {floor:.2f}", GREEN))
    draw_levels(axes, sorted(levels, reverse=True))
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    budgets = sorted({seconds for results in models.values() for seconds in results})
    axes.set_xticks(_spread(budgets))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: f"{seconds:.3g}"))
    axes.set_xlabel("training, CPU seconds of one core (logarithmic)")
    axes.set_ylabel(ylabel)
    axes.set_title(title, pad=30)
    show_grid(axes)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=4, frameon=False)
    return figure


@styled
def plot_scores(
    scores: Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    title: str,
    highlight: str | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw shares as bars to their mean, with a point for each seed.

    Args:
        scores: shares from 0 to 1 by name, one for each seed; the first stands at the top.
        xlabel: what is counted; the axis is in percent.
        title: above the figure.
        highlight: the name that the comparison is about.
        lines: other shares to compare with, by name, such as guessing.

    Raises:
        ValueError: there is nothing to draw, or something has no value.

    Example:
        >>> figure = plot_scores({"ours": [0.7, 0.8], "theirs": [0.6]}, xlabel="right", title="")
        >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
        [75.0, 60.0]
    """
    if not scores or not all(len(values) for values in scores.values()):
        raise ValueError(f"every name needs scores to draw, got {dict(scores)}")
    figure = make_figure(8.2, 1.3 + 0.62 * len(scores))
    axes = figure.add_subplot()
    for row, (name, values) in enumerate(scores.items()):
        percents = 100 * np.asarray(values, dtype=float)
        color = BLUE if name == highlight else GRAY
        axes.barh(row, percents.mean(), height=0.62, color=color, alpha=0.3)
        axes.plot(percents, [row] * len(percents), "o", color=color, markersize=7, clip_on=False)
        axes.text(percents.max() + 1.6, row, f"{percents.mean():.1f}", va="center", color=INK)
    for name, share in (lines or {}).items():
        axes.axvline(100 * share, color=INK, linestyle="--", linewidth=1)
        axes.text(100 * share + 0.8, len(scores) - 0.42, name, color=INK, fontsize=9, va="center")
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set_ylim(len(scores) - 0.2, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel(xlabel)
    axes.set_title(title)
    show_grid(axes)
    axes.grid(visible=False, axis="y")
    return figure


def _draw_model(axes: Axes, name: str, results: Results, color: str) -> None:
    """Draw the means as a line, the seeds' range as a band."""
    budgets = sorted(results)
    values = [np.asarray(results[seconds], dtype=float) for seconds in budgets]
    means = [value.mean() for value in values]
    lows, highs = ([f(value) for value in values] for f in (np.min, np.max))
    if len(budgets) == 1:
        errors = [[means[0] - lows[0]], [highs[0] - means[0]]]
        axes.errorbar(budgets, means, yerr=errors, color=color, marker="D", label=name, capsize=3)
        return
    axes.plot(budgets, means, color=color, marker="o", markersize=5, linewidth=2, label=name)
    axes.fill_between(budgets, lows, highs, color=color, alpha=0.18, linewidth=0)


def _spread(budgets: Sequence[float]) -> list[float]:
    """Leave out ticks whose numbers would touch on a logarithmic axis."""
    kept: list[float] = []
    for seconds in budgets:
        if not kept or seconds / kept[-1] > 1.6:
            kept.append(seconds)
    return kept

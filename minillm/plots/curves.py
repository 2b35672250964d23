"""Loss curves and bars: how a run went, and what its result is worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    SKY,
    VERMILLION,
    Figure,
    make_figure,
    show_grid,
    styled,
)

_NEARBY = 0.1  # the smoothed curve averages the steps within this fraction of each step


@styled
def plot_loss_curve(
    metrics: Sequence[Mapping[str, Any]],
    *,
    title: str = "Loss",
    log_steps: bool = False,
    vocab_size: int | None = None,
    floor: float | None = None,
    lines: Mapping[str, float] | None = None,
) -> Figure:
    """Draw the training and the validation loss against the step.

    The light line is the loss of each step's own batch; the dark one is its mean over the
    steps within 10 % of each step, so that the early steps stay sharp and the noise of the late
    ones goes.

    Args:
        metrics: one mapping per line of ``metrics.jsonl``: ``step``, ``loss`` and, where it was
            measured, ``validation_loss``; nats per token. Other keys are not read.
        title: above the figure.
        log_steps: a logarithmic step axis, on which the first steps are visible.
        vocab_size: V; draws the loss of the uniform guess, ln V.
        floor: the entropy of the source, the lowest loss that any model can reach.
        lines: other levels to compare with, by name, such as an n-gram model's loss.

    Returns:
        A figure.

    Raises:
        ValueError: if ``metrics`` holds no loss.

    Example:
        >>> metrics = [{"step": 1, "loss": 5.0}, {"step": 2, "loss": 4.0, "validation_loss": 4.2}]
        >>> figure = plot_loss_curve(metrics, vocab_size=260)
        >>> figure.axes[0].get_ylabel()
        'loss (nats per token)'
    """
    training, validation = _points(metrics, "loss"), _points(metrics, "validation_loss")
    if not len(training) and not len(validation):
        raise ValueError("metrics hold neither 'loss' nor 'validation_loss': nothing to draw")
    figure = make_figure(8.2, 4.4)
    axes = figure.add_subplot()
    _draw_training(axes, training)
    _draw_validation(axes, validation)
    draw_levels(axes, _levels(vocab_size, floor, lines))
    steps = np.concatenate([training[:, 0], validation[:, 0]])
    _set_steps(axes, steps, log_steps=log_steps)
    axes.set_ylabel("loss (nats per token)")
    axes.set_title(title, pad=30)
    show_grid(axes)
    # Between the title and the axes: there it can hide neither a curve nor a level.
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False)
    return figure


@styled
def plot_bits_per_byte(
    values: Mapping[str, float], *, highlight: str | None = None, title: str = "Bits per byte"
) -> Figure:
    """Draw one bar per model or baseline, in the given order; shorter is better.

    Args:
        values: bits per byte of the same text, by name.
        highlight: the name that the figure is about.
        title: above the figure.

    Raises:
        ValueError: if there is nothing to draw, or ``highlight`` is not among the names.

    Example:
        >>> figure = plot_bits_per_byte({"xz": 2.2, "minillm": 1.9}, highlight="minillm")
        >>> [float(bar.get_width()) for bar in figure.axes[0].patches]
        [2.2, 1.9]
    """
    if not values or (highlight is not None and highlight not in values):
        raise ValueError(f"highlight must be one of {list(values)}, got {highlight!r}")
    figure = make_figure(7.6, 0.9 + 0.45 * len(values))
    axes = figure.add_subplot()
    colors = [BLUE if name == highlight else "#b8c4ce" for name in values]
    bars = axes.barh(list(values), list(values.values()), color=colors, height=0.62)
    axes.bar_label(bars, fmt="%.2f", padding=5)
    axes.invert_yaxis()  # the first on top
    axes.set_xlim(0, max(values.values()) * 1.1)
    axes.set_xlabel("bits per UTF-8 byte (less is better)")
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title)
    return figure


def smooth(steps: np.ndarray, values: np.ndarray, *, nearby: float = _NEARBY) -> np.ndarray:
    """Average each value with those of the steps within a fraction of its own step.

    Args:
        steps: (N,) increasing.
        values: (N,).
        nearby: the fraction; 0 changes nothing.

    Returns:
        (N,) means.

    Example:
        >>> smooth(np.array([1, 10, 11]), np.array([9.0, 2.0, 4.0]))
        array([9., 3., 3.])
    """
    sums = np.concatenate([[0.0], np.cumsum(values)])
    first = np.searchsorted(steps, steps - nearby * steps - 1e-9, side="left")
    last = np.searchsorted(steps, steps + nearby * steps + 1e-9, side="right")
    return (sums[last] - sums[first]) / (last - first)


def _points(metrics: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Return (N, 2) steps and finite values of one field, in the order of the steps."""
    found = [(line["step"], line[name]) for line in metrics if line.get(name) is not None]
    points = np.array(sorted(found), dtype=float).reshape(-1, 2)
    return points[np.isfinite(points[:, 1])]


def _draw_training(axes: Axes, points: np.ndarray) -> None:
    """Draw what each step measured, and its mean over nearby steps."""
    if not len(points):
        return
    steps, losses = points.T
    means = smooth(steps, losses)
    marker = "o" if len(points) == 1 else None  # a line through one point is invisible
    axes.plot(steps, losses, color=SKY, alpha=0.45, linewidth=0.8, marker=marker)
    axes.plot(
        steps, means, color=BLUE, linewidth=2.0, label=f"training, at the end {means[-1]:.2f}"
    )


def _draw_validation(axes: Axes, points: np.ndarray) -> None:
    """Draw the validation loss and name its lowest value."""
    if not len(points):
        return
    steps, losses = points.T
    best = losses.argmin()
    label = f"validation, lowest {losses[best]:.2f} at step {steps[best]:,.0f}"
    axes.plot(
        steps, losses, color=VERMILLION, linewidth=1.4, marker="o", markersize=4.5, label=label
    )


def _levels(
    vocab_size: int | None, floor: float | None, lines: Mapping[str, float] | None
) -> list[tuple[float, str, str]]:
    """Return the horizontal lines as (nats, label, color), the highest first."""
    levels = [(value, f"{name} {value:.2f}", GRAY) for name, value in (lines or {}).items()]
    if vocab_size is not None:
        value = math.log(vocab_size)
        levels.append((value, f"uniform guess\nln {vocab_size:,} = {value:.2f}", GRAY))
    if floor is not None:
        levels.append((floor, f"entropy of the\nsource {floor:.2f}", GREEN))
    return sorted(levels, reverse=True)


def draw_levels(axes: Axes, levels: list[tuple[float, str, str]]) -> None:
    """Draw dashed lines; their labels stand outside on the right, pushed apart where close.

    Args:
        axes: whose limits are final.
        levels: (value, label, color), the highest first.
    """
    for value, _, color in levels:
        axes.axhline(value, color=color, linestyle=(0, (5, 3)), linewidth=1.2, zorder=1.5)
    low, high = axes.get_ylim()
    line_height = 0.05 * (high - low)
    lowest = math.inf  # the lower edge of the label before
    for value, label, color in levels:
        height = line_height * (1 + label.count("\n"))
        middle = min(value, lowest - height / 2)
        lowest = middle - height / 2
        axes.annotate(
            label,
            (1.0, middle),
            xycoords=("axes fraction", "data"),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=9.5,
            annotation_clip=False,
        )


def _set_steps(axes: Axes, steps: np.ndarray, *, log_steps: bool) -> None:
    """Name the step axis and write its numbers in full."""
    axes.set_xlabel("step (logarithmic)" if log_steps else "step")
    low, high = steps.min(), max(steps.max(), steps.min() + 1)
    if log_steps:
        axes.set_xscale("symlog", linthresh=1, linscale=0.3)  # a measurement before step 1 fits
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(min(low, 1), high * 1.1)
    else:
        axes.set_xlim(max(low - 0.01 * high, 0), high * 1.02)
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))

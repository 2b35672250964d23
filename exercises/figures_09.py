"""The figures of notebook 09: the plan of a block, and small multiples on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from torch import Tensor

from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PALETTE,
    Figure,
    make_figure,
    show_grid,
    styled,
)

Values = Sequence[float] | Tensor
Line = Values | tuple[Values, Values]  # y, or x and y


@styled
def plot_lines(
    panels: Mapping[str, Mapping[str, Line]],
    *,
    xlabel: str,
    ylabel: str,
    colors: Sequence[str] = PALETTE,
    style: str = "-",
    log_x: bool = False,
    log_y: bool = False,
    ylim: tuple[float, float] | None = None,
) -> Figure:
    """Draw one panel per title with its named lines; all panels share the y axis.

    Args:
        panels: title → name of a line → y, or (x, y); without x, points are counted from 0.
        xlabel: what runs to the right, with its unit.
        ylabel: what runs up, with its unit.
        colors: of the lines, in order.
        style: Matplotlib's format of a line, such as ``"-"`` or ``"."``.
        log_x: a logarithmic x axis.
        log_y: a logarithmic y axis.
        ylim: lowest and highest y.

    Raises:
        ValueError: if there is nothing to draw.

    Example:
        >>> figure = plot_lines({"Left": {"a": [1, 2]}, "Right": {"b": ([3, 5], [1, 2])}},
        ...                      xlabel="step", ylabel="loss (nats)")
        >>> [axes.get_title(loc="left") for axes in figure.axes]
        ['Left', 'Right']
    """
    if not panels or not all(panels.values()):
        raise ValueError(f"every panel needs a line, got {dict(panels)!r}")
    figure = make_figure(9, 3.5)
    columns = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axes, (title, lines) in zip(columns, panels.items(), strict=True):
        for color, (name, line) in zip(colors, lines.items(), strict=False):
            x, y = line if isinstance(line, tuple) else (range(len(line)), line)
            axes.plot(x, y, style, color=color, linewidth=2, markersize=3, label=name)
        axes.set_xlabel(xlabel)
        axes.set_title(title, fontsize=13 if len(panels) < 4 else 10.5)  # else they touch
        axes.set_xscale("log" if log_x else "linear")
        axes.set_yscale("log" if log_y else "linear")
        if ylim is not None:
            axes.set_ylim(ylim)
        show_grid(axes)
    columns[0].set_ylabel(ylabel)
    columns[0].legend()
    return figure


@styled
def plot_blocks() -> Figure:
    """Draw the road of a pre-norm and of a post-norm block with its two side streets."""
    figure = make_figure(9, 3.5)
    for axes, name in zip(figure.subplots(2, 1), ("pre-norm", "post-norm"), strict=True):
        arrow = {"arrowstyle": "-|>", "linewidth": 5, "color": "#b8c4ce"}
        axes.annotate("", (10.3, 0), (0, 0), arrowprops=arrow)
        for start, branch, color in ((0.6, "attention", BLUE), (5.3, "feed-forward", GREEN)):
            end = start + 3.4
            axes.plot([start, start, end, end], [0, 1, 1, 0], color=GRAY, linewidth=1.5)
            is_pre = name == "pre-norm"
            _box(axes, start + (2.15 if is_pre else 1.7), 1, branch, color)
            _box(axes, *((start + 0.75, 1) if is_pre else (end + 0.65, 0)), "norm", ORANGE)
            axes.text(end, 0, "⊕", size=17, ha="center", va="center")
        axes.set(title=name, xlim=(-0.2, 10.4), ylim=(-0.6, 1.6))
        axes.axis("off")
    return figure


def _box(axes: Axes, x: float, y: float, text: str, color: str) -> None:
    box = {"boxstyle": "round,pad=0.45", "facecolor": color, "edgecolor": "none"}
    axes.text(x, y, text, color="white", ha="center", va="center", bbox=box, zorder=3)

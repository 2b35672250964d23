"""Lines side by side: the same name has the same color in every panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from minillm.plots.style import GRAY, PALETTE, Figure, make_figure, show_grid, styled

_MAX_TICKS = 6  # measured places of a logarithmic axis that are numbered
_MAX_RATIO = 100  # of a logarithmic axis' ends, up to which three numbers a decade are written
_MAX_MARKED = 32  # points up to which each one is marked


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """What one panel shows.

    Attributes:
        title: above the panel.
        x: places of the points; a line with fewer points stands on the first ones.
        lines: name → values.
        x_label: what x is, with its unit.
        y_label: what the values are, with their unit.
        log: axes that are logarithmic; a logarithmic x axis is numbered at its points.
        levels: name → value of a dashed line across.
        y_range: lowest and highest value shown; ``None`` leaves it to the lines.
        legend: where the names stand, in Matplotlib's words.
    """

    title: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    log: Literal["", "x", "y", "xy"] = ""
    levels: Mapping[str, float] = field(default_factory=dict)
    y_range: tuple[float, float] | None = None
    legend: Literal["best", "center left", "center right", "lower right"] = "best"


@styled
def plot_panels(*panels: Panel) -> Figure:
    """Draw one panel beside the other.

    Raises:
        ValueError: if there is no panel, or a line has more points than its panel has places.

    Example:
        >>> panel = Panel(title="Squares", x=[1, 2], lines={"x²": [1, 4]}, x_label="x", y_label="y")
        >>> [axes.get_title(loc="left") for axes in plot_panels(panel).axes]
        ['Squares']
    """
    if not panels:
        raise ValueError("give plot_panels at least one panel, got none")
    names = dict.fromkeys(name for panel in panels for name in panel.lines)
    colors = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(names)}
    figure = make_figure(8.2 if len(panels) == 1 else 4.7 * len(panels), 3.3)
    for place, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(1, len(panels), place), panel, colors)
    return figure


def _draw(axes: Axes, panel: Panel, colors: Mapping[str, Any]) -> None:
    """Draw the lines of one panel, and its legend."""
    for place, (name, values) in enumerate(panel.lines.items(), start=1):
        if len(values) > len(panel.x):
            raise ValueError(f"{name!r} has {len(values)} points for {len(panel.x)} places of x")
        # Later lines are thinner, so that those which they cover still look out on both sides.
        width = 1.7 + 0.9 * (len(panel.lines) - place)
        style = {"color": colors[name], "label": name, "linewidth": width}
        style["marker"] = "o" if len(values) <= _MAX_MARKED else ""
        axes.plot(panel.x[: len(values)], values, markersize=width + 2.5, **style)
    for style, (name, value) in zip(("--", ":"), panel.levels.items(), strict=False):
        axes.axhline(value, color=GRAY, lw=1.3, ls=style, label=name)
    axes.set_title(panel.title)
    axes.set(xlabel=panel.x_label, ylabel=panel.y_label)
    if "x" in panel.log:
        axes.set_xscale("log")
    if "y" in panel.log:
        axes.set_yscale("log")
        _number_few_decades(axes, panel)
    if "x" in panel.log and len(panel.x) <= _MAX_MARKED:
        ticks = panel.x[:: -(-len(panel.x) // _MAX_TICKS)]
        axes.set_xticks(ticks, [_short(x) for x in ticks])
        axes.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
    if panel.y_range is not None:
        axes.set_ylim(*panel.y_range)
    show_grid(axes)
    axes.legend(loc=panel.legend)


def _number_few_decades(axes: Axes, panel: Panel) -> None:
    """Write 20, 50, 100 on a logarithmic y axis that is too short for powers of ten."""
    shown = panel.y_range or [value for values in panel.lines.values() for value in values]
    if 0 < min(shown) <= max(shown) < _MAX_RATIO * min(shown):
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: _short(y)))
        axes.yaxis.set_minor_locator(NullLocator())


def _short(x: float) -> str:
    """Write a number of a logarithmic axis: 31,623 and 0.01, but 1e+06."""
    return f"{x:,.0f}" if 1 <= x < 1e6 else f"{x:.3g}"

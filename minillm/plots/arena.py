"""Objectives compared after fine-tuning: one panel a task, a line for each reader."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from minillm.arena.intervals import t_interval
from minillm.plots.style import GRAY, INK, PALETTE, Figure, make_figure, show_grid, styled

_NUDGE = 0.02  # of a decade, by which readers stand apart, so that their bars do not overlap
_TITLE_COLUMNS, _TITLE_LINES = 46, 2  # of what stands below the title of a panel
_BASELINE = {"color": GRAY, "linestyle": (0, (1, 1.5)), "marker": "s"}


@styled
def plot_arena(
    bench: Mapping[str, Any],
    *,
    tasks: Sequence[str] | None = None,
    readers: Sequence[str] | None = None,
    title: str = "From few labels: pretrained, from scratch, without a network",
) -> Figure:
    """Draw how good each reader is, against the number of labels that it was fine-tuned on.

    A point is the mean of the seeds and its bar the 95 % interval of the mean (Student's t; seeds
    differ in weights, order and labels). Full lines: pretrained; dashed lines of the same color:
    that architecture from scratch; dotted gray: the baseline without a network.

    Args:
        bench: an entry of ``benches`` of ``assets/arena.json``.
        tasks: the panels; ``None``: all.
        readers: of the trained ones, those to draw; ``None``: all.
        title: above the figure.

    Raises:
        ValueError: a task or a reader that the table does not have.

    Example:
        >>> values = {"10": [0.2, 0.3], "100": [0.5, 0.7]}
        >>> task = {"title": "which topic", "score": "accuracy", "baselines": [],
        ...         "counted": "labeled examples", "results": {"causal": values}}
        >>> about = {"kind": "pretrained", "architecture": "decoder"}
        >>> figure = plot_arena({"tasks": {"topic": task}, "readers": {"causal": about}})
        >>> figure.axes[0].get_xlabel()
        'labeled examples (logarithmic)'
    """
    names = list(bench["tasks"]) if tasks is None else list(tasks)
    shown = list(bench["readers"]) if readers is None else list(readers)
    unknown = [n for n in names if n not in bench["tasks"]]
    unknown += [n for n in shown if n not in bench["readers"]]
    if unknown or not names:
        raise ValueError(f"the table has no {', '.join(unknown) or 'task to draw'}")
    looks = _looks(bench["readers"], shown)
    figure = make_figure(1.3 + 3.6 * len(names), 4.6)
    for number, name in enumerate(names, start=1):
        axes = figure.add_subplot(1, len(names), number)
        _draw_task(axes, name, bench["tasks"][name], looks)
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=13)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _looks(
    readers: Mapping[str, Mapping[str, Any]], shown: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Give each pretrained reader a color, and what began like it the same one, dashed."""
    colors: dict[str, str] = {}
    looks: dict[str, dict[str, Any]] = {}
    trained = [name for name in readers if readers[name]["kind"] == "pretrained"]
    for name, color in zip(trained, PALETTE, strict=False):
        colors.setdefault(str(readers[name]["architecture"]), color)
        looks[name] = {"color": color, "linestyle": "-", "marker": "o"}
    for name, about in readers.items():
        if about["kind"] == "scratch":
            color = colors.get(str(about["architecture"]), INK)
            looks[name] = {"color": color, "linestyle": (0, (4, 2)), "marker": "o", "mfc": "white"}
    return {name: looks[name] for name in shown}


def _draw_task(
    axes: Axes, name: str, task: Mapping[str, Any], looks: Mapping[str, Mapping[str, Any]]
) -> None:
    drawn = {**looks, **dict.fromkeys(task["baselines"], _BASELINE)}
    middle = (len(drawn) - 1) / 2
    for place, (reader, look) in enumerate(drawn.items()):
        label = "baseline without a network" if reader in task["baselines"] else reader
        _draw_reader(axes, task["results"][reader], label, look, (place - middle) * _NUDGE)
    numbers = sorted({int(n) for values in task["results"].values() for n in values})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(numbers)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:.0f}"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(bottom=0.0)
    axes.set_xlabel(f"{task['counted']} (logarithmic)")
    axes.set_ylabel("F1" if task["score"] == "f1" else str(task["score"]))
    description = textwrap.wrap(str(task["title"]), _TITLE_COLUMNS)
    axes.set_title(name, fontsize=11.5, pad=10 + 11 * _TITLE_LINES)
    axes.annotate(
        "\n".join(description),
        (0, 1),
        xytext=(0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8.5,
        color=GRAY,
    )
    show_grid(axes)


def _draw_reader(
    axes: Axes,
    values: Mapping[str, Sequence[float]],
    label: str,
    look: Mapping[str, Any],
    nudge: float,
) -> None:
    numbers = sorted(values, key=int)
    x = np.array([int(number) for number in numbers]) * 10**nudge
    means = [float(np.mean(values[number])) for number in numbers]
    style = {"linewidth": 1.8, "markersize": 5, **look}
    if min(len(values[number]) for number in numbers) < 2:
        axes.plot(x, means, label=label, **style)
        return
    intervals = [t_interval(values[number]) for number in numbers]
    errors = [
        [mean - one.low for mean, one in zip(means, intervals, strict=True)],
        [one.high - mean for mean, one in zip(means, intervals, strict=True)],
    ]
    axes.errorbar(x, means, yerr=errors, label=label, elinewidth=1.1, capsize=2, **style)

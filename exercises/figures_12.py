"""The figures of notebook 12: who judges pairs how well, odds against exact odds, orders found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MultipleLocator

from minillm.plots.style import (
    BLUE,
    GRAY,
    GREEN,
    ORANGE,
    PALETTE,
    VERMILLION,
    Figure,
    make_figure,
    show_grid,
    styled,
)

READERS = {"linear": ORANGE, "bilinear": VERMILLION, "encoder": BLUE}
_NAMES = {"linear": "linear bag", "bilinear": "bilinear bag", "encoder": "encoder"}
_CERTAIN = 0.01  # p below it, or above 1 − it
_MAX_ODDS = 10.0  # nats; what is beyond stands at the edge
_TITLES = {"world": "TinyWorld", "manuals": "Python's manuals"}
_TASKS = {
    "next": "next sentence,\nnegatives of\nother documents",
    "next, same document": "next sentence,\nnegatives of the\nsame document",
    "order": "sentence order",
}


@styled
def plot_readers(stored: Mapping[str, Any]) -> Figure:
    """Draw the accuracy of every kind of reader at every task on two texts, one dot a seed.

    Args:
        stored: the content of ``assets/sentences.json``.
    """
    figure = make_figure(9.6, 4.1)
    for axes, (corpus, title) in zip(
        figure.subplots(1, 2, sharey=True), _TITLES.items(), strict=True
    ):
        for place, task in enumerate(_TASKS):
            for shift, (reader, color) in zip((-0.27, 0, 0.27), READERS.items(), strict=True):
                values = accuracies(stored, corpus, task, reader)
                x, mean = place + shift, float(np.mean(values))
                axes.bar(x, mean - 0.5, bottom=0.5, width=0.24, color=color, alpha=0.35)
                axes.plot([x] * len(values), values, "o", color=color, markersize=4.5)
                best = stored["best"].get(task, [1.0])[0] if corpus == "world" else 1.0
                is_close = best - max(values) < 0.04  # else the number would stand on the line
                y = min(values) - 0.032 if is_close else max(*values, 0.5) + 0.012
                axes.text(x, y, f"{mean:.2f}", ha="center", fontsize=9)
            if corpus == "world" and task in stored["best"]:
                best = stored["best"][task][0]
                axes.plot([place - 0.42, place + 0.42], [best] * 2, color=GREEN, lw=2.5)
                axes.text(place, best + 0.012, f"best {best:.3f}", color=GREEN, ha="center")
        axes.set_xticks(range(len(_TASKS)), list(_TASKS.values()), fontsize=9.5)
        axes.set(title=title, ylim=(0.47, 1.02))
        axes.axhline(0.5, color=GRAY, lw=1.2, ls="--")
        show_grid(axes)
        if corpus == "world":
            axes.set_ylabel("right on held-out pairs (share)")
        else:
            handles = [
                axes.plot([], [], "s", color=c, label=_NAMES[r])[0] for r, c in READERS.items()
            ]
            axes.legend(handles=handles, loc="upper right")
            lowest = [
                min(min(accuracies(stored, corpus, task, reader)) for reader in READERS)
                for task in _TASKS
            ]
            free = max(range(len(lowest)), key=lowest.__getitem__)  # nothing below the line here
            axes.text(free, 0.479, "guessing", color=GRAY, fontsize=9, ha="center")
    return figure


def accuracies(stored: Mapping[str, Any], corpus: str, task: str, reader: str) -> list[float]:
    """Return the accuracies of one kind of reader, one for each seed."""
    wanted = corpus, task, reader
    return [
        run["accuracy"]
        for run in stored["pairs"]
        if (run["corpus"], run["task"], run["reader"]) == wanted
    ]


def mean_accuracies(stored: Mapping[str, Any]) -> dict[tuple[str, str, str], float]:
    """Return by text, task and reader the mean accuracy over the seeds."""
    keys = {(run["corpus"], run["task"], run["reader"]): None for run in stored["pairs"]}
    return {key: float(np.mean(accuracies(stored, *key))) for key in keys}


@styled
def plot_odds(exact: Sequence[float], judged: Mapping[str, Sequence[float]]) -> Figure:
    """Draw how sure readers are of pairs whose order is certain, and of those where it is open.

    Args:
        exact: p(in order | the pair) of each pair.
        judged: reader → its log-odds of "in order", in nats.
    """
    p = np.array(exact)
    kinds = {
        "certainly swapped": (p < _CERTAIN, VERMILLION),
        "open: nobody can know": ((p >= _CERTAIN) & (p <= 1 - _CERTAIN), GRAY),
        "certainly in order": (p > 1 - _CERTAIN, BLUE),
    }
    figure = make_figure(9.4, 3.8)
    bins = np.linspace(-_MAX_ODDS, _MAX_ODDS, 41)
    panels = np.atleast_1d(figure.subplots(1, len(judged), sharey=True))
    for axes, (name, odds) in zip(panels, judged.items(), strict=True):
        shown = np.clip(odds, -_MAX_ODDS, _MAX_ODDS)
        for kind, (some, color) in kinds.items():
            axes.hist(shown[some], bins, color=color, alpha=0.55, label=kind)
        axes.axvline(0, color=GRAY, lw=1, ls="--")
        axes.set(title=name, xlabel="the reader's log-odds of “in order” (nats)")
        show_grid(axes)
        axes.xaxis.set_major_locator(MultipleLocator(5))
    panels[0].set_ylabel("pairs")
    panels[-1].legend(loc="upper left", fontsize=9)
    return figure


@styled
def plot_orders(stored: Mapping[str, Any]) -> Figure:
    """Draw exact match and Kendall's τ as the number of shuffled sentences grows.

    Args:
        stored: the content of ``assets/sentences.json``.
    """
    figure = make_figure(9.4, 3.6)
    sizes = [int(k) for k in stored["orders"][0]["by_k"]]
    panels = {
        "exact_match": ("The whole order is right", "share of texts", "best_exact_match"),
        "kendall_tau": ("Kendall's τ", "τ (1: right, 0: random)", "best_guess_kendall_tau"),
    }
    for axes, (measure, (title, label, best)) in zip(
        figure.subplots(1, 2), panels.items(), strict=True
    ):
        rows = np.array([[run["by_k"][str(k)][measure] for k in sizes] for run in stored["orders"]])
        limits = [stored["orders"][0]["by_k"][str(k)][best] for k in sizes]
        limits = [value[0] if isinstance(value, list) else value for value in limits]
        chance = [1 / math.factorial(k) if measure == "exact_match" else 0.0 for k in sizes]
        axes.plot(sizes, limits, color=GREEN, marker="_", markersize=16, lw=1.5, label="best")
        for row in rows:
            axes.plot(sizes, row, "o", color=BLUE, markersize=4.5)
        axes.plot(sizes, rows.mean(0), color=BLUE, lw=2, label="encoder that points")
        axes.plot(sizes, chance, color=GRAY, ls="--", label="guessing")
        axes.set_title(title)
        axes.set(xlabel="shuffled sentences k", ylabel=label)
        axes.set(xticks=sizes, ylim=(-0.06, 1.05))
        show_grid(axes)
    figure.axes[1].legend(loc="center right", bbox_to_anchor=(1.0, 0.4))
    return figure


@styled
def plot_leaks(values: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """Draw the accuracy of a few readers under each way to draw the negatives.

    Args:
        values: way → accuracies of a reader of lengths, a linear and a bilinear bag.
        title: above the figure.
    """
    figure = make_figure(8.2, 3.4)
    axes = figure.add_subplot(ylabel="right on held-out pairs (share)")
    names = ("lengths alone", "linear bag", "bilinear bag")
    for shift, name, color in zip(
        (-0.27, 0, 0.27), names, (PALETTE[4], ORANGE, VERMILLION), strict=True
    ):
        heights = [row[names.index(name)] for row in values.values()]
        places = [place + shift for place in range(len(values))]
        bars = axes.bar(
            places, [h - 0.5 for h in heights], bottom=0.5, width=0.25, color=color, label=name
        )
        axes.bar_label(bars, [f"{h:.2f}" for h in heights], padding=3, fontsize=9)
    axes.axhline(0.5, color=GRAY, lw=1.2, ls="--")
    axes.set_xticks(range(len(values)), list(values))
    axes.set(ylim=(0.43, 1.08))
    axes.set_title(title, pad=26)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False)
    show_grid(axes)
    return figure

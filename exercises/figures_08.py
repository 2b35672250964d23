"""The figures of notebook 08: a lookup, tables of scores and weights, leaks through a mask.

Dimension key: T query positions, S key positions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from minillm.plots.style import (
    GRAY,
    PALETTE,
    VERMILLION,
    WEIGHTS_COLORMAP,
    Figure,
    drawable,
    make_figure,
    styled,
)

_NOTHING = "#eef0f2"
_LOWEST, _HIGHEST = -3.0, 0.8  # log10 of the influences told apart by color


@styled
def plot_lookup(words: Sequence[str], scores: Tensor, weights: Tensor, values: Tensor) -> Figure:
    """Draw one soft lookup: scores, weights, and the mean of the values in the plane.

    Args:
        words: S names of the keys.
        scores: (S,) how well each key matches.
        weights: (S,) their softmax.
        values: (S, 2) what each word tells.

    Raises:
        ValueError: if the shapes do not fit.
    """
    n = len(words)
    if scores.shape != (n,) or weights.shape != (n,) or values.shape != (n, 2):
        shapes = [tuple(x.shape) for x in (scores, weights, values)]
        raise ValueError(f"{n} words need scores ({n},), weights ({n},), values ({n}, 2): {shapes}")
    figure = make_figure(9.4, 3.3)
    left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1, 1.3])
    for axes, bars, title in ((left, scores, "scores"), (middle, weights, "weights")):
        drawn = axes.bar(words, bars.tolist(), color=PALETTE[:n])
        axes.bar_label(drawn, [f"{x:.2f}".rstrip("0").rstrip(".") for x in bars.tolist()])
        axes.set(title=title, ylim=(0, 1.15 * bars.max().item()), yticks=[])
        axes.set_ylabel("q · k / √D" if axes is left else "share of the attention")
        axes.tick_params(length=0)
    x, y = (weights @ values).tolist()
    for word, (a, b), weight, color in zip(
        words, values.tolist(), weights.tolist(), PALETTE, strict=False
    ):
        right.plot([a, x], [b, y], color=color, lw=10 * weight, alpha=0.35)
        right.scatter(a, b, s=60, color=color, zorder=3)
        right.annotate(word, (a, b), (0, 8), textcoords="offset points", ha="center")
    right.scatter(x, y, s=170, marker="*", color="black", zorder=4, label="what is read")
    right.margins(0.15, 0.2)
    right.set(title="values, and their mean", xlabel="value 0", ylabel="value 1")
    right.legend(loc="lower right")
    return figure


@styled
def plot_tables(
    tables: Mapping[str, Tensor], queries: Sequence[str], keys: Sequence[str]
) -> Figure:
    """Draw (T, S) tables of scores or weights side by side; −∞ is gray.

    Args:
        tables: title → (T, S) numbers, which are written into the cells.
        queries: T names of the rows.
        keys: S names of the columns.

    Raises:
        ValueError: if a table has another shape.
    """
    shape = len(queries), len(keys)
    height = 0.42 * shape[0] + 1.6
    figure = make_figure(max(3.1, 0.55 * shape[1] + 1) * len(tables), height)
    for place, (title, table) in enumerate(tables.items(), start=1):
        if table.shape != shape:
            raise ValueError(f"table {title!r} is {tuple(table.shape)}, the names are {shape}")
        axes = figure.add_subplot(1, len(tables), place)
        shown = table.masked_fill(table == -math.inf, math.nan)
        highest = max(shown.nan_to_num(-math.inf).max().item(), 1.0)  # weights share one scale
        colors = WEIGHTS_COLORMAP.with_extremes(bad=_NOTHING)
        axes.imshow(shown.numpy(), cmap=colors, vmin=0, vmax=highest, aspect="auto")
        for (t, s), text in _cell_texts(table):
            is_dark = table[t, s] > 0.45 * highest
            color = "white" if is_dark else GRAY if text == "−∞" else "black"
            axes.text(s, t, text, ha="center", va="center", color=color, fontsize=9.5)
        axes.set_xticks(range(shape[1]), map(drawable, keys))
        axes.set_yticks(range(shape[0]), map(drawable, queries) if place == 1 else [""] * shape[0])
        axes.tick_params(length=0)
        axes.set(title=title, xlabel="key: is read", ylabel="query: reads" if place == 1 else "")
    return figure


def _cell_texts(table: Tensor) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield what to write into which cell: whole numbers, or shares that are not 0.00."""
    finite = table[table.isfinite()]
    is_whole = bool((finite == finite.round()).all())
    for t, s in torch.cartesian_prod(*map(torch.arange, table.shape)).tolist():
        x = table[t, s].item()
        if x == -math.inf:
            yield (t, s), "−∞"
        elif is_whole or abs(x) >= 0.005:
            yield (t, s), f"{x:.0f}" if is_whole else f"{x:.2f}"


@styled
def plot_leaks(influences: Mapping[str, Tensor]) -> Figure:
    """Draw how much each output reacts to each input; a cross marks what comes from the future.

    Gray is exactly nothing; the darker, the stronger, on a logarithmic scale.

    Args:
        influences: name → (T, T) norms of the gradients of output t by input s.

    Raises:
        ValueError: if a table is not square.
    """
    figure = make_figure(2.4 * len(influences) + 0.5, 3.2)
    for place, (name, norms) in enumerate(influences.items(), start=1):
        if norms.ndim != 2 or norms.shape[0] != norms.shape[1]:
            raise ValueError(f"influence {name!r} must be (T, T), got {tuple(norms.shape)}")
        axes = figure.add_subplot(1, len(influences), place)
        shown = norms.where(norms > 0, math.nan).log10()
        colors = WEIGHTS_COLORMAP.with_extremes(bad=_NOTHING)
        axes.imshow(shown.numpy(), cmap=colors, vmin=_LOWEST, vmax=_HIGHEST)
        outputs, inputs = (norms.triu(1) > 0).nonzero(as_tuple=True)
        axes.scatter(inputs, outputs, s=16, color=VERMILLION, marker="x", linewidths=1.3)
        count = f"{len(inputs)} leak{'' if len(inputs) == 1 else 's'}"
        axes.set_title(f"{name}\n{count}", fontsize=10.5, loc="center")
        axes.set(xlabel="input s", xticks=[0, len(norms) - 1], yticks=[0, len(norms) - 1])
        axes.set_ylabel("output t" if place == 1 else "")
        axes.tick_params(length=0)
    return figure
